"""The placement of one operator on the Edge TPU: the rules of `convert.edgetpu.rules`, applied.

Nothing here looks at an operator's neighbours; what follows from those is `convert.edgetpu.partition`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from convert.edgetpu.graph import Graph, Operator, called, one_line
from convert.edgetpu.limits import (
    DENSE_WIDEST,
    DOUBTFUL_BYTES,
    KNOWN_CUSTOM,
    LSTM_FEATURES,
    MEAN_POSITIONS,
    NEWEST_VERSION,
    RESHAPE_BYTES,
    RESIZE_BYTES,
    SEEN_VERSION,
    SOFTMAX_WIDEST,
    SUPPORTED,
)
from convert.edgetpu.rules import RULES
from convert.tflite.inspection import TensorInfo

Status = Literal["mapped", "cpu", "refused"]
_EIGHT_BITS = ("int8", "uint8")
# operators whose result has a size that comes from an input's values -> those inputs
_SIZE_INPUTS = {
    **dict.fromkeys(("RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD", "PADV2", "MIRROR_PAD"), (1,)),
    **dict.fromkeys(("TRANSPOSE", "EXPAND_DIMS", "TILE", "BROADCAST_TO", "TOPK_V2", "SPARSE_TO_DENSE"), (1,)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "ONE_HOT"), (1,)),
    **dict.fromkeys(("SPLIT", "TRANSPOSE_CONV", "FILL"), (0,)),
    **dict.fromkeys(("SLICE", "SPLIT_V", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), (1, 2)),
    "STRIDED_SLICE": (1, 2, 3),
    "RANGE": (0, 1, 2),
}
_ALWAYS_DYNAMIC = frozenset({"WHERE", "UNIQUE"})
_PARAMETERS = {"CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2), "PRELU": (1,)}
_PARAMETERS |= {"TRANSPOSE_CONV": (1, 3)}


@dataclass(frozen=True)
class Placement:
    """Where an operator runs, and the rule that decides it.

    Attributes:
        status: "mapped": on the Edge TPU; "cpu": outside; "refused": nothing (usable) is compiled.
        rule: name of the rule that says so; "" when mapped.
        detail: what of this operator meets the rule.
        notes: (rule, detail) of what is worth saying and changes nothing.

    >>> Placement("cpu", "rank", "frames is 2x8x8x3").status
    'cpu'
    """

    status: Status
    rule: str = ""
    detail: str = ""
    notes: tuple[tuple[str, str], ...] = ()


def judge(operator: Operator, graph: Graph) -> Placement:
    """The placement of an operator by itself."""
    for check in (_version, _dynamic, _behind, _numbers, _listed, _rank, _parameters):
        met = check(operator, graph)
        if met is not None:
            return _placed_by(*met)
    special = _SPECIAL.get(operator.name)
    met = special(operator, graph) if special else None
    return _placed_by(*met) if met is not None else Placement("mapped", notes=_notes(operator))


def is_activation(tensor: TensorInfo, graph: Graph) -> bool:
    """It is computed while running, and forgotten between runs."""
    return not graph.is_constant(tensor) and (tensor.subgraph, tensor.index) not in graph.variables


def size(tensor: TensorInfo) -> int:
    """Elements of a tensor; open sides count as 1."""
    return math.prod(max(side, 1) for side in tensor.shape)


def shape_text(tensor: TensorInfo) -> str:
    """`1x8x8x3`."""
    return "x".join(map(str, tensor.shape)) or "scalar"


_Met = tuple[str, str] | None  # (rule, detail) of the rule that an operator meets


def _placed_by(rule: str, detail: str) -> Placement:
    effect = RULES[rule].effect
    assert effect != "note"
    return Placement(effect, rule, detail)


def _behind(operator: Operator, graph: Graph) -> _Met:
    outside = [tensor for tensor in operator.given if tensor.behind]
    return ("constants-behind", shape_text(outside[0])) if outside else None


def _version(operator: Operator, graph: Graph) -> _Met:
    if operator.custom:
        name = operator.node.operator
        return ("custom-operator" if name in KNOWN_CUSTOM else "unknown-custom-operator"), one_line(name)
    newest = NEWEST_VERSION.get(operator.name)
    if newest is None:
        return "unknown-operator", operator.name
    if operator.name == "CONV_2D" and operator.node.version > newest and any(map(_grouped, graph.operators)):
        return "grouped-version", f"version {operator.node.version}, the compiler knows {newest} at most"
    if operator.node.version > newest:
        return "op-version", f"version {operator.node.version}, the compiler knows {newest} at most"
    return None


def _dynamic(operator: Operator, graph: Graph) -> _Met:
    open_sides = [t for t in (*operator.given, *operator.outputs) if -1 in t.shape]
    if open_sides:
        return "dynamic-tensor", f"{called(open_sides[0])} has the shape {list(open_sides[0].shape)}"
    if operator.name in _ALWAYS_DYNAMIC:
        return "dynamic-tensor", "its result has as many entries as its inputs' values say"
    for position in _SIZE_INPUTS.get(operator.name, ()):
        tensor = operator.input(position)
        if tensor is not None and is_activation(tensor, graph):
            return "dynamic-tensor", f"the size of its result comes from {called(tensor, 'a computed tensor')}"
    return None


def _numbers(operator: Operator, graph: Graph) -> _Met:
    for tensor in (*operator.given, *operator.outputs):
        activation = is_activation(tensor, graph)
        if (tensor.subgraph, tensor.index) in graph.variables:
            continue  # an LSTM's cell state is int16
        allowed = _EIGHT_BITS if activation else (*_EIGHT_BITS, "int16", "int32", "int64")  # an LSTM has int16 ones
        if tensor.dtype not in allowed:
            from_float = operator.name == "QUANTIZE" and tensor.is_float
            return (
                "quantize-from-float" if from_float else "data-type",
                f"{called(tensor)} is {tensor.dtype}",
            )
        if activation and not len(tensor.scales):
            return "no-scale", f"{called(tensor)} has no scale"
    return None


def _listed(operator: Operator, graph: Graph) -> _Met:
    if _single_tile(operator):
        return None
    return None if operator.name in SUPPORTED else ("unsupported-operator", operator.name)


def _single_tile(operator: Operator) -> bool:
    """A TILE of a single position over an image."""
    source, made = operator.input(0), operator.outputs[0] if operator.outputs else None
    if operator.name != "TILE" or source is None or made is None or len(source.shape) != 4:
        return False
    return math.prod(source.shape[:3]) == 1 and made.shape[:1] == (1,) and made.shape[-1:] == source.shape[-1:]


def _rank(operator: Operator, graph: Graph) -> _Met:
    for tensor in (*operator.given, *operator.outputs):
        if is_activation(tensor, graph) and math.prod(tensor.shape[:-3]) > 1:
            return "rank", f"{called(tensor)} is {shape_text(tensor)}"
    return None


def _parameters(operator: Operator, graph: Graph) -> _Met:
    for position in _PARAMETERS.get(operator.name, ()):
        tensor = operator.input(position)
        if tensor is not None and not graph.is_constant(tensor):
            return "constant-parameters", f"{called(tensor, 'a parameter')} is computed"
    return None


def _grouped(operator: Operator) -> bool:
    """A CONV_2D whose filters do not reach over all input channels."""
    source, weights = operator.input(0), operator.input(1)
    if operator.name != "CONV_2D" or source is None or weights is None:
        return False
    return source.shape[-1:] != weights.shape[-1:]


def _convolution(operator: Operator, graph: Graph) -> _Met:
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    options = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    x, y = (operator.option(options, side) for side in ("DilationWFactor", "DilationHFactor"))
    if x != y:
        return "dilation", f"{x} and {y}"
    if _grouped(operator):
        source, weights = operator.given[:2]
        return "grouped-convolution", f"filters {shape_text(weights)} over {shape_text(source)}"
    return None


def _pooling(operator: Operator, graph: Graph) -> _Met:
    return _fused_activation(operator, "Pool2DOptions")


def _fused_activation(operator: Operator, options: str) -> _Met:
    activation = operator.option(options, "FusedActivationFunction")
    return ("fused-activation", f"activation {activation}") if activation else None


def _concatenation(operator: Operator, graph: Graph) -> _Met:
    fused = _fused_activation(operator, "ConcatenationOptions")
    if fused is not None:
        return fused
    constants = [tensor for tensor in operator.given if graph.is_constant(tensor)]
    padding = len(operator.given) == 2 and len(constants) == 1 and graph.stands_for_zero(constants[0])
    return (
        ("concat-constant", f"{len(constants)} of {len(operator.given)} inputs") if constants and not padding else None
    )


def _dense(operator: Operator, graph: Graph) -> _Met:
    weights_format = operator.option("FullyConnectedOptions", "WeightsFormat")
    if weights_format:
        return "dense-format", f"weights format {weights_format}"
    rows = [tensor for tensor in operator.outputs if _has_rows(tensor)]
    if rows:
        return "dense-output", f"{called(rows[0], 'its output')} is {shape_text(rows[0])}"
    widest = max(map(size, operator.outputs), default=0)
    return ("dense-width", f"{widest:,} outputs") if widest > DENSE_WIDEST else None


def _has_rows(tensor: TensorInfo) -> bool:
    return math.prod(tensor.shape[:-1]) > 1


def _softmax(operator: Operator, graph: Graph) -> _Met:
    widest = max((tensor.shape[-1] for tensor in operator.outputs if tensor.shape), default=0)
    if widest > SOFTMAX_WIDEST:
        return "softmax-width", f"{widest} values"
    batches = [tensor for tensor in operator.outputs if len(tensor.shape) > 1 and tensor.shape[0] > 1]
    return ("dense-output", f"{called(batches[0], 'its output')} is {shape_text(batches[0])}") if batches else None


def _reduction(operator: Operator, graph: Graph) -> _Met:
    source = operator.input(0)
    axes = graph.values(operator.input(1))
    if source is None or axes is None:
        return "constant-parameters", "its axes are no constant that can be read"
    rank = len(source.shape)
    reduced = {axis % rank for axis in axes} if rank else set()
    if rank > 1 and 0 in reduced:
        return "batch-axis", f"axes {axes} of {shape_text(source)}"
    if operator.name != "MEAN":
        return None
    if rank - 1 in reduced and source.shape[-1] % 4:
        return "mean-depth", f"{source.shape[-1]} channels"
    positions = math.prod(source.shape[axis] for axis in reduced - {rank - 1})
    return ("mean-size", f"{positions} positions of {shape_text(source)}") if positions >= MEAN_POSITIONS else None


def _pad(operator: Operator, graph: Graph) -> _Met:
    source, paddings = operator.input(0), graph.values(operator.input(1))
    if source is None or paddings is None:
        return "constant-parameters", "its paddings are no constant that can be read"
    return ("batch-axis", f"paddings {paddings[:2]}") if len(source.shape) > 1 and any(paddings[:2]) else None


def _split(operator: Operator, graph: Graph) -> _Met:
    axis, source = graph.values(operator.input(0)), operator.input(1)
    if source is None or not axis:
        return "constant-parameters", "its axis is no constant that can be read"
    rank = len(source.shape)
    if len(operator.outputs) == 1:  # into one part: no operation, on the batch's axis too
        return None
    return ("batch-axis", f"axis {axis[0]} of {shape_text(source)}") if rank > 1 and axis[0] % rank == 0 else None


def _pack(operator: Operator, graph: Graph) -> _Met:
    rank = len(operator.outputs[0].shape) if operator.outputs else 0
    axis = operator.option("PackOptions", "Axis")
    return ("batch-axis", f"axis {axis}") if rank > 1 and axis % rank == 0 else None


def _resize(operator: Operator, graph: Graph) -> _Met:
    for tensor in (*operator.given[:1], *operator.outputs):
        if len(tensor.shape) != 4:
            return "resize-rank", f"{called(tensor)} is {shape_text(tensor)}"
    largest = max(operator.outputs, key=size, default=None)
    source = operator.input(0)
    if largest is None or source is None:
        return None
    if operator.name == "RESIZE_BILINEAR" and math.prod(source.shape[1:3]) == 1 < math.prod(largest.shape[1:3]):
        return "resize-factor", f"{shape_text(source)} to {shape_text(largest)}"
    return ("resize-size", f"to {size(largest):,} bytes") if size(largest) >= RESIZE_BYTES else None


def _reshape(operator: Operator, graph: Graph) -> _Met:
    largest = max((size(tensor) for tensor in operator.outputs), default=0)
    return ("reshape-size", f"{largest:,} bytes") if largest >= RESHAPE_BYTES else None


def _strided_slice(operator: Operator, graph: Graph) -> _Met:
    strides = graph.values(operator.input(3))
    if strides is None:
        return "constant-parameters", "its strides are no constant that can be read"
    if any(stride != 1 for stride in strides):
        return "strided-slice", f"strides {strides}"
    fields = (("EllipsisMask", "ellipsis"), ("NewAxisMask", "new-axis"))
    masks = [name for field, name in fields if operator.option("StridedSliceOptions", field)]
    return ("strided-slice", f"{' and '.join(masks)} mask") if masks else None


def _prelu(operator: Operator, graph: Graph) -> _Met:
    alpha = operator.input(1)
    shared = alpha is not None and math.prod(alpha.shape[:-1]) <= 1
    return None if shared or alpha is None else ("prelu-alpha", f"alpha is {shape_text(alpha)}")


_SPECIAL: dict[str, Callable[[Operator, Graph], _Met]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "AVERAGE_POOL_2D": _pooling,
    "MAX_POOL_2D": _pooling,
    "CONCATENATION": _concatenation,
    "FULLY_CONNECTED": _dense,
    "SOFTMAX": _softmax,
    "MEAN": _reduction,
    "SUM": _reduction,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "PAD": _pad,
    "SPLIT": _split,
    "PACK": _pack,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RESHAPE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "PRELU": _prelu,
}


def _notes(operator: Operator) -> tuple[tuple[str, str], ...]:
    notes = []
    version = operator.node.version
    if version > SEEN_VERSION.get(operator.name, 1):
        notes.append(("unseen-version", f"{operator.name} version {version}"))
    largest = max((size(tensor) for tensor in operator.outputs), default=0)
    if operator.name == "RESHAPE" and largest >= DOUBTFUL_BYTES:
        notes.append(("large-reshape", f"{largest:,} bytes"))
    if operator.name.startswith("RESIZE_") and largest >= DOUBTFUL_BYTES:
        notes.append(("large-resize", f"{largest:,} bytes"))
    weights = operator.input(1)
    if operator.name == "FULLY_CONNECTED" and weights is not None and len(weights.scales) > 1:
        bias = " and a bias, which none of those files has" if operator.input(2) is not None else ""
        notes.append(("per-channel-dense", f"{called(weights, 'its weights')}: {len(weights.scales)} scales{bias}"))
    if operator.name == "TILE":
        notes.append(("single-tile", shape_text(operator.outputs[0])))
    if operator.name == "TRANSPOSE":
        notes.append(("transpose", shape_text(operator.outputs[0]) if operator.outputs else ""))
    if operator.name == "SOFTMAX" and any(map(_has_rows, operator.outputs)):
        notes.append(("softmax-rows", shape_text(operator.outputs[0])))
    if operator.name.endswith("LSTM") and operator.given and operator.given[0].shape[-1:] > (LSTM_FEATURES,):
        notes.append(("lstm-width", f"{operator.given[0].shape[-1]} features"))
    return tuple(notes)
