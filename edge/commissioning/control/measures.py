"""What a control measures on the fields of a control slide."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A number of a control, with a chart of its own.

    Attributes:
        words: for a person. unit: of its values, "" for none.
        resolution: differences below this are not told apart: the least standard deviation of a target.
    """

    words: str
    unit: str
    resolution: float


MEASURES: Mapping[str, Measure] = {
    "stain": Measure("stain distance", "of the limit", 0.01),
    "brightness": Measure("background brightness", "grey level", 0.5),
    "white_red": Measure("white: red against green", "", 0.002),
    "white_blue": Measure("white: blue against green", "", 0.002),
    "focus": Measure("edge width (focus)", "px", 0.01),
    "refused": Measure("share refused", "", 0.0),
    "probability": Measure("mean probability", "", 0.005),
    "agreement": Measure("agreement", "", 0.0),
}
