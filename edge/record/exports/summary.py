"""What one pass over a slide's entries finds out for its export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET, Struct

from edge.bundle.provenance import Provenance
from edge.record.entries import Body, ControlBody, ReferenceBody, RunBody, VerdictBody, read_body
from edge.record.slide_entries import CorrectionBody, SlideBody
from edge.record.store import Store


class Removed(Struct, frozen=True):
    """Fields of a slide that retention removed before the export, and when it last removed anything (ISO 8601).

    >>> str(Removed(1, 500, "2026-11-29T12:00:00Z"))
    'fields 1 to 500 were removed by retention on 2026-11-29T12:00:00Z or before'
    """

    first: int
    last: int
    by: str

    def __str__(self) -> str:
        return f"fields {self.first} to {self.last} were removed by retention on {self.by} or before"


@dataclass
class SlideSummary:
    """What one pass over a slide's entries finds out, and the next needs.

    Attributes:
        first_field, last_field: of the verdicts read, 0 before the first. removed: those that are gone.
        run: of the entry read last. carried: the beginnings of runs that were removed while their verdicts stayed.
        problems: what is wrong with what was read, one sentence each.

    >>> SlideSummary(verdicts=3, images=1).problems
    []
    """

    verdicts: int = 0
    entries: int = 0
    images: int = 0
    controls: int = 0
    first_field: int = 0
    last_field: int = 0
    removed: Removed | None = None
    run: int = 0
    carried: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    carried_verdicts: dict[int, VerdictBody] = field(default_factory=dict)  # removed, of which a correction is left
    simulated: bool = False
    bundles: dict[Provenance, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)  # in the order first seen, here and below
    gates: dict[str, None] = field(default_factory=dict)
    stages: dict[str, None] = field(default_factory=dict)
    tiles: int = 0  # the most of a verdict
    at_bench: bool = False  # a field was seen before, or asked for
    acts: int = 0
    corrections: int = 0
    problems: list[str] = field(default_factory=list)


def missing(first: int, last: int) -> str:
    return f"field {first} is missing" if first == last else f"fields {first} to {last} are missing"


def count(store: Store, summary: SlideSummary, body: Body) -> None:
    """Take an entry into the summary."""
    summary.entries += 1
    if isinstance(body, RunBody):
        _count_run(summary, body)
    elif isinstance(body, ControlBody):
        summary.controls += 1
    elif isinstance(body, SlideBody):
        summary.acts += 1
    elif isinstance(body, CorrectionBody):
        summary.corrections += 1
    elif isinstance(body, VerdictBody):
        if body.run != summary.run:  # its beginning was removed: columns and warnings rest on it all the same
            text = store.run_body(body.run)
            summary.run, summary.carried[body.run] = body.run, json.loads(text or "{}")
            if text is not None and isinstance(begun := read_body(text), RunBody):
                _count_run(summary, begun)
        _count_field(summary, body.field)
        summary.verdicts += 1
        summary.gates.update(dict.fromkeys(body.gates))
        summary.stages.update(dict.fromkeys(body.latency_ms))
        summary.at_bench |= body.seen is not UNSET or body.asked_by is not UNSET
        summary.tiles = max(summary.tiles, 0 if body.tiles is UNSET else len(body.tiles))
    elif isinstance(body, ReferenceBody):
        summary.simulated |= body.reference.simulated
        _count_field(summary, body.field)


def _count_field(summary: SlideSummary, number: int) -> None:
    if summary.last_field and number > summary.last_field + 1:
        summary.problems.append(missing(summary.last_field + 1, number - 1))
    summary.first_field = summary.first_field or number
    summary.last_field = number


def _count_run(summary: SlideSummary, run: RunBody) -> None:
    summary.run = run.run
    summary.simulated |= run.simulated
    summary.bundles[run.provenance] = None
    summary.labels.update(dict.fromkeys(run.labels))
