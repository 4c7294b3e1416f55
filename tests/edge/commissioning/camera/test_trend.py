"""The trend of light and focus: what a run measures, the line through runs, and when it warns."""

import math

import numpy as np
import pytest
from msgspec import UNSET

from edge.cameras.setup.camera_setup import Reference
from edge.cameras.setup.set_up_camera import SetUpCamera
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.commissioning.camera.light_watch import EVERY_NS, QUICK, QUICK_NS, LightWatch, light_of, said
from edge.commissioning.camera.trend import LIMITS, Point, Trend, trends
from edge.inference.gates.measures import View
from tests.edge.cameras.setup.test_set_up_camera import FLAT, SETUP

REFERENCE = Reference(brightness=200.0, white=(1.0, 1.0), focus=1.5, focus_size=(224, 224))


def points(*levels: float, days: float = 7.0, **others: float) -> list[Point]:
    return [Point(days * i, {"brightness": level, "red": 1.0, "blue": 1.0, **others}) for i, level in enumerate(levels)]


def of(name: str, found: list[Trend]) -> Trend:
    return next(trend for trend in found if trend.name == name)


def test_a_lamp_that_loses_a_percent_a_week_is_said_before_it_is_beyond() -> None:
    """By hand: 96 % now, 1 % a week: 90 % in six weeks; at 94 % half of the way is gone."""
    trend = of("brightness", trends(points(200, 198, 196, 194, 192), REFERENCE))
    assert trend.part == pytest.approx(0.96)
    assert trend.a_week == pytest.approx(-0.01)
    assert trend.days == pytest.approx(42.0)
    assert not trend.warns and not trend.beyond
    assert str(trend) == "light 96.0% of the set-up's, -1.0% a week: 10% off in about 42 days"
    assert of("brightness", trends(points(200, 198, 196, 194, 192, 190, 188), REFERENCE)).warns
    gone = of("brightness", trends(points(200, 190, 178), REFERENCE))
    assert gone.beyond and "beyond the 10% it may differ by" in str(gone)


def test_a_fast_one_warns_while_little_is_gone() -> None:
    """Two percent in three days: the rest of the ten takes twelve."""
    trend = of("brightness", trends(points(200, 198.67, 197.33, 196, days=1), REFERENCE))
    assert trend.part == pytest.approx(0.98)
    assert trend.days == pytest.approx(12, abs=0.1)
    assert trend.warns and not trend.beyond


def test_a_steady_lamp_does_not_warn() -> None:
    """Negative control, with the noise of readings."""
    for trend in trends(points(200.4, 199.2, 200.1, 199.7, 200.3, 199.9), REFERENCE):
        assert not trend.warns, trend


def test_one_odd_run_does_not_turn_the_line() -> None:
    levels = [200.0] * 10
    levels[4] = 150.0
    assert of("brightness", trends(points(*levels), REFERENCE)).a_week == 0.0


def test_two_runs_or_an_hour_make_no_line() -> None:
    assert of("brightness", trends(points(200, 190), REFERENCE)).a_week is None
    assert of("brightness", trends(points(200, 195, 190, days=0.01), REFERENCE)).a_week is None


def test_sharper_edges_are_no_drift_and_wider_ones_are() -> None:
    wider, sharper = (of("focus", trends(points(200, focus=width), REFERENCE)) for width in (1.95001, 1.0))
    assert wider.beyond and wider.warns
    assert not sharper.warns
    blind = Reference(brightness=200.0, white=(1.0, 1.0))
    assert {trend.name for trend in trends(points(200, focus=9.0), blind)} == set(LIMITS) - {"focus"}


def test_the_clear_glass_is_what_is_measured() -> None:
    """Cells on a tenth of the field change nothing; a field of which no part is the lightest in all tells nothing."""
    field = np.full((224, 224, 3), (210, 200, 190), np.uint8)
    field[80:150, 80:150] = (150, 110, 140)
    found = light_of(View(field))
    assert found is not None
    assert found == pytest.approx((0.299 * 210 + 0.587 * 200 + 0.114 * 190, 1.05, 0.95), rel=0.002)
    for channel in range(3):
        field[:, 75 * channel : 75 * (channel + 1)] = 40
        field[:, 75 * channel : 75 * (channel + 1), channel] = 230
    assert light_of(View(field)) is None


def watch(camera: object = None) -> LightWatch:
    return LightWatch(camera or SetUpCamera(SimulatedCamera("sim:"), SETUP, FLAT))


def test_a_run_stores_medians_of_frames_that_the_gates_on_quality_pass() -> None:
    found = watch()
    for number, (level, refused) in enumerate(
        [(230, ""), (220, "unlike_training"), (225, ""), (90, "under_exposed"), (80, "empty_field")]
    ):
        found(np.full((224, 224, 3), level, np.uint8), refused, number * EVERY_NS)
    measures = found.taken()
    assert measures == {"brightness": 225.0, "red": 1.0, "blue": 1.0, "frames": 3.0}
    assert said(measures) == "light between the cells at 225.0 of 255, red 1.000 and blue 1.000 of green, in 3 frames"
    assert found.taken() == {}


def test_not_every_frame_is_measured() -> None:
    found = watch()
    frame = np.full((224, 224, 3), 230, np.uint8)
    for number in range(10 * QUICK):
        found(frame, "", number * QUICK_NS // 2)
    assert found.taken()["frames"] == QUICK + (10 * QUICK - 2 * QUICK) // (2 * EVERY_NS // QUICK_NS)


def test_a_camera_without_a_set_up_has_no_trend() -> None:
    found = watch(SimulatedCamera("sim:"))
    for number in range(9):
        found(np.full((224, 224, 3), 230, np.uint8), "", number * EVERY_NS)
    assert found.taken() == {}


def test_what_left_the_limits_is_warned_of_at_once() -> None:
    found = watch()
    assert SETUP.reference.brightness == 230.0 and SETUP.reference.focus is UNSET
    assert found.warnings({"brightness": 229.0, "red": 1.0, "blue": 1.0, "frames": 9}) == []
    (line,) = found.warnings({"brightness": 200.0, "red": 1.0, "blue": 1.0, "frames": 9})
    assert line.startswith("light 87.0% of the set-up's, beyond the 10%")
    assert found.warnings({}) == []


def test_days_are_told_for_a_year_at_most() -> None:
    slow = of("brightness", trends(points(200, 199.99, 199.98), REFERENCE))
    assert slow.days is None and not math.isnan(slow.part)
