"""Gates: what a gate is, what it reads in a frame, and several of them asked in order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.errors import FrameError
from edge.inference.contract import Pixels
from edge.inference.domain import SMEAR, Domain
from edge.inference.gates.measures import View


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
class GateReport:
    """What all gates found on one frame.

    Attributes:
        readings: one a gate, in their order.

    >>> reading = Reading("dark", 3.0, 10.0, "grey level", refused=True, detail="too dark: 3, at least 10")
    >>> GateReport((reading,)).values
    {'dark': 3.0}
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
        domain: what frames show.

    Attributes:
        gates: the same, as a tuple.

    >>> import numpy as np
    >>> from edge.inference.gates.quality import gate_of
    >>> gates = Gates([gate_of("under_exposed", 175.0), gate_of("out_of_focus", 1.74)], (224, 224))
    >>> report = gates.check(np.zeros((224, 224, 3), np.uint8))
    >>> report.refusal.gate, len(report.readings)
    ('under_exposed', 2)
    """

    def __init__(self, gates: Sequence[Gate], size: tuple[int, int] | None = None, domain: Domain = SMEAR) -> None:
        self.gates, self._size, self._domain = tuple(gates), size, domain

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they are asked."""
        return tuple(gate.name for gate in self.gates)

    def without(self, names: Collection[str]) -> "Gates":
        """The same but for the gates named, those of them that there are."""
        return Gates([gate for gate in self.gates if gate.name not in names], self._size, self._domain)

    def and_then(self, gate: Gate) -> "Gates":
        """The same and one more, asked last."""
        return Gates([*self.gates, gate], self._size, self._domain)

    def require_size(self, size: tuple[int, int]) -> None:
        """FrameError unless frames of (width, height) can be judged: to be asked before the first one comes."""
        if self.gates and self._size is not None and size != self._size:
            needed, arrived = ("x".join(map(str, pair)) for pair in (self._size, size))
            raise FrameError(
                f"the gates' limits were measured on frames of {needed} pixels; got {arrived}: fit limits to such "
                "frames (`models gates`)"
            )

    def view(self, pixels: Pixels) -> View:
        """What the gates measure on; as `check`."""
        return View(pixels, self._domain)

    def check(self, pixels: Pixels) -> GateReport:
        """Ask all gates about prepared pixels, uint8 (height, width, 3) RGB.

        Raises:
            FrameError: no such pixels, or of a size that the limits are not for.
        """
        if not self.gates:
            return GateReport(())
        view = self.view(pixels)
        self.require_size((pixels.shape[1], pixels.shape[0]))
        return GateReport(tuple(gate.read(view) for gate in self.gates))
