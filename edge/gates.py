"""Reasons not to ask the model about a frame, each with its name, its measured value and its limit.

Gates look at prepared pixels: what the model sees, and what the published images are. Their limits come from those
images (`python -m models.gate_calibration`), so they hold for frames of that size and magnification only.
"""

import difflib
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Protocol

from edge.contract import Pixels
from edge.errors import FrameError, SettingsError
from edge.gate_measures import View

__all__ = [
    "CalibratedGate",
    "Gate",
    "GateLimits",
    "GateReport",
    "Gates",
    "Reading",
    "View",
    "quality_gates",
    "standard_gates",
]

LIMITS_FORMAT = 1


@dataclass(frozen=True)
class Reading:
    """What one gate found.

    Attributes:
        gate: its name, which is the reason's name in the record when it refuses.
        value, limit: in `unit`; both finite.
        refused: whether the frame cannot be judged.
        detail: the same for a person: "out of focus: edges 2.41 px wide, at most 1.77".
    """

    gate: str
    value: float
    limit: float
    unit: str
    refused: bool
    detail: str


class Gate(Protocol):
    """One reason to abstain."""

    @property
    def name(self) -> str:
        """The reason's stable name."""

    def read(self, view: View) -> Reading:
        """Measure a frame. Reads `view`, changes nothing, never raises on a frame that `View` accepts."""


@dataclass(frozen=True)
class CalibratedGate:
    """A measure with a limit on one side.

    Attributes:
        name: the reason's stable name. claim: what a refusal says, "out of focus".
        measure: of a view, finite. limit: the last value that passes, in `unit`.
        is_ceiling: values above `limit` are refused; otherwise those below.
        says: what the value is, with {} for it: "edges {:.2f} px wide".
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


@dataclass(frozen=True)
class GateReport:
    """What all gates found on one frame.

    Attributes:
        readings: one a gate, in their order.
    """

    readings: tuple[Reading, ...]

    @property
    def refusal(self) -> Reading | None:
        """The first gate that refuses; None when the frame can be judged."""
        return next((reading for reading in self.readings if reading.refused), None)

    @property
    def values(self) -> dict[str, float]:
        """Gate's name -> measured value."""
        return {reading.gate: reading.value for reading in self.readings}


class Gates:
    """Gates asked in order: the first that refuses names the reason, all are measured.

    Args:
        gates: with different names. No gates judge nothing.
        size: (width, height) in pixels that frames must have for the limits to mean anything; None for any.

    Attributes:
        gates: the same, as a tuple.
    """

    def __init__(self, gates: Sequence[Gate], size: tuple[int, int] | None = None) -> None:
        self.gates, self._size = tuple(gates), size

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they are asked."""
        return tuple(gate.name for gate in self.gates)

    def without(self, names: Collection[str]) -> "Gates":
        """The same but for the gates named; SettingsError on a name that is none."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.names)}"
                raise SettingsError(f"no gate is called {name!r}; {hint}")
        return Gates([gate for gate in self.gates if gate.name not in names], self._size)

    def and_then(self, gate: Gate) -> "Gates":
        """The same and one more, asked last."""
        return Gates([*self.gates, gate], self._size)

    def require_size(self, size: tuple[int, int]) -> None:
        """FrameError unless frames of (width, height) can be judged: to be asked before the first one comes."""
        if self.gates and self._size is not None and size != self._size:
            needed, arrived = ("x".join(map(str, pair)) for pair in (self._size, size))
            raise FrameError(
                f"the gates' limits were measured on frames of {needed} pixels; got {arrived}: turn the gates off "
                f"({', '.join(self.names)}), or measure limits of your own"
            )

    def check(self, pixels: Pixels) -> GateReport:
        """Ask all gates about prepared pixels, uint8 (height, width, 3) RGB.

        Raises:
            FrameError: no such pixels, or of a size that the limits are not for.
        """
        if not self.gates:
            return GateReport(())
        view = View(pixels)
        self.require_size((pixels.shape[1], pixels.shape[0]))
        return GateReport(tuple(gate.read(view) for gate in self.gates))


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


def standard_gates() -> Gates:
    """All gates: those on quality, and last the one on frames unlike the training images (`edge.novelty`).

    Last since a spoilt frame is unlike them too, and what spoilt it is the better reason.
    """
    from edge.novelty import shipped_novelty

    return quality_gates().and_then(shipped_novelty())


def quality_gates(limits: GateLimits | None = None) -> Gates:
    """The gates on how a field was photographed: exposure, then stain, then motion, then focus.

    In this order since each rests on those before: without light there is no stain to see, without cells no edge, and
    a long motion widens all edges, while defocus is never drawn out.

    Args:
        limits: by default those in `edge/gates.toml`.
    """
    limits = limits or _shipped_limits()
    return Gates(
        (
            CalibratedGate(
                "under_exposed", "under-exposed", _background, limits.under_exposed, False, "grey level",
                "background at {:.0f} of 255",
            ),
            CalibratedGate(
                "over_exposed", "over-exposed", _white_percent, limits.over_exposed, True, "percent",
                "{:.1f} % of the field clipped to white",
            ),
            CalibratedGate(
                "empty_field", "no nucleated cell", _nuclear_percent, limits.empty_field, False, "percent",
                "nuclear stain on {:.2f} % of the field",
            ),
            CalibratedGate(
                "motion_blur", "blurred by motion", _motion_px, limits.motion_blur, True, "px",
                "edges drawn out by {:.1f} px",
            ),
            CalibratedGate(
                "out_of_focus", "out of focus", _sharp_px, limits.out_of_focus, True, "px",
                "edges {:.2f} px wide",
            ),
        ),
        limits.size,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _shipped_limits() -> GateLimits:
    return GateLimits.from_toml(resources.files("edge").joinpath("gates.toml").read_text(encoding="utf-8"))


def _limit(name: str, entry: Any) -> float:
    value = entry.get("limit") if isinstance(entry, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 255:
        raise SettingsError(f"{name} must be a table with limit = a number in 0..255; got {entry!r}")
    return float(value)


def _background(view: View) -> float:
    return view.background


def _white_percent(view: View) -> float:
    return view.white_percent


def _nuclear_percent(view: View) -> float:
    return view.nuclear_percent


def _sharp_px(view: View) -> float:
    return view.edges.sharp_px


def _motion_px(view: View) -> float:
    return view.edges.motion_px
