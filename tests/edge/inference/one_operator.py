"""TFLite files of one operator, put together by hand."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INT8, UINT8, INT16, INT32 = (getattr(schema.TensorType, name) for name in ("INT8", "UINT8", "INT16", "INT32"))
ADD, SUB, SQUARED_DIFFERENCE = (getattr(schema.BuiltinOperator, n) for n in ("ADD", "SUB", "SQUARED_DIFFERENCE"))
CONV, SOFTMAX, SVDF = (getattr(schema.BuiltinOperator, n) for n in ("CONV_2D", "SOFTMAX", "SVDF"))
_OPTIONS = {
    ADD: (schema.AddOptionsT, schema.BuiltinOptions.AddOptions),
    SUB: (schema.SubOptionsT, schema.BuiltinOptions.SubOptions),
    SQUARED_DIFFERENCE: (schema.SquaredDifferenceOptionsT, schema.BuiltinOptions.SquaredDifferenceOptions),
    CONV: (schema.Conv2DOptionsT, schema.BuiltinOptions.Conv2DOptions),
    SOFTMAX: (schema.SoftmaxOptionsT, schema.BuiltinOptions.SoftmaxOptions),
    SVDF: (schema.SVDFOptionsT, schema.BuiltinOptions.SVDFOptions),
}


def tensor(
    name: str, shape: tuple[int, ...], kind: int, scales: Any = (), zero_points: Any = 0, buffer: int = 0
) -> Any:
    """A tensor; `buffer` 0 holds no constant, and -1 marks one that keeps its values between runs."""
    made = schema.TensorT()
    made.name, made.shape, made.type = name, list(shape), kind
    made.buffer, made.isVariable = max(buffer, 0), buffer < 0
    scales = np.atleast_1d(np.array(scales, np.float32))
    if scales.size:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = scales
        made.quantization.zeroPoint = np.broadcast_to(np.array(zero_points, np.int64), scales.shape)
    return made


def file(
    code: int, version: int, tensors: list[Any], inputs: list[int], constants: tuple[bytes, ...] = (), **options: Any
) -> bytes:
    """A file in which one operator reads `inputs` and writes the last tensor. `constants` are buffers 1, 2, ..."""
    model, graph, node, entry = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, code, version
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [entry], [graph], [schema.BufferT()]
    for constant in constants:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(constant, np.uint8)
        model.buffers.append(buffer)
    kind, node.builtinOptionsType = _OPTIONS[code]
    node.builtinOptions = kind()
    for name, value in options.items():
        setattr(node.builtinOptions, name, value)
    node.inputs, node.outputs, graph.operators = inputs, [len(tensors) - 1], [node]
    graph.tensors, graph.outputs = tensors, node.outputs
    graph.inputs = [n for n in inputs if not tensors[n].buffer and not tensors[n].isVariable]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def sum_of_two(code: int, kind: int, first: float, second: float, result: float) -> bytes:
    """ADD, SUB or SQUARED_DIFFERENCE of two tensors 1x2x2x3 with these scales."""
    shape = (1, 2, 2, 3)
    scales = (first, second, result)
    tensors = [tensor(name, shape, kind, scale) for name, scale in zip(("a", "b", "sum"), scales, strict=True)]
    options = {"potScaleInt16": False} if code in (ADD, SUB) else {}
    return file(code, 3 if kind == INT16 else 2, tensors, [0, 1], **options)


def svdf(state: int, time_weights: int = INT16) -> bytes:
    """An integer SVDF of 256 filters with a memory of 32."""
    filters, inputs, memory = 256, 64, 32
    width = {INT8: 1, INT16: 2}[time_weights]
    tensors = [
        tensor("x", (1, inputs), INT8, 0.1),
        tensor("features", (filters, inputs), INT8, 0.1, 0, 1),
        tensor("time", (filters, memory), time_weights, 0.01, 0, 2),
        tensor("bias", (filters,), INT32, 0.001, 0, 3),
        tensor("memory", (1, filters * memory), state, 0.01, 0, -1),
        tensor("y", (1, filters), INT8, 0.1),
    ]
    constants = (b"\1" * (filters * inputs), b"\1" * (filters * memory * width), bytes(4 * filters))
    return file(SVDF, 3, tensors, [0, 1, 2, 3, 4], constants, rank=1, fusedActivationFunction=1)


def softmax(scale: float = 0.1, beta: float = 1.0, classes: int = 3, kind: int = INT8) -> bytes:
    """A SOFTMAX with the ends of a classifier."""
    result = {INT8: (1 / 256, -128), UINT8: (1 / 256, 0), INT16: (1 / 32768, 0)}[kind]
    tensors = [tensor("x", (1, 1, 1, classes), kind, scale), tensor("y", (1, classes), kind, *result)]
    return file(SOFTMAX, 2, tensors, [0], beta=beta)


def convolution(zero_points: Any) -> bytes:
    """A 1x1 convolution of 3 into 4 channels, with a scale for each."""
    tensors = [
        tensor("x", (1, 2, 2, 3), INT8, 0.1),
        tensor("weights", (4, 1, 1, 3), INT8, [0.1] * 4, zero_points, 1),
        tensor("bias", (4,), INT32, [0.01] * 4, 0, 2),
        tensor("y", (1, 2, 2, 4), INT8, 0.1),
    ]
    options = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    return file(CONV, 3, tensors, [0, 1, 2], (b"\1" * 12, bytes(16)), **options)
