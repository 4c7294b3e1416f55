"""Cross-layer equalization: channels of one activation brought to like ranges, the function unchanged.

int8 has one scale for all channels of an activation, so a channel that reaches further than the others takes their
codes. Where what lies between two layers is linear, or ReLU, a channel may be divided by s > 0 in the layers that
compute it and multiplied by s in the layers that read it (Nagel et al. 2019, arXiv 1906.04721, section 4.1). Weights
have a scale for every output channel, so that dividing costs nothing; multiplying does, among the input channels of
one output. Both are weighed with ranges that were measured on images, as Xiao et al. 2022 (arXiv 2211.10438) do:

    s = sqrt(reach of the channel / reach of the weights that read it)

and s = reach of the channel where all readers are depthwise, whose weights have a scale for every channel. Channels
that an addition, a pooling or a reshape ties together share their s.

ReLU6 does not commute with s: min(x, 6) / s is min(x / s, 6 / s). But a channel that stays below 6 on all images, and
still does after division with as much again to spare, is never clipped by it on such images. `bounded` equalizes
these channels too; on an image on which one reaches further than `HEADROOM` times the calibration images' peak, the
network then answers a little otherwise. Whether that is worth it is for the search images to say.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from convert.recovery.activation_statistics import Statistics
from convert.tflite.float_file import BIAS, WEIGHTED, WEIGHTS, FloatFile, Operator

Doubles = npt.NDArray[np.float64]
COMMUTING = ("NONE", "RELU")
CEILING = 6.0  # of ReLU6
UNCLIPPED = 0.95  # of the ceiling: a channel whose peak lies above it is taken to be clipped
HEADROOM = 2.0
TYING = frozenset({"ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "PAD", "RELU", "RESHAPE"})
LARGEST_FACTOR = 1e6  # of s around its median: keeps float32 weights exact enough
SMALLEST = 1e-12


@dataclass(eq=False)
class Group:
    """Activations whose channels must keep one scale.

    Attributes:
        tensors: their indices. channels: of the narrowest; a flattened one repeats them.
        producers, consumers: the layers with weights in front and behind.
        why_not: why it cannot be scaled; "" when it can.
        bounded: a ReLU6 is in front, so that only channels below its ceiling can be.
    """

    tensors: set[int]
    channels: int = 0
    producers: list[Operator] = field(default_factory=list)
    consumers: list[Operator] = field(default_factory=list)
    why_not: str = ""
    bounded: bool = False


def equalize(file: FloatFile, statistics: Statistics, bounded: bool = False) -> int:
    """Equalize every group of `file` that can be, those behind a ReLU6 too if `bounded`; the number of groups changed.

    Statistics and ranges of the activations are then those of before: collect them anew.
    """
    changed = 0
    for group in groups(file):
        if group.why_not or (group.bounded and not bounded):
            continue
        factors = _factors(file, group, statistics)
        if np.allclose(factors, 1, rtol=0.05):
            continue
        for operator in group.producers:
            scale_outputs(file, operator, 1 / factors)
        for operator in group.consumers:
            scale_inputs(file, operator, factors)
        changed += 1
    return changed


def groups(file: FloatFile) -> list[Group]:
    """All groups, those that cannot be scaled with the reason."""
    operators = file.operators
    computed = [i for i in file.activations if i not in file.inputs]
    leader = {index: index for index in file.activations}

    def find(index: int) -> int:
        while leader[index] != index:
            index = leader[index]
        return index

    for operator in operators:
        if operator.kind in TYING:
            for index in operator.inputs:
                if index in leader and operator.outputs[0] in leader:
                    leader[find(index)] = find(operator.outputs[0])
    found: dict[int, Group] = {}
    for index in file.activations:
        found.setdefault(find(index), Group(set())).tensors.add(index)
    of_tensor = {index: group for group in found.values() for index in group.tensors}
    for group in found.values():
        group.channels = min((file.shape(index) or (1,))[-1] for index in group.tensors)
        if not group.tensors <= set(computed):
            group.why_not = "it is the model's input"
    for operator in operators:
        _sort_in(file, operator, of_tensor)
    for group in found.values():
        if not group.why_not and not (group.producers and group.consumers):
            group.why_not = "no layer with weights in front or behind"
    return list(found.values())


def _sort_in(file: FloatFile, operator: Operator, of_tensor: dict[int, Group]) -> None:
    """Enter an operator as producer or consumer of its groups, or as the reason why one cannot be scaled."""
    reads = [of_tensor[i] for i in operator.inputs if i in of_tensor]
    writes = [of_tensor[i] for i in operator.outputs if i in of_tensor]
    if operator.kind in WEIGHTED and file.constant(operator.inputs[WEIGHTS]) is not None:
        for group in writes:
            group.producers.append(operator)
            if file.shape(operator.outputs[0])[-1] != group.channels:
                group.why_not = group.why_not or "a reshape takes its channels apart"
            if operator.activation == "RELU6":
                group.bounded = True
            elif operator.activation not in COMMUTING:
                group.why_not = group.why_not or f"{operator.activation} does not commute with a factor"
        for group in reads:
            group.consumers.append(operator)
            if operator.kind == "DEPTHWISE_CONV_2D" and operator.options.depthMultiplier != 1:
                group.why_not = group.why_not or "a depthwise convolution with a depth multiplier reads it"
        return
    reason = _not_tying(file, operator)
    for group in (*reads, *writes):
        if reason:
            group.why_not = group.why_not or reason


def _not_tying(file: FloatFile, operator: Operator) -> str:
    """Why an operator without weights lets no factor pass, channel by channel; "" when it does."""
    kind = operator.kind
    if kind not in TYING or operator.activation not in COMMUTING:
        return f"{kind} with {operator.activation} does not commute with a factor"
    ours, theirs = file.shape(operator.inputs[0]), file.shape(operator.outputs[0])
    if kind == "ADD":
        same = all(file.constant(i) is None and file.shape(i) == theirs for i in operator.inputs)
        return "" if same else "an addition of a constant, or of another shape, reads it"
    if kind == "RESHAPE":
        return "" if ours and theirs and theirs[-1] % ours[-1] == 0 else "a reshape takes its channels apart"
    if kind in ("MEAN", "PAD"):
        return (
            "" if ours and theirs and ours[-1] == theirs[-1] and _leaves_channels(file, operator) else f"{kind} of it"
        )
    return ""


def _leaves_channels(file: FloatFile, operator: Operator) -> bool:
    """A mean or padding that does nothing along the channels."""
    given = file.constant(operator.inputs[1])
    if given is None:
        return False
    rank = len(file.shape(operator.inputs[0]))
    if operator.kind == "MEAN":
        return all(int(axis) % rank != rank - 1 for axis in np.ravel(given))
    return bool(np.all(np.reshape(given, (rank, 2))[-1] == 0))


def _factors(file: FloatFile, group: Group, statistics: Statistics) -> Doubles:
    """s of every channel, around 1."""
    reach = np.zeros(group.channels)
    for tensor in group.tensors:
        if tensor in statistics:
            reach = np.maximum(reach, statistics[tensor].channel_peak.reshape(-1, group.channels).max(axis=0))
    read = np.zeros(group.channels)
    for operator in group.consumers:
        read = np.maximum(read, _read_reach(file, operator, group.channels))
    alive = (reach > SMALLEST) & (read > SMALLEST)
    factors = np.ones(group.channels)
    if not alive.any():
        return factors
    depthwise = all(operator.kind == "DEPTHWISE_CONV_2D" for operator in group.consumers)
    factors[alive] = reach[alive] if depthwise else np.sqrt(reach[alive] / read[alive])
    factors[alive] /= np.exp(np.median(np.log(factors[alive])))
    factors = np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    if group.bounded:
        factors = np.where(reach < UNCLIPPED * CEILING, np.maximum(factors, HEADROOM * reach / CEILING), 1)
    return factors


def _read_reach(file: FloatFile, operator: Operator, channels: int) -> Doubles:
    """How much of an output's weight scale each input channel takes, 0..1: the most over outputs and positions."""
    weights = file.constant(operator.inputs[WEIGHTS])
    assert weights is not None
    size = np.abs(weights.astype(np.float64))
    if operator.kind == "DEPTHWISE_CONV_2D":
        return np.ones(channels)
    rows = size.reshape(size.shape[0], -1, channels).max(axis=1)  # (outputs, channels)
    if operator.kind == "FULLY_CONNECTED":  # one scale for all outputs
        return np.asarray(rows.max(axis=0) / max(rows.max(), SMALLEST))
    return np.asarray((rows / np.maximum(rows.max(axis=1, keepdims=True), SMALLEST)).max(axis=0))


def scale_outputs(file: FloatFile, operator: Operator, factors: Doubles) -> None:
    """Multiply weights and bias by a factor an output channel."""
    operator = file.operators[operator.place]  # its tensors may be others since
    weights, bias = file.constant(operator.inputs[WEIGHTS]), None
    assert weights is not None
    if len(operator.inputs) > BIAS:
        bias = file.constant(operator.inputs[BIAS])
    last = operator.kind == "DEPTHWISE_CONV_2D"  # (1, H, W, channels); the others (outputs, ...)
    shaped = factors if last else factors.reshape(-1, *([1] * (weights.ndim - 1)))
    file.set_input(operator, WEIGHTS, (weights * shaped).astype(np.float32))
    if bias is not None:
        file.set_input(operator, BIAS, (bias * factors).astype(np.float32))


def scale_inputs(file: FloatFile, operator: Operator, factors: Doubles) -> None:
    """Multiply weights by a factor an input channel; a flattened activation repeats them."""
    operator = file.operators[operator.place]
    weights = file.constant(operator.inputs[WEIGHTS])
    assert weights is not None
    repeated = np.tile(factors, weights.shape[-1] // len(factors))
    file.set_input(operator, WEIGHTS, (weights * repeated).astype(np.float32))
