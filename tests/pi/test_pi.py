"""A Raspberry Pi's software without a Pi: the installed wheel on emulated aarch64, against this machine."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras.synthetic.smear import SyntheticSmear
from tests.paths import ROOT
from tests.pi import emulator
from tests.pi.build_root import CannotBuildError, build

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
HERE = Path(__file__).resolve().parent
FIELDS = (("Benign", (640, 480)), ("Early", (1280, 960)), ("Pre", (224, 224)), ("Pro", (1001, 777)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The built root, kept between sessions; skips with the reason where it cannot be built."""
    try:
        return build()
    except CannotBuildError as error:
        pytest.skip(f"no emulated Pi: {error}")


@pytest.fixture(scope="session")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn fields of four sizes, as PNG and as JPEG: files, so that both machines get the same bytes."""
    folder = tmp_path_factory.mktemp("fields")
    for seed, (recipe, size) in enumerate(FIELDS):
        frame = SyntheticSmear(seed, recipe).field(0, 0, size).frame
        save(folder / f"{recipe}.png", frame)
        save(folder / f"{recipe}.jpg", frame)
    return folder


def save(path: Path, frame: Any) -> None:
    assert cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))


def there(root: Path, *words: str, code: int = 0, camera: bool = False) -> str:
    """Standard output of a command under emulation."""
    done = emulator.run(*words, folder=root, camera=camera)
    assert done.returncode == code, f"{done.returncode}: {done.stderr[-3000:]}"
    return done.stdout


def here(*words: str) -> str:
    """Standard output of the same on this machine."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def differences(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Where two JSON values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = sorted(ours.keys() | theirs.keys())
        return [d for n in names for d in differences(ours.get(n), theirs.get(n), f"{at}/{n}")]
    return [] if ours == theirs else [at]


@pytest.fixture(scope="session")
def digests(root: Path, fields: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """This machine's record and the emulated one's."""
    program = str(HERE / "on_the_device" / "digests.py")
    return json.loads(here(program, str(fields))), json.loads(there(root, program, str(fields)))


def test_pixels_are_identical_and_outputs_within_a_step(digests: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """The same kind on both: only the softmax's exponentials, which are float, may round to a neighbouring step."""
    ours, theirs = digests
    assert theirs["machine"]["architecture"] == "aarch64"
    assert set(ours["bundles"]) == {"custom_cnn-int8", "mobilenet_v2-int8"}
    for ours_bundle, theirs_bundle in zip(ours["bundles"].values(), theirs["bundles"].values(), strict=True):
        assert ours_bundle["kind"] == theirs_bundle["kind"] == "xnnpack"
        assert len(ours_bundle["prepared"]) == 2 * len(FIELDS)
        for name, mine in ours_bundle["outputs"].items():
            other = theirs_bundle["outputs"][name]
            assert max(abs(a - b) for a, b in zip(mine, other, strict=True)) <= 1
            assert mine.index(max(mine)) == other.index(max(other))
    other_than = [d for d in differences(ours, theirs) if not d.startswith("/machine")]
    assert [d for d in other_than if not re.match(r"/bundles/[^/]+/(outputs|golden)", d)] == []


def test_every_kind_of_a_pi_answers_the_golden_images_by_its_rule(
    digests: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """LiteRT (A) and the reference kernels, which are tflite-runtime's there (C), to the bit here and within a step
    there; D, which no machine that converts here computes, within what certified kinds differ."""
    ours, theirs = (record["machine"]["kinds"] for record in digests)
    assert ours.keys() == theirs.keys() == {"custom_cnn-int8", "mobilenet_v2-int8"}
    for name in ours:
        assert set(ours[name]) == {"xnnpack", "builtin", "reference"} and set(theirs[name]) == {
            "xnnpack",
            "reference",
            "builtin-arm",
        }
        for machine, kinds in (("here", ours[name]), ("there", theirs[name])):
            for kind, replay in kinds.items():
                assert replay["passed"], (name, kind, replay)
                assert replay["certified"] is (kind != "builtin-arm")
                assert kind == "builtin-arm" or replay["max_difference"] <= replay["allowed"] == (machine == "there")


def test_one_changed_pixel_shows(digests: tuple[dict[str, Any], dict[str, Any]], fields: Path, tmp_path: Path) -> None:
    frame = cv2.imread(str(fields / "Pre.png"))
    frame[100, 100] ^= 8
    assert cv2.imwrite(str(tmp_path / "Pre.png"), frame)
    changed = json.loads(here(str(HERE / "on_the_device" / "digests.py"), str(tmp_path)))
    assert changed["bundles"]["mobilenet_v2-int8"]["prepared"]["Pre.png"] not in (
        digests[1]["bundles"]["mobilenet_v2-int8"]["prepared"].values()
    )


def test_classify_says_the_same(root: Path, fields: Path) -> None:
    theirs = records(there(root, "edge", "classify", str(fields), "--json"))
    ours = records(here("-m", "edge.cli", "classify", str(fields), "--json"))
    assert len(ours) == 2 * len(FIELDS)
    compared = ("path", "label", "reason")
    assert [[r[name] for name in compared] for r in theirs] == [[r[name] for name in compared] for r in ours]
    for mine, other in zip(ours, theirs, strict=True):
        if mine["probabilities"] is not None:
            assert other["probabilities"] == pytest.approx(mine["probabilities"], abs=0.02)  # a step, calibrated


def test_doctor(root: Path, tmp_path: Path) -> None:
    words = ("edge", "doctor", "--store", str(tmp_path / "record"), "--json")  # not the user's own record
    findings = json.loads(there(root, *words, camera=True))["findings"]
    found = {finding["name"]: finding for finding in findings}
    assert "aarch64" in found["system"]["found"]
    assert "xnnpack arithmetic" in found["interpreter litert"]["found"]
    assert "Synthetic smear" in found["picamera2"]["found"]


@pytest.fixture(scope="session")
def looked(root: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(there(root, str(HERE / "on_the_device" / "look.py"), camera=True))
    return record


def test_real_picamera2_shows_the_slide_in_the_right_colours(looked: dict[str, Any]) -> None:
    slide = looked["slide"]
    assert (slide["size"], slide["pixel_format"]) == ([1280, 960], "NV12")
    shown = [
        SyntheticSmear(n, name).field(0, 0).frame.reshape(-1, 3).mean(axis=0) for n, (name, _) in enumerate(FIELDS)
    ]
    nearest = min(np.abs(np.array(slide["mean"]) - mean).max() for mean in shown)
    swapped = min(np.abs(np.array(slide["mean"])[::-1] - mean).max() for mean in shown)
    assert nearest < 3
    assert swapped > 10
    assert len(looked["bars"]["colours"]) == 8  # black, white, and the six between


def test_real_picamera2_s_adjustments_are_told(looked: dict[str, Any]) -> None:
    told = "; ".join(looked["bars"]["adjusted"])
    assert "size: asked 1280x960, the camera does 1280x720" in told
    assert "exposure_us: asked 20000, the camera does not say" in told


def test_real_picamera2_s_frames_are_dated_and_counted(looked: dict[str, Any]) -> None:
    slide = looked["slide"]
    assert 0 <= slide["youngest_s"] <= slide["oldest_s"] < 60
    assert slide["sequences"] == sorted(set(slide["sequences"]))
    assert all("SensorTimestamp" in metadata for metadata in slide["metadata"])
    assert slide["closed_in_s"] < 2.5


def test_real_picamera2_s_refusals(looked: dict[str, Any]) -> None:
    assert looked["missing"].startswith("CameraNotFound: no camera picamera2:7; there is picamera2:0 Synthetic smear")
    assert looked["busy"].startswith("CameraBusy:")


def test_the_suite_of_all_cameras_passes_on_real_picamera2(root: Path) -> None:
    suite = str(ROOT / "tests" / "edge" / "cameras" / "test_cameras.py")
    of_the_wheel = "--import-mode=append"  # the checkout is found after what is installed
    words = ["pytest", "-p", "no:cacheprovider", of_the_wheel, "-k", "picamera2 and not fake", suite]
    told = there(root, *words, camera=True)
    assert int(re.findall(r"(\d+) passed", told)[-1]) >= 9


@pytest.mark.parametrize("words", [(), ("--every",)])
def test_run_judges_and_stores_frames_of_picamera2(root: Path, tmp_path: Path, words: Sequence[str]) -> None:
    run = ("edge", "run", "--camera", "picamera2:0", "--frames", "6", "--store", str(tmp_path), "--json", *words)
    judged = records(there(root, *run, camera=True))
    assert len([r for r in judged if r.get("label") or r.get("reason")]) == 6
    assert there(root, "edge", "verify", "--store", str(tmp_path))
