"""Whether a run may answer: what its profile demands of controls, and what the control record holds."""

import math
from collections.abc import Sequence

from msgspec import Struct

from edge.commissioning.control.measures import MEASURES
from edge.commissioning.control.series import same_instrument
from edge.commissioning.control.settings import ControlSettings
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries
from edge.system.clock import Instant

OVERDUE, FAILED = "control_overdue", "control_failed"
_HOUR_NS = 3600 * 10**9
_SLACK_NS = 10**9  # that a control may lie in the future: clocks are read one after the other


class Standing(Struct, frozen=True):
    """What the demand comes to at one moment.

    Attributes:
        reason: None where frames may be answered; else OVERDUE or FAILED, as the record names it.
        detail: one sentence.
        hours: age of the oldest control that is needed, hours; None where there is none or its age is not known.

    >>> Standing(None, "QC-1 passed 2.0 h ago", 2.0).reason is None
    True
    """

    reason: str | None
    detail: str
    hours: float | None = None


def standing(
    controls: Sequence[ControlBody], settings: ControlSettings, under: ControlSeries, now: Instant, boot: str
) -> Standing:
    """What the demand comes to.

    Args:
        controls: all that were recorded, oldest first.
        under: the bundle, camera and set-up of the run; its slide, lot and label are not looked at.
        now, boot: the moment, and the id of the machine's start.
    """
    if not settings.demanded:
        return Standing(None, "no control is demanded")
    last = {each.slide: each for each in controls if same_instrument(each.series, under)}
    slides = settings.slides or tuple(last)
    missing = [slide for slide in slides if slide not in last]
    if missing or not slides:
        whose = f" of {', '.join(missing)}" if missing else ""
        return Standing(OVERDUE, f"control overdue: none{whose} under this bundle, camera and set-up")
    for slide in slides:
        if not last[slide].passed:
            return Standing(FAILED, f"control failed: {slide}: {why(last[slide])}", _hours(last[slide], now, boot))
    ages = {slide: age_ns(last[slide], now, boot) for slide in slides}
    known = {slide: age / _HOUR_NS for slide, age in ages.items() if age is not None}
    if not known or (settings.slides and len(known) < len(ages)):
        unknown = next(slide for slide, age in ages.items() if age is None)
        return Standing(OVERDUE, f"control overdue: {_unknown_age(last[unknown], now)}")
    slide = (max if settings.slides else min)(known, key=lambda each: known[each])
    hours = known[slide]
    if hours > settings.valid_hours:
        said = f"control overdue: {slide} passed {hours:.1f} h ago, at most {settings.valid_hours:g} h"
        return Standing(OVERDUE, said, hours)
    return Standing(None, f"{slide} passed {hours:.1f} h ago{_baseline(last[slide])}", hours)


def why(control: ControlBody) -> str:
    """What was wrong with a control, in one sentence."""
    rules = [f"{_words(measure)} breaks {', '.join(names)}" for measure, names in control.broken.items()]
    return "; ".join([*control.checks.values(), *rules]) or "nothing was wrong"


def age_ns(control: ControlBody, now: Instant, boot: str) -> int | None:
    """How long ago a control was, in nanoseconds; None where no clock tells.

    Within one start of the machine the monotonic clock tells, which nobody can set; the wall clock as well where it was
    synchronized both times, for a suspended machine's monotonic clock stands still, and the longer of both counts.
    Across a start only the wall clock can tell: not while it is known to be unsynchronized (a board without a battery
    starts with the time at which it went off), and not where it stands before the control.
    """
    by_wall = now.utc_ns - control.utc_ns
    if boot and control.boot == boot and now.monotonic_ns >= control.monotonic_ns:
        by_monotonic = now.monotonic_ns - control.monotonic_ns
        trusted = control.synchronized is not False and now.synchronized is not False
        return max(by_monotonic, by_wall) if trusted else by_monotonic
    if now.synchronized is False or by_wall < -_SLACK_NS:
        return None
    return max(by_wall, 0)


def _hours(control: ControlBody, now: Instant, boot: str) -> float | None:
    age = age_ns(control, now, boot)
    return None if age is None else age / _HOUR_NS


def _unknown_age(control: ControlBody, now: Instant) -> str:
    at = f"{control.slide} passed at {control.utc[:19]}Z"
    if now.utc_ns < control.utc_ns:
        return f"{at}, and the clock says {now.utc[:19]}Z: it was set back, or is wrong"
    return f"{at}, before the machine was started, and its clock is not synchronized since"


def _words(measure: str) -> str:
    return MEASURES[measure].words if measure in MEASURES else measure


def _baseline(control: ControlBody) -> str:
    if control.outcome != "baseline":
        return ""
    return f" (building baseline {control.number} of {control.baseline}: no rule is asked yet)"


def finite_hours(hours: float | None) -> float:
    """As a gate's value, which must be a number: an age that is not known is -1."""
    return -1.0 if hours is None or not math.isfinite(hours) else hours
