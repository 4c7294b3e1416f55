"""Checks that a plain file is the one a compiled file was made from.

The compiler takes TensorFlow Lite's own writer, which keeps names, types, scales and the order of what stays outside,
and changes the rest: operator versions are worked out anew, shapes are those that running gave, tensors that nobody
uses any more are gone, buffers are in another order, the description is the writer's. So none of those is compared.
Weights are in the chip's own order. Biases of uint8 models are not: they stand among the parameters as they are, in
groups of 64 (seen in four files of two runtime versions, 10 and 12), so they tell one training from another. Of int8
models, and of newer runtimes, no file that shows it was at hand: there they can speak for a twin, not against one.

Source: https://github.com/tensorflow/tensorflow/blob/v2.5.0/tensorflow/lite/tools/serialization/writer_lib.cc
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convert.edgetpu.executable import Layer, Package
from convert.edgetpu.graph import Graph, Operator, called
from convert.edgetpu.operator_checks import shape_text
from convert.tflite.inspection import TensorInfo

# The compiler pads parameters to its tiles and writes out what layers share: 1.2 times the plain file's bytes for
# Coral's MobileNetV1, 0.9 to 1.8 times in logs, and 31 times in one, for dense layers of 4,860 inputs and 16 outputs.
LEAST_RATIO, MOST_RATIO, SLACK_BYTES = 0.5, 40.0, 1 << 16
BIAS_SLOT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2}
BIAS_BYTES = 16  # of each bias that is looked for: four channels
MOST_BIASES = 64  # that are looked for, spread over the network
FEWEST_BIASES = 3  # that say something
LAST_RUNTIME_SEEN = 12  # that keeps biases as they are


@dataclass(frozen=True)
class Check:
    """One thing that must agree between a compiled file and its plain twin.

    >>> Check("inputs", True, "image").to_record()
    {'check': 'inputs', 'agrees': True, 'detail': 'image'}
    """

    name: str
    agrees: bool
    detail: str

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"check": self.name, "agrees": self.agrees, "detail": self.detail}


def compare(
    graph: Graph, inside: Sequence[Operator], packages: Sequence[Package], outside: Sequence[Operator], twin: Graph
) -> tuple[Check, ...]:
    """Every check.

    Args:
        graph: the compiled file. inside: its compiled operators, `packages` their contents, in the same order.
        outside: its other operators. twin: the plain file.
    """
    known: dict[str, list[TensorInfo]] = defaultdict(list)
    for tensor in twin.seen.tensors:
        known[tensor.name].append(tensor)
    return (
        _ends("inputs", graph.seen.inputs, twin.seen.inputs),
        _ends("outputs", graph.seen.outputs, twin.seen.outputs),
        _known([tensor for operator in inside for tensor in (*operator.given, *operator.outputs)], known),
        _layers(inside, packages),
        _left_over(outside, twin),
        _parameters(packages, outside, twin),
        _biases(packages, outside, twin),
    )


def _ends(name: str, own: tuple[TensorInfo, ...], twin: tuple[TensorInfo, ...]) -> Check:
    if [t.name for t in own] != [t.name for t in twin]:
        return Check(name, False, f"{_names(own)} here, {_names(twin)} in the plain file")
    different = [a for a, b in zip(own, twin, strict=True) if not _same(a, b)]
    if different:
        return Check(name, False, f"{called(different[0])}: another shape, type or quantization")
    return Check(name, True, _names(own))


def _known(tensors: Sequence[TensorInfo], known: dict[str, list[TensorInfo]]) -> Check:
    """Every tensor at the rim of the compiled part is one of the plain file's."""
    for tensor in tensors:
        if tensor.name not in known:
            return Check("tensors", False, f"the plain file has no tensor {called(tensor)}")
        if not any(_same(tensor, other) for other in known[tensor.name]):
            return Check("tensors", False, f"{called(tensor)}: another shape, type or quantization")
    return Check("tensors", True, f"all {len(tensors)} at the rim of the compiled part are the plain file's")


def _layers(inside: Sequence[Operator], packages: Sequence[Package]) -> Check:
    """The executable's own inputs and outputs are its operator's tensors."""
    for operator, package in zip(inside, packages, strict=True):
        if package.problem:
            return Check(
                "layers", False, f"an executable cannot be read ({package.problem}), so nothing shows whose it is"
            )
        for side, tensors, layers in (
            ("inputs", operator.given, package.inputs),
            ("outputs", operator.outputs, package.outputs),
        ):
            if len(layers) != len(tensors):
                return Check("layers", False, f"{len(layers)} {side} of the executable, {len(tensors)} of its operator")
            for layer, tensor in _paired(layers, tensors):
                problem = _layer_problem(layer, tensor)
                if problem:
                    return Check("layers", False, f"{called(tensor)}: {problem}")
    return Check("layers", True, "the executable's inputs and outputs are those of its operator")


def _paired(layers: Sequence[Layer], tensors: Sequence[TensorInfo]) -> list[tuple[Layer, TensorInfo]]:
    """By name where all names are there; else in order, which is how the runtime takes them."""
    by_name = {layer.name: layer for layer in layers}
    if all(tensor.name in by_name for tensor in tensors):
        return [(by_name[tensor.name], tensor) for tensor in tensors]
    return list(zip(layers, tensors, strict=True))


def _layer_problem(layer: Layer, tensor: TensorInfo) -> str:
    elements = math.prod(max(side, 1) for side in tensor.shape)
    if layer.room < elements:
        return f"{'x'.join(map(str, layer.extents))} in the executable, {shape_text(tensor)} in the file"
    if layer.scale is None or len(tensor.scales) != 1:
        return ""
    if not math.isclose(layer.scale, float(tensor.scales[0]), rel_tol=1e-5):
        return f"scale {layer.scale:g} in the executable, {float(tensor.scales[0]):g} in the file"
    # the chip may count int8 from 0, and the int16 states of an LSTM as well (Coral's own pair)
    shifts = (0, 1 << 15, -(1 << 15)) if tensor.dtype == "int16" else (0, 128, -128)
    if len(tensor.zero_points) == 1 and layer.zero_point not in {int(tensor.zero_points[0]) + s for s in shifts}:
        return f"zero point {layer.zero_point} in the executable, {int(tensor.zero_points[0])} in the file"
    return ""


def _left_over(outside: Sequence[Operator], twin: Graph) -> Check:
    """Every operator outside writes what the same operator of the plain file writes."""
    there = Counter(_signature(operator) for operator in twin.operators)
    for operator in outside:
        if not there[_signature(operator)]:
            return Check("operators", False, f"the plain file has no such {operator.node.operator} as the one outside")
        there[_signature(operator)] -= 1
    return Check("operators", True, f"{len(outside)} outside, {len(twin.operators)} in the plain file")


def _signature(operator: Operator) -> tuple[str, tuple[str, ...]]:
    """Without its version: the writer works that out anew."""
    return operator.node.operator, tuple(tensor.name for tensor in operator.outputs)


def _compiled_operators(outside: Sequence[Operator], twin: Graph) -> list[Operator]:
    """Those of the plain file that are not outside."""
    left = Counter(_signature(operator) for operator in outside)
    found = []
    for operator in twin.operators:
        if left[_signature(operator)]:
            left[_signature(operator)] -= 1
        else:
            found.append(operator)
    return found


def _parameters(packages: Sequence[Package], outside: Sequence[Operator], twin: Graph) -> Check:
    """About as many parameters; what several operators share may be there once, or once for each."""
    constants = [tensor for operator in _compiled_operators(outside, twin) for tensor in operator.given]
    shared = {twin.buffers[(t.subgraph, t.index)]: t.constant_bytes for t in constants}
    least, most = sum(shared.values()), sum(tensor.constant_bytes for tensor in constants)
    held = sum(package.cached_bytes + package.streamed_bytes for package in packages)
    plausible = LEAST_RATIO * least - SLACK_BYTES <= held <= MOST_RATIO * most + SLACK_BYTES
    return Check("parameters", plausible, f"{held:,} bytes in the executable, {least:,} in the plain file")


def _biases(packages: Sequence[Package], outside: Sequence[Operator], twin: Graph) -> Check:
    """The beginnings of the plain file's biases stand among the executable's parameters."""
    looked_for: dict[bytes, str] = {}
    for operator in _compiled_operators(outside, twin):
        bias = operator.input(BIAS_SLOT.get(operator.name, len(operator.inputs)))
        begin = b"" if bias is None or bias.dtype != "int32" else twin.content(bias)[:BIAS_BYTES]
        weights = operator.input(1)
        if len(begin) == BIAS_BYTES and any(begin) and weights is not None:
            looked_for[begin] = weights.dtype
    step = max(1, len(looked_for) // MOST_BIASES)
    sample = list(looked_for)[::step][:MOST_BIASES]
    held = [bytes(each.parameters) for package in packages for each in package.executables]
    found = sum(any(begin in parameters for parameters in held) for begin in sample)
    counted = f"{found} of {len(sample)} that were looked for"
    if len(sample) < FEWEST_BIASES:
        return Check("biases", True, f"{counted}: too few to tell one training from another")
    if 2 * found >= len(sample):
        return Check("biases", True, f"{counted} stand in the executable")
    seen = all(package.runtime <= LAST_RUNTIME_SEEN for package in packages)
    if seen and all(dtype == "uint8" for dtype in looked_for.values()):
        return Check("biases", False, f"{counted} stand in the executable: another training")
    return Check("biases", True, f"{counted}: perhaps kept in another way, which tells nothing")


def _same(one: TensorInfo, other: TensorInfo) -> bool:
    """A tensor of the compiled file and one of the plain file are the same."""
    return one.dtype == other.dtype and _fits(one.shape, other.shape) and _numbers(one) == _numbers(other)


def _fits(own: tuple[int, ...], plain: tuple[int, ...]) -> bool:
    """The shape is the plain file's, as far as that says it: converters leave what a custom operator writes without a
    shape, and sizes open."""
    if not plain:
        return True
    return len(own) == len(plain) and all(b in (a, -1) for a, b in zip(own, plain, strict=True))


def _numbers(tensor: TensorInfo) -> tuple[list[float], list[int]]:
    """Scales and zero points; a scale of 0, and no zero point, are ways to write that there is none."""
    scales = [float(scale) for scale in tensor.scales]
    if not any(scales):
        return [], []
    return scales, [int(zero) for zero in tensor.zero_points] or [0] * len(scales)


def _names(tensors: tuple[TensorInfo, ...]) -> str:
    return ", ".join(called(tensor) for tensor in tensors) or "none"
