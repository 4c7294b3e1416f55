"""Files like those that Coral's compiler writes, made from plain ones: the layout is right, the program is zeros."""

import math
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

CUSTOM = 32


def compiled(plain: bytes, *, outside: int = 0, parameter_bytes: int | None = None) -> bytes:
    """`plain` with all operators but the last `outside` inside one compiled operator."""
    tree = schema.ModelT.InitFromPackedBuf(plain, 0)
    graph = tree.subgraphs[0]
    count = len(graph.operators) - outside
    inside, rest = graph.operators[:count], graph.operators[count:]
    written = {int(t) for op in inside for t in op.outputs}
    constant = {n for n, t in enumerate(graph.tensors) if tree.buffers[t.buffer].data is not None}
    read_later = {int(t) for op in rest for t in op.inputs} | {int(t) for t in graph.outputs}
    inputs = [int(t) for t in graph.inputs if any(t in op.inputs for op in inside)]
    outputs = sorted(written & read_later)
    held = sum(len(tree.buffers[graph.tensors[n].buffer].data) for n in constant)
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = len(tree.operatorCodes), inputs, outputs
    made.customOptions = np.frombuffer(
        _options(
            [graph.tensors[n] for n in inputs],
            [graph.tensors[n] for n in outputs],
            held if parameter_bytes is None else parameter_bytes,
        ),
        np.uint8,
    )
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = CUSTOM
    code.customCode = "edgetpu-custom-op"
    tree.operatorCodes.append(code)
    graph.operators = [made, *rest]
    keep = {*inputs, *outputs, *(int(t) for op in rest for t in (*op.inputs, *op.outputs)), *map(int, graph.outputs)}
    for n, tensor in enumerate(graph.tensors):
        if n not in keep:  # the compiler drops them; here they lose their data and stay, so that indices do
            tensor.buffer = 0
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _options(inputs: list[Any], outputs: list[Any], parameter_bytes: int) -> bytes:
    executables = [
        _executable(2, 0, inputs, outputs),
        _executable(1, parameter_bytes, [], []),
    ]
    package = _package(_multi(executables))
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(0)
        builder.Key("4")
        builder.Blob(package)  # the compiler writes a string; the library writes none of bytes
        builder.Key("5")
        builder.Int(-1)
    return bytes(builder.Finish())


def _package(multi: bytes) -> bytes:
    builder = flatbuffers.Builder(1024)
    version, content = builder.CreateString("cl/0"), builder.CreateByteVector(multi)
    builder.StartObject(8)
    builder.PrependInt32Slot(0, 13, 0)
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


def _executable(kind: int, parameter_bytes: int, inputs: list[Any], outputs: list[Any]) -> bytes:
    builder = flatbuffers.Builder(1024)
    name, chip = builder.CreateString("model"), builder.CreateString("beagle")
    parameters = builder.CreateByteVector(bytes(parameter_bytes))
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
