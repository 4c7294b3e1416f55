"""A TFLite file as a compiler sees it: operators with their options, and the values of small constants.

`convert.tflite.inspection` takes the file apart; what only the Edge TPU's rules need is read here, in the same way.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.tflite.inspection import CUSTOM, Inspection, Node, TensorInfo, inspect, operator_number, plain
from convert.tflite.metadata import broken_model
from convert.tflite.schema import SchemaTable, field
from edge.inference.tflite.flatbuffer import Table
from edge.inference.tflite.model_file import constant_span

LONGEST_NAME = 80
MOST_VALUES = 1024  # of a constant that is looked into: axes, paddings and shapes have a dozen


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator with its tensors; an input left out is None.

    Attributes:
        node: as `convert.tflite.inspection` reads it. index: its place in its subgraph's order.
        custom: a custom operator; `node.operator` is then its own name.
        options: its option table, None when it has none.
    """

    node: Node
    index: int
    custom: bool
    inputs: tuple[TensorInfo | None, ...]
    outputs: tuple[TensorInfo, ...]
    options: Table | None

    @property
    def name(self) -> str:
        """As the compiler's log names it: CUSTOM for every custom operator."""
        return "CUSTOM" if self.custom else self.node.operator

    @property
    def given(self) -> tuple[TensorInfo, ...]:
        """The inputs that are there."""
        return tuple(tensor for tensor in self.inputs if tensor is not None)

    def option(self, kind: str, name: str) -> int:
        """The integer `name` of its options, a table `kind` of the schema; the default where it has no options."""
        place = field(kind, name)
        return place.default if self.options is None else self.options.number(*place)

    def input(self, position: int) -> TensorInfo | None:
        """An input by its position; None when left out."""
        return self.inputs[position] if position < len(self.inputs) else None


@dataclass(frozen=True, eq=False)
class Graph:
    """All operators of a file, those of the main subgraph first, in the order in which they run.

    Attributes:
        seen: the file taken apart.
        variables: (subgraph, tensor index) of tensors that keep their values between runs.
        buffers: (subgraph, tensor index) -> number of the buffer that holds a tensor's constant.
    """

    seen: Inspection
    operators: tuple[Operator, ...]
    variables: frozenset[tuple[int, int]]
    buffers: dict[tuple[int, int], int]
    _model: bytes
    _spans: list[tuple[int, int]]

    def is_constant(self, tensor: TensorInfo) -> bool:
        """The file holds its values, or it has none: the shape of a scalar is an empty constant."""
        return tensor.constant_bytes > 0 or 0 in tensor.shape

    def values(self, tensor: TensorInfo | None) -> list[int] | None:
        """The values of a small integer constant, flattened; None where it is none."""
        dtypes = {"int32": "<i4", "int64": "<i8", "int8": "i1", "uint8": "u1"}
        if tensor is None or not tensor.constant_bytes or tensor.dtype not in dtypes:
            return None
        raw = self.content(tensor)
        kind = np.dtype(dtypes[tensor.dtype])
        if len(raw) % kind.itemsize or len(raw) > MOST_VALUES * kind.itemsize:
            return None
        return [int(value) for value in np.frombuffer(raw, kind)]

    def stands_for_zero(self, tensor: TensorInfo) -> bool:
        """A quantized constant whose every value is its zero point."""
        if tensor.dtype not in ("int8", "uint8") or len(tensor.zero_points) != 1:
            return False
        raw = self.content(tensor)
        values: npt.NDArray[Any] = np.frombuffer(raw, "i1" if tensor.dtype == "int8" else "u1") if raw else np.empty(0)
        return bool((values == int(tensor.zero_points[0])).all())

    def content(self, tensor: TensorInfo) -> bytes:
        """The bytes of a constant; none of what is computed."""
        if not tensor.constant_bytes:
            return b""
        start, size = self._spans[self.buffers[(tensor.subgraph, tensor.index)]]
        return self._model[start : start + size]


def one_line(text: str) -> str:
    """Without control characters and line breaks: what a file says must not draw lines of its own."""
    return plain(text).replace("\n", " ")


def called(tensor: TensorInfo | None, otherwise: str = "a tensor") -> str:
    """A tensor's name as a line of text can hold it, 80 characters at most."""
    name = one_line(tensor.name if tensor else "").strip()
    return (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}...") or otherwise


def read_graph(model: bytes, name: str = "model") -> Graph:
    """Take a file apart.

    Raises:
        BrokenModelError: not a TFLite file, damaged, or an index in it points at nothing.
    """
    seen = inspect(model, name)
    with broken_model(name):
        return _read(model, seen)


def _read(model: bytes, seen: Inspection) -> Graph:
    root = SchemaTable.root(model)
    custom = [operator_number(code) == CUSTOM for code in root.tables("OperatorCodes", "OperatorCode")]
    spans = [constant_span(entry.raw) for entry in root.tables("Buffers", "Buffer")]
    tensors: dict[tuple[int, int], TensorInfo] = {(t.subgraph, t.index): t for t in seen.tensors}
    variables, buffers, operators = set(), {}, []
    nodes = iter(seen.nodes)
    for subgraph, graph in enumerate(root.tables("Subgraphs", "SubGraph")):
        for index, entry in enumerate(graph.tables("Tensors", "Tensor")):
            buffers[(subgraph, index)] = entry.number("Buffer")
            if entry.number("IsVariable"):
                variables.add((subgraph, index))
        for index, entry in enumerate(graph.tables("Operators", "Operator")):
            node = next(nodes)
            operators.append(
                Operator(
                    node,
                    index,
                    custom[entry.number("OpcodeIndex")],
                    tuple(None if i < 0 else tensors[(subgraph, i)] for i in node.inputs),
                    tuple(tensors[(subgraph, i)] for i in node.outputs),
                    entry.raw.table(field("Operator", "BuiltinOptions").slot),
                )
            )
    return Graph(seen, tuple(operators), frozenset(variables), buffers, model, spans)
