"""What a control measures on the fields of a control slide.

Each number points to a part of the instrument: brightness and white to the lamp, the stain distance to the stain, the
edges' width to focus and optics, and what gates and network answer to all of them. They are measured on prepared
frames, as gates are (docs/explanation/gates.md), on refused fields as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import cv2
import numpy as np

from edge.inference.answer import Answer
from edge.inference.gates.base import Gates
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import Novelty

_LIGHTEST = (0.02, 0.20)  # parts of the field: from the lightest patches these are left out, and these looked at
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV's grey levels


@dataclass(frozen=True)
class Measure:
    """A number of a control, with a chart of its own.

    Attributes:
        words: for a person. unit: of its values, "" for none.
        resolution: differences below it are not told apart, so it is the least standard deviation of a target; None:
            one field of those looked at, for shares.
    """

    words: str
    unit: str
    resolution: float | None


MEASURES: Mapping[str, Measure] = {
    "stain": Measure("stain distance", "of the limit", 0.01),
    "brightness": Measure("brightness between the cells", "grey level", 0.5),
    "white": Measure("white: red against blue", "", 0.002),
    "focus": Measure("focus: width of the sharpest edges", "px", 0.01),
    "refused": Measure("share refused", "", None),
    "probability": Measure("mean probability", "", 0.005),
    "agreement": Measure("agreement with the expected label", "", None),
}


SHARES = ("refused", "probability", "agreement")  # 0..1


@dataclass(frozen=True)
class FieldNumbers:
    """What one field told; None what it did not.

    Attributes:
        stain: distance of its stain from the training images, as a part of the limit; of all novelty where a bundle has
            no such family. brightness: grey level 0..255 of the light between the cells. white: its red against blue.
        focus: width of the sharpest edges, pixels of the prepared frame.
        label, reason: as `Answer`. probability: of the expected label, else of the likeliest; None where the network
            was not asked.
    """

    stain: float | None
    brightness: float | None
    white: float | None
    focus: float
    label: str | None
    reason: str | None
    probability: float | None


def numbers_of(view: View, novelty: Novelty | None, answer: Answer, expected: int | None) -> FieldNumbers:
    """The numbers of a field.

    Args:
        view: of the prepared frame, as the bundle's gates see it. novelty: the bundle's gate.
        expected: index of the label that the slide should get; None where none is expected.
    """
    red, green, blue = _ground_colour(view)
    brightness = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    white = red / blue if blue > 0 else None
    shares = {} if novelty is None else novelty.shares(view)
    stain = shares["stain"][0] if "stain" in shares else max((each for each, _ in shares.values()), default=None)
    probability = None
    if answer.probabilities is not None:
        probability = max(answer.probabilities) if expected is None else answer.probabilities[expected]
    return FieldNumbers(stain, brightness, white, view.edges.sharp_px, answer.label, answer.reason, probability)


def _ground_colour(view: View) -> tuple[float, float, float]:
    """Mean R, G, B, 0..255, of the lightest patches but the very lightest: specks of light are no lamp.

    A mean, where gates take a whole grey level: a lamp that dims by a thousandth has to be seen.
    """
    luma = cv2.cvtColor(view.patches, cv2.COLOR_RGB2GRAY).ravel()
    first, last = (round(luma.size * (1 - part)) for part in _LIGHTEST[::-1])
    chosen = np.argsort(luma, kind="stable")[first:last]
    red, green, blue = np.asarray(view.patches).reshape(-1, 3)[chosen].mean(axis=0).tolist()
    return red, green, blue


def novelty_of(gates: Gates) -> Novelty | None:
    """The gate against frames unlike the training images among those of a bundle; None where it has none."""
    return next((gate for gate in gates.gates if isinstance(gate, Novelty)), None)


def summary(fields: Sequence[FieldNumbers], expected: str) -> dict[str, float | None]:
    """The measures of a control, by name; None where no field told one.

    Medians of stain and focus, which a field without cells throws far; means of light and probability; shares of
    fields.

    Args:
        fields: at least one. expected: label; "" where none is expected.
    """
    answered = [field.label for field in fields if field.label is not None]
    return {
        "stain": _of(median, [field.stain for field in fields]),
        "brightness": _of(fmean, [field.brightness for field in fields]),
        "white": _of(fmean, [field.white for field in fields]),
        "focus": _of(median, [field.focus for field in fields]),
        "refused": 1 - len(answered) / len(fields),
        "probability": _of(fmean, [field.probability for field in fields]),
        "agreement": answered.count(expected) / len(answered) if expected and answered else None,
    }


def _of(how: object, values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return float(how(told)) if told and callable(how) else None
