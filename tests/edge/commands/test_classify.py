"""`edge classify`, as users type it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import bundle, policy
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.errors import BundleError
from edge.serving import serve as serving
from tests.paths import ROOT
from tests.tiny_bundle import certified

SMALL_BUNDLE = ROOT / "models" / "bundles" / "custom_cnn-int8"
KEYS = [
    "path",
    "label",
    "reason",
    "detail",
    "probabilities",
    "gates",
    "latency_ms",
    "bundle",
    "bundle_version",
    "signed_by",
    "synthetic_certificate",
    "acceptance",
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two readable fields, one text that claims to be a field, one file that is none of our business."""
    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(2)
    for name in ("b.png", "deeper/a.JPG"):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    (folder / "c.jpg").write_text("no image")
    (folder / "notes.txt").write_text("no image, and does not say it is one")
    return folder


def run(*words: object) -> int:
    unsigned = ["--allow-unsigned"] if "--bundle" in words else []  # what signatures decide: test_trust_commands.py
    return main("edge", COMMANDS, ["classify", *map(str, words), *unsigned])


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines(tiny_bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(images / "b.png", images, "--bundle", tiny_bundle, "--json") == 1
    captured = capsys.readouterr()
    records = lines(captured.out)
    assert [Path(r["path"]).name for r in records] == ["b.png", "b.png", "c.jpg", "a.JPG"]
    assert all(list(r) == KEYS for r in records)
    assert {(r["bundle"], r["bundle_version"], r["signed_by"]) for r in records} == {("tiny-int8", None, "unsigned")}
    good, bad = records[0], records[2]
    assert good["label"] in ("Benign", "Early", "Pre", "Pro") and good["reason"] is None and good["latency_ms"] > 0
    assert list(good["probabilities"]) == ["Benign", "Early", "Pre", "Pro"]
    assert good["label"] == max(good["probabilities"], key=lambda k: good["probabilities"][k])
    assert (bad["label"], bad["probabilities"], bad["latency_ms"]) == (None, None, None)
    assert bad["reason"] == "not_an_image" and bad["detail"].startswith("not a readable image")
    assert "research use only" in captured.err and "research" not in captured.out


def test_jobs_change_neither_lines_nor_order(
    tiny_bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    for number in range(20):
        cv2.imwrite(str(images / f"d{number:02d}.png"), rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    told = []
    for jobs in ("1", "2", "5"):
        assert run(images, "--bundle", tiny_bundle, "--json", "--jobs", jobs) == 1
        told.append([{**record, "latency_ms": None} for record in lines(capsys.readouterr().out)])
    assert len(told[0]) == 23 and told[0] == told[1] == told[2]
    assert run(images, "--bundle", tiny_bundle, "--jobs", "0") == 2
    assert "--jobs must be at least 1; got 0" in capsys.readouterr().err


def test_readable_images_end_with_zero(tiny_bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(images / "deeper", images / "b.png", "--bundle", tiny_bundle) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 and out[0].endswith("a.JPG  (not accepted at any site)") and out[-1] == "2 images"
    assert run(images / "c.jpg", "--bundle", tiny_bundle) == 1
    out = capsys.readouterr().out.splitlines()
    assert "(not_an_image: not a readable image" in out[0] and out[-1] == "1 image, 1 not readable"


def test_a_name_that_would_break_the_table(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\nb\udcff.png"
    path.write_bytes(cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1].tobytes())
    assert run(path, "--bundle", tiny_bundle) == 0
    assert "a\\nb\\xff.png" in capsys.readouterr().out.splitlines()[0]
    assert run(path, "--bundle", tiny_bundle, "--json") == 0
    assert lines(capsys.readouterr().out)[0]["path"] == str(path)


def test_wrong_requests_classify_nothing(tiny_bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = images / "empty"
    empty.mkdir()
    for words, said in (
        ([images / "b.png", "nowhere"], "nowhere: no such image or folder"),
        ([images / "b.png", empty], "no images in this folder"),
        ([images / "b.png", "--bundle", images], "which is no file of a bundle"),
        ([images / "b.png", "--bundle", images / "b.png"], "Not a directory"),
    ):
        options = [] if "--bundle" in words else ["--bundle", tiny_bundle]
        assert run(*words, *options) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and said in captured.err


def test_uncertified_bundles_need_to_be_allowed(
    bundle_parts: dict[str, Any], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle.write(tmp_path / "bad-int8", **certified(bundle_parts, verdict="fail")).path
    assert run(images / "b.png", "--bundle", path) == 2
    assert "not 'pass'" in capsys.readouterr().err
    assert run(images / "b.png", "--bundle", path, "--allow-uncertified") == 0
    assert "warning: the certificate of bad-int8 says 'fail'" in capsys.readouterr().err


def test_a_model_that_answers_otherwise_does_not_serve(
    bundle_parts: dict[str, Any], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Negative control: golden outputs of another model (here, of shuffled labels)."""
    golden = bundle_parts["golden"]
    shuffled = type(golden)(golden.inputs, np.ascontiguousarray(golden.outputs[:, ::-1]))
    path = bundle.write(tmp_path / "other-int8", **{**bundle_parts, "golden": shuffled}).path
    assert run(images / "b.png", "--bundle", path) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "golden images differ" in captured.err


def test_the_default_bundle_is_found_without_importing_models(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "models"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('models was imported')")
    monkeypatch.setattr(policy, "INSTALLATION", tmp_path / "site")
    with pytest.raises(BundleError, match="no mobilenet_v2-int8 bundle ships"):
        serving.default_bundle()
    (package / "bundles").mkdir()
    tiny_bundle.rename(package / "bundles" / "mobilenet_v2-int8")
    assert serving.default_bundle() == package / "bundles" / "mobilenet_v2-int8"


def test_in_a_process_of_its_own(tiny_bundle: Path, images: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "edge.cli",
            "classify",
            str(images),
            "--bundle",
            str(tiny_bundle),
            "--json",
            "--allow-unsigned",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 1 and len(lines(done.stdout)) == 3
    notice, unsigned = done.stderr.splitlines()
    assert unsigned.startswith("warning: tiny-int8 is not signed")
    assert notice == "research use only: not a medical device, and no verdict is a diagnosis"


def test_an_image_that_cannot_be_judged_gets_a_reason_and_the_model_is_not_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [(_, field)] = synthetic_fields(1, seed=4)
    cv2.imwrite(str(tmp_path / "field.png"), cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(tmp_path / "night.png"), np.zeros((480, 640, 3), np.uint8))
    assert run(tmp_path, "--bundle", SMALL_BUNDLE, "--json") == 0, "abstaining is an answer"
    field_, night = lines(capsys.readouterr().out)
    assert sum(field_["probabilities"].values()) == pytest.approx(1), "the model was asked"
    assert field_["reason"] in (None, "low_confidence")  # it was not taught drawn fields
    assert (night["label"], night["probabilities"]) == (None, None)
    assert night["reason"] == "under_exposed" and night["gates"]["under_exposed"] < 10
    assert night["latency_ms"] > 0
    assert run(tmp_path, "--bundle", SMALL_BUNDLE) == 0
    out = capsys.readouterr().out.splitlines()
    assert "(under-exposed: background at" in out[1] and out[-1].startswith("2 images, ")
    assert run(tmp_path, "--bundle", SMALL_BUNDLE, "--json", "--ungated") == 0
    ungated = lines(capsys.readouterr().out)
    assert all(record["probabilities"] for record in ungated), "negative control: the gate is the reason"
