"""How a camera sees from run to run, against its set-up: brightness, white and focus, and where they are heading.

A lamp that loses a percent a week is seen by nobody, until a gate or a control trips. Each run stores medians of
some of its frames (`edge.commissioning.camera.light_watch`); `edge doctor` draws the line through them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from edge.cameras.setup.camera_setup import Reference

# Parts by which a measure may differ from the set-up's. Half of a limit is said.
LIMITS = {"brightness": 0.10, "red": 0.05, "blue": 0.05, "focus": 0.30}
CALLED = {"brightness": "light", "red": "red against green", "blue": "blue against green", "focus": "edge width"}
FEWEST_POINTS, SHORTEST_DAYS = 3, 1.0  # for a line through them
SOON_DAYS = 14.0


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
        return self._away > LIMITS[self.name]

    @property
    def warns(self) -> bool:
        """Half of the way to the limit is gone, or the rest will be soon."""
        return self._away > LIMITS[self.name] / 2 or (self.days is not None and self.days <= SOON_DAYS)

    @property
    def _away(self) -> float:
        """How far it is from the set-up's; edges that are narrower are sharper."""
        return self.part - 1 if self.name == "focus" else abs(self.part - 1)

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
    return [trend for name, value in wanted(reference).items() if (trend := _trend(name, value, points)) is not None]


def wanted(reference: Reference) -> dict[str, float]:
    """The set-up's own values, by key of LIMITS; no focus where no field of cells was looked at."""
    light = {"brightness": reference.brightness, "red": reference.white[0], "blue": reference.white[1]}
    return light if reference.focus is UNSET else {**light, "focus": reference.focus}


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
    heading = slope != 0 and not (name == "focus" and slope < 0)
    left = (1 + limit - part) / slope if heading else math.inf
    return Trend(name, part, 7 * slope, left if 0 <= left <= 365 else None)


def _slope(days: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> float:
    """Median of the slopes between all pairs at different times (Theil and Sen): one odd run moves it little."""
    first, second = np.triu_indices(len(days), 1)
    apart = days[second] - days[first]
    far = apart > 0
    return float(np.median((values[second] - values[first])[far] / apart[far])) if far.any() else 0.0
