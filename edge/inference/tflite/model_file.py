"""Is this a TFLite file that an interpreter can walk without leaving the buffer?

A FlatBuffer is full of offsets. LiteRT 2.3 and tf.lite 2.21 verify them before use; tflite-runtime 2.14 does
not, and a file damaged on its way ends the process with SIGSEGV, which no `except` sees (163 of 500 randomly
damaged copies of a small int8 classifier). So before bytes reach an
interpreter, this module follows every offset that loading follows and refuses what leads outside the buffer,
indices out of range and tensors of an absurd size. What operators must be beyond that, for their kernels not
to end the process in any of the runtimes, is in `edge.inference.tflite.operators`.

It is a safety net against damage and nonsense, not a proof against an adversary: what a bundle's manifest
vouches for is the authority on whose bytes these are.

Offsets are followed by `edge.inference.tflite.flatbuffer`. Source of the field numbers:
tensorflow/lite/schema/schema.fbs, schema version 3.
"""

from collections.abc import Sequence
from pathlib import Path

from edge.errors import FlatbufferError, ModelFileError, UnsafeOperatorError
from edge.inference.tflite.flatbuffer import Buffer, Table
from edge.inference.tflite.operators import (
    SOFTMAX,
    VOUCHED,
    Tensor,
    check_operator,
    check_order,
    quantized,
    softmax_may_abort,
)
from edge.system.files import read_at_most

LARGEST_MODEL_BYTES = 2**30  # 1 GiB; MobileNetV2 int8 is 2.7 MB
LARGEST_TENSOR_BYTES = 2**30
IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
# schema.fbs TensorType -> bytes an element (4-bit types rounded up; string and resources counted as 1)
_TYPE_BYTES = (4, 2, 4, 1, 8, 1, 1, 2, 8, 1, 16, 8, 8, 1, 1, 4, 2, 1, 2, 1, 1, 1)


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
    except UnsafeOperatorError as unsafe:
        raise ModelFileError(f"{name}: whole, but not safe to run: {unsafe}") from unsafe
    except FlatbufferError as damage:
        raise ModelFileError(f"{name}: truncated or damaged TFLite file ({damage})") from damage


def is_vouched_for(data: bytes) -> bool:
    """Whether `check_model`, which `data` has passed, has rules for every operator in it."""
    return all(_operator_code(code) in VOUCHED for code in Buffer(data).root(IDENTIFIER).tables(1))


def may_abort_in_reference_kernels(data: bytes) -> bool:
    """Whether the reference kernels, and they alone, may end the process with a file that has passed `check_model`."""
    model = Buffer(data).root(IDENTIFIER)
    codes = [_operator_code(code) for code in model.tables(1)]
    constants = [constant_span(item) for item in model.tables(4)]
    for graph in model.tables(2):
        tensors = list(graph.tables(0))
        for operator in graph.tables(3):
            given = operator.array(1, "i4").tolist()
            if codes[operator.number(0, "I")] == SOFTMAX and given:
                source = _check_tensor(tensors[given[0]], constants)
                if source.shape and softmax_may_abort(source):
                    return True
    return False


def _operator_code(code: Table) -> int:
    return max(code.number(0, "b"), code.number(3, "i"))  # the old field holds codes up to 127


def constant_bytes(entry: Table) -> int:
    """Bytes of constant data of one Buffer table of the schema, FlatbufferError where they leave the file.

    Models above 2 GiB keep them behind the FlatBuffer, at an absolute offset.
    """
    return constant_span(entry)[1]


def constant_span(entry: Table) -> tuple[int, int]:
    """(first byte, number of bytes) of the same; FlatbufferError as there."""
    start, count = entry.span(0, 1)
    offset, size = entry.number(1, "Q"), entry.number(2, "Q")
    if offset > 1 and offset + size > len(entry.buffer.data):
        raise FlatbufferError(f"a buffer claims {size} bytes at byte {offset}")
    return (start, count) if count or offset <= 1 else (offset, size)


def lies_behind(entry: Table) -> bool:
    """Whether the constant data of a Buffer table of the schema lie behind the FlatBuffer, FlatbufferError as there."""
    return not entry.span(0, 1)[1] and constant_bytes(entry) > 0


def _check(model: Table) -> None:
    version = model.number(0, "I")
    if version != SCHEMA_VERSION:
        raise FlatbufferError(f"schema version {version}, not {SCHEMA_VERSION}")
    model.text_span(3)
    codes = []
    for code in model.tables(1):
        code.text_span(1)
        codes.append(_operator_code(code))
    constants = [constant_span(item) for item in model.tables(4)]
    buffers = len(constants)
    _all_below(model.array(5, "i4").tolist(), buffers, "metadata buffer")
    for item in model.tables(6):
        item.text_span(0)
        _all_below((item.number(1, "I"),), buffers, "metadata buffer")
    tensor_counts = [_check_subgraph(graph, codes, constants) for graph in model.tables(2)]
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


def _check_subgraph(graph: Table, codes: list[int], constants: list[tuple[int, int]]) -> int:
    """Number of tensors."""
    graph.text_span(4)
    tensors = [_check_tensor(tensor, constants) for tensor in graph.tables(0)]
    for side in (1, 2):
        _all_below(graph.array(side, "i4").tolist(), len(tensors), "graph tensor")
    order = []
    for operator in graph.tables(3):
        number = operator.number(0, "I")
        _all_below((number,), len(codes), "operator code")
        for side, lowest in ((1, -1), (2, 0), (8, -1)):  # -1 is an optional input left out
            _all_below(operator.array(side, "i4").tolist(), len(tensors), "operator tensor", lowest)
        operator.span(5, 1)
        operator.span(7, 1)
        start, size = operator.number(9, "Q"), operator.number(10, "Q")
        if start > 1 and start + size > len(graph.buffer.data):
            raise FlatbufferError(f"custom options claim {size} bytes at byte {start}")
        check_operator(operator, codes[number], tensors)
        order.append((operator.array(1, "i4").tolist(), operator.array(2, "i4").tolist()))
    check_order(order, tensors, graph.array(1, "i4").tolist())
    return len(tensors)


def _check_tensor(tensor: Table, constants: list[tuple[int, int]]) -> Tensor:
    tensor.text_span(3)
    shape = tuple(tensor.array(0, "i4").tolist())
    signature = tensor.array(7, "i4").tolist()
    kind, buffer = tensor.number(1, "b"), tensor.number(2, "I")
    if not 0 <= kind < len(_TYPE_BYTES):
        raise FlatbufferError(f"tensor type {kind}")
    _all_below((buffer,), max(1, len(constants)), "tensor buffer")  # 0: no data, even in a file without buffers
    size = _TYPE_BYTES[kind]
    for side in shape:
        if side < -1 or size * max(side, 1) > LARGEST_TENSOR_BYTES:
            raise FlatbufferError(f"a tensor of shape {list(shape)}")
        size *= max(side, 1)
    scales = quantized(tensor, kind, shape)
    sparsity = tensor.table(6)
    if sparsity is not None:
        sparsity.span(0, 4)
        sparsity.span(1, 4)
        for _ in sparsity.tables(2):
            pass
    constant = constants[buffer] if constants else (0, 0)
    return Tensor(
        shape, kind, scales, -1 not in (*shape, *signature), constant, bool(tensor.number(5, "B")), tensor.text(3)
    )


def _all_below(values: Sequence[int], limit: int, what: str, lowest: int = 0) -> None:
    for value in values:
        if not lowest <= value < limit:
            raise FlatbufferError(f"{what} {value} of {limit}")
