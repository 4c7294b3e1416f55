"""What the demand of controls comes to, by which clock, and what expires an acceptance."""

import pytest

from edge.commissioning.control.expiry import expired
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.standing import FAILED, OVERDUE, age_ns, standing
from edge.record.entry_parts import ControlSeries
from tests.edge.commissioning.control.controls import HOUR_NS, NOON, SERIES, at, control

DAILY = ControlSettings(demand="daily")
OTHER_LAMP = {"outcome": "failed", "broken": {"brightness": ("2-2s",)}}


def reason(controls, when, *, settings=DAILY, under=SERIES, boot="boot-1"):
    return standing(controls, settings, under, when, boot).reason


def test_a_control_holds_for_a_day_to_the_second():
    assert reason([control()], at(24)) is None
    late = standing([control()], DAILY, SERIES, at(24.001), "boot-1")
    assert late.reason == OVERDUE and "passed 24.0 h ago, at most 24 h" in late.detail
    assert late.hours == pytest.approx(24.001)


def test_no_control_is_overdue_and_nothing_is_where_none_is_demanded():
    assert reason([], NOON) == OVERDUE
    assert reason([], NOON, settings=ControlSettings()) is None
    assert reason([control(**OTHER_LAMP)], NOON, settings=ControlSettings()) is None


def test_a_failed_control_holds_frames_back_until_one_of_its_slide_passes():
    failed = control(at(1), **OTHER_LAMP)
    found = standing([control(), failed], DAILY, SERIES, at(2), "boot-1")
    assert found.reason == FAILED and "brightness between the cells breaks 2-2s" in found.detail
    assert reason([failed, control(at(2))], at(3)) is None
    assert reason([failed, control(at(2), slide="QC-2")], at(3)) == FAILED  # another slide does not mend it
    assert reason([failed, control(at(2))], at(100)) == OVERDUE


def test_a_baseline_that_is_being_built_counts_and_is_said():
    found = standing([control(outcome="baseline", number=3)], DAILY, SERIES, at(1), "boot-1")
    assert found.reason is None and "building baseline 3 of 20" in found.detail


def test_each_slide_that_the_profile_names_must_have_passed():
    both = ControlSettings(demand="daily", slides=("QC-1", "QC-2"))
    assert reason([control()], at(1), settings=both) == OVERDUE
    assert "QC-2" in standing([control()], both, SERIES, at(1), "boot-1").detail
    two = [control(), control(at(20), slide="QC-2")]
    assert reason(two, at(23), settings=both) is None
    assert reason(two, at(25), settings=both) == OVERDUE  # the older one counts
    assert reason(two, at(25)) is None  # where none is named, the newer
    retired = [control(**OTHER_LAMP, slide="OLD"), *two]
    assert reason(retired, at(23), settings=both) is None and reason(retired, at(23)) == FAILED


@pytest.mark.parametrize("other", [{"bundle_digest": "cd" * 32}, {"camera": "uvc:0"}, {"camera_setup": "e" * 64}])
def test_a_control_of_another_bundle_camera_or_set_up_does_not_count(other):
    fields = {name: getattr(SERIES, name) for name in SERIES.__struct_fields__}
    assert reason([control()], at(1), under=ControlSeries(**fields | other)) == OVERDUE
    assert reason([control()], at(1), under=ControlSeries(**fields | {"lot": "B", "slide": "S-1"})) is None


def test_a_clock_that_is_set_changes_nothing_while_the_machine_runs():
    back = at(2)
    back = type(back)(NOON.utc_ns - 30 * HOUR_NS, back.monotonic_ns, True)
    assert age_ns(control(), back, "boot-1") == 2 * HOUR_NS
    late_by_monotonic = type(back)(NOON.utc_ns + HOUR_NS, at(25).monotonic_ns, True)
    assert reason([control()], late_by_monotonic) == OVERDUE
    synchronized_since = control(type(back)(NOON.utc_ns - 48 * HOUR_NS, NOON.monotonic_ns, False))
    assert reason([synchronized_since], at(1)) is None  # stamped two days back by a clock that nobody kept
    suspended = type(back)(at(30).utc_ns, at(1).monotonic_ns, True)
    assert reason([control()], suspended) == OVERDUE  # the monotonic clock stood still


def test_across_a_start_only_a_clock_that_is_kept_tells():
    assert reason([control()], at(23, boot=False), boot="boot-2") is None
    assert reason([control()], at(25, boot=False), boot="boot-2") == OVERDUE
    unknown = standing([control()], DAILY, SERIES, at(1, boot=False, synchronized=False), "boot-2")
    assert unknown.reason == OVERDUE and unknown.hours is None and "not synchronized since" in unknown.detail
    set_back = standing([control()], DAILY, SERIES, at(-3, boot=False), "boot-2")
    assert set_back.reason == OVERDUE and "it was set back, or is wrong" in set_back.detail
    assert (
        reason([control()], at(1, boot=False, synchronized=None), boot="boot-2") is None
    )  # a kernel that says nothing
    assert reason([control(boot="")], at(1), boot="") is None  # no boot id: the wall clock alone


# --- acceptance ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "name"),
    [
        ("brightness", "lamp_changed"),
        ("white", "lamp_changed"),
        ("stain", "stain_changed"),
        ("focus", "camera_changed"),
    ],
)
def test_a_measured_change_expires_the_acceptance_until_it_is_measured_away(measure, name):
    failed = control(at(1), outcome="failed", broken={measure: ("1-3s",)})
    assert expired([control(), failed], SERIES) == name
    assert expired([control(), failed, control(at(2))], SERIES) is None


def test_what_expires_nothing():
    assert expired([], SERIES) is None
    assert expired([control()], SERIES) is None
    wrong = control(outcome="failed", checks={"wrong_label": "0 of 20"})
    assert expired([wrong], SERIES) is None  # another slide lay there
    answers = control(outcome="failed", broken={"probability": ("1-3s",)})
    assert expired([answers], SERIES) is None  # the answers changed, and neither stain, lamp nor camera
    elsewhere = ControlSeries("QC-1", "other", "cd" * 32, SERIES.camera)
    assert expired([control(series=elsewhere, **OTHER_LAMP)], SERIES) is None


def test_a_new_lot_does_not_hide_what_failed():
    failed = control(at(1), **OTHER_LAMP)
    lot = ControlSeries("QC-1", SERIES.bundle, SERIES.bundle_digest, SERIES.camera, lot="B")
    fresh = [control(at(2 + n), series=lot, outcome="baseline", number=n) for n in range(3)]
    assert expired([control(), failed, *fresh], SERIES) == "control_restarted"
    assert expired([control(), *fresh], SERIES) is None


def test_a_clock_that_was_set_back_hides_no_failed_control():
    dead_battery = control(at(-24.0 * 365 * 20, synchronized=False), **OTHER_LAMP)
    assert expired([dead_battery], SERIES) == "lamp_changed"
    accepted_anew = ControlSeries("QC-1", SERIES.bundle, "cd" * 32, SERIES.camera)
    assert expired([dead_battery], accepted_anew) is None  # another acceptance, another digest
