"""Reasons not to ask the model about a frame, each with its name, its measured value and its limit.

Gates look at prepared pixels: what the model sees, and what the images it was made from are. Which measures there are
stands here; their limits come from those images and travel with the model (`edge.inference.gates.gates_file`), so they
hold for frames of that size and magnification only.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from edge.errors import SettingsError
from edge.inference.gates.base import Gates, Reading
from edge.inference.gates.domain import ANY, SMEAR, Domain
from edge.inference.gates.measures import View

LIMITS_FORMAT = 1
LARGEST_LIMIT = 255.0  # of grey levels; percent and pixels stay below


@dataclass(frozen=True)
class QualityMeasure:
    """What a gate on quality measures, without its limit.

    Attributes:
        claim: what a refusal says, "out of focus". measure: of a view, finite. unit: of value and limit.
        is_ceiling: values above the limit are refused; otherwise those below.
        says: what the value is, with {} for it: "edges {:.2f} px wide".
        domains: of the images that it can be measured on.
    """

    claim: str
    measure: Callable[[View], float]
    unit: str
    is_ceiling: bool
    says: str
    domains: tuple[Domain, ...] = (SMEAR, ANY)


# Name -> measure, in the order in which gates are asked. Each rests on those before: without light there is no stain to
# see, without cells or contrast no edge, and a long motion widens all edges, while defocus is never drawn out.
QUALITY: Mapping[str, QualityMeasure] = {
    "under_exposed": QualityMeasure(
        "under-exposed", lambda view: view.background, "grey level", False, "background at {:.0f} of 255"
    ),
    "over_exposed": QualityMeasure(
        "over-exposed", lambda view: view.white_percent, "percent", True, "{:.1f} % of the field clipped to white"
    ),
    "empty_field": QualityMeasure(
        "no nucleated cell", lambda view: view.nuclear_percent, "percent", False,
        "nuclear stain on {:.2f} % of the field", (SMEAR,),
    ),
    "no_contrast": QualityMeasure(
        "no contrast", lambda view: view.contrast, "grey level", False, "luma spread over {:.1f} grey levels", (ANY,)
    ),
    "motion_blur": QualityMeasure(
        "blurred by motion", lambda view: view.edges.motion_px, "px", True, "edges drawn out by {:.1f} px"
    ),
    "out_of_focus": QualityMeasure(
        "out of focus", lambda view: view.edges.sharp_px, "px", True, "edges {:.2f} px wide"
    ),
}  # fmt: skip


def quality_names(domain: Domain) -> tuple[str, ...]:
    """The measures that images of a domain admit, in the order in which gates are asked.

    >>> quality_names("any")
    ('under_exposed', 'over_exposed', 'no_contrast', 'motion_blur', 'out_of_focus')
    """
    return tuple(name for name, measure in QUALITY.items() if domain in measure.domains)


@dataclass(frozen=True)
class CalibratedGate:
    """A measure with a limit on one side.

    Attributes:
        name: the reason's stable name. claim: what a refusal says, "out of focus".
        measure: of a view, finite. limit: the last value that passes, in `unit`.
        is_ceiling: values above `limit` are refused; otherwise those below.
        says: what the value is, with {} for it: "edges {:.2f} px wide".

    >>> import numpy as np
    >>> says = "background {:.0f}"
    >>> gate = CalibratedGate("dark", "too dark", lambda view: view.background, 100, False, "grey level", says)
    >>> gate.read(View(np.full((32, 32, 3), 40, np.uint8))).detail
    'too dark: background 40, at least 100'
    """

    name: str
    claim: str
    measure: Callable[[View], float]
    limit: float
    is_ceiling: bool
    unit: str
    says: str

    def read(self, view: View) -> Reading:
        """As `Gate.read`. A value that is no number refuses."""
        value = self.measure(view)
        passed = value <= self.limit if self.is_ceiling else value >= self.limit
        needs = f"{'at most' if self.is_ceiling else 'at least'} {self.limit:g}"
        detail = f"{self.says.format(value)}, {needs}"
        if not passed:
            detail = f"{self.claim}: {detail}"
        return Reading(self.name, value, self.limit, self.unit, not passed, detail)


def gate_of(name: str, limit: float) -> CalibratedGate:
    """The gate on the measure of that name in `QUALITY`.

    >>> gate_of("out_of_focus", 1.74).is_ceiling
    True
    """
    known = QUALITY[name]
    return CalibratedGate(name, known.claim, known.measure, limit, known.is_ceiling, known.unit, known.says)


@dataclass(frozen=True)
class GateLimits:
    """The last values that pass.

    Attributes:
        size: (width, height) of the frames they were measured on, pixels.
        under_exposed: grey level of the background, 0..255, at least.
        over_exposed: part of the field that is white, percent, at most.
        empty_field: part of the field with nuclear stain, percent, at least.
        motion_blur: length of the motion, pixels, at most.
        out_of_focus: standard deviation of the edges' blur, pixels, at most.
    """

    size: tuple[int, int]
    under_exposed: float
    over_exposed: float
    empty_field: float
    motion_blur: float
    out_of_focus: float

    @classmethod
    def from_toml(cls, text: str) -> "GateLimits":
        """Read `gates.toml`.

        Raises:
            SettingsError: it is no such file: what it lacks or has too much, by name.
        """
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"gate limits are not TOML: {error}") from error
        if table.pop("format", None) != LIMITS_FORMAT:
            raise SettingsError(f"gate limits must have format = {LIMITS_FORMAT}")
        size = table.pop("size", None)
        if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size)):
            raise SettingsError(f"size must be [width, height] in pixels; got {size!r}")
        names = {"under_exposed", "over_exposed", "empty_field", "motion_blur", "out_of_focus"}
        if set(table) != names:
            raise SettingsError(f"gate limits must be {', '.join(sorted(names))}; got {', '.join(sorted(table))}")
        return cls((size[0], size[1]), **{name: _limit(name, table[name]) for name in names})


def quality_gates(limits: GateLimits | None = None) -> Gates:
    """The gates of a blood smear with these limits; those in `edge/inference/gates/gates.toml` when left out."""
    limits = limits or _shipped_limits()
    return Gates([gate_of(name, getattr(limits, name)) for name in quality_names(SMEAR)], limits.size)


@lru_cache(maxsize=1)
def _shipped_limits() -> GateLimits:
    return GateLimits.from_toml(
        resources.files("edge.inference.gates").joinpath("gates.toml").read_text(encoding="utf-8")
    )


def _limit(name: str, entry: Any) -> float:
    value = entry.get("limit") if isinstance(entry, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 255:
        raise SettingsError(f"{name} must be a table with limit = a number in 0..255; got {entry!r}")
    return float(value)
