"""Gates: what cannot be judged is refused by name, what can be is not, and nothing makes them stumble."""

import json
from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docs.studies.gates.degradations import defocus, expose, motion, with_noise
from edge.cameras.synthetic.smear import SyntheticSmear, synthetic_fields
from edge.errors import FrameError, SettingsError
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.gates_file import require_gates
from edge.inference.gates.measures import WIDEST, View
from edge.inference.gates.quality import CalibratedGate
from tests.gates import shipped_gates

QUALITY = ("under_exposed", "over_exposed", "empty_field", "motion_blur", "out_of_focus")
NAMES = (*QUALITY, "unlike_training")
PREPARE = InputContract((224, 224), ("Benign", "Early", "Pre", "Pro")).prepare


@lru_cache(maxsize=1)
def drawn() -> tuple[Pixels, ...]:
    """24 drawn fields in focus, as a model is fed them."""
    return tuple(PREPARE(frame) for _, frame in synthetic_fields(24, seed=11))


def one(colour: int | tuple[int, int, int], side: int = 224) -> Pixels:
    return np.full((side, side, 3), colour, np.uint8)


def reason(pixels: Pixels) -> str | None:
    refusal = shipped_gates().check(pixels).refusal
    return refusal.gate if refusal else None


# --- sound fields pass, spoilt ones do not: every gate's negative control


def test_drawn_fields_in_focus_pass() -> None:
    assert [reason(pixels) for pixels in drawn()] == [None] * len(drawn())


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda p: expose(p, -1.5), "under_exposed"),
        (lambda p: expose(p, 1.0), "over_exposed"),
        (lambda p: defocus(p, 4.0), "out_of_focus"),
        (lambda p: motion(p, 17.0, 20.0), "motion_blur"),
        (lambda p: motion(p, 17.0, 110.0), "motion_blur"),
    ],
    ids=["dark", "light", "defocus", "motion along", "motion across"],
)
def test_spoilt_fields_are_refused_by_name(spoil, expected: str) -> None:
    reasons = [reason(np.ascontiguousarray(spoil(pixels))) for pixels in drawn()]
    assert sum(found == expected for found in reasons) >= 0.9 * len(reasons)
    assert None not in reasons


def test_a_field_of_red_cells_alone_is_empty() -> None:
    """Red cells cut from drawn fields and put together again: everything but white cells."""
    pixels = drawn()[1]
    tile = next(
        pixels[top : top + 32, left : left + 32]
        for top in range(0, 150, 8)
        for left in range(0, 150, 8)
        if View(np.ascontiguousarray(pixels[top : top + 32, left : left + 32])).nuclear_percent == 0
        and pixels[top : top + 32, left : left + 32].std() > 8
    )
    assert reason(np.ascontiguousarray(np.tile(tile, (7, 7, 1)))) == "empty_field"


def test_the_real_optics_of_a_drawn_slide_are_noticed() -> None:
    slide = SyntheticSmear(3, "Early")
    widths = [View(PREPARE(slide.field(0, 0, defocus_um=um).frame)).edges.sharp_px for um in (0.0, 2.0, 4.0, 6.0)]
    assert widths == sorted(widths)
    assert reason(PREPARE(slide.field(0, 0).frame)) is None
    assert reason(PREPARE(slide.field(0, 0, defocus_um=6.0).frame)) == "out_of_focus"


# --- the measures


@given(
    field=st.integers(0, 23),
    radius=st.floats(0.5, 6.0),
    further=st.floats(1.3, 3.0),
    noise=st.sampled_from([0.0, 1.5, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_edges_widen_with_defocus(field: int, radius: float, further: float, noise: float) -> None:
    random = np.random.default_rng(field)
    near, far = (with_noise(defocus(drawn()[field], r), random, noise) for r in (radius, radius * further))
    widths = View(near).edges.sharp_px, View(far).edges.sharp_px
    assert widths[0] < widths[1] or widths == (WIDEST, WIDEST)  # what is wider still is read as that


@pytest.mark.parametrize("angle", [0, 30, 45, 60, 90, 135, 165])
def test_direction_and_length_of_motion_are_read(angle: int) -> None:
    found = [View(motion(pixels, 13.0, angle)).edges for pixels in drawn()]
    off = [abs((edges.angle_deg - angle + 90) % 180 - 90) for edges in found]
    assert max(off) < 10
    assert 4 < np.median([edges.motion_px for edges in found]) < 13


def test_defocus_is_not_called_motion() -> None:
    assert {reason(defocus(pixels, 6.0)) for pixels in drawn()} == {"out_of_focus"}


def test_light_and_stain_do_not_change_the_width_of_edges() -> None:
    """Half the contrast, the same focus."""
    for pixels in drawn()[:8]:
        pale = np.rint(pixels.astype(np.float32) * 0.5 + 120).astype(np.uint8)
        assert View(pale).edges.sharp_px == pytest.approx(View(pixels).edges.sharp_px, rel=0.06)


def test_a_lamp_s_colour_does_not_change_the_stain() -> None:
    for pixels in drawn()[:8]:
        warm = np.rint(pixels * np.array([0.95, 0.85, 0.7])).astype(np.uint8)
        assert View(warm).nuclear_percent == pytest.approx(View(pixels).nuclear_percent, abs=0.6, rel=0.15)


def test_a_scale_bar_changes_nothing() -> None:
    """Least of all does its sharp lettering let a blurred field pass."""
    for pixels in (drawn()[0], defocus(drawn()[0], 5.0)):
        barred = pixels.copy()
        barred[-33:, -60:] = 255
        barred[-12:-8, -55:-5] = 0
        cv2.putText(barred[-33:, -60:], "200 px", (2, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0))
        assert not np.array_equal(barred, pixels)
        assert shipped_gates().check(barred).values == shipped_gates().check(pixels).values


# --- nothing makes them stumble


@pytest.mark.parametrize(
    "pixels",
    [
        one(0), one(1), one(128), one(250), one(255), one((200, 120, 220)), one((255, 255, 0)),
        np.random.default_rng(1).integers(0, 256, (224, 224, 3), np.uint8),
        np.random.default_rng(2).integers(249, 252, (224, 224, 3), np.uint8),
        np.random.default_rng(3).integers(0, 2, (224, 224, 3), np.uint8) * 255,
        np.tile(np.arange(224, dtype=np.uint8)[:, None, None], (1, 224, 3)),
        np.tile(np.array([0, 255], np.uint8)[None, :, None], (224, 112, 3)),
    ],
    ids=["black", "1", "grey", "light", "white", "purple", "yellow", "noise", "faint noise", "salt", "ramp", "stripes"],
)  # fmt: skip
def test_frames_that_show_nothing_are_refused(pixels: Pixels) -> None:
    with np.errstate(all="raise"):
        report = shipped_gates().check(pixels)
    assert report.refusal is not None
    assert all(np.isfinite(value) for value in report.values.values())
    assert json.loads(json.dumps(report.values)) == report.values


def test_a_frame_without_edges_is_as_wide_as_can_be() -> None:
    assert View(one(200)).edges.sharp_px == WIDEST


@given(height=st.integers(8, 40), width=st.integers(8, 40), seed=st.integers(0, 99), level=st.sampled_from([1, 4, 256]))
@settings(max_examples=60, deadline=None)
def test_every_size_can_be_measured(height: int, width: int, seed: int, level: int) -> None:
    view = View(np.random.default_rng(seed).integers(0, level, (height, width, 3), np.uint8))
    with np.errstate(all="raise"):
        found = [view.background, view.white_percent, view.nuclear_percent, view.edges.sharp_px, view.edges.motion_px]
    assert np.isfinite(found).all()
    assert 0 <= view.edges.sharp_px <= WIDEST


def test_the_frame_is_left_alone() -> None:
    pixels = drawn()[0].copy()
    pixels.flags.writeable = False
    shipped_gates().check(pixels)
    np.testing.assert_array_equal(pixels, drawn()[0])


@pytest.mark.parametrize(
    "wrong", [np.zeros((224, 224), np.uint8), np.zeros((224, 224, 3), np.float32), np.zeros((7, 224, 3), np.uint8)]
)
def test_what_is_no_frame_is_an_error(wrong: np.ndarray) -> None:
    with pytest.raises(FrameError, match=r"pixels must be uint8 \(H, W, 3\)"):
        shipped_gates().check(wrong)


def test_frames_of_another_size_are_an_error_that_names_the_cure() -> None:
    with pytest.raises(FrameError, match="frames of 224x224 pixels; got 96x64: fit limits to such"):
        shipped_gates().check(np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(FrameError):
        shipped_gates().require_size((96, 96))
    shipped_gates().require_size((224, 224))
    assert shipped_gates().without(NAMES).check(np.zeros((64, 96, 3), np.uint8)).readings == ()


# --- reports and limits


def test_a_refusal_names_reason_value_and_limit() -> None:
    report = shipped_gates().check(defocus(drawn()[0], 6.0))
    assert report.refusal is not None
    reading = report.refusal
    assert (reading.gate, reading.unit, reading.refused) == ("out_of_focus", "px", True)
    assert reading.value > reading.limit > 0
    assert reading.detail == f"out of focus: edges {reading.value:.2f} px wide, at most {reading.limit:g}"
    assert tuple(report.values) == NAMES


def test_the_first_gate_names_the_reason() -> None:
    """A black frame has no cells and no edges either; that it is dark is what is wrong."""
    report = shipped_gates().check(one(0))
    assert [reading.gate for reading in report.readings if reading.refused][:2] == ["under_exposed", "empty_field"]
    assert report.refusal is report.readings[0]


def test_a_value_that_is_no_number_refuses() -> None:
    gate = CalibratedGate("odd", "odd", lambda view: float("nan"), 1.0, True, "", "{}")
    assert gate.read(View(one(0))).refused


def test_a_limit_itself_passes() -> None:
    for is_ceiling in (True, False):
        gate = CalibratedGate("g", "g", lambda view: 1.0, 1.0, is_ceiling, "", "{}")
        assert not gate.read(View(one(0))).refused


def test_gates_are_left_out_by_name() -> None:
    gates = shipped_gates().without(["out_of_focus"])
    assert gates.names == tuple(name for name in NAMES if name != "out_of_focus")
    assert gates.check(defocus(drawn()[0], 6.0)).refusal is None or "out_of_focus" not in gates.names
    assert gates.without(["no_contrast"]).names == gates.names  # a gate of other files
    require_gates(["out_of_focus", "no_contrast", "unlike_training"])
    with pytest.raises(SettingsError, match="no gate is called 'out_of_fokus'; did you mean out_of_focus"):
        require_gates(["out_of_fokus"])


def test_a_gate_of_ones_own_slots_in() -> None:
    class Debris:
        name = "debris"

        def read(self, view: View):  # type: ignore[no-untyped-def]
            return CalibratedGate(self.name, "debris", lambda v: 2.0, 1.0, True, "", "{}").read(view)

    gates = shipped_gates().and_then(Debris())
    report = gates.check(drawn()[0])
    assert report.refusal is not None and report.refusal.gate == "debris"
    assert gates.names == (*NAMES, "debris")
    with pytest.raises(FrameError):
        gates.require_size((96, 96))
