"""`convert pareto` as a person meets it: exit codes, files, what an interruption leaves, wrong words in one line."""

import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert.cli import COMMANDS
from convert.pareto import job, measurement
from convert.pareto.formats import converted
from edge.inference.contract import FLOAT32
from edge.inference.tflite.model_file import check_model
from tests.commands import Run, in_this_process, is_one_line, said_until, shell, started
from tests.small_world import CONTRACT, LABELS, World, draw, write_images


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "convert", COMMANDS, "pareto")


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "ROUNDS", 6)
    monkeypatch.setattr(job, "FEWER_ROUNDS", 5)


@pytest.fixture(scope="module")
def smaller(world: World) -> Path:
    """A network of half the input size, as good as untrained: it is compared, not judged."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu")(image)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))
    truth = np.arange(len(LABELS)).repeat(60)
    contract = replace(CONTRACT, size=(16, 16))
    pixels = [contract.prepare(draw(LABELS[k], 1000 + n)) for n, k in enumerate(truth)]
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(np.concatenate([contract.encode(p, FLOAT32) for p in pixels]), truth, epochs=12, verbose=0)
    folder = world.root / "half"
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "contract.json").write_text(contract.to_json(), encoding="utf-8")
    return folder / "model.keras"


@pytest.mark.slow
def test_networks_of_one_s_own_at_any_size(run: Run, world: World, smaller: Path, tmp_path: Path) -> None:
    words = (world.model, smaller, *world.images, "--out", tmp_path / "new")
    code, out, err = run(*words, "--json")
    assert code == 0 and out.count("\n") == 1, err
    record = json.loads(out)
    assert record["interrupted"] is False and record["wanted"] == len(record["points"]) == 8
    assert [(p["network"], p["size"]) for p in record["points"][::4]] == [("dots", [32, 32]), ("half", [16, 16])]
    assert [p["format"] for p in record["points"][:4]] == ["int8", "int16x8", "float16", "float32"]
    for point in record["points"]:
        assert point["problem"] is None and point["images"] == 80 and point["latency"]["median_ms"] > 0
        assert point["peak_rss_mb"] > 20 and point["latency"]["ratio_low"] <= point["latency"]["ratio"]
        assert (point["parity"] is not None) == (point["format"] == "int8")
        assert (point["edgetpu"]["verdict"] == "mapped") == (point["format"] == "int8")
        file = tmp_path / "new" / "points" / point["file"]
        check_model(file.read_bytes(), file.name)
        assert file.stat().st_size == point["bytes"]
    by_bytes = {p["format"]: p["bytes"] for p in record["points"][:4]}
    assert by_bytes["int8"] < by_bytes["float32"] and by_bytes["float16"] < by_bytes["float32"]
    assert any(p["front"] for p in record["points"]) and not all(p["front"] for p in record["points"])
    assert record["reference"]["bundle"] == "mobilenet_v2-int8" and record["reference"]["kind"] == "xnnpack"
    assert record["reference"]["median_ms"] > 0 and record["rounds"] == 6
    assert set(record["seconds"]) >= {"load", "images", "convert and judge", "latency", "memory"}
    assert record["peak_rss_mb"] > 100 and record["cpu_seconds"] > 0
    files = sorted(p.name for p in (tmp_path / "new").iterdir())
    assert files == ["pareto.html", "pareto.json", "pareto.png", "points"]
    assert json.loads((tmp_path / "new" / "pareto.json").read_text("utf-8")) == record
    assert cv2.imread(str(tmp_path / "new" / "pareto.png")) is not None

    with pytest.MonkeyPatch.context() as patch:  # a repeat only measures

        def never(*_: Any) -> bytes:
            raise AssertionError("converted again")

        patch.setattr(measurement, "converted", never)
        code, out, _ = run(*words)
    assert code == 0 and re.search(r"^\*  (dots|half) +\d\dx\d\d  \w+ ", out, re.MULTILINE)
    assert "xnnpack arithmetic" in out and "80 test images" in out


def test_one_that_cannot_run_does_not_stop_the_others(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.errors import ModelFileError

    opened = measurement.open_interpreter

    def lacks(model: bytes) -> Any:
        interpreter = opened(model)
        if interpreter.input.quantization.dtype == "float32":
            raise ModelFileError("model: litert cannot run it: no kernel")
        return interpreter

    monkeypatch.setattr(measurement, "open_interpreter", lacks)
    words = (world.model, *world.images, "--out", tmp_path)
    code, out, _ = run(*words, "--formats", "float32,int8")
    assert code == 0 and "dots float32: not measured: model: litert cannot run it: no kernel" in out
    code, out, _ = run(*words, "--formats", "float32")
    assert code == 1 and "not measured" in out
    assert json.loads((tmp_path / "pareto.json").read_text())["images"] == 0


def test_interrupted_it_shows_what_is_finished(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*words: Any) -> bytes:
        if words[-1] == "float16":
            raise KeyboardInterrupt
        return converted(*words)

    monkeypatch.setattr(measurement, "converted", stops)
    words = (world.model, *world.images, "--out", tmp_path, "--json")
    code, out, err = run(*words, "--formats", "int8,float32,float16")
    record = json.loads(out)
    assert code == 130 and record["interrupted"] and record["wanted"] == 3 and len(record["points"]) == 2
    assert "interrupted: 2 of 3 points are done; the same command continues" in err and "Traceback" not in err
    assert json.loads((tmp_path / "pareto.json").read_text())["points"] == record["points"]
    assert (tmp_path / "pareto.png").is_file() and "interrupted" in (tmp_path / "pareto.html").read_text()
    code, out, err = run(*words, "--formats", "float16")  # nothing finished: nothing to show
    assert code == 130 and out == "" and is_one_line(err)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal(world: World, tmp_path: Path) -> None:
    process = started("convert", "pareto", world.model, *world.images, "--out", tmp_path, "--json")
    said_until(process, " int8: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    record = json.loads(out)
    assert record["interrupted"] and record["points"][0]["format"] == "int8" and record["points"][0]["latency"]
    assert not list(tmp_path.rglob("*.partial"))


def test_wrong_files(run: Run, world: World, tmp_path: Path) -> None:
    half = tmp_path / "half.keras"
    half.write_bytes(world.model.read_bytes()[: world.model.stat().st_size // 2])
    other = world.variant("others", labels=["a", "b", "c", "d"])
    for words, said in [
        ((half, *world.images), "half.keras: truncated"),
        ((tmp_path / "none.keras", *world.images), "none.keras: no such file"),
        ((world.model, "--data", tmp_path / "none"), "none does not exist"),
        ((world.model, "--data", half), "half.keras"),
        ((world.model, *world.images, "--split", half), "half.keras"),
        ((world.model, other, *world.images), "the same labels"),
        ((world.model, world.model, *world.images), "named twice"),
        ((world.model, *world.images, "--out", half), "--out"),
        ((world.split, *world.images), "must be a .keras file"),
        (("mobilenet_v2", "--widths", "0.5", *world.images), "width 0.5 needs ImageNet weights"),
        (("mobilenet_v2", "--widths", "0.5", "--weights", half, *world.images), "none of --weights fits"),
        (("mobilenet_v2", "--widths", "0.5", "--weights", "no.h5", *world.images), "there is no no.h5"),
    ]:
        code, out, err = run(*words, *(() if "--out" in words else ("--out", tmp_path / "out")))
        assert code == 2 and out == "" and is_one_line(err) and said in err.splitlines()[-1], err


def test_images_of_other_classes(run: Run, world: World, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    cv2.imwrite(str(tmp_path / "cats" / "a.png"), np.zeros((32, 32, 3), np.uint8))
    code, _, err = run(world.model, "--data", tmp_path, "--out", tmp_path / "out")
    assert code == 2 and is_one_line(err) and "cats" in err


def test_too_few_images(run: Run, world: World, tmp_path: Path) -> None:
    few = write_images(tmp_path / "few", a_class=24)
    code, out, err = run(world.model, "--data", few, "--split", world.split, "--out", tmp_path / "out")
    assert code == 3 and out == "" and is_one_line(err) and "at least 20 images" in err and "has 16" in err
    shutil.rmtree(few / "Pro")
    write_images(tmp_path / "more", a_class=40)
    shutil.rmtree(tmp_path / "more" / "Pro")
    code, _, err = run(world.model, "--data", tmp_path / "more", "--split", world.split, "--out", tmp_path / "out")
    assert code == 3 and is_one_line(err) and "no Pro" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "needs mobilenet_v2, or the files"),
        (("mobilenet_v2", "--sizes", "31"), "--sizes must be at least 32; got 31"),
        (("mobilenet_v2", "--sizes", "224,large"), "--sizes must be a whole number; got 'large'"),
        (("mobilenet_v2", "--widths", "wide"), "--widths must be numbers such as 1.0,0.35; got 'wide'"),
        (("mobilenet_v2", "--widths", "nan"), "--widths must be within 0.1..2; got nan"),
        (("mobilenet_v2", "--widths", "9"), "--widths must be within 0.1..2; got 9"),
        (("mobilenet_v2", "--formats", "int8,int4"), "--formats must be some of int8, int16x8, float16, float32"),
        (("mobilenet_v2", "--formats", ""), "--formats must be some of"),
        (("mobilenet_v2", "--epochs", "0"), "--epochs must be at least 1"),
        (("custom_cnn", "--sizes", "96"), "custom_cnn ends in a dense layer"),
        (("a.keras", "--widths", "0.35"), "--widths varies mobilenet_v2, named alone"),
        (("mobilenet_v2", "custom_cnn", "--sizes", "96"), "--sizes varies mobilenet_v2, named alone"),
    ],
)
def test_words_that_make_no_request(run: Run, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(*words, "--data", "images")
    assert code == 2 and out == "" and is_one_line(err) and said in err


def test_images_are_asked_for(run: Run) -> None:
    code, _, err = run("mobilenet_v2")
    assert code == 2 and is_one_line(err) and "--data" in err


@pytest.mark.slow
def test_a_variant_of_the_shipped_network_from_start_to_table(tmp_path: Path) -> None:
    """The installed command trains MobileNetV2 at 32 pixels on drawn images, is interrupted, and continues."""
    from models.data.dataset import scan
    from models.data.split import Split, SplitItem

    data = write_images(tmp_path / "images")
    parts = ("train", "train", "validation", "test", "test")
    items = [SplitItem(parts[k % 5], s.label, s.name, s.sha256, s.name) for k, s in enumerate(scan(data).samples)]
    split = tmp_path / "split.csv"
    split.write_text(Split(tuple(items)).to_csv(), encoding="utf-8")
    out = tmp_path / "out"
    words = ["pareto", "mobilenet_v2", "--sizes", "32", "--formats", "int8", "--epochs", "1", "--json"]
    words += ["--data", str(data), "--split", str(split), "--out", str(out)]
    done = shell("convert", *words, timeout=600)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    [point], [network] = record["points"], record["networks"]
    assert point["network"] == network["name"] == "mobilenet_v2-1-32" and point["size"] == [32, 32]
    assert network["trained"]["width"] == 1.0 and network["trained"]["start"] == "mobilenet_v2"
    assert network["trained"]["epochs"] == 1 and point["edgetpu"]["verdict"] == "mapped"
    kept = out / "variants" / "mobilenet_v2-1-32"
    assert sorted(p.name for p in kept.iterdir()) == ["begun.json", "contract.json", "model.keras", "training.json"]
    before = (kept / "model.keras").stat().st_mtime_ns
    again = shell("convert", *words, timeout=600)
    assert again.returncode == 0 and "training" not in again.stderr
    assert (kept / "model.keras").stat().st_mtime_ns == before
