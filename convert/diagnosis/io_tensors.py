"""Input and output tensors of an int8 file: agreement with the contract, and the size of an output step."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from convert.diagnosis.record import EndsRecord
from convert.tflite.inspection import TensorInfo
from convert.tflite.matching import Array, Floats, dequantized, held_range
from edge.inference.contract import InputContract
from edge.inference.scores import both_classes, class_scores

FIELDS = ("channel_order", "aspect", "scale", "offset")  # of a contract, that change what a network is fed


@dataclass(frozen=True)
class Ends:
    """Both ends.

    Attributes:
        given: what pixels 0 and 255 become by the contract. held: least and greatest value the input tensor holds.
        clipped: part of the pixel values 0..255 that the input tensor cannot hold. codes: part of its 256 codes that
            they reach.
        differs: fields in which the bundle's contract is not the float network's.
        output_step: one step of the output, as a probability.
        at_top: part of the images whose greatest output is at the end of its range.
        margins: float's difference between first and second class, in output steps: least and median.
        close: part of the images on which that is below one step. ties: on which int8's first two are equal.
        agreement: part of the images that get the same class from both.
    """

    given: tuple[float, float]
    held: tuple[float, float]
    clipped: float
    codes: float
    differs: tuple[str, ...]
    output_step: float
    at_top: float
    margins: tuple[float, float]
    close: float
    ties: float
    agreement: float

    def to_record(self) -> EndsRecord:
        """As `diagnosis.json` holds it."""
        rounded = {key: _rounded(value) for key, value in vars(self).items() if key != "differs"}
        return msgspec.convert({**rounded, "differs": list(self.differs)}, EndsRecord)


def look_at_ends(
    contract: InputContract,
    differs: tuple[str, ...],
    tensors: tuple[TensorInfo, TensorInfo],
    before: Floats,
    after: Array,
) -> Ends:
    """Compare the ends.

    Args:
        contract: what the int8 file is fed by.
        differs: fields of it that are not the float network's.
        tensors: input and output of the int8 file.
        before: float32 (N, classes), the float network's probabilities. after: the int8 file's outputs, as they are.
    """
    low, high = held_range(tensors[0])
    real = np.arange(256)[:, np.newaxis] * np.array(contract.scale) + np.array(contract.offset)
    step = (high - low) / 255
    outside = (real < low - 0.51 * step) | (real > high + 0.51 * step)
    inside = np.clip(real, low, high)
    ordered, held = np.sort(before, axis=1), np.sort(both_classes(dequantized(after, tensors[1])), axis=1)
    output_step = float(tensors[1].scales[0])
    margins = (ordered[:, -1] - ordered[:, -2]) / output_step
    return Ends(
        given=(float(real.min()), float(real.max())),
        held=(low, high),
        clipped=float(outside.mean()),
        codes=min(1.0, float((inside.max() - inside.min()) / (high - low)) + 1 / 255),
        differs=differs,
        output_step=output_step,
        at_top=float((after.max(axis=1) == np.iinfo(tensors[1].dtype).max).mean()),
        margins=(float(margins.min()), float(np.median(margins))),
        close=float((margins < 1).mean()),
        ties=float((held[:, -1] == held[:, -2]).mean()),
        agreement=_agreement(before, after),
    )


def _rounded(value: float | tuple[float, float]) -> float | tuple[float, ...]:
    if isinstance(value, tuple):
        return tuple(float(f"{each:.6g}") for each in value)
    return float(f"{value:.6g}")


def contract_differences(one: InputContract, other: InputContract) -> tuple[str, ...]:
    """Names of the fields in which two contracts feed a network differently."""
    return tuple(name for name in FIELDS if getattr(one, name) != getattr(other, name))


def _agreement(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> float:
    return float((before.argmax(axis=1) == class_scores(after).argmax(axis=1)).mean())
