"""Is this a TFLite file that an interpreter can walk without leaving the buffer?

A FlatBuffer is full of offsets. LiteRT 2.3 and tf.lite 2.21 verify them before use; tflite-runtime 2.14 does
not, and a file damaged on its way ends the process with SIGSEGV, which no `except` sees (163 of 500 randomly
damaged copies of a small int8 classifier; none of them after this check). So before bytes reach an
interpreter, this module follows every offset that loading follows and refuses what leads outside the buffer,
indices out of range, tensors of an absurd size, and steps of zero (an integer division in the kernels:
SIGFPE).

It is a safety net against damage and nonsense, not a proof against an adversary: what a bundle's manifest
vouches for is the authority on whose bytes these are.

Offsets are followed by `edge.flatbuffer`. Source of the field numbers: tensorflow/lite/schema/schema.fbs,
schema version 3.
"""

from collections.abc import Sequence
from pathlib import Path

from edge.errors import FlatbufferError, ModelFileError
from edge.files import read_at_most
from edge.flatbuffer import Buffer, Table

LARGEST_MODEL_BYTES = 2**30  # 1 GiB; MobileNetV2 int8 is 2.7 MB
LARGEST_TENSOR_BYTES = 2**30
IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
# schema.fbs TensorType -> bytes an element (4-bit types rounded up; string and resources counted as 1)
_TYPE_BYTES = (4, 2, 4, 1, 8, 1, 1, 2, 8, 1, 16, 8, 8, 1, 1, 4, 2, 1, 2, 1, 1, 1)
# BuiltinOptions type -> fields that are divisors or extents in the kernels and must be >= 1
_POSITIVE_OPTIONS = {
    1: (1, 2, 4, 5),  # Conv2DOptions: stride_w, stride_h, dilation_w_factor, dilation_h_factor
    2: (1, 2, 5, 6),  # DepthwiseConv2DOptions: strides, dilations
    5: (1, 2, 3, 4),  # Pool2DOptions: stride_w, stride_h, filter_width, filter_height
}
_OPTION_DEFAULTS = {(1, 4): 1, (1, 5): 1, (2, 5): 1, (2, 6): 1}
_OPTION_VECTORS = {17: 0, 30: 0}  # ReshapeOptions.new_shape, SqueezeOptions.squeeze_dims: vectors of int32


def read_model(path: Path) -> bytes:
    """The bytes of a TFLite file that passed `check_model`; ModelFileError names the path otherwise."""
    data = read_at_most(path, LARGEST_MODEL_BYTES, ModelFileError)
    check_model(data, str(path))
    return data


def check_model(data: bytes, name: str = "model") -> None:
    """Raise ModelFileError, naming `name`, unless `data` is a TFLite FlatBuffer whose references all stay
    inside it.

    Args:
        data: the whole file, 1 GiB at most. Milliseconds for a model of a few MB: only its structure is
            visited.
    """
    if len(data) > LARGEST_MODEL_BYTES:
        raise ModelFileError(f"{name}: larger than {LARGEST_MODEL_BYTES >> 20} MiB")
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        found = f"it is {len(data)} bytes" if len(data) < 8 else f"bytes 4..7 are {data[4:8]!r}, not TFL3"
        raise ModelFileError(f"{name}: not a TFLite file ({found})")
    try:
        _check(Buffer(data).root(IDENTIFIER))
    except FlatbufferError as damage:
        raise ModelFileError(f"{name}: truncated or damaged TFLite file ({damage})") from damage


def constant_bytes(entry: Table) -> int:
    """Bytes of constant data of one Buffer table of the schema, FlatbufferError where they leave the file.

    Models above 2 GiB keep them behind the FlatBuffer, at an absolute offset.
    """
    _, count = entry.span(0, 1)
    offset, size = entry.number(1, "Q"), entry.number(2, "Q")
    if offset > 1 and offset + size > len(entry.buffer.data):
        raise FlatbufferError(f"a buffer claims {size} bytes at byte {offset}")
    return count or (size if offset > 1 else 0)


def _check(model: Table) -> None:
    version = model.number(0, "I")
    if version != SCHEMA_VERSION:
        raise FlatbufferError(f"schema version {version}, not {SCHEMA_VERSION}")
    model.text_span(3)
    codes = 0
    for code in model.tables(1):
        code.text_span(1)
        codes += 1
    buffers = len([constant_bytes(item) for item in model.tables(4)])
    _all_below(model.array(5, "i4").tolist(), buffers, "metadata buffer")
    for item in model.tables(6):
        item.text_span(0)
        _all_below((item.number(1, "I"),), buffers, "metadata buffer")
    tensor_counts = [_check_subgraph(graph, codes, buffers) for graph in model.tables(2)]
    if not tensor_counts:
        raise FlatbufferError("no subgraph")
    for signature in model.tables(7):
        signature.text_span(2)
        graph = signature.number(4, "I")
        _all_below((graph,), len(tensor_counts), "signature subgraph")
        for side in (0, 1):
            for item in signature.tables(side):
                item.text_span(0)
                _all_below((item.number(1, "I"),), tensor_counts[graph], "signature tensor")


def _check_subgraph(graph: Table, codes: int, buffers: int) -> int:
    """Number of tensors."""
    graph.text_span(4)
    tensors = 0
    for tensor in graph.tables(0):
        _check_tensor(tensor, buffers)
        tensors += 1
    for side in (1, 2):
        _all_below(graph.array(side, "i4").tolist(), tensors, "graph tensor")
    for operator in graph.tables(3):
        _all_below((operator.number(0, "I"),), codes, "operator code")
        for side, lowest in ((1, -1), (2, 0), (8, -1)):  # -1 is an optional input left out
            _all_below(operator.array(side, "i4").tolist(), tensors, "operator tensor", lowest)
        operator.span(5, 1)
        operator.span(7, 1)
        start, size = operator.number(9, "Q"), operator.number(10, "Q")
        if start > 1 and start + size > len(graph.buffer.data):
            raise FlatbufferError(f"custom options claim {size} bytes at byte {start}")
        _check_options(operator)
    return tensors


def _check_options(operator: Table) -> None:
    kind, options = operator.number(3, "B"), operator.table(4)
    operator.table(12)  # builtin_options_2: the table itself must lie inside the file
    if options is None:
        return
    for field in _POSITIVE_OPTIONS.get(kind, ()):
        value = options.number(field, "i", _OPTION_DEFAULTS.get((kind, field), 0))
        if not 1 <= value <= 65535:
            raise FlatbufferError(f"a stride, dilation or window of {value}")
    if kind in _OPTION_VECTORS:
        options.span(_OPTION_VECTORS[kind], 4)


def _check_tensor(tensor: Table, buffers: int) -> None:
    tensor.text_span(3)
    shape = tensor.array(0, "i4").tolist()
    tensor.span(7, 4)
    kind, buffer = tensor.number(1, "b"), tensor.number(2, "I")
    if not 0 <= kind < len(_TYPE_BYTES):
        raise FlatbufferError(f"tensor type {kind}")
    _all_below((buffer,), max(1, buffers), "tensor buffer")  # 0: no data, even in a file without buffers
    size = _TYPE_BYTES[kind]
    for side in shape:
        if side < -1 or size * max(side, 1) > LARGEST_TENSOR_BYTES:
            raise FlatbufferError(f"a tensor of shape {list(shape)}")
        size *= max(side, 1)
    quantization = tensor.table(4)
    if quantization is not None:
        for number, width in ((0, 4), (1, 4), (2, 4), (3, 8)):
            quantization.span(number, width)
        scales, zero_points = quantization.span(2, 4)[1], quantization.span(3, 8)[1]
        if zero_points not in (0, 1, scales):
            raise FlatbufferError(f"{scales} scales but {zero_points} zero points")
        axis = quantization.number(6, "i")
        if scales > 1 and not (0 <= axis < len(shape) and shape[axis] == scales):
            raise FlatbufferError(f"{scales} scales for axis {axis} of shape {list(shape)}")
    sparsity = tensor.table(6)
    if sparsity is not None:
        sparsity.span(0, 4)
        sparsity.span(1, 4)
        for _ in sparsity.tables(2):
            pass


def _all_below(values: Sequence[int], limit: int, what: str, lowest: int = 0) -> None:
    for value in values:
        if not lowest <= value < limit:
            raise FlatbufferError(f"{what} {value} of {limit}")
