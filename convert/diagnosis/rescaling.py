"""The float network in the scales of its int8 file, where the file was equalized.

Equalization (`convert.recovery.equalization`, other tools' too) multiplies a channel in the layers that compute it and
divides it in the layers that read it. The function stays, and no weight or activation of the file is the network's any
more. The factors can be read off the weights, and the network brought to the same scales: then both sides can be
compared again, layer by layer. Factors that do not cancel out are no equalization but a fault, and left to be named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convert.diagnosis.activations import Doubles
from convert.diagnosis.weights import STRAY, held_step, real_values
from convert.errors import RecoveryError
from convert.recovery.equalization import groups, scale_inputs, scale_outputs
from convert.tflite.float_file import BIAS, WEIGHTED, WEIGHTS, FloatFile, Operator
from convert.tflite.matching import KERNELS, Array, Matched, Pair, constants

UNCHANGED = 0.05  # of a factor: what rounding the weights does to it, and more
TELLING = 4.0  # codes that a channel's weights must reach to say anything about its factor; else its bias does


@dataclass(frozen=True, eq=False)
class Rescaled:
    """The float file in the int8 file's scales, and the places of the layers whose output channels have factors."""

    model: bytes
    places: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Held:
    """The weights that the int8 file holds, (outputs, positions, inputs), the scale of each output (outputs,), and its
    bias (outputs,), None without one."""

    values: Doubles
    steps: Doubles
    bias: Doubles | None


@np.errstate(all="ignore")  # scales of damaged files: what is not a number is no factor, and gives None
def in_scales_of(plain_model: bytes, int8_model: bytes, matched: Matched) -> Rescaled | None:
    """`plain_model` with the factors that `int8_model` was equalized with; None where it was not, or where what layers
    were multiplied by is not what their readers were divided by.

    Args:
        matched: the two files' operators.
    """
    try:
        file = FloatFile(plain_model)
    except RecoveryError:  # control flow
        return None
    held = _held(int8_model, matched)
    group_of = {index: number for number, g in enumerate(groups(file)) if not g.why_not for index in g.tensors}
    factors: dict[int, Doubles] = {}  # by group
    changes: list[tuple[Operator, Doubles | None, Doubles | None]] = []
    for operator in file.operators:
        if operator.kind not in WEIGHTED:
            continue
        into, out = (factors.get(group_of.get(t, -1)) for t in (operator.inputs[0], operator.outputs[0]))
        weights = file.constant(operator.inputs[WEIGHTS])
        if weights is None or operator.place not in held:
            if into is not None or out is not None:
                return None
            continue
        bias = file.constant(operator.inputs[BIAS]) if len(operator.inputs) > BIAS else None
        fitted = _fit(_laid_out(weights, operator.kind), bias, held[operator.place], into, operator.kind)
        if fitted is None:
            return None
        number = group_of.get(operator.outputs[0])
        if out is None and number is not None and not np.allclose(fitted, 1, rtol=UNCHANGED):
            factors[number] = out = fitted
        if _strays(fitted / (1 if out is None else out)):
            return None
        changes.append((operator, out, into))
    if not factors:
        return None
    for operator, out, into in changes:
        if out is not None:
            scale_outputs(file, operator, out)
        if into is not None:
            scale_inputs(file, operator, 1 / into)
    return Rescaled(file.pack(), tuple(operator.place for operator, out, _ in changes if out is not None))


def _fit(real: Doubles, bias: Array | None, held: _Held, into: Doubles | None, kind: str) -> Doubles | None:
    """Factor of every output (outputs,), > 0; None where the weights that read an input do not undo its factor."""
    if real.shape != held.values.shape:
        return None
    depthwise = kind == "DEPTHWISE_CONV_2D"
    if into is not None:
        real = real / (into[:, None, None] if depthwise else np.tile(into, real.shape[2] // len(into)))
    telling = np.maximum(np.abs(real), np.abs(held.values)) > TELLING * held.steps[:, None, None]
    factors = np.where(telling.any(axis=(1, 2)), _ratio(real, held.values, (1, 2)), _by_bias(bias, held))
    if not (np.isfinite(factors) & (factors > 0)).all():
        return None
    if into is not None and not depthwise:  # there the two factors of a channel are one number
        read = _ratio(real * factors[:, None, None], held.values, (0, 1))
        read = np.where(telling.any(axis=(0, 1)), read, 1)
        if not (read > 0).all() or _strays(read):
            return None
    return factors


def _by_bias(bias: Array | None, held: _Held) -> Doubles:
    """Factors (outputs,) as the biases tell them; 1 where they do not."""
    if bias is None or held.bias is None or bias.shape != held.bias.shape:
        return np.ones(len(held.steps))
    same_sign = bias.astype(np.float64) * held.bias > 0
    return np.where(same_sign, held.bias / np.where(same_sign, bias, 1), 1.0)


def _ratio(real: Doubles, held: Doubles, axes: tuple[int, int]) -> Doubles:
    """What `real` has to be multiplied by to be nearest to `held`, over two axes; 1 where it is 0."""
    power = (real * real).sum(axis=axes)
    return np.asarray(np.where(power > 0, (real * held).sum(axis=axes) / np.where(power > 0, power, 1), 1.0))


def _strays(factors: Doubles) -> bool:
    return bool((np.abs(np.log(factors)) > np.log(STRAY)).any())


def _held(int8_model: bytes, matched: Matched) -> Mapping[int, _Held]:
    """By place in the float file."""
    pairs = [pair for pair in matched.pairs if pair.has_weights]
    codes = constants(int8_model, {index for pair in pairs for index in pair.twin.inputs[1:3] if index >= 0})
    found = {}
    for pair in pairs:
        index = pair.twin.inputs[1]
        if index in codes and len(matched.int8.tensor(index).scales) in (1, codes[index].shape[KERNELS[pair.operator]]):
            tensor, weights = matched.int8.tensor(index), _laid_out(codes[index], pair.operator)
            bias = _bias(pair, matched, codes, len(weights))
            found[pair.place] = _Held(real_values(weights, tensor), held_step(tensor, len(weights)), bias)
    return found


def _bias(pair: Pair, matched: Matched, codes: Mapping[int, Array], outputs: int) -> Doubles | None:
    index = pair.twin.inputs[BIAS] if len(pair.twin.inputs) > BIAS else -1
    if index not in codes or codes[index].shape != (outputs,):
        return None
    tensor = matched.int8.tensor(index)
    if len(tensor.scales) not in (1, outputs):
        return None
    return np.asarray(codes[index] * held_step(tensor, outputs), np.float64)


def _laid_out(weights: Array, kind: str) -> Doubles:
    """float64 (outputs, positions, inputs); of a depthwise convolution (channels, positions, 1)."""
    if kind == "DEPTHWISE_CONV_2D":  # (1, height, width, channels)
        return np.asarray(weights.reshape(-1, weights.shape[-1]).T[:, :, None], np.float64)
    return np.asarray(weights.reshape(weights.shape[0], -1, weights.shape[-1]), np.float64)
