"""Weights and biases of an int8 file against the float network's: outliers, codes used, what is not the float's."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from convert.diagnosis.activations import Doubles, decibel
from convert.diagnosis.record import WeightsRecord
from convert.tflite.inspection import TensorInfo
from convert.tflite.matching import KERNELS, Array, Matched, Pair, constants

INT32_END = 2**31 - 1
STRAY = 1.5  # a factor outside 1/STRAY..STRAY is none that rounding explains


@dataclass(frozen=True)
class Weights:
    """Of one convolution or dense layer, by output channel.

    Attributes:
        scales: how many the int8 weights have: 1 is per tensor.
        outlier: magnitude of the greatest channel over the median one's. gap: over the next greatest. loudest: its
            index.
        codes: part of the 255 codes that occur. channel_codes: median over channels of the largest code, 1..127.
        sqnr_db: of the int8 weights.
        factor: of the channel whose int8 weights differ most from the float's by a factor; strayed: its index.
        strays: channels with a factor outside 1/STRAY..STRAY.
        likeness: correlation of int8 and float weights after those factors, median over channels.
        bias_ends: biases at an end of int32.
        bias_steps: greatest difference of a bias from the float's, in steps of the layer's output.
    """

    name: str
    operator: str
    channels: int
    scales: int
    outlier: float
    gap: float
    loudest: int
    codes: float
    channel_codes: float
    sqnr_db: float
    factor: float
    strayed: int
    strays: int
    likeness: float
    bias_ends: int
    bias_steps: float

    def to_record(self) -> WeightsRecord:
        """As `diagnosis.json` holds it."""
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in vars(self).items()}
        return msgspec.convert(rounded, WeightsRecord)


def weigh(plain_model: bytes, int8_model: bytes, matched: Matched) -> tuple[Weights, ...]:
    """Every matched layer that has weights in both files."""
    pairs = [pair for pair in matched.pairs if pair.has_weights]
    ours = constants(plain_model, _wanted([pair.node.inputs for pair in pairs]))
    theirs = constants(int8_model, _wanted([pair.twin.inputs for pair in pairs]))
    found = []
    for pair in pairs:
        before, after = pair.node.inputs[1], pair.twin.inputs[1]
        if before not in ours or after not in theirs or ours[before].shape != theirs[after].shape:
            continue
        if len(matched.int8.tensor(after).scales) in (1, ours[before].shape[KERNELS[pair.operator]]):
            found.append(_weights(pair, matched, ours, theirs))
    return tuple(found)


def _wanted(inputs: Sequence[tuple[int, ...]]) -> set[int]:
    return {index for each in inputs for index in each[1:3] if index >= 0}


def _weights(pair: Pair, matched: Matched, ours: dict[int, Array], theirs: dict[int, Array]) -> Weights:
    axis = KERNELS[pair.operator]
    tensor = matched.int8.tensor(pair.twin.inputs[1])
    codes = _by_channel(theirs[tensor.index], axis)
    real = _by_channel(ours[pair.node.inputs[1]], axis).astype(np.float64)
    held = real_values(codes, tensor)
    magnitude = np.abs(real).max(axis=1)
    ordered = np.sort(magnitude)
    median = float(np.median(magnitude[magnitude > 0])) if (magnitude > 0).any() else 0.0
    power, product = (real * real).sum(axis=1), (real * held).sum(axis=1)
    # a channel of a few codes says nothing about its factor: it is mostly rounding
    telling = (power > 0) & (np.maximum(magnitude, np.abs(held).max(axis=1)) > 4 * held_step(tensor, len(codes)))
    factors = np.where(telling, product / np.where(power > 0, power, 1), 1.0)
    away = np.abs(np.log(np.maximum(np.abs(factors), 1e-6)))
    strayed = int(away.argmax())
    both = np.sqrt(power * (held * held).sum(axis=1))
    likeness = np.where(both > 0, product / np.where(both > 0, both, 1), 1.0)[telling]
    ends, steps = _bias(pair, matched, ours, theirs, tensor)
    noise = float(((held - real) ** 2).sum())
    return Weights(
        name=pair.name,
        operator=pair.operator,
        channels=len(codes),
        scales=len(tensor.scales),
        outlier=float(magnitude.max()) / median if median else 1.0,
        gap=float(ordered[-1] / ordered[-2]) if len(ordered) > 1 and ordered[-2] > 0 else 1.0,
        loudest=int(magnitude.argmax()),
        codes=len(np.unique(codes)) / 255,
        channel_codes=float(np.median(np.abs(codes).max(axis=1))),
        sqnr_db=decibel(float(power.sum()), noise),
        factor=float(factors[strayed]),
        strayed=strayed,
        strays=int((away > np.log(STRAY)).sum()),
        likeness=float(np.median(likeness)) if len(likeness) else 1.0,
        bias_ends=ends,
        bias_steps=steps,
    )


def held_step(tensor: TensorInfo, channels: int) -> Doubles:
    """(channels,): the scale of each output channel."""
    return np.broadcast_to(tensor.scales.astype(np.float64), channels)


def real_values(codes: Array, tensor: TensorInfo) -> Doubles:
    """The values that int8 weights stand for; `codes` has the output channels on its first axis."""
    by_channel = (len(codes), *[1] * (codes.ndim - 1))
    zero_points = tensor.zero_points.astype(np.float64) if len(tensor.zero_points) else np.zeros(1)
    zeros = np.broadcast_to(zero_points, len(codes)).reshape(by_channel)
    return np.asarray((codes.astype(np.float64) - zeros) * held_step(tensor, len(codes)).reshape(by_channel))


def _bias(
    pair: Pair, matched: Matched, ours: dict[int, Array], theirs: dict[int, Array], weights: TensorInfo
) -> tuple[int, float]:
    """(biases at an end of int32, greatest difference from float in steps of the output)."""
    if len(pair.twin.inputs) < 3 or len(pair.node.inputs) < 3:
        return 0, 0.0
    raw, real = theirs.get(pair.twin.inputs[2]), ours.get(pair.node.inputs[2])
    if raw is None or real is None or raw.shape != real.shape or raw.dtype != np.int32:
        return 0, 0.0
    tensor = matched.int8.tensor(pair.twin.inputs[2])
    if len(tensor.scales) not in (1, raw.size) or not len(pair.quantized.scales):
        return 0, 0.0
    held = raw.astype(np.float64) * held_step(tensor, raw.size)
    worst = float(np.abs(held - real).max()) if raw.size else 0.0
    ends = int((np.abs(raw.astype(np.int64)) >= INT32_END).sum())
    return ends, worst / float(pair.quantized.scales[0])


def _by_channel(values: Array, axis: int) -> Array:
    """(output channels, everything else)."""
    moved = np.moveaxis(values, axis, 0)
    return moved.reshape(moved.shape[0], -1)
