"""Fields are judged by the camera's range and its own sharpest field, never by another microscope's limits."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from edge.cameras.backends import open_camera
from edge.cameras.synthetic.laboratory import Laboratory
from edge.commissioning.reference.quality import BLUNTEST, RELATIVE, BundleQuality, RelativeQuality, measured
from edge.commissioning.reference.quality import sharpest_known as known
from edge.inference.contract import InputContract, Pixels
from edge.record.entries import ReferenceBody
from tests.edge.commissioning.reference.test_tally import field
from tests.gates import shipped_gates_file


@pytest.fixture(scope="module")
def frame() -> Pixels:
    return Laboratory(11).field("leukemic", 2, 0, size=(640, 480)).frame


def blurred_by(pixels: float) -> Callable[[Pixels], Pixels]:
    return lambda frame: np.asarray(cv2.GaussianBlur(frame, (0, 0), pixels), np.uint8)


def moved(frame: Pixels) -> Pixels:
    return np.asarray(cv2.blur(frame, (13, 1)), np.uint8)


def brighter(frame: Pixels) -> Pixels:
    return cv2.convertScaleAbs(frame, alpha=2.2)


def darker(frame: Pixels) -> Pixels:
    return cv2.convertScaleAbs(frame, alpha=0.25)


def without_cells(frame: Pixels) -> Pixels:
    return np.full_like(frame, 225)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frame: frame, ""),
        (blurred_by(0.5), ""),
        (blurred_by(2.0), "out_of_focus"),
        (moved, "motion_blur"),
        (brighter, "over_exposed"),
        (darker, "under_exposed"),
        (without_cells, "empty_field"),
    ],
)
def test_each_fault_is_refused_by_name(frame: Pixels, spoil: Callable[[Pixels], Pixels], reason: str) -> None:
    quality = RelativeQuality()
    assert quality.judge(frame).reason == ""
    found = quality.judge(spoil(frame))
    assert found.reason == reason
    assert bool(found.detail) == bool(reason)


def test_the_shipped_limits_refuse_that_field_and_these_do_not(frame: Pixels) -> None:
    """The reason for measures of their own: a drawn laboratory's field is none to the shipped gates."""
    dim = cv2.convertScaleAbs(frame, alpha=0.6)
    contract = InputContract(size=(224, 224), labels=("a", "b"))
    shipped = BundleQuality(shipped_gates_file(), contract, "shipped")
    assert shipped.judge(dim).reason == "under_exposed"
    assert "blood_smear" not in shipped.gates.names and "unfamiliar" not in shipped.gates.names
    assert set(shipped.gates.names) <= set(RelativeQuality(1.0).judge(dim).measures)
    assert RelativeQuality().judge(dim).reason == ""


def test_focus_is_held_against_the_sharpest_field(frame: Pixels) -> None:
    blunt = blurred_by(2.0)(frame)
    quality = RelativeQuality()
    assert quality.wants_a_first_look and quality.bluntest is None
    first = quality.judge(blunt)
    assert first.reason == ""  # nothing sharper was seen: why a first look is taken
    assert quality.sharpest == first.focus and quality.bluntest == pytest.approx(BLUNTEST * first.focus)
    sharp = quality.judge(frame)
    assert quality.sharpest == sharp.focus < first.focus / BLUNTEST
    assert quality.judge(blunt).reason == "out_of_focus"


def test_frames_of_any_size_are_measured_at_one_scale(frame: Pixels) -> None:
    large = cv2.resize(frame, (2560, 1920), interpolation=cv2.INTER_CUBIC)
    assert measured(np.asarray(large, np.uint8)).shape == (480, 640, 3)
    assert measured(frame) is frame


def test_the_sharpest_known_is_of_this_camera_and_judged_alike() -> None:
    def of(width: float, camera: str = "uvc:0", judged_by: str = RELATIVE) -> ReferenceBody:
        body = field("1", "well", camera=camera)
        measures: dict[str, float | None] = {"out_of_focus": width}
        return replace(body, reference=replace(body.reference, measures=measures, judged_by=judged_by))

    fields = [of(1.9), of(1.7), of(1.2, "uvc:1"), of(1.1, judged_by="tiny-int8")]
    assert known(open_camera("uvc:0"), fields) == 1.7
    assert known(open_camera("uvc:2"), fields) is None
    assert known(open_camera("replay:/srv/fields"), [of(1.0, camera="")]) is None
