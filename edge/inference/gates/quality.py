"""Reasons not to ask the model about a frame, each with its name, its measured value and its limit.

Gates look at prepared pixels: what the model sees, and what the images it was made from are. Which measures there are
stands here; their limits come from those images and travel with the model (`edge.inference.gates.gates_file`), so they
hold for frames of that size and magnification only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge.inference.domain import ANY, SMEAR, Domain
from edge.inference.gates.base import Reading
from edge.inference.gates.measures import View

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
