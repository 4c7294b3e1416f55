"""Files like those that Coral's compiler writes, made from plain ones: the layout is right, the program is zeros."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

CUSTOM = 32


def compiled(
    plain: bytes,
    *,
    outside: int = 0,
    spans: Sequence[tuple[int, int]] | None = None,
    parameter_bytes: int | None = None,
    parameters: bytes | None = None,
    runtime: int = 13,
    alone: bool = False,
    options: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """`plain` with all operators but the last `outside` inside one compiled operator, as the compiler writes it.

    Args:
        plain: the file. outside: how many stay.
        spans: (first, behind the last) of the operators of each compiled one, instead of `outside`.
        parameter_bytes: zeros that the executable holds, by default as many as there are constants.
        parameters: what it holds, instead of zeros.
        runtime: the oldest version that runs it. alone: one stand-alone executable, which streams its parameters.
        options: package -> custom options, in place of the usual map.
    """
    tree = schema.ModelT.InitFromPackedBuf(plain, 0)
    graph = tree.subgraphs[0]
    old = list(graph.operators)
    spans = spans or [(0, len(old) - outside)]
    constant = {n for n, t in enumerate(graph.tensors) if tree.buffers[t.buffer].data is not None}
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = CUSTOM
    code.customCode = "edgetpu-custom-op"
    tree.operatorCodes.append(code)
    new = []
    for n, operator in enumerate(old):
        span = next((span for span in spans if span[0] <= n < span[1]), None)
        if span is None:
            new.append(operator)
        elif n == span[0]:
            inside = old[slice(*span)]
            rest = [other for other in old if not any(other is each for each in inside)]
            written = {int(t) for op in inside for t in op.outputs}
            read_elsewhere = {int(t) for op in rest for t in op.inputs} | {int(t) for t in graph.outputs}
            read = dict.fromkeys(int(t) for op in inside for t in op.inputs)
            inputs = [t for t in read if t >= 0 and t not in written | constant]
            outputs = sorted(written & read_elsewhere)
            held = sum(len(tree.buffers[graph.tensors[t].buffer].data) for t in read if t in constant)
            content = parameters or bytes(held if parameter_bytes is None else parameter_bytes)
            ends = [graph.tensors[t] for t in inputs], [graph.tensors[t] for t in outputs]
            executables = [_executable(0, content, *ends)]
            if not alone:
                executables = [_executable(2, b"", *ends), _executable(1, content, [], [])]
            made = schema.OperatorT()
            made.opcodeIndex, made.inputs, made.outputs = len(tree.operatorCodes) - 1, inputs, outputs
            package = _package(_multi(executables), runtime)
            made.customOptions = np.frombuffer((options or option_map)(package), np.uint8)
            new.append(made)
    graph.operators = new
    keep = {*map(int, graph.inputs), *map(int, graph.outputs)}
    keep |= {int(t) for op in new for t in (*op.inputs, *op.outputs)}
    for n, tensor in enumerate(graph.tensors):
        if n not in keep:  # the compiler drops them; here they lose their data and stay, so that indices do
            tensor.buffer = 0
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def option_map(package: bytes, key: str = "4") -> bytes:
    """The custom options as the compiler writes them, with the package under `key`."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        builder.Key(key)
        builder.Blob(package)  # the compiler writes a string; the library writes none of bytes
        builder.Key("5")
        builder.Int(-1)
    return bytes(builder.Finish())


def several_chips(package: bytes) -> bytes:
    """Options whose package is for two chips together: it has no executables of its own, and two under slot 6."""
    builder = flatbuffers.Builder(1024)
    vector = _vector(builder, [builder.CreateByteVector(b"chip"), builder.CreateByteVector(b"chip")])
    builder.StartObject(8)
    builder.PrependInt32Slot(0, 14, 0)
    builder.PrependUOffsetTRelativeSlot(6, vector, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"DWN1")
    return option_map(bytes(builder.Output()))


def _package(multi: bytes, runtime: int) -> bytes:
    builder = flatbuffers.Builder(1024)
    version, content = builder.CreateString("cl/0"), builder.CreateByteVector(multi)
    builder.StartObject(8)
    builder.PrependInt32Slot(0, runtime, 0)
    builder.PrependUOffsetTRelativeSlot(1, content, 0)
    builder.PrependUOffsetTRelativeSlot(4, version, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"DWN1")
    return bytes(builder.Output())


def _multi(executables: list[bytes]) -> bytes:
    builder = flatbuffers.Builder(1024)
    strings = [builder.CreateByteVector(data + b"\0") for data in executables]
    vector = _vector(builder, strings)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _executable(kind: int, content: bytes, inputs: list[Any], outputs: list[Any]) -> bytes:
    builder = flatbuffers.Builder(1024)
    name, chip = builder.CreateString("model"), builder.CreateString("beagle")
    parameters = builder.CreateByteVector(content)
    ends = [_vector(builder, [_layer(builder, tensor) for tensor in side]) for side in (inputs, outputs)]
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(1, name, 0)
    builder.PrependUOffsetTRelativeSlot(6, parameters, 0)
    builder.PrependUOffsetTRelativeSlot(8, ends[0], 0)
    builder.PrependUOffsetTRelativeSlot(9, ends[1], 0)
    builder.PrependUOffsetTRelativeSlot(10, chip, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _layer(builder: Any, tensor: Any) -> int:
    name = builder.CreateString(tensor.name)
    builder.StartObject(2)
    builder.PrependInt32Slot(0, int(tensor.quantization.zeroPoint[0]), 0)
    builder.PrependFloat32Slot(1, float(tensor.quantization.scale[0]), 0.0)
    numerics = builder.EndObject()
    builder.StartObject(12)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependInt32Slot(1, math.prod(tensor.shape), 0)
    for slot, side in zip((2, 3, 4), ([1, 1, 1, *tensor.shape])[-3:], strict=True):
        builder.PrependInt32Slot(slot, int(side), 0)
    builder.PrependUOffsetTRelativeSlot(5, numerics, 0)
    return int(builder.EndObject())


def _vector(builder: Any, entries: list[int]) -> int:
    builder.StartVector(4, len(entries), 4)
    for entry in reversed(entries):
        builder.PrependUOffsetTRelative(entry)
    return int(builder.EndVector())
