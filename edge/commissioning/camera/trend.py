"""How a camera sees from run to run, against its set-up: brightness, white and focus, and where they are heading.

A lamp that loses a percent a week is seen by nobody, until a gate or a control trips. Each run measures some of the
frames that pass its gates and stores the medians; `edge doctor` draws the line through them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from edge.cameras.setup.camera_setup import Reference
from edge.inference.contract import Pixels
from edge.inference.gates.measures import WIDEST, View

LIGHT = "camera_light"  # the event's kind
EVERY_NS = 1_000_000_000  # between two frames that are measured
MOST_FRAMES = 4000  # measured for one event
FEWEST_FRAMES = 3
LEAST_GROUND = 0.01  # part of a field that must be clear glass
# Parts by which a measure may differ from the set-up's. Half of a limit is said.
LIMITS = {"brightness": 0.10, "red": 0.05, "blue": 0.05, "focus": 0.30}
CALLED = {"brightness": "light", "red": "red against green", "blue": "blue against green", "focus": "edge width"}
FEWEST_POINTS, SHORTEST_DAYS = 3, 1.0  # for a line through them
SOON_DAYS = 14.0


def light_of(view: View) -> tuple[float, float, float] | None:
    """(grey level of the clear glass, its red and its blue against green); None where hardly any is in view."""
    ground = view.ground > 0
    if ground.mean() < LEAST_GROUND:
        return None
    red, green, blue = (max(float(value), 1.0) for value in view.patches[ground].mean(axis=0))
    return 0.299 * red + 0.587 * green + 0.114 * blue, red / green, blue / green


class LightMeter:
    """Measures frames that passed the gates, one a second at most, and gives their medians.

    >>> meter = LightMeter()
    >>> for second in range(5):
    ...     meter.look(np.full((224, 224, 3), 200, np.uint8), second * 10**9)
    >>> meter.taken()["brightness"]
    200.0
    """

    def __init__(self) -> None:
        self._due = 0
        self._found: list[tuple[float, float, float, float]] = []

    def look(self, prepared: Pixels, monotonic_ns: int) -> None:
        """Measure a prepared frame, uint8 (H, W, 3), unless one was measured less than a second ago; about 1 ms."""
        if monotonic_ns < self._due or len(self._found) >= MOST_FRAMES:
            return
        self._due = monotonic_ns + EVERY_NS
        view = View(prepared)
        light = light_of(view)
        if light is not None:
            width = view.edges.sharp_px
            self._found.append((*light, width if width < WIDEST else math.nan))

    def taken(self) -> dict[str, float]:
        """Medians of what was measured since the last call, `frames` how many; nothing of fewer than FEWEST_FRAMES."""
        found, self._found = self._found, []
        if len(found) < FEWEST_FRAMES:
            return {}
        table = np.array(found)
        names = ("brightness", "red", "blue")
        measures = {name: round(float(np.median(table[:, i])), 4) for i, name in enumerate(names)}
        widths = table[:, 3][~np.isnan(table[:, 3])]
        if widths.size >= FEWEST_FRAMES:
            measures["focus"] = round(float(np.median(widths)), 3)
        return {**measures, "frames": float(len(found))}


def said(measures: dict[str, float]) -> str:
    """What an event says of the measures."""
    text = f"light between the cells at {measures['brightness']:.1f} of 255, "
    text += f"red {measures['red']:.3f} and blue {measures['blue']:.3f} of green"
    if "focus" in measures:
        text += f", edges {measures['focus']:.2f} px wide"
    return f"{text}, in {measures['frames']:.0f} frames"


@dataclass(frozen=True)
class Point:
    """What a run measured, and when: days since any fixed moment."""

    day: float
    measures: dict[str, float]


@dataclass(frozen=True)
class Trend:
    """One measure against the set-up's.

    Attributes:
        name: key of LIMITS. part: where it stands, 1 is as at the set-up. a_week: change of that in seven days; None of
            too few runs to say. days: until it reaches the limit at that pace; None where it does not.
    """

    name: str
    part: float
    a_week: float | None = None
    days: float | None = None

    @property
    def beyond(self) -> bool:
        """It left what the set-up allows."""
        return abs(self.part - 1) > LIMITS[self.name]

    @property
    def warns(self) -> bool:
        """Half of the way to the limit is gone, or the rest will be soon."""
        return abs(self.part - 1) > LIMITS[self.name] / 2 or (self.days is not None and self.days <= SOON_DAYS)

    def __str__(self) -> str:
        text = f"{CALLED[self.name]} {self.part:.1%} of the set-up's"
        if self.a_week is not None:
            text += f", {self.a_week:+.1%} a week"
        if self.beyond:
            text += f", beyond the {LIMITS[self.name]:.0%} it may differ by"
        elif self.days is not None:
            text += f": {LIMITS[self.name]:.0%} off in about {max(1, round(self.days))} days"
        return text


def trends(points: Sequence[Point], reference: Reference) -> list[Trend]:
    """Each measure of the last run against the set-up's, and the line through all runs.

    Args:
        points: in order, all under one set-up.
    """
    return [trend for name, wanted in _wanted(reference).items() if (trend := _trend(name, wanted, points)) is not None]


def _wanted(reference: Reference) -> dict[str, float]:
    wanted = {"brightness": reference.brightness, "red": reference.white[0], "blue": reference.white[1]}
    return wanted if reference.focus is UNSET else {**wanted, "focus": reference.focus}


def _trend(name: str, wanted: float, points: Sequence[Point]) -> Trend | None:
    known = [(point.day, point.measures[name] / wanted) for point in points if name in point.measures]
    if not known:
        return None
    part = known[-1][1]
    days = np.array([day for day, _ in known])
    if len(known) < FEWEST_POINTS or days[-1] - days[0] < SHORTEST_DAYS:
        return Trend(name, part)
    slope = _slope(days, np.array([value for _, value in known]))
    limit = LIMITS[name] if slope > 0 else -LIMITS[name]
    left = (1 + limit - part) / slope if slope else math.inf
    return Trend(name, part, 7 * slope, left if 0 <= left <= 365 else None)


def _slope(
    days: "np.ndarray[tuple[int], np.dtype[np.float64]]", values: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> float:
    """Median of the slopes between all pairs at different times (Theil and Sen): one odd run moves it little."""
    first, second = np.triu_indices(len(days), 1)
    apart = days[second] - days[first]
    far = apart > 0
    return float(np.median((values[second] - values[first])[far] / apart[far])) if far.any() else 0.0
