"""TFLite files made by hand, operator by operator, for the Edge TPU's rules; their weights mean nothing."""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}
_NUMPY = {"bool": np.uint8}


class Net:
    """A graph being written. Tensors are indices; operators run in the order in which they are added."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self._operators: list[Any] = []
        self._codes: list[tuple[int, int, str | None]] = []
        self._more_graphs: list[Any] = []

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        *,
        scales: Sequence[float] | None = (0.1,),
        zero: int = 0,
        data: Any = None,
        signature: Sequence[int] | None = None,
        variable: bool = False,
        name: str = "",
    ) -> int:
        """A tensor; with `data` a constant."""
        made = schema.TensorT()
        made.name, made.shape, made.type = name or f"t{len(self._tensors)}", list(shape), _TYPES[dtype]
        made.shapeSignature, made.isVariable, made.buffer = signature, variable, 0
        if scales and dtype in ("int8", "uint8", "int16", "int32"):
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = list(scales), [zero] * len(scales)
        if data is not None:
            buffer = schema.BufferT()
            raw = np.asarray(data, _NUMPY.get(dtype, dtype)).tobytes()
            buffer.data = np.frombuffer(raw, np.uint8)
            made.buffer = len(self._buffers)
            self._buffers.append(buffer)
        self._tensors.append(made)
        return len(self._tensors) - 1

    def weights(self, shape: Sequence[int], scales: Sequence[float] = (0.02,), dtype: str = "int8") -> int:
        """Constant weights."""
        return self.tensor(shape, dtype, scales=scales, data=np.ones(shape, dtype))

    def numbers(self, values: Any, dtype: str = "int32") -> int:
        """A constant without quantization: axes, shapes, paddings."""
        array = np.asarray(values, dtype)
        return self.tensor(array.shape, dtype, scales=None, data=array)

    def op(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int = 1,
        custom: str | None = None,
        **options: Any,
    ) -> int:
        """An operator; `options` are fields of its option table. Returns its first output."""
        number = 32 if custom else getattr(schema.BuiltinOperator, name) if isinstance(name, str) else name
        code = (number, version, custom)
        if code not in self._codes:
            self._codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._codes.index(code), list(inputs), list(outputs)
        table = _OPTIONS.get(name)
        if table is not None:
            made.builtinOptions = getattr(schema, table + "T")()
            made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            defaults = {field: 1 for field in vars(made.builtinOptions) if "stride" in field or "filter" in field}
            for field, value in {**defaults, **options}.items():
                assert hasattr(made.builtinOptions, field), field
                setattr(made.builtinOptions, field, value)
        self._operators.append(made)
        return outputs[0] if outputs else -1

    def conv(self, source: int, filters: int, *, name: str = "CONV_2D", version: int = 3, **options: Any) -> int:
        """A 1x1 convolution, or a depthwise one."""
        height, width, channels = self._tensors[source].shape[-3:]
        depthwise = name == "DEPTHWISE_CONV_2D"
        shape = (1, 1, 1, filters) if depthwise else (filters, 1, 1, channels)
        made = self.tensor((*self._tensors[source].shape[:-3], height, width, filters))
        bias = self.tensor((filters,), "int32", data=np.zeros(filters, np.int32))
        return self.op(name, [source, self.weights(shape), bias], [made], version, **options)

    def dense(
        self, source: int, units: int, *, version: int = 4, scales: Sequence[float] = (0.02,), **options: Any
    ) -> int:
        """A fully connected layer."""
        rows, width = self._tensors[source].shape[:-1], self._tensors[source].shape[-1]
        made = self.tensor((*rows, units))
        bias = self.tensor((units,), "int32", data=np.zeros(units, np.int32))
        return self.op(
            "FULLY_CONNECTED", [source, self.weights((units, width), scales), bias], [made], version, **options
        )

    def like(self, source: int, name: str, version: int = 1, extra: Sequence[int] = (), **options: Any) -> int:
        """An operator whose output has the shape of its input."""
        made = self.tensor(self._tensors[source].shape)
        return self.op(name, [source, *extra], [made], version, **options)

    def second_subgraph(self) -> None:
        """One more subgraph, with one ADD."""
        graph, tensor = schema.SubGraphT(), schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = "inner", [1], _TYPES["int8"], 0
        graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = 0, [0], [0]
        graph.operators.append(made)
        self._more_graphs.append(graph)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        tree, graph = schema.ModelT(), schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self._tensors, self._operators, "main"
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        tree.version, tree.subgraphs, tree.buffers = 3, [graph, *self._more_graphs], self._buffers
        tree.operatorCodes = [_code(*code) for code in self._codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def _code(number: int, version: int, custom: str | None) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.version, made.customCode = (
        number,
        min(number, 127),
        version,
        custom,
    )
    return made


_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "SOFTMAX": "SoftmaxOptions",
    "MEAN": "ReducerOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "PACK": "PackOptions",
    "SPLIT": "SplitOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "GATHER": "GatherOptions",
}


def classifier(*, wide: bool = False) -> bytes:
    """Convolution, pooling, flatten, dense, softmax: all mapped. `wide`: with more parameters than the chip holds."""
    net = Net()
    image = net.tensor((1, 8, 8, 3), name="image")
    x = net.conv(image, 16)
    pooled = net.tensor((1, 4, 4, 16))
    net.op("MAX_POOL_2D", [x], [pooled], 2, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    flat = net.op("RESHAPE", [pooled, net.numbers([1, 256])], [net.tensor((1, 256))])
    x = net.dense(flat, 40_000 if wide else 32)
    x = net.dense(x, 4)
    scores = net.op("SOFTMAX", [x], [net.tensor((1, 4), scales=(1 / 256,), zero=-128, name="probabilities")], 2)
    return net.build([image], [scores])
