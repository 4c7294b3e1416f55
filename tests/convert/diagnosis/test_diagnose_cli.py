"""`convert diagnose` as a person meets it: exit codes, files written, and every wrong word in one clear line."""

import hashlib
import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from convert.certification.golden import certified_golden
from convert.cli import COMMANDS
from convert.diagnosis.page import diagnosis_page
from convert.diagnosis.record import DiagnosisRecord
from edge.bundle import bundle as bundles
from edge.inference.contract import InputContract
from models.data.published import bundles as shipped_bundles
from models.support.records import record_text
from tests.commands import Run, in_this_process, is_one_line, said_until, shell, started
from tests.convert.keras_models import edited
from tests.edge.page.html.page_checks import check_page, scripted
from tests.paths import ROOT
from tests.small_world import CONTRACT, World, write_images

SHIPPED = shipped_bundles()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "convert", COMMANDS, "diagnose")


@pytest.fixture(scope="module")
def int8(world: World) -> Path:
    """The small network's int8 file, calibrated on its training images."""
    from convert.calibration.evaluation_data import Source
    from convert.quantization.float_model import load_float
    from convert.quantization.quantize import quantize
    from models.data.dataset import load_pixels

    source = Source.open(world.data, CONTRACT.labels, world.split)
    pixels = load_pixels(source.split.samples(source.image_set, "train"), CONTRACT)
    path = world.root / "dots.tflite"
    path.write_bytes(quantize(load_float(world.model), CONTRACT, pixels))
    return path


@pytest.fixture(scope="module")
def clipped(world: World, int8: Path) -> Path:
    """The same with the range of its logits divided by ten."""

    def change(tree: object) -> None:
        tensor = next(t for t in tree.subgraphs[0].tensors if b"head_1/MatMul;" in t.name)  # type: ignore[attr-defined]
        tensor.quantization.scale = tensor.quantization.scale / np.float32(10)

    path = world.root / "clipped.tflite"
    path.write_bytes(edited(int8.read_bytes(), change))
    return path


def test_a_sound_file_ends_with_0(run: Run, world: World, int8: Path) -> None:
    code, out, err = run(world.model, int8, *world.images, "--images", "24", "--json")
    assert code == 0 and out.count("\n") == 1
    record = json.loads(out)
    assert record["verdict"] == "sound" and record["images"] == 24
    assert record["peak_rss_mb"] > 0 and set(record["seconds"]) >= {"load", "convert", "activations", "effects"}
    assert "scanning" in err


@pytest.mark.slow
def test_the_installed_command_names_the_fault_and_writes_it_down(world: World, clipped: Path, tmp_path: Path) -> None:
    ended = shell(
        "convert", "diagnose", world.model, clipped, *world.images, "--images", "16", "--out", tmp_path / "new"
    )
    assert ended.returncode == 1, ended.stderr
    assert "1. saturated-activation at head: head holds" in ended.stdout and "try: convert quantize" in ended.stdout
    folder = tmp_path / "new"
    assert sorted(p.name for p in folder.iterdir()) == ["diagnosis.html", "diagnosis.json", "diagnosis.png"]
    record = json.loads((folder / "diagnosis.json").read_text("utf-8"))
    assert record["causes"][0]["layer"] == "head" and record["causes"][0]["of_weight"]
    figure = cv2.imread(str(folder / "diagnosis.png"))
    assert figure is not None and min(figure.shape[:2]) > 300
    page = (folder / "diagnosis.html").read_text("utf-8")
    assert page.count("<img ") == 1 and "data:image/png" in page  # the figure, and no image of the data set
    assert not re.search(r"https?://|<script|src=\"(?!data:)", page)
    assert "FAULT" in page and "saturated-activation" in page
    nasty = msgspec.convert(scripted(record, {"fault"}, ("versions", "seconds")), DiagnosisRecord)
    check_page(lambda: diagnosis_page(nasty, b"\x89PNG"))


def as_bundle(folder: Path, int8: Path, contract: InputContract, calibration_images: int) -> Path:
    """The int8 file as a bundle whose calibration record tells of so many images."""
    model = int8.read_bytes()
    golden, _ = certified_golden(model, contract)
    certificate = {
        "verdict": "inconclusive",
        "int8_model": {"sha256": hashlib.sha256(model).hexdigest()},
        "contract": {"sha256": hashlib.sha256(contract.to_json().encode()).hexdigest()},
    }
    record = {"images": calibration_images}
    bundles.write(folder, model=model, contract=contract, calibration=record, certificate=certificate, golden=golden)
    return folder


def test_a_bundle_tells_of_its_calibration(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    """One image, by the bundle's own record: named though no range betrays it."""
    one = as_bundle(tmp_path / "one-int8", int8, CONTRACT, 1)
    code, out, _ = run(world.model, one, *world.images, "--json")
    first = json.loads(out)["causes"][0]
    assert code == 1 and first["rule"] == "calibration" and "calibrated on 1 image" in first["message"]
    enough = as_bundle(tmp_path / "enough-int8", int8, CONTRACT, 80)
    assert run(world.model, enough, *world.images)[0] == 0


def test_a_bundle_with_another_contract(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    wrong = replace(CONTRACT, scale=(1 / 255,) * 3, offset=(0.0,) * 3)
    code, out, _ = run(world.model, as_bundle(tmp_path / "dots-int8", int8, wrong, 80), *world.images, "--json")
    first = json.loads(out)["causes"][0]
    assert code == 1 and (first["rule"], first["layer"]) == ("input-scale", "input")
    assert "scale, offset differ" in first["message"]


def test_a_bundle_of_another_network(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    code, _, err = run(world.model, SHIPPED / "custom_cnn-int8", *world.images)
    assert code == 2 and is_one_line(err) and "not made from" in err
    other = as_bundle(tmp_path / "other-int8", int8, replace(CONTRACT, labels=("a", "b", "c", "d")), 80)
    code, _, err = run(world.model, other, *world.images)
    assert code == 2 and is_one_line(err) and "labels Benign, Early, Pre, Pro expected; it has a, b, c, d" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"", ""), (b"PK\x03\x04 no model", ""), ("half", "")],
    ids=["missing", "empty", "another kind", "truncated"],
)
def test_an_int8_file_that_is_none(run: Run, world: World, int8: Path, content: bytes | str | None, said: str) -> None:
    path = world.root / "wrong.tflite"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(int8.read_bytes()[: int8.stat().st_size // 2] if isinstance(content, str) else content)
    code, out, err = run(world.model, path, *world.images)
    assert code == 2 and out == "" and is_one_line(err) and "wrong.tflite" in err and said in err


def test_other_wrong_files(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    from convert.quantization.float_model import load_float
    from convert.quantization.quantize import float_tflite

    plain = tmp_path / "float.tflite"
    plain.write_bytes(float_tflite(load_float(world.model)))
    for words, said in [
        ((world.model, tmp_path, *world.images), "no file of a bundle"),
        ((world.model, plain, *world.images), "must have one int8 or uint8 input"),
        ((tmp_path / "no.keras", int8, *world.images), "no such file"),
        ((int8, int8, *world.images), "converted already"),
        ((world.model, int8, "--data", tmp_path / "none"), "none"),
        ((world.model, int8, "--data", int8), "dots.tflite"),
        ((world.model, int8, *world.images, "--contract", tmp_path / "none.json"), "none.json"),
    ]:
        code, out, err = run(*words)
        assert code == 2 and out == "" and is_one_line(err) and said in err.splitlines()[-1], err


def test_another_network(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    """Other weights in the same shapes, another size, other labels."""
    import keras

    keras.utils.set_random_seed(11)
    network = keras.models.load_model(world.model)
    for layer in network.layers:
        layer.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in layer.get_weights()])
    path = world.variant("stranger")
    network.save(path)
    code, _, err = run(path, int8, *world.images)
    assert code == 2 and is_one_line(err) and "weights of 2 of 2 layers are other ones" in err


def test_images_of_another_kind(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    cv2.imwrite(str(tmp_path / "cats" / "a.png"), np.zeros((32, 32, 3), np.uint8))
    code, _, err = run(world.model, int8, "--data", tmp_path)
    assert code == 2 and is_one_line(err) and "cats" in err


def test_too_few_images(run: Run, world: World, int8: Path, tmp_path: Path) -> None:
    code, out, err = run(world.model, int8, *world.images, "--images", "7")
    assert code == 3 and out == "" and is_one_line(err) and "at least 8 images" in err
    few = write_images(tmp_path / "few", a_class=1)
    code, _, err = run(world.model, int8, "--data", few, "--split", world.split)
    assert code == 3 and is_one_line(err) and "has 4 that" in err


def test_an_output_folder_that_cannot_be(run: Run, world: World, int8: Path) -> None:
    code, _, err = run(world.model, int8, *world.images, "--out", int8)
    assert code == 2 and is_one_line(err) and "--out" in err
    assert "scanning" not in err  # found out before the work


def test_words_that_make_no_request(run: Run, world: World) -> None:
    code, _, err = run(world.model, *world.images)
    assert code == 2 and is_one_line(err) and "needs the int8 file" in err
    code, _, err = run(world.model, "some.tflite")
    assert code == 2 and is_one_line(err) and "--data" in err
    code, _, err = run("custom_cnn", "--data", world.data, "--images", "many")
    assert code == 2 and is_one_line(err) and "--images" in err


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written(world: World, int8: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started("convert", "diagnose", world.model, int8, *world.images, "--out", out)
    said_until(process, "scanning")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs/reference").glob("diagnose_*.json")), ids=lambda path: path.stem)
def test_a_record_is_read_and_written_byte_for_byte(path: Path) -> None:
    record = msgspec.json.decode(path.read_bytes(), type=DiagnosisRecord)
    assert record_text(record.to_record()) == path.read_text(encoding="utf-8")
