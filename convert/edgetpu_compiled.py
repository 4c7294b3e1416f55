"""What is inside a file that Coral's compiler made, what stayed outside, and whether its plain twin belongs to it."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from convert.edgetpu_checks import shape_text
from convert.edgetpu_executable import Layer, Package, read_package
from convert.edgetpu_graph import Graph, Operator, called, one_line, read_graph
from convert.errors import EdgeTpuModelError
from convert.inspection import EDGE_TPU_OPERATOR, TensorInfo
from convert.metadata import broken_model
from edge.flatbuffer import Buffer

# The compiler pads parameters to its tiles and keeps biases in its own way: 1.2 times the plain file's bytes was
# measured for Coral's MobileNetV1, 0.9 to 1.8 times follow from public logs.
LEAST_RATIO, MOST_RATIO, SLACK_BYTES = 0.5, 4.0, 1 << 16


@dataclass(frozen=True)
class Check:
    """One thing that must agree between a compiled file and its plain twin."""

    name: str
    agrees: bool
    detail: str

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"check": self.name, "agrees": self.agrees, "detail": self.detail}


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled file.

    Attributes:
        graph: the file. packages: of its compiled operators, in their order.
        outside: operators that run on the CPU.
        twin: what was compared with the plain file, None where none was given.
        plain_operators: how many the plain file has, None where none was given.
    """

    graph: Graph
    packages: tuple[Package, ...]
    outside: tuple[Operator, ...]
    twin: tuple[Check, ...] | None = None
    plain_operators: int | None = None

    @property
    def verdict(self) -> Literal["mapped", "partly"]:
        """Whether all runs on the Edge TPU."""
        return "partly" if self.outside else "mapped"

    @property
    def belongs(self) -> bool | None:
        """The plain file given is what it was compiled from; None where none was given."""
        return None if self.twin is None else all(check.agrees for check in self.twin)

    @property
    def mapped(self) -> int | None:
        """Operators of the plain file that are inside; None where no plain file was given."""
        return None if self.plain_operators is None else self.plain_operators - len(self.outside)

    def to_record(self) -> dict[str, Any]:
        """As `convert inspect --edgetpu --json` prints it."""
        counted = Counter((o.name, o.node.operator if o.custom else None, o.node.version) for o in self.outside)
        return {
            "kind": "compiled",
            "bytes": self.graph.seen.file_bytes,
            "sha256": self.graph.seen.sha256,
            "verdict": self.verdict,
            "mapped": self.mapped,
            "cpu": len(self.outside),
            "refused": 0,
            "subgraphs": len(self.packages),
            "packages": [package.to_record() for package in self.packages],
            "outside": [
                {"operator": name, "custom": custom, "version": version, "count": count}
                for (name, custom, version), count in counted.items()
            ],
            "twin": None
            if self.twin is None
            else {"belongs": self.belongs, "checks": [check.to_record() for check in self.twin]},
        }

    def to_text(self) -> str:
        """For a person."""
        lines = [f"compiled for the Edge TPU: {len(self.packages)} subgraph{'s' if len(self.packages) != 1 else ''}"]
        for package in self.packages:
            kept = f"{package.cached_bytes:,} bytes of parameters on the chip"
            if package.streamed_bytes:
                kept += f", {package.streamed_bytes:,} sent again for every inference"
            lines.append(f"  {package.bytes:,} bytes of executable; {kept}; needs runtime {package.runtime} or newer")
        counted = Counter(f"{o.node.operator} v{o.node.version}" for o in self.outside)
        lines += [f"  outside, on the CPU: {count} {name}" for name, count in counted.items()] or [
            "  nothing is outside"
        ]
        for check in self.twin or ():
            lines.append(f"  {'agrees' if check.agrees else 'DIFFERS':<8} {check.name}: {check.detail}")
        if self.twin is not None:
            lines.append(
                "the plain file is its twin" if self.belongs else "the plain file is NOT what it was compiled from"
            )
        return "\n".join(one_line(line) for line in lines)


def read_compiled(model: bytes, name: str = "model", twin: bytes | None = None, twin_name: str = "twin") -> Compiled:
    """Take a compiled file apart.

    Args:
        model: the bytes of an `_edgetpu.tflite`. twin: those of the plain file it should have been made from.
        name, twin_name: used in messages.

    Raises:
        BrokenModelError: not a TFLite file, or damaged.
        EdgeTpuModelError: it is not compiled, or the twin is.
    """
    graph = read_graph(model, name)
    if not graph.seen.edgetpu_compiled:
        raise EdgeTpuModelError(
            f"{name}: not compiled for the Edge TPU; --plain compares a compiled file with its twin"
        )
    with broken_model(name):
        options = _options(model)
        inside = [o for o in graph.operators if _is_compiled(o)]
        packages = tuple(read_package(options[(o.node.subgraph, o.index)]) for o in inside)
    outside = tuple(o for o in graph.operators if not _is_compiled(o))
    if twin is None:
        return Compiled(graph, packages, outside)
    other = read_graph(twin, twin_name)
    if other.seen.edgetpu_compiled:
        raise EdgeTpuModelError(f"{twin_name}: compiled itself; the twin is the file before compilation")
    checks = _compare(graph, inside, packages, outside, other)
    return Compiled(graph, packages, outside, tuple(checks), len(other.operators))


def _is_compiled(operator: Operator) -> bool:
    return operator.custom and operator.node.operator == EDGE_TPU_OPERATOR


def _options(model: bytes) -> dict[tuple[int, int], bytes]:
    """(subgraph, operator) -> its custom options."""
    root = Buffer(model).root(b"TFL3")
    return {(g, n): entry.raw(5) for g, graph in enumerate(root.tables(2)) for n, entry in enumerate(graph.tables(3))}


def _compare(
    graph: Graph, inside: list[Operator], packages: tuple[Package, ...], outside: tuple[Operator, ...], twin: Graph
) -> list[Check]:
    known = {tensor.name: tensor for tensor in twin.seen.tensors if tensor.subgraph == 0}
    joints = [tensor for operator in inside for tensor in (*operator.given, *operator.outputs)]
    return [
        _ends("inputs", graph.seen.inputs, twin.seen.inputs),
        _ends("outputs", graph.seen.outputs, twin.seen.outputs),
        _known("tensors", joints, known),
        _layers("layers", inside, packages),
        _left_over(outside, twin),
        _parameters(packages, outside, twin),
    ]


def _ends(name: str, own: tuple[TensorInfo, ...], twin: tuple[TensorInfo, ...]) -> Check:
    if [t.name for t in own] != [t.name for t in twin]:
        return Check(name, False, f"{_names(own)} here, {_names(twin)} in the plain file")
    different = [a for a, b in zip(own, twin, strict=True) if not _same(a, b)]
    if different:
        return Check(name, False, f"{called(different[0])}: another shape, type or quantization")
    return Check(name, True, _names(own))


def _known(name: str, tensors: list[TensorInfo], known: dict[str, TensorInfo]) -> Check:
    """Every tensor at the rim of the compiled part is one of the plain file's."""
    for tensor in tensors:
        if tensor.name not in known:
            return Check(name, False, f"the plain file has no tensor {called(tensor)}")
        if not _same(tensor, known[tensor.name]):
            return Check(name, False, f"{called(tensor)}: another shape, type or quantization")
    return Check(name, True, f"all {len(tensors)} at the rim of the compiled part are the plain file's")


def _layers(name: str, inside: list[Operator], packages: tuple[Package, ...]) -> Check:
    """The executable's own inputs and outputs are its operator's tensors."""
    for operator, package in zip(inside, packages, strict=True):
        for side, tensors, layers in (
            ("inputs", operator.given, package.inputs),
            ("outputs", operator.outputs, package.outputs),
        ):
            by_name = {layer.name: layer for layer in layers}
            if len(layers) != len(tensors) or any(tensor.name not in by_name for tensor in tensors):
                return Check(name, False, f"{side} of the executable are {', '.join(by_name) or 'none'}")
            for tensor in tensors:
                problem = _layer_problem(by_name[tensor.name], tensor)
                if problem:
                    return Check(name, False, f"{called(tensor)}: {problem}")
    return Check(name, True, "the executable's inputs and outputs are those of its operator")


def _layer_problem(layer: Layer, tensor: TensorInfo) -> str:
    elements = math.prod(max(side, 1) for side in tensor.shape)
    if layer.room < elements:
        return f"{'x'.join(map(str, layer.extents))} in the executable, {shape_text(tensor)} in the file"
    if layer.scale is None or len(tensor.scales) != 1:
        return ""
    if not math.isclose(layer.scale, float(tensor.scales[0]), rel_tol=1e-5):
        return f"scale {layer.scale:g} in the executable, {float(tensor.scales[0]):g} in the file"
    shifts = (0, 128, -128)  # the chip may count int8 from 0
    if len(tensor.zero_points) == 1 and layer.zero_point not in {int(tensor.zero_points[0]) + s for s in shifts}:
        return f"zero point {layer.zero_point} in the executable, {int(tensor.zero_points[0])} in the file"
    return ""


def _left_over(outside: tuple[Operator, ...], twin: Graph) -> Check:
    """Every operator outside writes what the same operator of the plain file writes."""
    there = Counter(_signature(operator) for operator in twin.operators)
    for operator in outside:
        if not there[_signature(operator)]:
            return Check("operators", False, f"the plain file has no such {operator.node.operator} as the one outside")
        there[_signature(operator)] -= 1
    return Check("operators", True, f"{len(outside)} outside, {len(twin.operators)} in the plain file")


def _signature(operator: Operator) -> tuple[str, int, tuple[str, ...]]:
    return operator.node.operator, operator.node.version, tuple(tensor.name for tensor in operator.outputs)


def _parameters(packages: tuple[Package, ...], outside: tuple[Operator, ...], twin: Graph) -> Check:
    left = Counter(_signature(operator) for operator in outside)
    sizes: dict[int, int] = {}
    for operator in twin.operators:
        if left[_signature(operator)]:
            left[_signature(operator)] -= 1
            continue
        for tensor in operator.given:
            sizes[twin.buffers[(tensor.subgraph, tensor.index)]] = tensor.constant_bytes
    expected = sum(sizes.values())
    held = sum(package.cached_bytes + package.streamed_bytes for package in packages)
    plausible = LEAST_RATIO * expected - SLACK_BYTES <= held <= MOST_RATIO * expected + SLACK_BYTES
    return Check("parameters", plausible, f"{held:,} bytes in the executable, {expected:,} in the plain file")


def _same(one: TensorInfo, other: TensorInfo) -> bool:
    return (
        (one.dtype, one.shape) == (other.dtype, other.shape)
        and one.scales.tolist() == other.scales.tolist()
        and one.zero_points.tolist() == other.zero_points.tolist()
    )


def _names(tensors: tuple[TensorInfo, ...]) -> str:
    return ", ".join(called(tensor) for tensor in tensors) or "none"
