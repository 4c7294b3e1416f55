"""`models` as a person meets it: a set of images looked over, divided, learned from, judged, described, converted."""

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import convert.cli
import models.cli
from convert.parity.verdict import EXIT_CODES
from edge.bundle import bundle as bundles
from edge.settings.trusted_keys import machine_keys
from models.data.split import Split
from tests.commands import Run, command, in_this_process, shell
from tests.paths import ROOT
from tests.small_world import LABELS, SIZE, write_images, write_policy


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "models", models.cli.COMMANDS)


@pytest.fixture
def convert_run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "convert", convert.cli.COMMANDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("set") / "images", a_class=20)


@pytest.fixture(scope="module")
def split(data: Path) -> Path:
    """Drawn at random: every image is a field of its own here."""
    path = data.parent / "split.csv"
    done = shell("models", "split", data, "--out", path, "--random", "--json")
    record = json.loads(done.stdout)
    assert done.returncode == 0 and record["counts"]["train"] == dict.fromkeys(LABELS, 14), done.stderr
    return path


@pytest.fixture(scope="module")
def trained(data: Path, split: Path) -> Path:
    """Two epochs, by the installed command."""
    out = data.parent / "trained"
    done = shell("models", *training(data, split, out), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 2 and "Traceback" not in done.stderr
    return out


def training(data: Path, split: Path, out: Path, epochs: int = 2) -> list[object]:
    options = ["--data", data, "--split", split, "--out", out, "--size", SIZE, "--epochs", epochs]
    return ["train", "custom_cnn", *options]


# --- the happy path


@pytest.mark.slow
def test_from_training_to_an_int8_bundle(
    data: Path, split: Path, trained: Path, tmp_path: Path, run: Run, convert_run: Run
) -> None:
    files = {"model.keras", "contract.json", "training.json", "training_statistics.json", "learning_curves.png"}
    assert {p.name for p in trained.iterdir()} == files | {"checkpoint"}
    judged = run("evaluate", trained, "--data", data, "--split", split, "--json")
    assert judged.code == 0 and judged.record["images"] == 16
    assert judged.record["split"]["origin"] == "from split.csv"
    assert json.loads((trained / "evaluation.json").read_text()) == judged.record
    assert (trained / "evaluation_confusion.png").is_file() and (trained / "evaluation_reliability.png").is_file()
    described = run("card", trained, "--json")
    assert described.record["written"] == [str(trained / "CARD.md")]
    assert "# custom_cnn" in (trained / "CARD.md").read_text()
    policy = write_policy(tmp_path / "p.toml", min_images=10, min_decided_images=1, min_class_images=4)
    images = ["--data", data, "--split", split, "--policy", policy]
    converted = convert_run("quantize", "--int8", trained / "model.keras", *images, "--out", tmp_path, "--json")
    [certificate] = converted.record["bundles"]
    assert converted.code == EXIT_CODES[certificate["verdict"]]
    assert certificate["parity"]["accuracy_float"] == judged.record["accuracy"]
    assert (
        bundles.load(
            tmp_path / "trained-int8", trust=machine_keys(), allow_uncertified=True, allow_unsigned=True
        ).certificate
        == certificate
    )


def test_training_again_adds_nothing(data: Path, split: Path, trained: Path, run: Run) -> None:
    before = json.loads((trained / "training.json").read_text())["history"]
    done = run(*training(data, split, trained))
    assert done.code == 0 and "epoch 1/2" not in done.err
    assert json.loads((trained / "training.json").read_text())["history"] == before


@pytest.mark.slow
def test_a_killed_training_continues(data: Path, split: Path, tmp_path: Path, run: Run) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run(*training(data, split, straight, epochs=4)).code == 0
    words = [*command("models"), *map(str, training(data, split, broken, epochs=4))]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " 2/4" in line:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (broken / "model.keras").exists()
    resumed = run(*training(data, split, broken, epochs=4))
    assert resumed.code == 0 and " 1/4" not in resumed.err and " 4/4" in resumed.err
    one, other = (json.loads((f / "training.json").read_text())["history"] for f in (straight, broken))
    assert [e["epoch"] for e in other] == [1, 2, 3, 4]
    assert [e["val_loss"] for e in other] == pytest.approx([e["val_loss"] for e in one], rel=1e-3)


def test_another_recipe_does_not_continue(data: Path, split: Path, trained: Path, run: Run) -> None:
    run(*training(data, split, trained, epochs=3)).refused(2, "is a run of another recipe, start or images")


def test_a_damaged_checkpoint_is_named(data: Path, split: Path, trained: Path, tmp_path: Path, run: Run) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    (copy / "checkpoint" / "state.json").write_text('{"identity": ')
    run(*training(data, split, copy)).refused(2, "state.json is damaged; remove")


def test_audit(data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.data.shortcut_probe.TREES", 10)  # what the forests find is test_audit's
    done = run("audit", data, "--out", tmp_path / "audit", "--json")
    assert done.code == 1 and done.record["images"] == 80
    assert done.record["findings"][0]["level"] == "stop", "drawn dots of several classes look like one field"
    assert json.loads((tmp_path / "audit" / "audit.json").read_text()) == done.record
    assert "<html" in (tmp_path / "audit" / "audit.html").read_text()


def test_split_keeps_fields_together(data: Path, tmp_path: Path, run: Run) -> None:
    """Two shots of one field, shifted by a few pixels, end on one side."""
    images = tmp_path / "images"
    rng = np.random.default_rng(2)
    for label in LABELS[:2]:
        (images / label).mkdir(parents=True)
        for number in range(8):
            field = cv2.GaussianBlur(rng.integers(0, 256, (260, 260, 3), dtype=np.uint8), (0, 0), 2.0)
            field = cv2.normalize(field, None, 0, 255, cv2.NORM_MINMAX)
            cv2.imwrite(str(images / label / f"{number}-a.png"), field[:224, :224])
            cv2.imwrite(str(images / label / f"{number}-b.png"), field[20:244, 12:236])
    done = run("split", images, "--out", tmp_path / "s.csv", "--json")
    assert done.code == 0 and done.record["field_disjoint"] is True
    part = {item.name: item.part for item in Split.load(tmp_path / "s.csv").items}
    assert all(part[name] == part[name.replace("-a", "-b")] for name in part if "-a" in name)


def test_fetch(data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.data.dataset import scan
    from models.data.fetch import PublishedFile

    listed = tuple(
        PublishedFile(s.label, Path(s.name).name, s.sha256, s.path.stat().st_size) for s in scan(data).samples
    )
    monkeypatch.setattr("models.data.fetch.published_files", lambda: listed)
    archive = shutil.make_archive(str(tmp_path / "download"), "zip", data)
    done = run("fetch", "--from", archive, "--to", tmp_path / "laid_out", "--json")
    assert done.code == 0 and done.record["complete"] and done.record["laid_out"] == 80
    assert {p.name for p in (tmp_path / "laid_out").iterdir()} == set(LABELS)
    monkeypatch.setattr(
        "models.data.fetch.published_files", lambda: (*listed, PublishedFile("Pre", "z.png", "0" * 64, 9))
    )
    missing = run("fetch", "--from", data, "--to", tmp_path / "other")
    assert missing.code == 1 and "INCOMPLETE: 80 of 81" in missing.out and "Pre/z.png" in missing.out


# --- bad input, one line each


@pytest.fixture(scope="module")
def bad(data: Path, trained: Path) -> Path:
    """Files that are not what they should be."""
    import keras

    folder = data.parent / "bad"
    (folder / "no_images" / "Pre").mkdir(parents=True)
    for label in LABELS:
        (folder / "texts" / label).mkdir(parents=True)
        (folder / "texts" / label / "a.jpg").write_text("hello")
    shutil.copytree(data / "Pre", folder / "one_class" / "Pre")
    (folder / "file").write_text("hello")
    (folder / "weights.h5").write_text("hello")
    whole = (trained / "model.keras").read_bytes()

    def network(name: str, model: Any) -> None:
        (folder / name).mkdir()
        shutil.copyfile(trained / "contract.json", folder / name / "contract.json")
        target = folder / name / "model.keras"
        target.write_bytes(model) if isinstance(model, bytes) else model.save(target)

    first, second = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    loose = keras.Input((None, None, 3))
    pool = keras.layers.GlobalAveragePooling2D
    both = keras.layers.Concatenate()([pool()(first), pool()(second)])
    network("truncated", whole[: len(whole) // 2])
    network("empty", b"")
    network("text", b"hello")
    network("two_inputs", keras.Model([first, second], keras.layers.Dense(4, "softmax")(both)))
    network("dynamic", keras.Model(loose, keras.layers.Dense(4, "softmax")(pool()(loose))))
    network("three", keras.Model(first, keras.layers.Dense(3, "softmax")(pool()(first))))
    network("broken_contract", whole)
    (folder / "broken_contract" / "contract.json").write_text("{")
    network("no_records", whole)
    network("wrong_records", whole)
    (folder / "wrong_records" / "training.json").write_text("[]")
    (folder / "wrong_records" / "evaluation.json").write_text("{}")
    return folder


DATA = {
    "nowhere": "nowhere does not exist",
    "file": "file is a file",
    "no_images": "no usable image",
    "texts": "no usable image",
    "one_class": "two or more class folders",
}


@pytest.mark.parametrize("name", DATA)
def test_bad_images(bad: Path, trained: Path, tmp_path: Path, run: Run, name: str) -> None:
    out = tmp_path / "out"
    run("audit", bad / name, "--out", out).refused(2, DATA[name])
    run("split", bad / name, "--out", out / "s.csv").refused(2, DATA[name])
    run("train", "custom_cnn", "--data", bad / name, "--out", out).refused(2, DATA[name])
    if name != "one_class":  # the contract names the classes; that none of them is judged is no mistake
        words = ["--data", bad / name, "--out", out / "e.json", "--split", bad.parent / "split.csv"]
        run("evaluate", trained, *words).refused(2, DATA[name])
    assert not out.exists() or not list(out.iterdir())


NETWORKS = {
    "truncated": "truncated, or not a Keras archive",
    "empty": "truncated, or not a Keras archive",
    "text": "truncated, or not a Keras archive",
    "two_inputs": "must have one input (32, 32, 3)",
    "dynamic": "must have one input (32, 32, 3)",
    "three": "must have one output for each of ['Benign', 'Early', 'Pre', 'Pro']",
    "broken_contract": "contract.json: contract is not JSON",
    "nowhere": "must be a folder with model.keras and contract.json",
    "file": "must be a folder with model.keras and contract.json",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_bad_networks(bad: Path, data: Path, tmp_path: Path, run: Run, name: str) -> None:
    out = tmp_path / "e.json"
    run("evaluate", bad / name, "--data", data, "--out", out).refused(2, NETWORKS[name])
    assert not out.exists()


MOBILENET = ["train", "mobilenet_v2", "--data", "{data}", "--split", "{split}", "--out", "{tmp}", "--size", "32"]
REQUESTS: dict[str, tuple[list[str], str]] = {
    "no command": ([], "models needs a command"),
    "mistyped command": (["trian"], "did you mean train?"),
    "audit of none": (["audit"], "models audit needs DATA (see"),
    "audit, trailing": (["audit", "{data}", "execute"], "does not take the word execute"),
    "audit into a file": (["audit", "{data}", "--out", "{bad}/file"], "file: File exists; --out"),
    "split to none": (["split", "{data}"], "models split needs --out"),
    "split into a folder": (["split", "{data}", "--out", "{bad}"], "--out must name a file"),
    "split below a file": (["split", "{data}", "--out", "{bad}/file/s.csv"], "file: File exists; --out"),
    "split into /proc": (["split", "{data}", "--out", "/proc/x/s.csv"], "/proc/x: No such file or directory; --out"),
    "split by nothing": (["split", "{data}", "--out", "{bad}/s", "--groups", "{bad}/nowhere"], "cannot be read"),
    "split by a text": (["split", "{data}", "--out", "{bad}/s", "--groups", "{bad}/file"], "must be a CSV"),
    "split, no number": (["split", "{data}", "--out", "{bad}/s", "--seed", "x"], "--seed must be a whole number"),
    "split, mistyped": (["split", "{data}", "--uot", "x"], "did you mean --out?"),
    "train nothing": (["train"], "models train needs NETWORK"),
    "train without images": (["train", "custom_cnn"], "models train needs --data"),
    "train another": (["train", "resnet", "--data", "{data}"], "network must be one of"),
    "train, wrong weights": (["train", "custom_cnn", "--data", "{data}", "--weights", "x"], "belongs to mobilenet_v2"),
    "train, small": (["train", "custom_cnn", "--data", "{data}", "--size", "31"], "--size must be at least 32"),
    "train, never": (["train", "custom_cnn", "--data", "{data}", "--epochs", "0"], "--epochs must be at least 1"),
    "train, alpha": (["train", "mobilenet_v2", "--data", "{data}", "--alpha", "wide"], "--alpha must be a number"),
    "train, no value": (["train", "custom_cnn", "--data"], "--data needs a value"),
    "train into a file": (["train", "custom_cnn", "--data", "{data}", "--out", "{bad}/file"], "file: File exists"),
    "train, no split": (
        ["train", "custom_cnn", "--data", "{data}", "--split", "{bad}/nowhere", "--out", "{tmp}"],
        "nowhere cannot be read",
    ),
    "weights nowhere": (
        [*MOBILENET, "--weights", "nowhere.h5"],
        "nowhere.h5 is not one",
    ),
    "weights of text": (
        [*MOBILENET, "--weights", "{bad}/weights.h5"],
        "weights.h5 do not fit MobileNetV2",
    ),
    "evaluate for none": (["evaluate", "{bad}/text"], "models evaluate needs --data"),
    "evaluate, no part": (["evaluate", "{trained}", "--data", "{data}", "--part", "all"], "--part must be train"),
    "evaluate elsewhere": (
        ["evaluate", "{trained}", "--data", "{data}", "--out", "{bad}/file/e.json"],
        "file: File exists; --out",
    ),
    "evaluate into a folder": (
        ["evaluate", "{trained}", "--data", "{data}", "--out", "{bad}"],
        "--out must name a file",
    ),
    "evaluate strangers": (
        ["evaluate", "{trained}", "--data", "{data}", "--split", "{bad}/file"],
        "must be a CSV with the columns",
    ),
    "card of nothing": (["card", "{bad}/no_records"], "training.json cannot be read"),
    "card of wrong records": (["card", "{bad}/wrong_records"], "is not as `models train` writes it"),
    "card of none": (["card", "{bad}/nowhere"], "must be a folder with model.keras"),
    "fetch nothing": (["fetch"], "models fetch needs --from and --to"),
    "fetch from nowhere": (["fetch", "--from", "{bad}/nowhere", "--to", "{tmp}/to"], "nowhere does not exist"),
    "fetch from a text": (["fetch", "--from", "{bad}/file", "--to", "{tmp}/to"], "neither"),
    "fetch something else": (["fetch", "--from", "{data}", "--to", "{tmp}/to"], "holds none among 80 files"),
    "fetch into a file": (["fetch", "--from", "{data}", "--to", "{bad}/file"], "is a file or a link"),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_bad_requests(bad: Path, data: Path, split: Path, trained: Path, tmp_path: Path, run: Run, case: str) -> None:
    words, said = REQUESTS[case]
    places = {"bad": bad, "data": data, "split": split, "trained": trained, "tmp": tmp_path}
    run(*[word.format(**places) for word in words]).refused(2, said)
    assert not (bad / "s").exists() and not list(tmp_path.rglob("*.partial"))


def test_a_traceback_only_when_asked_for(tmp_path: Path) -> None:
    plain = shell("models", "audit", tmp_path / "nowhere")
    debug = shell("models", "audit", tmp_path / "nowhere", env={"LEUKOSCOPE_DEBUG": "1"})
    assert plain.returncode == debug.returncode == 2 and plain.stderr.count("\n") == 1
    assert "Traceback" in debug.stderr and "DatasetError" in debug.stderr
