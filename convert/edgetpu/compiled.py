"""The contents of a compiled file: what runs on the chip, what stayed outside, and the check of its plain twin."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from convert.edgetpu.executable import Package, read_package
from convert.edgetpu.graph import Graph, Operator, one_line, read_graph
from convert.edgetpu.source_match import Check, compare
from convert.errors import EdgeTpuModelError
from convert.tflite.inspection import EDGE_TPU_OPERATOR
from convert.tflite.metadata import broken_model
from convert.tflite.schema import SchemaTable


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
    def readable(self) -> bool:
        """Every executable could be read."""
        return not any(package.problem for package in self.packages)

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
            if package.problem:
                lines.append(f"  {package.bytes:,} bytes of executable that cannot be read: {package.problem}")
                continue
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
    checks = compare(graph, inside, packages, outside, other)
    return Compiled(graph, packages, outside, checks, len(other.operators))


def _is_compiled(operator: Operator) -> bool:
    return operator.custom and operator.node.operator == EDGE_TPU_OPERATOR


def _options(model: bytes) -> dict[tuple[int, int], bytes]:
    """(subgraph, operator) -> its custom options."""
    graphs = SchemaTable.root(model).tables("Subgraphs", "SubGraph")
    return {
        (g, n): entry.content("CustomOptions")
        for g, graph in enumerate(graphs)
        for n, entry in enumerate(graph.tables("Operators", "Operator"))
    }
