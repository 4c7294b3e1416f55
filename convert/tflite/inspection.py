"""Inspection of a TFLite file: operators with versions, tensors with quantization, inputs, outputs, metadata.

Reads the file only, never runs it, so that it works on models no interpreter here can load (an Edge TPU's, a
newer version's), and says in one line when a file is broken. Fields:
https://github.com/google-ai-edge/LiteRT/blob/main/tflite/schema/schema.fbs
"""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import BrokenModelError
from convert.tflite.metadata import METADATA_NAME, ModelInfo, broken_model, parse_metadata
from convert.tflite.schema import SchemaTable, names
from edge.errors import FlatbufferError
from edge.inference.tflite.model_file import LARGEST_MODEL_BYTES, constant_bytes, lies_behind
from edge.system.files import read_at_most

EDGE_TPU_OPERATOR = "edgetpu-custom-op"
FLOAT_TYPES = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128"})
CUSTOM = 32  # BuiltinOperator.CUSTOM
HIGHEST_RANK = 16


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """One tensor of the first subgraph's or another's graph.

    Attributes:
        subgraph, index: where it stands.
        shape: dimensions, outermost first; `signature` is the same with -1 where a size is open, empty when
            not given.
        scales, zero_points: 1-D, one entry when quantized per tensor, several per channel along `axis`, none
            when not.
        constant_bytes: size of its data in the file; 0 for what is computed at run time.
        behind: they lie behind the FlatBuffer, where readers older than 2023 do not look.

    >>> image = TensorInfo(0, 1, "image", "int8", (1, 8, 8, 3), (), np.float32([1 / 128]), np.int64([0]), 0, 0)
    >>> image.to_text()
    'image  int8 1x8x8x3  scale 0.0078125 zero point 0'
    """

    subgraph: int
    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int
    constant_bytes: int
    behind: bool = False

    @property
    def is_float(self) -> bool:
        """Whether its numbers are floating-point."""
        return self.dtype in FLOAT_TYPES

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it; a scale that is no finite number is null."""
        return {
            "subgraph": self.subgraph,
            "index": self.index,
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "constant_bytes": self.constant_bytes,
            "quantization": self._quantization(),
        }

    def _quantization(self) -> dict[str, Any] | None:
        if not len(self.scales):
            return None
        if len(self.scales) == 1:
            zero_point = int(self.zero_points[0]) if len(self.zero_points) else 0
            return {"per": "tensor", "scale": _finite(self.scales[0]), "zero_point": zero_point}
        return {
            "per": "channel",
            "axis": self.axis,
            "channels": len(self.scales),
            "scale_smallest": _finite(self.scales.min()),
            "scale_largest": _finite(self.scales.max()),
        }

    def to_text(self) -> str:
        """`name int8 1x224x224x3 scale 0.0078125 zero point 0`."""
        size = "x".join(map(str, self.shape)) or "scalar"
        quantized = self._quantization()
        if quantized is None:
            form = ""
        elif quantized["per"] == "tensor":
            form = f"  scale {float(self.scales[0]):.9g} zero point {quantized['zero_point']}"
        else:
            form = f"  per channel, {quantized['channels']} scales"
        return f"{self.name}  {self.dtype} {size}{form}"


@dataclass(frozen=True)
class Node:
    """One operator in execution order; tensor index -1 stands for an input left out."""

    subgraph: int
    operator: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom_bytes: int


@dataclass(frozen=True, eq=False)
class Inspection:
    """A TFLite file taken apart. `inputs` and `outputs` are those of the main subgraph."""

    file_bytes: int
    sha256: str
    schema_version: int
    description: str
    subgraphs: int
    nodes: tuple[Node, ...]
    tensors: tuple[TensorInfo, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata_names: tuple[str, ...]
    info: ModelInfo | None

    @property
    def operators(self) -> tuple[tuple[str, int, int], ...]:
        """(name, version, count), most frequent first."""
        counted = Counter((node.operator, node.version) for node in self.nodes)
        return tuple((name, version, n) for (name, version), n in counted.most_common())

    @property
    def float_tensors(self) -> tuple[TensorInfo, ...]:
        """Every floating-point tensor."""
        return tuple(tensor for tensor in self.tensors if tensor.is_float)

    @property
    def full_int8(self) -> bool:
        """No floating-point tensor anywhere, and every input and output an 8-bit integer."""
        ends = self.inputs + self.outputs
        return bool(ends) and not self.float_tensors and all(t.dtype in ("int8", "uint8") for t in ends)

    @property
    def edgetpu_compiled(self) -> bool:
        """Whether Coral's compiler made it: it holds that compiler's custom operator."""
        return any(node.operator == EDGE_TPU_OPERATOR for node in self.nodes)

    def tensor(self, index: int, subgraph: int = 0) -> TensorInfo:
        """The tensor with this index in a subgraph."""
        return next(t for t in self.tensors if t.index == index and t.subgraph == subgraph)

    def to_record(self) -> dict[str, Any]:
        """As `convert inspect --json` prints it."""
        return {
            "bytes": self.file_bytes,
            "sha256": self.sha256,
            "schema_version": self.schema_version,
            "description": self.description,
            "subgraphs": self.subgraphs,
            "full_int8": self.full_int8,
            "edgetpu_compiled": self.edgetpu_compiled,
            "float_tensors": len(self.float_tensors),
            "constant_bytes": sum(t.constant_bytes for t in self.tensors),
            "custom_bytes": sum(n.custom_bytes for n in self.nodes),
            "operators": [{"name": name, "version": v, "count": n} for name, v, n in self.operators],
            "inputs": [t.to_record() for t in self.inputs],
            "outputs": [t.to_record() for t in self.outputs],
            "tensors": [t.to_record() for t in self.tensors],
            "metadata": list(self.metadata_names),
            "model_info": self.info.to_record() if self.info else None,
        }

    def to_text(self) -> str:
        """For a person: a page without the single tensors."""
        constants = sum(t.constant_bytes for t in self.tensors)
        kind = "full-int8" if self.full_int8 else f"not full-int8 ({len(self.float_tensors)} float tensors)"
        lines = [
            f"{self.file_bytes:,} bytes, of them {constants:,} constants; {kind}"
            + ("; compiled for the Edge TPU" if self.edgetpu_compiled else ""),
            f"sha256 {self.sha256}",
            f"schema version {self.schema_version}, subgraphs {self.subgraphs}, tensors {len(self.tensors)}",
            *(f"input   {t.to_text()}" for t in self.inputs),
            *(f"output  {t.to_text()}" for t in self.outputs),
            "operators:",
            *(f"  {n:5d}  {name} v{version}" for name, version, n in self.operators),
        ]
        if self.metadata_names:
            lines.append(f"metadata: {', '.join(self.metadata_names)}")
        if self.info:
            lines.append(self.info.to_text())
        return "\n".join(plain(line) for line in lines)


def inspect_file(path: Path) -> Inspection:
    """As `inspect`, from a path.

    Raises:
        BrokenModelError: missing, a folder, larger than 1 GiB, or what `inspect` refuses.
    """
    return inspect(read_at_most(path, LARGEST_MODEL_BYTES, BrokenModelError), str(path))


def inspect(model: bytes, name: str = "model") -> Inspection:
    """Take a TFLite file apart.

    Args:
        model: the file's bytes.
        name: used in messages.

    Raises:
        BrokenModelError: not a TFLite file, damaged, or an index in it points at nothing.
    """
    with broken_model(name):
        return _inspect(model, name)


def _inspect(model: bytes, name: str) -> Inspection:
    root = SchemaTable.root(model)
    operators = [_operator_code(code) for code in root.tables("OperatorCodes", "OperatorCode")]
    sizes = [(constant_bytes(entry.raw), lies_behind(entry.raw)) for entry in root.tables("Buffers", "Buffer")]
    graphs = list(root.tables("Subgraphs", "SubGraph"))
    if not graphs:
        raise FlatbufferError("no subgraph")
    nodes: list[Node] = []
    tensors: list[TensorInfo] = []
    ends: tuple[list[int], list[int]] = ([], [])
    for number, graph in enumerate(graphs):
        own = [_tensor(entry, number, index, sizes) for index, entry in enumerate(graph.tables("Tensors", "Tensor"))]
        nodes += [_node(entry, number, operators, len(own)) for entry in graph.tables("Operators", "Operator")]
        indices = _indices(graph, "Inputs", len(own)), _indices(graph, "Outputs", len(own))
        ends = indices if number == 0 else ends
        tensors += own
    names, info = _metadata(root, model, name)
    return Inspection(
        file_bytes=len(model),
        sha256=hashlib.sha256(model).hexdigest(),
        schema_version=root.number("Version"),
        description=root.text("Description"),
        subgraphs=len(graphs),
        nodes=tuple(nodes),
        tensors=tuple(tensors),
        inputs=tuple(tensors[i] for i in ends[0]),
        outputs=tuple(tensors[i] for i in ends[1]),
        metadata_names=tuple(names),
        info=info,
    )


def operator_number(code: SchemaTable) -> int:
    """BuiltinOperator of an OperatorCode. Numbers above 127 stand in the newer 32-bit field, smaller ones in either."""
    return max(code.number("DeprecatedBuiltinCode"), code.number("BuiltinCode"))


def _operator_code(code: SchemaTable) -> tuple[str, int]:
    """(name, version)."""
    number = operator_number(code)
    name = code.text("CustomCode") if number == CUSTOM else names("BuiltinOperator").get(number, f"BUILTIN_{number}")
    return name or "CUSTOM", code.number("Version")


def _tensor(entry: SchemaTable, subgraph: int, index: int, sizes: list[tuple[int, bool]]) -> TensorInfo:
    number = entry.number("Buffer")
    if number >= max(1, len(sizes)):
        raise FlatbufferError(f"tensor {index} uses buffer {number} of {len(sizes)}")
    shape = tuple(int(n) for n in _short(entry.array("Shape", "i4")))
    if any(n < -1 for n in shape):
        raise FlatbufferError(f"tensor {index} has the shape {list(shape)}")
    kind = entry.number("Type")
    quantization = entry.table("Quantization", "QuantizationParameters")
    scales = quantization.array("Scale", "f4") if quantization else np.empty(0, np.float32)
    return TensorInfo(
        subgraph=subgraph,
        index=index,
        name=entry.text("Name"),
        dtype=names("TensorType").get(kind, f"type{kind}").lower(),
        shape=shape,
        signature=tuple(int(n) for n in _short(entry.array("ShapeSignature", "i4"))),
        scales=scales,
        zero_points=quantization.array("ZeroPoint", "i8") if quantization else np.empty(0, np.int64),
        axis=quantization.number("QuantizedDimension") if quantization else 0,
        constant_bytes=sizes[number][0] if sizes else 0,
        behind=bool(sizes) and sizes[number][1],
    )


def _short(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if len(values) > HIGHEST_RANK:
        raise FlatbufferError(f"a tensor of {len(values)} dimensions")
    return values


def _node(entry: SchemaTable, subgraph: int, operators: list[tuple[str, int]], tensors: int) -> Node:
    code = entry.number("OpcodeIndex")
    if code >= len(operators):
        raise FlatbufferError(f"an operator uses code {code} of {len(operators)}")
    name, version = operators[code]
    return Node(
        subgraph=subgraph,
        operator=name,
        version=version,
        inputs=tuple(_indices(entry, "Inputs", tensors, optional=True)),
        outputs=tuple(_indices(entry, "Outputs", tensors)),
        custom_bytes=entry.length("CustomOptions"),
    )


def _indices(table: SchemaTable, side: str, tensors: int, optional: bool = False) -> list[int]:
    values = table.array(side, "i4")
    if len(values) and (values.min() < (-1 if optional else 0) or values.max() >= tensors):
        raise FlatbufferError(f"a tensor index beyond the {tensors} tensors there are")
    return [int(v) for v in values]


def _metadata(root: SchemaTable, model: bytes, file: str) -> tuple[list[str], ModelInfo | None]:
    """Names of the metadata entries, and the standard TFLite metadata when one of them is that."""
    buffers = list(root.tables("Buffers", "Buffer"))
    names: list[str] = []
    info = None
    for entry in root.tables("Metadata", "Metadata"):
        name, number = entry.text("Name"), entry.number("Buffer")
        if number >= len(buffers):
            raise FlatbufferError(f"metadata {name!r} uses buffer {number} of {len(buffers)}")
        names.append(name)
        if name == METADATA_NAME and info is None:
            info = parse_metadata(buffers[number].content("Data"), model, file)
    return names, info


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def plain(text: str) -> str:
    """Without control characters: a name in a file must not drive the terminal. Line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
