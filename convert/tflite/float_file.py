"""A float TFLite file that can be changed between calibration and quantization: weights, biases, ranges.

The converter's own calibrated file (`convert.quantization.quantize.calibrated`): batch norms folded, activations
fused, every
activation with the least and greatest value that calibration saw. What TensorFlow's quantizer makes of it follows from
these numbers alone, so that each way to quantize better is a change to them, and works for any model the converter
takes, Keras or not (docs/decisions/0023-recover.md).
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import RecoveryError
from convert.tflite.schema import names, pack_model

Floats = npt.NDArray[np.float32]
FLOAT32 = 0  # TensorType.FLOAT32
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}  # ActivationFunctionType
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
WEIGHTS, BIAS = 1, 2  # places among a weighted operator's inputs


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator, in execution order.

    Attributes:
        place: index in that order. kind: as TFLite calls it.
        inputs, outputs: tensor indices; -1 where an optional input is left out.
        activation: fused into it, one of `ACTIVATIONS`.
        options: its builtin options table, None where it has none.
    """

    place: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    options: Any


class FloatFile:
    """A float TFLite file with one subgraph, taken apart; `pack` puts it together again.

    Raises:
        RecoveryError: more than one subgraph (control flow).
    """

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._tree: Any = schema.ModelT.InitFromPackedBuf(model, 0)
        if len(self._tree.subgraphs) != 1:
            raise RecoveryError(f"a model with one subgraph expected; got {len(self._tree.subgraphs)} (control flow)")
        self._schema: Any = schema
        self._graph = self._tree.subgraphs[0]
        known = names("BuiltinOperator")
        self._kinds = [known[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in self._tree.operatorCodes]

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All operators as they stand now."""
        return tuple(
            Operator(
                place,
                self._kinds[op.opcodeIndex],
                tuple(int(i) for i in op.inputs),
                tuple(int(i) for i in op.outputs),
                ACTIVATIONS.get(getattr(op.builtinOptions, "fusedActivationFunction", 0), "other"),
                op.builtinOptions,
            )
            for place, op in enumerate(self._graph.operators)
        )

    @property
    def inputs(self) -> tuple[int, ...]:
        """Tensors the model is fed."""
        return tuple(int(i) for i in self._graph.inputs)

    @property
    def activations(self) -> tuple[int, ...]:
        """Float tensors that are computed or fed, in index order: those that get a scale."""
        computed = {int(i) for op in self._graph.operators for i in op.outputs}
        return tuple(
            index
            for index, tensor in enumerate(self._graph.tensors)
            if tensor.type == FLOAT32 and (index in computed or index in self.inputs)
        )

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Of a tensor, outermost first; () for a scalar."""
        shape = self._graph.tensors[tensor].shape
        return () if shape is None else tuple(int(n) for n in shape)

    def name(self, tensor: int) -> str:
        """Of a tensor, as the converter wrote it."""
        return str((self._graph.tensors[tensor].name or b"").decode("utf-8", "replace"))

    def constant(self, tensor: int) -> npt.NDArray[Any] | None:
        """A copy of a constant float32 or int32 tensor's values; None for one that is computed, or left out (-1)."""
        if tensor < 0:
            return None
        found = self._graph.tensors[tensor]
        data = self._tree.buffers[found.buffer].data
        if data is None or len(data) == 0 or found.type not in (0, 2):
            return None
        values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.float32 if found.type == 0 else np.int32)
        return values.reshape(self.shape(tensor)).copy()

    def set_input(self, operator: Operator, slot: int, values: Floats) -> None:
        """Give one operator other weights or another bias, of the same shape; no other operator's change with it,
        though the converter lets equal constants share a tensor or a buffer."""
        op = self._graph.operators[operator.place]
        index = int(op.inputs[slot])
        tensor = copy.copy(self._graph.tensors[index])
        if self.shape(index) != values.shape:
            raise RecoveryError(f"values for {self.name(index)} must be {self.shape(index)}; got {values.shape}")
        if self._readers(index) > 1:
            self._graph.tensors.append(tensor)
            op.inputs = [len(self._graph.tensors) - 1 if k == slot else int(i) for k, i in enumerate(op.inputs)]
        else:
            self._graph.tensors[index] = tensor
        data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
        if sum(other.buffer == tensor.buffer for other in self._graph.tensors) == 1:
            self._tree.buffers[tensor.buffer].data = data
            return
        buffer = self._schema.BufferT()
        buffer.data = data
        self._tree.buffers.append(buffer)
        tensor.buffer = len(self._tree.buffers) - 1

    def range(self, tensor: int) -> tuple[float, float] | None:
        """Least and greatest value that the quantizer is told of; None where calibration recorded none."""
        found = self._graph.tensors[tensor].quantization
        if found is None or found.min is None or found.max is None or not len(found.min):
            return None
        return float(found.min[0]), float(found.max[0])

    def set_range(self, tensor: int, low: float, high: float) -> None:
        """Tell the quantizer another range, both finite and low <= high."""
        if not (np.isfinite([low, high]).all() and low <= high):
            raise RecoveryError(f"range of {self.name(tensor)} must be finite and ordered; got {low}..{high}")
        found = self._graph.tensors[tensor].quantization or self._schema.QuantizationParametersT()
        found.min, found.max = np.array([low], np.float32), np.array([high], np.float32)
        self._graph.tensors[tensor].quantization = found

    def producer(self, tensor: int) -> Operator | None:
        """The operator that computes a tensor."""
        return next((op for op in self.operators if tensor in op.outputs), None)

    def pack(self) -> bytes:
        """The file as bytes."""
        return pack_model(self._tree)

    def _readers(self, tensor: int) -> int:
        return sum(int(i) == tensor for op in self._graph.operators for i in op.inputs)
