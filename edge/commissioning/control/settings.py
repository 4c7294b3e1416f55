"""`[control]` of the profile: which controls a run demands before it answers."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from edge.record.entry_parts import SLIDE

BASELINE = 20  # controls that targets are made from: CLSI C24, at least 20, on different days where that can be
FEWEST = 5  # fewer give a standard deviation that is wrong by more than a third (chi-squared, 4 degrees of freedom)
Demand = Literal["none", "daily"]
_Slide = Annotated[str, Meta(pattern=rf"\A{SLIDE.pattern}\Z", description="a slide's name: A-Z a-z 0-9 . _ -")]


@dataclass(frozen=True)
class ControlSettings:
    """[control]. `demand` "daily": no frame is answered without a control that passed within `valid_hours`.

    Attributes:
        slides: the control slides that must have passed, each; () is any one slide, with none failed last.
        valid_hours: how long a control that passed holds.
        baseline: controls that the targets of a series are made from.

    >>> ControlSettings(demand="daily").demanded
    True
    """

    demand: Annotated[Demand, Meta(description='"none" or "daily"')] = "none"
    slides: Annotated[tuple[_Slide, ...], Meta(description="a list of slides in square brackets")] = ()
    valid_hours: Annotated[float, Meta(ge=0.001, le=168, description="a number 0.001..168")] = 24.0
    baseline: Annotated[int, Meta(ge=FEWEST, le=200, description=f"a whole number {FEWEST}..200")] = BASELINE

    @property
    def demanded(self) -> bool:
        """Whether a run asks for controls."""
        return self.demand != "none"
