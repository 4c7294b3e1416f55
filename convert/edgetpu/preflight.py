"""Preflight for a Coral Edge TPU: a prediction from the file alone of what Coral's compiler makes of it.

Operator by operator: mapped, left to the CPU, or refused, with the rule, its cure and how sure it is
(`convert.edgetpu.rules`); how many subgraphs the compiler would make; parameters against the on-chip memory.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from convert.edgetpu.graph import Graph, Operator, called, one_line, read_graph
from convert.edgetpu.limits import (
    CONTROL_FLOW,
    FEW_DENSE_OUTPUTS,
    LARGE_CONSTANT_BYTES,
    LARGE_DENSE_BYTES,
    ON_CHIP_BYTES,
    SUPPORTED,
    SURELY_FIT_TOGETHER_BYTES,
    SURELY_FITS_BYTES,
    WIDE_DENSE_INPUTS,
)
from convert.edgetpu.operator_checks import Placement, is_activation, judge, size
from convert.edgetpu.partition import parts
from convert.edgetpu.rules import COMPILER, RULES, SURE
from convert.errors import EdgeTpuModelError
from convert.tflite.inspection import Inspection, TensorInfo
from convert.tflite.metadata import broken_model

Verdict = Literal["mapped", "partly", "cpu", "refused"]
SAYS = {
    "mapped": "the whole model runs on the Edge TPU",
    "partly": "a part runs on the Edge TPU, the rest on the CPU",
    "cpu": "nothing runs on the Edge TPU",
    "refused": "the compiler refuses it, or what it makes must not be used",
}


@dataclass(frozen=True, eq=False)
class Placed:
    """An operator and its placement."""

    operator: Operator
    placement: Placement

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        node = self.operator.node
        return {
            "subgraph": node.subgraph,
            "index": self.operator.index,
            "operator": self.operator.name,
            "custom": node.operator if self.operator.custom else None,
            "version": node.version,
            "output": self.operator.outputs[0].name if self.operator.outputs else "",
            "status": self.placement.status,
            "rule": self.placement.rule or None,
            "detail": self.placement.detail or None,
        }


@dataclass(frozen=True)
class Memory:
    """Parameters of what is mapped against the on-chip memory, in bytes.

    The compiler pads parameters, and instructions and activations need room too: what streams is known within
    bounds only. `unusual`: constants of a kind that logs show sent in spite of room, or much larger once padded.

    >>> memory = Memory(parameters=9 * 2**20)
    >>> memory.fits, memory.streamed_at_least
    ('no', 1048576)
    """

    parameters: int
    largest_activation: int = 0
    unusual: bool = False
    on_chip: int = ON_CHIP_BYTES

    @property
    def streamed_at_least(self) -> int:
        """What cannot be held on the chip in any case."""
        return max(0, self.parameters - self.on_chip)

    @property
    def fits(self) -> Literal["yes", "perhaps", "no"]:
        """Whether all parameters stay on the chip, but for a few KiB."""
        together = self.parameters + 2 * self.largest_activation
        small = self.parameters <= SURELY_FITS_BYTES and together <= SURELY_FIT_TOGETHER_BYTES
        if small and not self.unusual:
            return "yes"
        return "no" if self.streamed_at_least else "perhaps"

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "parameter_bytes": self.parameters,
            "largest_activation_bytes": self.largest_activation,
            "on_chip_bytes": self.on_chip,
            "fits": self.fits,
            "streamed_bytes_at_least": self.streamed_at_least,
        }

    def to_text(self) -> str:
        """One line."""
        held = f"{self.parameters:,} bytes of parameters, about {self.on_chip:,} on the chip: "
        return (
            held
            + {
                "yes": "they stay there",
                "perhaps": "a part may be sent again for every inference",
                "no": f"at least {self.streamed_at_least:,} bytes are sent again for every inference",
            }[self.fits]
        )


@dataclass(frozen=True, eq=False)
class Preflight:
    """What Coral's compiler would make of a file.

    Attributes:
        seen: the file taken apart.
        placed: every operator. Where the file is refused, those that are not refused themselves show their placement
            after the cure.
        tpu_parts: how many parts of the graph could run on the Edge TPU; by default the compiler takes the first.
        memory: of what is mapped.
        notes: (rule, detail) of what is worth saying beside.
    """

    seen: Inspection
    placed: tuple[Placed, ...]
    tpu_parts: int
    memory: Memory
    notes: tuple[tuple[str, str], ...]

    @cached_property
    def counts(self) -> Counter[str]:
        """Operators by status."""
        return Counter(each.placement.status for each in self.placed)

    @property
    def verdict(self) -> Verdict:
        """In one word."""
        if self.counts["refused"]:
            return "refused"
        if not self.counts["mapped"]:
            return "cpu"
        return "partly" if self.counts["cpu"] else "mapped"

    @property
    def subgraphs(self) -> int:
        """Subgraphs that the compiler would make, with its default of one at most."""
        return int(self.verdict in ("mapped", "partly"))

    def mapped_by_operator(self) -> Counter[str]:
        """How many of each operator are mapped, by the names in the compiler's log."""
        return Counter(each.operator.name for each in self.placed if each.placement.status == "mapped")

    def to_record(self) -> dict[str, Any]:
        """As `convert inspect --edgetpu --json` prints it."""
        met = sorted({*self._rules_met(), *(rule for rule, _ in self.notes)})
        return {
            "kind": "plain",
            "bytes": self.seen.file_bytes,
            "sha256": self.seen.sha256,
            "compiler": COMPILER,
            "verdict": self.verdict,
            "mapped": self.counts["mapped"],
            "cpu": self.counts["cpu"],
            "refused": self.counts["refused"],
            "subgraphs": self.subgraphs,
            "subgraphs_possible": self.tpu_parts,
            "memory": self.memory.to_record(),
            "operators": [each.to_record() for each in self.placed],
            "notes": [{"rule": rule, "detail": detail} for rule, detail in self.notes],
            "rules": {name: rule_record(name) for name in met},
        }

    def to_text(self) -> str:
        """For a person: a row for what shares operator and placement, then each rule with its cure."""
        counts, refused = self.counts, self.verdict == "refused"
        lines = [
            f"{self.verdict}: {SAYS[self.verdict]}",
            f"{counts['mapped']} operators mapped{' once that is cured' if refused else ''}, {counts['cpu']} on the"
            f" CPU, {counts['refused']} refused; {_subgraphs_text(self.subgraphs, self.tpu_parts)}",
            self.memory.to_text(),
            "",
            f"{'operator':<30} {'count':>5}  {'status':<8} rule",
            *self._rows(),
            *rule_lines(self._rules_met()),
            *(f"note: {RULES[rule].says}{f' ({detail})' if detail else ''}" for rule, detail in self.notes),
            "",
            f"predicted for compiler {COMPILER}; only the compiler itself can confirm it (convert compile --edgetpu)",
        ]
        return "\n".join(one_line(line) for line in lines)

    def _rules_met(self) -> list[str]:
        return [each.placement.rule for each in self.placed if each.placement.rule]

    def _rows(self) -> list[str]:
        groups: dict[tuple[str, str, str], list[Placed]] = {}
        for each in self.placed:
            name = each.operator.node.operator if each.operator.custom else each.operator.name
            row = (f"{name} v{each.operator.node.version}", each.placement.status, each.placement.rule)
            groups.setdefault(row, []).append(each)
        rows = []
        for (name, status, rule), members in groups.items():
            detail = members[0].placement.detail
            why = f"{rule}: {detail}" if detail else rule
            more = f" (and {len(members) - 1} more)" if len(members) > 1 and detail else ""
            rows.append(f"{name:<30} {len(members):5d}  {status:<8} {why}{more}".rstrip())
        return rows


def preflight(model: bytes, name: str = "model") -> Preflight:
    """Predict what Coral's compiler makes of a file.

    Args:
        model: a TFLite file's bytes.
        name: used in messages.

    Raises:
        BrokenModelError: not a TFLite file, or damaged.
        EdgeTpuModelError: it is compiled already.
    """
    graph = read_graph(model, name)
    if graph.seen.edgetpu_compiled:
        raise EdgeTpuModelError(f"{name}: compiled for the Edge TPU already; give the file it was compiled from")
    with broken_model(name):
        placed, tpu_parts = _place(graph)
        notes = _notes(graph, placed)
        return Preflight(graph.seen, tuple(placed), tpu_parts, _memory(graph, placed), tuple(notes))


def rule_record(name: str) -> dict[str, Any]:
    """A rule as JSON holds it."""
    rule = RULES[name]
    return {
        "effect": rule.effect,
        "says": rule.says,
        "cure": rule.cure or None,
        "sure": rule.sure,
        "sources": list(rule.sources),
    }


def rule_lines(names: Iterable[str]) -> list[str]:
    """Each rule that was met: what it says, the cure, how sure, and where from."""
    lines = []
    for name in dict.fromkeys(names):
        rule = RULES[name]
        lines += ["", f"{name}: {rule.says}", *([f"  cure: {rule.cure}"] if rule.cure else [])]
        lines.append(f"  {rule.sure} ({SURE[rule.sure]}): {rule.sources[0]}")
    return lines


def _place(graph: Graph) -> tuple[list[Placed], int]:
    """Every operator with its placement, and how many parts could run on the Edge TPU."""
    placements = _alone(graph)
    main = [n for n, operator in enumerate(graph.operators) if operator.node.subgraph == 0]
    kinds = [_may_be_mapped(graph.operators[n], placements[n]) for n in main]
    nodes = [graph.operators[n].node for n in main]
    cut = parts([[t for t in node.inputs if t >= 0] for node in nodes], [node.outputs for node in nodes], kinds)
    tpu = [part for part in cut if kinds[part[0]]]
    for part in tpu[1:]:
        for position in part:
            if placements[main[position]].status == "mapped":
                placements[main[position]] = Placement("cpu", "after-unmapped")
    for position in set(range(len(main))) - {position for part in cut for position in part}:
        placements[main[position]] = Placement("refused", "order")
    return [Placed(*pair) for pair in zip(graph.operators, placements, strict=True)], len(tpu)


def _alone(graph: Graph) -> list[Placement]:
    """The placement of each operator without regard to the others."""
    if not _quantized(graph):
        return [Placement("refused", "model-not-quantized") for _ in graph.operators]
    calls = any(operator.name in CONTROL_FLOW for operator in graph.operators)
    second = "second-subgraph" if calls else "second-signature"
    return [
        judge(operator, graph)
        if operator.node.subgraph == 0
        else Placement("refused", second, f"subgraph {operator.node.subgraph}")
        for operator in graph.operators
    ]


def _quantized(graph: Graph) -> bool:
    return any(tensor.dtype in ("int8", "uint8") and len(tensor.scales) for tensor in graph.seen.tensors)


def _may_be_mapped(operator: Operator, placement: Placement) -> bool:
    """It is mapped, or would be once what refuses it is cured."""
    curable = placement.status == "refused" and not operator.custom and operator.name in SUPPORTED
    return placement.status == "mapped" or curable


def _memory(graph: Graph, placed: Sequence[Placed]) -> Memory:
    """Constants of what is mapped; one that several operators share counts once. And its largest activation."""
    sizes: dict[int, int] = {}
    for each in placed:
        if each.placement.status == "mapped":
            for tensor in each.operator.given:
                sizes[graph.buffers[(tensor.subgraph, tensor.index)]] = tensor.constant_bytes
    unusual = max(sizes.values(), default=0) > LARGE_CONSTANT_BYTES or any(
        each.placement.status == "mapped" and _padded(each.operator) for each in placed
    )
    return Memory(sum(sizes.values()), max(map(size, _activations(graph, placed)), default=0), unusual)


def _padded(operator: Operator) -> bool:
    """Its parameters take far more room than their size, or were seen sent again though there was room."""
    weights = operator.input(1)
    if operator.name != "FULLY_CONNECTED" or weights is None or len(weights.shape) != 2:
        return operator.name == "PRELU"
    if weights.constant_bytes >= LARGE_DENSE_BYTES:
        return True
    return weights.shape[1] > WIDE_DENSE_INPUTS and weights.shape[0] <= FEW_DENSE_OUTPUTS


def _activations(graph: Graph, placed: Sequence[Placed]) -> list[TensorInfo]:
    """What mapped operators write."""
    mapped = (tensor for each in placed if each.placement.status == "mapped" for tensor in each.operator.outputs)
    return [tensor for tensor in mapped if is_activation(tensor, graph)]


def _notes(graph: Graph, placed: Sequence[Placed]) -> list[tuple[str, str]]:
    """What is worth saying, each rule once, with how often."""
    found: dict[str, list[str]] = {}
    for each in placed:
        for rule, detail in each.placement.notes if each.placement.status == "mapped" else ():
            found.setdefault(rule, []).append(detail)
    open_sizes = [t for t in graph.seen.inputs if -1 in t.signature and -1 not in t.shape]
    if open_sizes:
        found["open-batch"] = [f"{called(open_sizes[0], 'input')} {list(open_sizes[0].signature)}"]
    largest = max(_activations(graph, placed), key=size, default=None)
    if largest is not None and size(largest) > ON_CHIP_BYTES:
        found["large-activation"] = [f"{called(largest)}: {size(largest):,} bytes"]
    if _memory(graph, placed).fits == "no":
        found["streams"] = [""]
    return [(r, d[0] + (f" and {len(d) - 1} more" if len(d) > 1 else "")) for r, d in found.items()]


def _subgraphs_text(made: int, possible: int) -> str:
    text = "1 subgraph" if made == 1 else f"{made} subgraphs"
    return f"{text} ({possible} with the compiler's option -a)" if possible > 1 else text
