"""What an export finds out of a slide, and says of it in `chain.json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from edge.bundle.provenance import Provenance
from edge.record.chain import ChainEnd


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
    simulated: bool = False
    bundles: dict[Provenance, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)  # in the order first seen, here and below
    gates: dict[str, None] = field(default_factory=dict)
    stages: dict[str, None] = field(default_factory=dict)
    tiles: int = 0  # the most of a verdict
    problems: list[str] = field(default_factory=list)


class ChainRecord(Struct, frozen=True):
    """What `chain.json` holds.

    Attributes:
        record, head: name of the record, and the end of its chain at the time of the export.
        exported: that time, ISO 8601.
        entries, verdicts, images, simulated, bundles: of the slide, as in `SlideSummary`.
        sound, findings: what `edge verify` says of the record, and what the export found wrong with fields or images.
        removed: fields that retention had removed before, or None.

    >>> end, bundle = ChainEnd(3, "0" * 64), Provenance("tiny-int8", None, "unsigned")
    >>> ChainRecord("s1", "ab" * 16, end, "2026-11-03T12:00:00Z", 3, 1, 0, True, (bundle,), True, ()).head.id
    3
    """

    slide: str
    record: str
    head: ChainEnd
    exported: str
    entries: int
    verdicts: int
    images: int
    simulated: bool
    bundles: tuple[Provenance, ...]
    sound: bool
    findings: tuple[str, ...]
    removed: Removed | None = None
