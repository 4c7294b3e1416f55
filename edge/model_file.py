"""Is this a TFLite file that an interpreter can walk without leaving the buffer?

A FlatBuffer is full of offsets. LiteRT 2.3 and tf.lite 2.21 verify them before use; tflite-runtime 2.14 does
not, and a file damaged on its way ends the process with SIGSEGV, which no `except` sees (163 of 500 randomly
damaged copies of a small int8 classifier; none of them after this check). So before bytes reach an
interpreter, this module follows every offset that loading follows and refuses what leads outside the buffer,
indices out of range, tensors of an absurd size, and steps of zero (an integer division in the kernels:
SIGFPE).

It is a safety net against damage and nonsense, not a proof against an adversary: what a bundle's manifest
vouches for is the authority on whose bytes these are.

Sources: https://flatbuffers.dev/internals (tables, vtables, vectors) and
tensorflow/lite/schema/schema.fbs (field numbers), schema version 3.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from edge.errors import ModelFileError

LARGEST_MODEL_BYTES = 2**30  # 1 GiB; MobileNetV2 int8 is 2.7 MB
LARGEST_TENSOR_BYTES = 2**30
MOST_TABLES = 500_000  # MobileNetV2 has about 1,000; a bound on how long a hostile file can keep us
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
    try:
        if path.stat().st_size > LARGEST_MODEL_BYTES:
            raise ModelFileError(f"{path}: larger than {LARGEST_MODEL_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}") from error
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
        _check(_Buffer(data))
    except _DamageError as damage:
        raise ModelFileError(f"{name}: truncated or damaged TFLite file ({damage})") from damage


class _DamageError(Exception):
    """What is wrong, in a few words."""


class _Buffer:
    """Bounds-checked reads of a FlatBuffer. Positions are byte offsets from the start of the file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables = 0

    def number(self, fmt: str, position: int) -> int:
        size = struct.calcsize(fmt)
        if not 0 <= position <= len(self.data) - size:
            raise _DamageError(f"an offset leads to byte {position} of {len(self.data)}")
        return int(struct.unpack_from(fmt, self.data, position)[0])

    def follow(self, position: int) -> int:
        """The target of the forward offset stored at `position`."""
        offset = self.number("<I", position)
        if offset == 0 or position + offset > len(self.data) - 4:
            raise _DamageError(f"the offset at byte {position} leads outside the file")
        return position + offset


class _Table:
    """One FlatBuffer table; fields by schema number."""

    def __init__(self, buffer: _Buffer, position: int) -> None:
        buffer.tables += 1
        if buffer.tables > MOST_TABLES:
            raise _DamageError(f"more than {MOST_TABLES} tables")
        if position % 4:
            raise _DamageError(f"the table at byte {position} is not aligned")
        self.buffer, self.position = buffer, position
        vtable = position - buffer.number("<i", position)
        self.vtable_size = buffer.number("<H", vtable)
        self.size = buffer.number("<H", vtable + 2)
        inside = vtable + self.vtable_size <= len(buffer.data) and position + self.size <= len(buffer.data)
        if self.vtable_size < 4 or self.vtable_size % 2 or vtable % 2 or self.size < 4 or not inside:
            raise _DamageError(f"the table at byte {position} does not fit the file")
        self.vtable = vtable

    def field(self, number: int, width: int) -> int:
        """Position of a field of `width` bytes, 0 where it is absent."""
        entry = 4 + 2 * number
        if entry + 2 > self.vtable_size:
            return 0
        offset = self.buffer.number("<H", self.vtable + entry)
        if offset and not 4 <= offset <= self.size - width:
            raise _DamageError(f"field {number} of the table at byte {self.position} lies outside it")
        return self.position + offset if offset else 0

    def number(self, number: int, fmt: str, default: int = 0) -> int:
        position = self.field(number, struct.calcsize(fmt))
        return self.buffer.number(fmt, position) if position else default

    def vector(self, number: int, width: int) -> tuple[int, int]:
        """(position of the first element, count), (0, 0) where absent; all elements lie inside the file."""
        position = self.field(number, 4)
        if not position:
            return 0, 0
        start = self.buffer.follow(position)
        count = self.buffer.number("<I", start)
        if start + 4 + count * width > len(self.buffer.data):
            raise _DamageError(f"the vector at byte {start} claims {count} elements")
        return start + 4, count

    def numbers(self, number: int, fmt: str) -> tuple[int, ...]:
        start, count = self.vector(number, struct.calcsize(fmt))
        if count > MOST_TABLES:
            raise _DamageError(f"the vector at byte {start} claims {count} elements")
        return struct.unpack_from(f"<{count}{fmt[-1]}", self.buffer.data, start) if count else ()

    def table(self, number: int) -> "_Table | None":
        position = self.field(number, 4)
        return _Table(self.buffer, self.buffer.follow(position)) if position else None

    def children(self, number: int) -> Iterator["_Table"]:
        start, count = self.vector(number, 4)
        for index in range(count):
            yield _Table(self.buffer, self.buffer.follow(start + 4 * index))

    def text(self, number: int) -> None:
        start, count = self.vector(number, 1)
        if start and (start + count >= len(self.buffer.data) or self.buffer.data[start + count] != 0):
            raise _DamageError(f"the text at byte {start} has no end")


def _check(buffer: _Buffer) -> None:
    model = _Table(buffer, buffer.follow(0))
    version = model.number(0, "<I")
    if version != SCHEMA_VERSION:
        raise _DamageError(f"schema version {version}, not {SCHEMA_VERSION}")
    model.text(3)
    codes = 0
    for code in model.children(1):
        code.text(1)
        codes += 1
    buffers = [_check_buffer(item) for item in model.children(4)]
    _all_below(model.numbers(5, "<i"), len(buffers), "metadata buffer")
    for item in model.children(6):
        item.text(0)
        _all_below((item.number(1, "<I"),), len(buffers), "metadata buffer")
    tensor_counts = [_check_subgraph(graph, codes, buffers) for graph in model.children(2)]
    if not tensor_counts:
        raise _DamageError("no subgraph")
    for signature in model.children(7):
        signature.text(2)
        graph = signature.number(4, "<I")
        _all_below((graph,), len(tensor_counts), "signature subgraph")
        for side in (0, 1):
            for item in signature.children(side):
                item.text(0)
                _all_below((item.number(1, "<I"),), tensor_counts[graph], "signature tensor")


def _check_buffer(item: _Table) -> int:
    """Bytes a buffer holds."""
    _, count = item.vector(0, 1)
    offset, size = item.number(1, "<Q"), item.number(2, "<Q")
    if offset > 1 and offset + size > len(item.buffer.data):
        raise _DamageError(f"a buffer claims {size} bytes at byte {offset}")
    return size if offset > 1 else count


def _check_subgraph(graph: _Table, codes: int, buffers: list[int]) -> int:
    """Number of tensors."""
    graph.text(4)
    tensors = 0
    for tensor in graph.children(0):
        _check_tensor(tensor, buffers)
        tensors += 1
    for side in (1, 2):
        _all_below(graph.numbers(side, "<i"), tensors, "graph tensor")
    for operator in graph.children(3):
        _all_below((operator.number(0, "<I"),), codes, "operator code")
        for side, lowest in ((1, -1), (2, 0), (8, -1)):  # -1 is an optional input left out
            _all_below(operator.numbers(side, "<i"), tensors, "operator tensor", lowest)
        operator.vector(5, 1)
        operator.vector(7, 1)
        start, size = operator.number(9, "<Q"), operator.number(10, "<Q")
        if start > 1 and start + size > len(graph.buffer.data):
            raise _DamageError(f"custom options claim {size} bytes at byte {start}")
        _check_options(operator)
    return tensors


def _check_options(operator: _Table) -> None:
    kind, options = operator.number(3, "<B"), operator.table(4)
    operator.table(12)  # builtin_options_2: the table itself must lie inside the file
    if options is None:
        return
    for field in _POSITIVE_OPTIONS.get(kind, ()):
        value = options.number(field, "<i", _OPTION_DEFAULTS.get((kind, field), 0))
        if not 1 <= value <= 65535:
            raise _DamageError(f"a stride, dilation or window of {value}")
    if kind in _OPTION_VECTORS:
        options.vector(_OPTION_VECTORS[kind], 4)


def _check_tensor(tensor: _Table, buffers: list[int]) -> None:
    tensor.text(3)
    shape = tensor.numbers(0, "<i")
    tensor.numbers(7, "<i")
    kind, buffer = tensor.number(1, "<b"), tensor.number(2, "<I")
    if not 0 <= kind < len(_TYPE_BYTES):
        raise _DamageError(f"tensor type {kind}")
    _all_below(
        (buffer,), max(1, len(buffers)), "tensor buffer"
    )  # 0 means "no data", even in a file without buffers
    size = _TYPE_BYTES[kind]
    for side in shape:
        if side < -1 or size * max(side, 1) > LARGEST_TENSOR_BYTES:
            raise _DamageError(f"a tensor of shape {list(shape)}")
        size *= max(side, 1)
    quantization = tensor.table(4)
    if quantization is not None:
        for number, width in ((0, 4), (1, 4), (2, 4), (3, 8)):
            quantization.vector(number, width)
        scales, zero_points = quantization.vector(2, 4)[1], quantization.vector(3, 8)[1]
        if zero_points not in (0, 1, scales):
            raise _DamageError(f"{scales} scales but {zero_points} zero points")
        axis = quantization.number(6, "<i")
        if scales > 1 and not (0 <= axis < len(shape) and shape[axis] == scales):
            raise _DamageError(f"{scales} scales for axis {axis} of shape {list(shape)}")
    sparsity = tensor.table(6)
    if sparsity is not None:
        sparsity.vector(0, 4)
        sparsity.vector(1, 4)
        for _ in sparsity.children(2):
            pass


def _all_below(values: tuple[int, ...], limit: int, what: str, lowest: int = 0) -> None:
    for value in values:
        if not lowest <= value < limit:
            raise _DamageError(f"{what} {value} of {limit}")
