"""What a TFLite file's tensors and operators must be for the kernels not to fail where no `except` sees it.

The runtimes' own verifier looks at offsets only. Their kernels then trust the graph: an input left out where
none may be is a null pointer (SIGSEGV), an option table of another operator leaves strides of zero (SIGFPE),
a scale that is zero, endless or no number ends ADD in `abort` and LiteRT's XNNPACK delegate in SIGSEGV, and a
window larger than its input writes beyond a buffer. Each rule here stands for such an end that was seen with
a damaged file, or for its like in a related operator.

Three rules are met by files that are whole (`UnsafeOperatorError`): a multiplier of ADD, SUB or SQUARED_DIFFERENCE
that is no fraction, one of SOFTMAX that is, and an SVDF whose state is shorter than its kernel takes it to be.
Measured on both sides of each limit, in LiteRT 2.3 and tflite-runtime 2.14, with each of the three sets of kernels.

Source of the numbers: tensorflow/lite/schema/schema.fbs, schema version 3 (BuiltinOperator, BuiltinOptions).
"""

from dataclasses import dataclass, field

import numpy as np

from edge.errors import FlatbufferError, UnsafeOperatorError
from edge.inference.tflite.flatbuffer import Table

_ADD, _AVERAGE_POOL, _CONV, _DEPTHWISE, _L2_POOL, _MAX_POOL = 0, 1, 3, 4, 12, 17
_PAD, _SUB, _PADV2, _TRANSPOSE_CONV, _SQUARED_DIFFERENCE, _MIRROR_PAD = 34, 41, 60, 67, 99, 100
_MEAN, SOFTMAX, _SVDF = 40, 25, 27
_VALID = 1  # Padding: no border is added
_INT32 = 2
_ZERO_POINTS = {2: (0, 0), 3: (0, 255), 7: (-32768, 32767), 9: (-128, 127)}  # TensorType -> range; int32: biases
# operators whose options hold divisors -> the option table that must be there (BuiltinOptions type)
_OPTIONS_NEEDED = {_CONV: 1, _DEPTHWISE: 2, _AVERAGE_POOL: 5, _MAX_POOL: 5, _L2_POOL: 5, _TRANSPOSE_CONV: 49}
# BuiltinOptions type -> fields that are divisors or extents in the kernels and must be >= 1
_POSITIVE_OPTIONS = {
    1: (1, 2, 4, 5),  # Conv2DOptions: stride_w, stride_h, dilation_w_factor, dilation_h_factor
    2: (1, 2, 5, 6),  # DepthwiseConv2DOptions: strides, dilations
    5: (1, 2, 3, 4),  # Pool2DOptions: stride_w, stride_h, filter_width, filter_height
    49: (1, 2),  # TransposeConvOptions: stride_w, stride_h
}
_OPTION_DEFAULTS = {(1, 4): 1, (1, 5): 1, (2, 5): 1, (2, 6): 1}
_OPTION_VECTORS = {17: 0, 30: 0}  # ReshapeOptions.new_shape, SqueezeOptions.squeeze_dims: vectors of int32
# operators that may leave inputs out -> which; the recurrent ones, SVDF and custom ones any but the first
_MAY_LACK = {_CONV: (2,), _DEPTHWISE: (2,), 9: (2,), _TRANSPOSE_CONV: (3,), 132: (2,), 141: (3,)}
_MAY_LACK_ANY = frozenset({16, 24, 27, 32, 35, 44, 46, 52})
LARGEST_SCALE = 1e30  # beyond, the product of two is no float32
_SHORT, _BYTE, _SIGNED_BYTE = 7, 3, 9  # TensorType: int16, uint8, int8
# The kernels of ADD and SUB divide twice the larger input scale by the output scale and 2^20 (int16: 2^15), that of
# SQUARED_DIFFERENCE its square by 2^14, and abort unless the result is below 1. Larger outputs and inputs far apart
# are no fault: what is small counts as nothing beside what is large.
_SHIFT, _SHIFT_OF_SHORTS, _SHIFT_OF_SQUARES = 20, 15, 14
_WIDEST_SOFTMAX = 511
# Operators that the rules here cover, or whose kernels check their own tensors and say so; what a file with any other
# does to a process is found out in another one (`edge.inference.runtime.interpreters`).
VOUCHED = frozenset(
    {_ADD, _AVERAGE_POOL, 2, _CONV, _DEPTHWISE, 6, 9, 11, 14, _MAX_POOL, 18, 19, 20, 21, 22, 23, SOFTMAX, 26, 28, 32}
    | {_PAD, 36, 39, _MEAN, _SUB, 43, 45, 47, 49, 53, 54, 55, 56, 57, _PADV2, 65, _TRANSPOSE_CONV, 70, 74, 76, 82}
    | {83, 88, 97, 98, _SQUARED_DIFFERENCE, _MIRROR_PAD, 101, 114, 117, 126, 130, 150}
    | {42, 58, 59, 61, 71, 73, 75, 111}  # DIV, LESS, NEG, GREATER, EQUAL, LOG, SQRT, ELU
)
_NAMES = {_ADD: "ADD", _SUB: "SUB", _SQUARED_DIFFERENCE: "SQUARED_DIFFERENCE"}


@dataclass
class Tensor:
    """One tensor as the operators' rules need it; `constant` is its data's (first byte, length in bytes)."""

    shape: tuple[int, ...]
    kind: int  # TensorType
    scales: tuple[float, ...]
    fixed: bool  # no side is -1
    constant: tuple[int, int] = field(default=(0, 0))
    variable: bool = False
    name: str = ""


def quantized(tensor: Table, kind: int, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Scales of a tensor, empty when it has none; FlatbufferError where its quantization makes no sense."""
    quantization = tensor.table(4)
    if quantization is None:
        return ()
    quantization.span(0, 4)
    quantization.span(1, 4)
    scales, zero_points = quantization.array(2, "f4"), quantization.array(3, "i8")
    if zero_points.size not in (0, 1, scales.size):
        raise FlatbufferError(f"{scales.size} scales but {zero_points.size} zero points")
    axis = quantization.number(6, "i")
    if scales.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scales.size):
        raise FlatbufferError(f"{scales.size} scales for axis {axis} of shape {list(shape)}")
    if kind in _ZERO_POINTS:
        normal = (scales >= np.finfo(np.float32).tiny) & (scales <= LARGEST_SCALE)  # False for what is no number
        if not normal.all():
            raise FlatbufferError(f"a scale of {scales[~normal][0]}")
        low, high = _ZERO_POINTS[kind]
        outside = (zero_points < low) | (zero_points > high)
        if scales.size and outside.any():
            raise FlatbufferError(f"a zero point of {zero_points[outside][0]}, outside {low}..{high}")
    return tuple(scales.tolist())


def check_operator(operator: Table, code: int, tensors: list[Tensor]) -> None:
    """Raise FlatbufferError where a builtin operator would make its kernel end the process.

    Args:
        code: BuiltinOperator.
        tensors: of the operator's subgraph; the operator's indices into them were checked.
    """
    inputs, outputs = operator.array(1, "i4").tolist(), operator.array(2, "i4").tolist()
    for position, index in enumerate(inputs):
        optional = position in _MAY_LACK.get(code, ()) or (code in _MAY_LACK_ANY and position > 0)
        if index < 0 and not optional:
            raise FlatbufferError(f"input {position} of an operator (code {code}) is left out, and may not be")
    _check_options(operator, code)
    given = [tensors[index] for index in inputs if index >= 0]
    if code in _OPTIONS_NEEDED:
        for tensor in given:
            if any(side == 0 for side in tensor.shape):
                raise FlatbufferError(f"an operator (code {code}) with an input of shape {list(tensor.shape)}")
        if code != _TRANSPOSE_CONV:
            _check_window(operator, code, given, [tensors[index] for index in outputs])
    if code in (_ADD, _SUB, _SQUARED_DIFFERENCE):
        _check_scales(code, given, [tensors[index] for index in outputs])
    if code == SOFTMAX and given:
        _check_softmax(operator, given[0])
    if code == _SVDF:
        _check_svdf([None if index < 0 else tensors[index] for index in inputs])
    if code in (_PAD, _PADV2, _MIRROR_PAD) and len(given) > 1:
        _check_entries(operator, given[1], 0, 65535, "padding")
    if code == _MEAN and len(given) > 1:
        _check_entries(operator, given[1], -len(given[0].shape), len(given[0].shape) - 1, "axis")


def check_order(operators: list[tuple[list[int], list[int]]], tensors: list[Tensor], inputs: list[int]) -> None:
    """Raise FlatbufferError unless each operator reads what exists by then and writes what nobody else writes.

    Args:
        operators: (input indices, output indices), in the order in which they run.
        inputs: indices of the subgraph's inputs.
    """
    known = set(inputs)
    known.update(n for n, tensor in enumerate(tensors) if tensor.constant[1] or tensor.variable or 0 in tensor.shape)
    for reads, writes in operators:
        for index in reads:
            if index >= 0 and index not in known:
                raise FlatbufferError(f"an operator reads tensor {index} before anything has written it")
        for index in writes:
            if index in known and not tensors[index].variable and 0 not in tensors[index].shape:
                raise FlatbufferError(f"an operator writes tensor {index}, which exists already")
            known.add(index)


def _check_options(operator: Table, code: int) -> None:
    kind, options = operator.number(3, "B"), operator.table(4)
    operator.table(12)  # builtin_options_2: the table itself must lie inside the file
    needed = _OPTIONS_NEEDED.get(code)
    if needed is not None and (options is None or kind != needed):
        raise FlatbufferError(f"an operator (code {code}) without its options (type {kind}, not {needed})")
    if options is None:
        return
    for number in _POSITIVE_OPTIONS.get(kind, ()):
        value = options.number(number, "i", _OPTION_DEFAULTS.get((kind, number), 0))
        if not 1 <= value <= 65535:
            raise FlatbufferError(f"a stride, dilation or window of {value}")
    if kind in _OPTION_VECTORS:
        options.span(_OPTION_VECTORS[kind], 4)


def _check_window(operator: Table, code: int, given: list[Tensor], made: list[Tensor]) -> None:
    """The window of a pooling or convolution must fit its input where no border is added, and the shape the file
    records for the output must be the one that the kernel will compute.
    """
    options = operator.table(4)
    weighted = code in (_CONV, _DEPTHWISE)
    if options is None or len(given) < 1 + weighted or any(len(t.shape) != 4 for t in given[: 1 + weighted]):
        raise FlatbufferError(f"an operator (code {code}) without inputs of four axes")
    if weighted:
        slots = (5, 4) if code == _CONV else (6, 5)
        dilations = [options.number(slot, "i", 1) for slot in slots]
        window = [(n - 1) * d + 1 for n, d in zip(given[1].shape[1:3], dilations, strict=True)]
    else:
        window = [options.number(4, "i"), options.number(3, "i")]
    if not given[0].fixed:
        return
    valid, sides = options.number(0, "b") == _VALID, list(given[0].shape[1:3])
    if valid and any(w > n for w, n in zip(window, sides, strict=True)):
        raise FlatbufferError(f"a window of {window} over an input of {sides}")
    strides = (options.number(2, "i"), options.number(1, "i"))
    reach = [n - w + 1 if valid else n for n, w in zip(sides, window, strict=True)]
    expected = [-(-n // stride) for n, stride in zip(reach, strides, strict=True)]
    if any(tensor.fixed and list(tensor.shape[1:3]) != expected for tensor in made):
        raise FlatbufferError(f"an output of {list(made[0].shape)} where the window leads to {expected}")


def _check_scales(code: int, given: list[Tensor], made: list[Tensor]) -> None:
    """The multiplier that the kernel makes of its tensors' scales must be below 1."""
    tensors = given + made
    if not any(tensor.kind in (_BYTE, _SHORT, _SIGNED_BYTE) for tensor in tensors):
        return
    if any(len(tensor.scales) != 1 for tensor in tensors):
        raise FlatbufferError("an addition or difference of integers without one scale a tensor")
    if not given or not made:
        raise FlatbufferError("an addition or difference of nothing, or without a result")
    largest, result = max(tensor.scales[0] for tensor in given), made[0].scales[0]
    shift = _SHIFT_OF_SHORTS if any(tensor.kind == _SHORT for tensor in tensors) else _SHIFT
    squares = code == _SQUARED_DIFFERENCE
    reach = (2 * largest) ** 2 / 2**_SHIFT_OF_SQUARES if squares else 2 * largest / 2**shift
    if reach >= result:
        raise UnsafeOperatorError(
            f"{_NAMES[code]} {made[0].name or 'without a name'}: a result of scale {result:.3g} from inputs of scale"
            f" {largest:.3g}; its kernel ends the process below {reach:.3g}"
        )


def _check_softmax(operator: Table, source: Tensor) -> None:
    """The reference kernel's multiplier, beta times the scale times 2^26, must be above 1, or it aborts."""
    options = operator.table(4)
    if source.kind not in (_BYTE, _SHORT, _SIGNED_BYTE) or len(source.scales) != 1 or options is None:
        return
    beta = options.decimal(0)
    if not beta * source.scales[0] * 2**26 > 1:
        raise UnsafeOperatorError(
            f"SOFTMAX of {source.name or 'a tensor without a name'}: beta {beta:.3g} with an input of scale"
            f" {source.scales[0]:.3g}; its reference kernel ends the process where their product is below 2^-26"
        )


def softmax_may_abort(source: Tensor) -> bool:
    """Whether the reference kernel of SOFTMAX ends the process on outputs that are nearly equal.

    It divides by the sum of exponentials and shifts by that sum's bits: from a sum of 512 on, which takes as many
    classes, by more than the 31 that it admits (LiteRT 2.3: 511 equal outputs run, 512 abort; int16 has another
    kernel). The other kernels look up a table.
    """
    return source.kind in (_BYTE, _SIGNED_BYTE) and not 0 <= source.shape[-1] <= _WIDEST_SOFTMAX


def _check_svdf(inputs: list[Tensor | None]) -> None:
    """The integer kernel takes time weights and state for int16 and does not look; shorter ones are overrun."""
    if len(inputs) < 5 or inputs[0] is None or inputs[0].kind not in (_BYTE, _SIGNED_BYTE):
        return
    for tensor, what in ((inputs[2], "time weights"), (inputs[4], "state")):
        if tensor is not None and tensor.kind != _SHORT:
            raise UnsafeOperatorError(
                f"SVDF with {what} ({tensor.name or 'without a name'}) that are not int16: its kernel overruns them"
            )


def _check_entries(operator: Table, tensor: Tensor, low: int, high: int, what: str) -> None:
    start, size = tensor.constant
    if tensor.kind != _INT32 or not size:
        return
    values = np.frombuffer(operator.buffer.data, "<i4", size // 4, start)
    for value in values[(values < low) | (values > high)]:
        raise FlatbufferError(f"a {what} of {value}, outside {low}..{high}")
