"""`convert` as a person meets it, and as one who means it harm does.

A small network that is decided on drawn images stands in for the real ones. TensorFlow's import costs seconds a
process, so most cases run in this one; what only a process can show (streams, signals, a full disk) runs in its own.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge.cli
from convert.cli import COMMANDS
from convert.parity.verdict import EXIT_CODES
from edge.bundle import bundle as bundles
from edge.commands.command_line import main
from edge.settings.trusted_keys import machine_keys
from tests.commands import Run, command, in_this_process, is_one_line, shell, started
from tests.convert.keras_models import edited
from tests.gates import open_gates
from tests.paths import ROOT
from tests.small_world import CONTRACT, LABELS, SIZE, World, draw, write_images, write_policy


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "convert", COMMANDS)


@pytest.fixture(scope="module")
def shipped(world: World) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The installed command on the small network, once for all tests."""
    out = world.root / "bundles"
    words = ["quantize", "--int8", world.model, *judged(world), "--out", out, "--json"]
    return shell("convert", *words), out / "dots-int8"


@pytest.fixture
def out(shipped: tuple[Any, Path], tmp_path: Path) -> Path:
    """An output folder in which the bundle stands already."""
    shutil.copytree(shipped[1], tmp_path / "out" / "dots-int8")
    return tmp_path / "out"


def judged(world: World) -> list[object]:
    """Images, their split and the policy that few of them satisfy."""
    return [*world.images, "--policy", world.policy]


def digest(out: Path) -> str:
    return bundles.load(out / "dots-int8", trust=machine_keys(), allow_unsigned=True).digest


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- the happy path


def test_the_installed_command_makes_a_certified_bundle(
    world: World, shipped: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    done, path = shipped
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stderr
    [certificate] = json.loads(done.stdout)["bundles"]
    bundle = bundles.load(path, trust=machine_keys(), allow_unsigned=True)
    assert bundle.certified and bundle.contract == CONTRACT and bundle.certificate == certificate
    assert certificate["verdict"] == "pass" and certificate["judged"] == "labels"
    assert certificate["parity"]["accuracy_float"] > 0.9 and certificate["parity"]["images"] == 80
    assert "Traceback" not in done.stderr and "tensorflow" not in done.stderr.lower()
    assert names(path.parent) == ["dots-int8"]
    assert "A laxer policy than the one that ships" in (path / "report.html").read_text(), "for few images"


def test_no_path_of_this_machine_is_in_a_bundle(world: World, shipped: tuple[Any, Path]) -> None:
    for file in shipped[1].iterdir():
        assert str(world.root).encode() not in file.read_bytes(), file.name
    assert (
        bundles.load(shipped[1], trust=machine_keys(), allow_unsigned=True).certificate["evaluation"]["origin"]
        == "from split.csv"
    )


def test_a_second_run_reuses_and_force_does_not(world: World, out: Path, run: Run) -> None:
    words = ["quantize", "--int8", world.model, *judged(world), "--out", out]
    before, written = digest(out), (out / "dots-int8" / "model.tflite").stat().st_mtime_ns
    again = run(*words)
    assert again.code == 0 and "nothing has changed" in again.err and "converting" not in again.err
    assert digest(out) == before and (out / "dots-int8" / "model.tflite").stat().st_mtime_ns == written
    forced = run(*words, "--force", "--json")
    assert forced.code == 0 and "converting" in forced.err
    assert (out / "dots-int8" / "model.tflite").stat().st_mtime_ns != written
    assert (
        forced.record["bundles"][0]["int8_model"]
        == bundles.load(out / "dots-int8", trust=machine_keys(), allow_unsigned=True).certificate["int8_model"]
    )


def test_a_changed_policy_converts_again_and_few_images_are_inconclusive(world: World, out: Path, run: Run) -> None:
    done = run("quantize", "--int8", world.model, *world.images, "--out", out)
    assert done.code == 3 and "converting" in done.err and "inconclusive" in done.out
    assert "80 images, 300 needed to say" in done.out
    assert "A laxer policy" not in (out / "dots-int8" / "report.html").read_text()
    assert f"report: {out / 'dots-int8' / 'report.html'}" in done.out
    with pytest.raises(bundles.BundleError, match="'inconclusive', not 'pass'"):
        bundles.load(out / "dots-int8", trust=machine_keys(), allow_unsigned=True)


def test_changed_images_and_an_altered_bundle_convert_again(world: World, out: Path, run: Run) -> None:
    data = shutil.copytree(world.data, out.parent / "fewer")
    (data / "Pre" / "Pre-039.png").unlink()
    words = ["quantize", "--int8", world.model, "--split", world.split, "--policy", world.policy, "--out", out]
    fewer = run(*words, "--data", data, "--json")
    assert fewer.code == 0 and "converting" in fewer.err
    assert fewer.record["bundles"][0]["parity"]["images"] == 79
    (out / "dots-int8" / "labels.txt").write_text("Benign\nEarly\nPro\nPre\n")
    mended = run(*words, "--data", data)
    assert mended.code == 0 and "altered" in mended.err and "converting again" in mended.err
    assert bundles.load(out / "dots-int8", trust=machine_keys(), allow_unsigned=True).certified


@pytest.mark.slow
def test_without_images_drawn_fields_judge_agreement_alone(
    world: World, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.calibration.evaluation_data.SYNTHETIC_CALIBRATION", 16)
    monkeypatch.setattr("convert.calibration.evaluation_data.SYNTHETIC_EVALUATION", 24)
    policy = write_policy(
        tmp_path / "p.toml", min_images=20, min_decided_images=1, min_class_images=1, min_called_class_images=0
    )
    done = run("quantize", "--int8", world.model, "--policy", policy, "--out", tmp_path, "--io", "uint8")
    certificate = bundles.load(
        tmp_path / "dots-uint8", trust=machine_keys(), allow_uncertified=True, allow_unsigned=True
    ).certificate
    assert done.code == EXIT_CODES[certificate["verdict"]]
    assert "synthetic" in done.out and "agreement only, no accuracy" in done.err
    assert certificate["synthetic"] and certificate["judged"] == "agreement"
    assert certificate["parity"]["accuracy_float"] is None and certificate["parity"]["images"] == 24
    assert "synthetic" in (tmp_path / "dots-uint8" / "report.html").read_text()


def test_without_a_contract_one_is_inferred_and_said(world: World, tmp_path: Path, run: Run) -> None:
    model = shutil.copyfile(world.model, tmp_path / "mine.keras")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    done = run("quantize", "--int8", model, *judged(world), "--out", tmp_path / "out")
    assert done.code == 0 and "labels.txt" in done.err and "assumed" in done.err


def test_without_labels_the_folders_name_the_classes_as_keras_does(world: World, tmp_path: Path, run: Run) -> None:
    model = shutil.copyfile(world.model, tmp_path / "mine.keras")
    done = run("quantize", "--int8", model, *judged(world), "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert (
        "labels: Benign, Early, Pre, Pro: the sorted names of the class folders, the order in which Keras" in done.err
    )
    assert (tmp_path / "out" / "mine-int8" / "labels.txt").read_text() == "Benign\nEarly\nPre\nPro\n"


def test_folders_in_another_order_than_the_outputs_are_refused(world: World, tmp_path: Path, run: Run) -> None:
    """Negative control of the labels from folders: `late` comes last among them, and its output is the first.

    With Early, Pre, Pro, late the network is right on more images fed 0..1 than fed -1..1, which is right.
    """
    model = shutil.copyfile(world.model, tmp_path / "mine.keras")
    data = shutil.copytree(world.data, tmp_path / "images")
    (data / "Benign").rename(data / "late")
    done = run("quantize", "--int8", model, "--data", data, "--split", world.split, "--out", tmp_path / "out")
    done.refused(2, "label-order", "100.0 % with -1..1 RGB if its outputs are called late, Early, Pre, Pro:")
    assert names(tmp_path / "out") == []
    (tmp_path / "labels.txt").write_text("late\nEarly\nPre\nPro\n")
    words = ["--data", data, "--split", world.split, "--policy", world.policy, "--out", tmp_path / "out"]
    done = run("quantize", "--int8", model, *words)
    assert "label-order" not in done.err and (tmp_path / "out" / "mine-int8" / "labels.txt").is_file(), done.err


def test_folders_that_divide_the_images_are_followed(
    world: World, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = "models.data.field_groups.find_groups"  # dots look alike: each image counts as a field of its own here
    monkeypatch.setattr(alone, lambda samples: {sample.sha256: sample.sha256 for sample in samples})
    model = shutil.copyfile(world.model, tmp_path / "mine.keras")
    for file in sorted(world.data.rglob("*.png")):
        part = "train" if int(file.stem[-3:]) < 20 else "val" if int(file.stem[-3:]) < 25 else "test"
        target = tmp_path / "images" / part / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    words = ["--data", tmp_path / "images", "--policy", world.policy, "--out", tmp_path / "out", "--json"]
    done = run("quantize", "--int8", model, *words)
    assert done.code == 0, done.err
    assert "images: the folders train (train), val (validation), test (test); 80 may calibrate, 60 judge" in done.err
    assert done.record["bundles"][0]["parity"]["images"] == 60


def test_a_repeat_loads_no_model_and_reads_no_image(
    world: World, out: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_needed(*_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("convert.certification.job.load_float", not_needed)
    words = ["quantize", "--int8", world.model, *judged(world), "--out", out]
    assert run(*words).code == 0
    with pytest.raises(AssertionError, match="loaded"):  # negative control: another seed is another request
        run(*words, "--seed", "1")


def test_parity_of_a_bundle_and_of_a_file_agree(world: World, shipped: tuple[Any, Path], run: Run) -> None:
    bundle = run("parity", world.model, shipped[1], *judged(world), "--json")
    file = run("parity", world.model, shipped[1] / "model.tflite", *judged(world), "--json")
    assert bundle.code == file.code == 0
    records = bundle.record, file.record
    asked = [record["device"].pop("gates") for record in records]
    assert asked == [["under_exposed"], []], "only a bundle has gates"
    assert records[0] == records[1]
    assert file.record["verdict"] == "pass" and file.record["synthetic"] is False


def test_parity_writes_its_page(world: World, shipped: tuple[Any, Path], tmp_path: Path, run: Run) -> None:
    done = run("parity", world.model, shipped[1], *judged(world), "--report", tmp_path / "deep" / "page.html")
    assert done.code == 0 and "<html" in (tmp_path / "deep" / "page.html").read_text()
    assert names(tmp_path / "deep") == ["page.html"]


def test_without_a_split_all_images_judge_but_those_that_calibrated(
    world: World, shipped: tuple[Any, Path], tmp_path: Path, run: Run
) -> None:
    """Parity calibrates nothing: a folder of further images has no training part, and needs none."""
    bundle, policy = shipped[1], ["--policy", world.policy]
    calibrated = json.loads((bundle / "calibration.json").read_text())["files"]
    further = write_images(tmp_path / "further", 6, first=500)
    done = run("parity", world.model, bundle, "--data", further, *policy, "--json")
    assert done.code == 0 and done.record["images"] == 24 and "24; 0 left out" in done.err
    for file in calibrated[:5]:
        shutil.copyfile(world.data / file["name"], further / file["name"])
    done = run("parity", world.model, bundle, "--data", further, *policy, "--json")
    assert done.record["images"] == 24 and "24; 5 left out, on which the int8 file was calibrated" in done.err
    bare = run("parity", world.model, bundle / "model.tflite", "--data", further, *policy, "--json")
    assert bare.record["images"] == 29 and "what the int8 file was calibrated on is not known" in bare.err
    only = tmp_path / "only"
    for label in LABELS:
        own = next(file["name"] for file in calibrated if file["name"].startswith(label))
        (only / label).mkdir(parents=True)
        shutil.copyfile(world.data / own, only / own)
    run("parity", world.model, bundle, "--data", only, *policy).refused(2, "it was on all 4 of them")


def test_what_the_device_says_is_certified(shipped: tuple[Any, Path]) -> None:
    certificate = json.loads((shipped[1] / "certificate.json").read_text())
    device = certificate["parity"]["device"]
    assert device["images"] == device["answered_float"] == device["answered_int8"] == 80, "its gates refuse nothing"
    assert device["gates"] == ["under_exposed"]
    assert (device["changed"], device["lost"], device["gained"]) == (0, 0, 0)
    assert (device["malignant"], device["malignant_answered_benign_int8"]) == (60, 0)
    assert {"answers", "answered-alike", "answers-lost", "malignant-answered-benign"} <= {
        check["name"] for check in certificate["checks"]
    }
    assert certificate["contract"]["benign"] == ["Benign"] and certificate["summary"].startswith("certain: ")
    assert "What the device says" in (shipped[1] / "report.html").read_text()


def test_gates_beside_the_model_are_sealed_in_and_served(
    world: World, shipped: tuple[Any, Path], tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the file beside the model to a verdict of the device, and by another file to a refusal."""
    beside = (world.model.parent / "gates.json").read_bytes()
    bundle = bundles.load(shipped[1], trust=machine_keys(), allow_unsigned=True)
    assert bundle.gates_json == beside and bundle.certificate["gates"]["sha256"] == hashlib.sha256(beside).hexdigest()
    assert "under_exposed; any, 32x32; no image was held back" in (shipped[1] / "report.html").read_text()
    image = world.data / "Early" / "Early-030.png"
    strict = tmp_path / "strict.json"
    strict.write_bytes(beside.replace(b'"limit": 0.0', b'"limit": 255.0'))
    renewed = run("quantize", "--int8", world.model, *judged(world), "--out", tmp_path, "--gates", strict, "--json")
    assert renewed.record["bundles"][0]["parity"]["device"]["refused_by_gates"] == 80
    for path, reason in ((shipped[1], None), (tmp_path / "dots-int8", "under_exposed")):
        words = ["classify", str(image), "--bundle", str(path), "--allow-unsigned", "--allow-uncertified", "--json"]
        assert main("edge", edge.cli.COMMANDS, words) == 0
        assert json.loads(capsys.readouterr().out)["reason"] == reason


def test_wrong_gates_are_refused_and_none_are_told(world: World, tmp_path: Path, run: Run) -> None:
    for data, said in (
        (open_gates((64, 64)), "size must be the contract's 32x32; got 64x64"),
        (b"{", "wrong.json: not plain JSON"),
        (None, "wrong.json: No such file"),
    ):
        wrong = tmp_path / "wrong.json"
        wrong.unlink(missing_ok=True)
        if data is not None:
            wrong.write_bytes(data)
        words = ["quantize", "--int8", world.model, *judged(world), "--out", tmp_path / "out", "--gates", wrong]
        run(*words).refused(2, said)
    assert not (tmp_path / "out" / "dots-int8").exists()


def test_the_benign_label_is_the_users_to_name(world: World, tmp_path: Path, run: Run) -> None:
    words = [
        "quantize",
        "--int8",
        world.model,
        *judged(world),
        "--calibration-images",
        "40",
        "--out",
        tmp_path,
        "--json",
    ]
    done = run(*words, "--benign", "Pro", "--benign", "Pre")
    [certificate] = done.record["bundles"]
    assert certificate["contract"]["benign"] == ["Pre", "Pro"] == certificate["parity"]["benign"]
    assert "benign: Pre or Pro, as --benign says" in done.err
    assert json.loads((tmp_path / "dots-int8" / "contract.json").read_text())["benign"] == ["Pro", "Pre"]
    assert certificate["parity"]["device"]["malignant"] == 40
    run(*words, "--benign", "pro").refused(2, "benign must name labels of", "got 'pro'")


def test_inspect(shipped: tuple[Any, Path], run: Run) -> None:
    found = run("inspect", shipped[1] / "model.tflite", "--json").record
    assert found["full_int8"] is True and found["edgetpu_compiled"] is False


# --- negative controls: each fails its gate, by name


@pytest.fixture(scope="module")
def zeroed(shipped: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The int8 file with the first convolution's weights all zero."""

    def zero(tree: Any) -> None:
        weights = [t for t in tree.subgraphs[0].tensors if t.shape is not None and len(t.shape) == 4]
        [kernel] = [t for t in weights if list(t.shape) == [8, 5, 5, 3]]
        tree.buffers[kernel.buffer].data = np.zeros_like(tree.buffers[kernel.buffer].data)

    path = tmp_path_factory.mktemp("zeroed") / "zeroed.tflite"
    path.write_bytes(edited((shipped[1] / "model.tflite").read_bytes(), zero))
    return path


def test_a_zeroed_layer_fails_parity(world: World, zeroed: Path, run: Run) -> None:
    done = run("parity", world.model, zeroed, *judged(world), "--json")
    failed = {check["name"] for check in done.record["checks"] if check["outcome"] == "fail"}
    assert done.code == 1 and done.record["verdict"] == "fail"
    assert failed >= {"agreement", "decided-agreement", "accuracy-drop", "recall"}


WRONG = {
    "channel-order": {"channel_order": "BGR"},
    "value-range": {"scale": [1 / 255] * 3, "offset": [0.0] * 3},
    "label-order": {"labels": ["Early", "Benign", "Pro", "Pre"]},
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_wrong_contract_is_refused_by_name(
    world: World, shipped: tuple[Any, Path], tmp_path: Path, run: Run, rule: str
) -> None:
    """Both models would be wrong alike and agree perfectly: parity alone would pass it."""
    model = world.variant(rule, **WRONG[rule])
    run("quantize", "--int8", model, *judged(world), "--out", tmp_path).refused(2, f"error: {rule}:", "100.0 %")
    assert names(tmp_path) == []
    run("parity", world.model, shipped[1], *judged(world), "--contract", model.parent / "contract.json").refused(
        2, "the bundle's contract is not the model's: " + next(iter(WRONG[rule]))
    )


def test_a_shuffled_label_list_in_the_file_is_refused_by_name(
    world: World, shipped: tuple[Any, Path], tmp_path: Path, run: Run
) -> None:
    contract = world.variant("relabelled", labels=["Early", "Benign", "Pro", "Pre"]).parent / "contract.json"
    words = ["parity", world.model, shipped[1] / "model.tflite", *judged(world), "--contract", contract]
    run(*words).refused(1, "error: labels:", "the metadata says Benign, Early, Pre, Pro")


def test_one_repeated_image_is_refused_by_name(world: World, tmp_path: Path, run: Run) -> None:
    """As an array, and as files whose bytes differ while their pixels do not."""
    import cv2

    array = tmp_path / "stuck.npy"
    np.save(array, np.repeat(draw("Pre", 1)[np.newaxis], 30, axis=0))
    done = run("calibration", array, "--model", world.model, "--json")
    assert done.code == 1 and done.record["verdict"] == "refused"
    assert "repeated-image" in {f["rule"] for f in done.record["findings"] if f["severity"] == "refuse"}
    data = shutil.copytree(world.data, tmp_path / "images")
    split = (world.split).read_text().splitlines()
    picture = cv2.imencode(".png", draw("Pre", 1)[..., ::-1])[1].tobytes()
    rows = [split[0]]
    for row in split[1:]:
        part, label, name, sha, group = row.split(",")
        if part == "train":
            (data / name).write_bytes(picture + len(rows).to_bytes(4, "big"))  # what follows the image is not looked at
            sha = sha256(data / name)
        rows.append(",".join((part, label, name, sha, group)))
    (tmp_path / "split.csv").write_text("\n".join(rows) + "\n")
    words = ["--data", data, "--split", tmp_path / "split.csv", "--policy", world.policy, "--out", tmp_path / "out"]
    run("quantize", "--int8", world.model, *words).refused(2, "error: repeated-image:", "80 times")


def sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_calibration_says_what_it_finds(world: World, run: Run) -> None:
    done = run("calibration", world.data, "--model", world.model, "--json")
    assert done.code == 0 and done.record["verdict"] == "usable" and done.record["images"] == 160
    few = run("calibration", world.data, "--contract", world.model.with_name("contract.json"))
    assert few.code == 0 and "160 images: usable" in few.out


# --- bad input, one line each


@pytest.fixture(scope="module")
def bad(world: World) -> Path:
    """Files that are not what they should be."""
    import keras

    def network(*shape: int | None, inputs: int = 1, outputs: int = 4, activation: str = "softmax") -> Any:
        images = [keras.Input(shape) for _ in range(inputs)]
        pooled = [keras.layers.GlobalAveragePooling2D()(image) for image in images]
        x = pooled[0] if inputs == 1 else keras.layers.Concatenate()(pooled)
        return keras.Model(images if inputs > 1 else images[0], keras.layers.Dense(outputs, activation)(x))

    folder = world.root / "bad"
    folder.mkdir()
    network(SIZE, SIZE, 3, inputs=2).save(folder / "two_inputs.keras")
    network(None, None, 3).save(folder / "dynamic.keras")
    network(SIZE, SIZE, 3, outputs=3).save(folder / "three.keras")
    network(SIZE, SIZE, 1).save(folder / "grey.keras")
    network(SIZE, SIZE, 3, activation="sigmoid").save(folder / "sigmoids.keras")
    whole = world.model.read_bytes()
    (folder / "truncated.keras").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.keras").touch()
    (folder / "text.keras").write_text("hello")
    (folder / "text.h5").write_text("hello")
    (folder / "photo.jpg").write_text("hello")
    (folder / "no_images" / "Benign").mkdir(parents=True)
    for label in LABELS:
        (folder / "texts" / label).mkdir(parents=True)
        (folder / "texts" / label / "a.jpg").write_text("hello")
    (folder / "broken.json").write_text('{"format": 1')
    (folder / "policy.toml").write_text("format = 1\nnam = 'mine'\n")
    (folder / "split.csv").write_text("part,label\ntrain,Pre\n")
    return folder


MODELS = {
    "nowhere.keras": "no such file or folder",
    "two_inputs.keras": "must have one input; got 2",
    "dynamic.keras": "its input size must be fixed",
    "three.keras": "has 3 outputs; the contract has 4 labels",
    "grey.keras": "takes one channel: channel_order GRAY; the contract says RGB",
    "sigmoids.keras": "its outputs must be a softmax",
    "truncated.keras": "truncated",
    "empty.keras": "the file is empty",
    "text.keras": "not a Keras archive",
    "text.h5": "not an HDF5 file",
    "photo.jpg": "must be a .keras file",
    "no_images": "not a SavedModel folder",
}


@pytest.mark.parametrize("name", MODELS)
def test_bad_models(world: World, bad: Path, tmp_path: Path, run: Run, name: str) -> None:
    contract = ["--contract", world.model.with_name("contract.json")] if name != "dynamic.keras" else []
    for words in (["quantize", "--int8", bad / name, "--out", tmp_path], ["parity", bad / name, bad / "x.tflite"]):
        run(*words, *judged(world), *contract).refused(2, MODELS[name], name)
    assert names(tmp_path) == []


OPTIONS: dict[str, tuple[list[str], str]] = {
    "no such data": (["--data", "{bad}/nowhere"], "nowhere does not exist"),
    "a file as data": (["--data", "{bad}/photo.jpg"], "photo.jpg is a file"),
    "no images": (["--data", "{bad}/no_images"], "no usable image"),
    "texts named .jpg": (["--data", "{bad}/texts"], "no usable image"),
    "no such split": (["--split", "{bad}/nowhere.csv"], "nowhere.csv cannot be read"),
    "no split": (["--split", "{bad}/split.csv"], "must be a CSV with the columns"),
    "a broken contract": (["--contract", "{bad}/broken.json"], "broken.json: contract is not JSON"),
    "no such contract": (["--contract", "{bad}/nowhere.json"], "nowhere.json: No such file"),
    "a folder as contract": (["--contract", "{bad}"], "Is a directory"),
    "no such policy": (["--policy", "{bad}/nowhere.toml"], "nowhere.toml: No such file"),
    "a wrong policy": (["--policy", "{bad}/policy.toml"], "did you mean"),
    "no policy": (["--policy", "{bad}/split.csv"], "policy is not TOML"),
    "a file as out": (["--out", "{bad}/photo.jpg"], "photo.jpg: File exists; --out must be in a folder"),
    "out below a file": (["--out", "{bad}/photo.jpg/deep"], "Not a directory; --out"),
    "out in /proc": (["--out", "/proc/leukoscope"], "/proc/leukoscope: No such file or directory; --out"),
    "too few to calibrate": (["--calibration-images", "3"], "too-few: at least 16 images needed"),
    "a word as number": (["--calibration-images", "many"], "--calibration-images must be a whole number"),
    "none to calibrate": (["--calibration-images", "0"], "must be at least 1"),
    "no such method": (["--method", "best"], "--method must be one of"),
    "float": (["--io", "float32"], "--io must be int8 or uint8"),
    "mistyped": (["--polcy", "x"], "has no option --polcy; did you mean --policy?"),
    "no value": (["--out"], "--out needs a value"),
    "maybe": (["--force=maybe"], "--force must be given alone or as true or false"),
    "one model too many": (["trailing"], "trailing: no such file or folder"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options_of_quantize(world: World, bad: Path, tmp_path: Path, run: Run, case: str) -> None:
    words, said = OPTIONS[case]
    first = {word.partition("=")[0] for word in words if word.startswith("--")}
    given: list[object] = []
    for option, value in (
        ("--data", world.data),
        ("--split", world.split),
        ("--policy", world.policy),
        ("--out", tmp_path),
    ):
        given += [] if option in first else [option, value]
    models = ["trailing"] if words == ["trailing"] else [world.model]
    words = [] if words == ["trailing"] else [word.format(bad=bad) for word in words]
    run("quantize", "--int8", *models, *given, *words).refused(2, said)
    assert names(tmp_path) == []


def test_two_models_of_one_name_and_names_that_cannot_be_signed_are_refused(
    world: World, tmp_path: Path, run: Run
) -> None:
    other = tmp_path / "dots.keras"
    run("quantize", "--int8", world.model, other, "--out", tmp_path).refused(
        2, f"{world.model} and {other} would both become the bundle dots-int8"
    )
    run("quantize", "--int8", tmp_path / "my dots.keras", "--out", tmp_path).refused(
        2, "'my dots-int8', which could not"
    )
    run("quantize", "--int8", tmp_path / "mine.keras", "--out", tmp_path).refused(2, "no such file")  # a good name
    assert names(tmp_path) == []


def test_labels_that_are_not_the_folders(world: World, bad: Path, tmp_path: Path, run: Run) -> None:
    done = run("quantize", "--int8", bad / "three.keras", *judged(world), "--out", tmp_path)
    done.refused(2, "has 3 outputs, and the images lie in 4 class folders: Benign, Early, Pre, Pro; put labels.txt")


REQUESTS: dict[str, tuple[list[str], int, str]] = {
    "no command": ([], 2, "convert needs a command"),
    "mistyped command": (["quantise"], 2, "did you mean quantize?"),
    "without --int8": (["quantize", "{model}"], 2, "needs --int8"),
    "split without data": (["quantize", "--int8", "{model}", "--split", "{bad}/split.csv"], 2, "give --data too"),
    "parity of one": (["parity", "{model}"], 2, "convert parity needs INT8 (see"),
    "parity, no file": (["parity", "{model}", "{bad}/nowhere.tflite"], 2, "nowhere.tflite: No such file"),
    "parity, a text": (["parity", "{model}", "{bad}/text.keras"], 2, "text.keras: not a TFLite file"),
    "parity, a folder": (["parity", "{model}", "{bad}"], 2, "which is no file of a bundle"),
    "parity, trailing": (["parity", "{model}", "x", "execute"], 2, "execute"),
    "page into a folder": (["parity", "{model}", "x", "--report", "{bad}"], 2, "--report must name a file"),
    "page below a file": (["parity", "{model}", "x", "--report", "{bad}/photo.jpg/x"], 2, "photo.jpg: File exists"),
    "calibration of none": (["calibration"], 2, "convert calibration needs SOURCE"),
    "calibration for none": (["calibration", "{bad}"], 2, "needs --model or --contract"),
    "no calibration": (["calibration", "{bad}/nowhere", "--model", "{model}"], 2, "no such file or folder"),
    "a picture alone": (["calibration", "{bad}/photo.jpg", "--model", "{model}"], 2, "must be a folder, a .npy"),
    "no images": (["calibration", "{bad}/no_images", "--model", "{model}"], 2, "no usable image"),
    "no contract": (["calibration", "{bad}", "--contract", "{bad}/nowhere.json"], 2, "nowhere.json: No such file"),
    "broken contract": (["calibration", "{bad}", "--contract", "{bad}/broken.json"], 2, "broken.json: contract is not"),
    "inspect none": (["inspect"], 2, "convert inspect needs FILE"),
    "inspect nothing": (["inspect", "{bad}/nowhere"], 2, "nowhere: No such file"),
    "inspect a folder": (["inspect", "{bad}"], 2, "a folder, not a file"),
    "inspect Keras": (["inspect", "{model}"], 2, "not a readable TFLite file"),
    "inspect, trailing": (["inspect", "{model}", "to_text"], 2, "to_text"),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_bad_requests(world: World, bad: Path, run: Run, case: str) -> None:
    words, code, said = REQUESTS[case]
    run(*[word.format(bad=bad, model=world.model) for word in words]).refused(code, said)


def test_a_switch_does_not_swallow_the_model(world: World, out: Path, run: Run) -> None:
    """Fire by itself would make `--int8 MODEL` the option's value, and convert the shipped networks."""
    done = run("quantize", world.model, "--int8", *judged(world), "--out", out)
    assert done.code == 0 and "dots" in done.out and "mobilenet" not in done.out


# --- what only a process can show


def test_a_traceback_only_when_asked_for(tmp_path: Path) -> None:
    words = ["quantize", "--int8", tmp_path / "nowhere.keras", "--out", tmp_path]
    plain, debug = shell("convert", *words), shell("convert", *words, env={"LEUKOSCOPE_DEBUG": "1"})
    assert plain.returncode == debug.returncode == 2 and plain.stdout == debug.stdout == ""
    assert is_one_line(plain.stderr) and plain.stderr.count("\n") == 1
    assert "Traceback" in debug.stderr and "FloatModelError" in debug.stderr


@pytest.fixture(scope="module")
def in_namespace() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a shell script that may mount: in a mount namespace of its own, which ends with it."""
    enter = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    probe = [*enter, "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here: unshare or mount is not permitted")

    def script(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*enter, "sh", "-c", text], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
        )

    return script


def sh(*words: object) -> str:
    import shlex

    return shlex.join(map(str, words))


def test_a_folder_on_a_read_only_disk(
    world: World, tmp_path: Path, in_namespace: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    quantize = sh(*command("convert"), "quantize", "--int8", world.model, *judged(world), "--out", tmp_path / "x")
    done = in_namespace(f"mount -t tmpfs -o ro,size=64k none {sh(tmp_path)} && exec {quantize}")
    assert done.returncode == 4 and done.stdout == ""
    assert is_one_line(done.stderr) and "Read-only file system; --out" in done.stderr


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_bundle(
    world: World,
    shipped: tuple[Any, Path],
    tmp_path: Path,
    in_namespace: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    """Room for the probe and the first files of the new bundle, not for all of it."""
    quantize = sh(*command("convert"), "quantize", "--int8", world.model, *judged(world), "--out", tmp_path, "--force")
    done = in_namespace(
        f"mount -t tmpfs -o size=1m none {sh(tmp_path)} && cp -r {sh(shipped[1], tmp_path)} && cd {sh(ROOT)} && "
        f"head -c 600k /dev/zero > {sh(tmp_path / 'full')}; {quantize}; code=$?; "
        f"find {sh(tmp_path)} -mindepth 1 -maxdepth 1 -printf '%f\\n'; "
        f"diff -r {sh(shipped[1], tmp_path / 'dots-int8')} && echo same; exit $code"
    )
    assert done.returncode == 4, done.stderr
    assert is_one_line(done.stderr) and "No space left on device" in done.stderr
    assert sorted(done.stdout.split()) == ["dots-int8", "full", "same"]


@pytest.mark.slow
def test_ctrl_c_in_the_middle(world: World, out: Path) -> None:
    before = digest(out)
    words = ["quantize", "--int8", world.model, *judged(world), "--out", out, "--force"]
    with started("convert", *words) as process:
        for line in lines(process):
            if "converting" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stdout is not None and process.stdout.read() == ""
    assert names(out) == ["dots-int8"] and digest(out) == before


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Standard error while it comes; the last line must be the only error, and no traceback."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        yield line
    assert is_one_line(said) and "interrupted" in said, said


KILLED = """
import os, signal, sys
import edge.system.folders
written, write = [], edge.system.folders.write_new
def write_and_die(path, data):
    write(path, data)
    written.append(path)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
edge.system.folders.write_new = write_and_die
from convert.cli import COMMANDS
from edge.commands.command_line import main
main("convert", COMMANDS, sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_while_the_bundle_is_written(world: World, out: Path, run: Run) -> None:
    import sys

    before = digest(out)
    words = ["quantize", "--int8", str(world.model), *map(str, judged(world)), "--out", str(out), "--force"]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert digest(out) == before
    [litter] = [name for name in names(out) if name != "dots-int8"]
    assert litter.startswith(".dots-int8.") and litter.endswith(".partial")
    assert (
        run(*words).code == 0 and bundles.load(out / "dots-int8", trust=machine_keys(), allow_unsigned=True).certified
    )


def test_ctrl_c_while_the_bundle_is_written(world: World, out: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import edge.system.folders

    before, written, write = digest(out), [], edge.system.folders.write_new

    def interrupted(path: Path, data: bytes) -> None:
        write(path, data)
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(edge.system.folders, "write_new", interrupted)
    run("quantize", "--int8", world.model, *judged(world), "--out", out, "--force").refused(130, "interrupted")
    assert names(out) == ["dots-int8"] and digest(out) == before
