"""A stored verdict as one line: for a person, or as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from edge.bundle.provenance import Provenance
from edge.inference.licence import held_back
from edge.record.chain import finite
from edge.record.entries import Stored
from edge.system.streams import one_line


def heading(provenance: Provenance) -> str:
    """The lines above those of `stored_line`: whose bundle judges, and the columns."""
    return f"{provenance}\n{'field':>6}  {'verdict':<14}{'p':>6}{'latency':>12}"


def stored_line(stored: Stored, *, simulated: bool, provenance: Provenance) -> str:
    """`    12  Pre            0.996      4.2 ms`, or the reason why not; drawn frames and runs without gates say so,
    and each verdict says its acceptance."""
    entry = stored.entry
    drawn = f"  ({provenance.acceptance})" if provenance.acceptance else ""
    drawn += ("  (simulated)" if simulated else "") + ("  (ungated)" if provenance.ungated else "")
    source = f"  {one_line(entry.source)}" if entry.source else ""
    if entry.seen is not None:
        source += f"  shows field {entry.seen} again: not counted"
    if entry.label is None:
        why = one_line(str(entry.detail))
        return f"{stored.field:>6}  {'-':<14}{'-':>6}{latency_ms(stored):>9.1f} ms{source}  {why}{drawn}"
    assert entry.probabilities is not None
    highest = max(entry.probabilities)
    return f"{stored.field:>6}  {entry.label:<14}{highest:6.3f}{latency_ms(stored):>9.1f} ms{source}{drawn}"


def stored_record(
    stored: Stored, labels: Sequence[str], *, simulated: bool, provenance: Provenance, camera_setup: str = ""
) -> dict[str, Any]:
    """The JSON object of a stored verdict (DESIGN: machine-readable output); `camera_setup` where there is one.

    Where the licence held the class back, neither `probabilities` nor `tiles` say it: the record has them.
    """
    entry = stored.entry
    hidden = held_back(entry.label, entry.reason)
    probabilities, tiles = (None, None) if hidden else (entry.probabilities, entry.tiles)
    return {
        "id": stored.id,
        "slide": stored.slide,
        "field": stored.field,
        "time": utc_text(entry.captured.utc_ns),
        "label": entry.label,
        "reason": entry.reason,
        "detail": entry.detail,
        "probabilities": None if probabilities is None else dict(zip(labels, probabilities, strict=True)),
        **({} if tiles is None else {"tiles": [dict(zip(labels, tile, strict=True)) for tile in tiles]}),
        "gates": {name: finite(value) for name, value in entry.gates.items()},
        "latency_ms": round(latency_ms(stored), 3),
        "source": entry.source or None,
        "image": stored.image,
        **({} if entry.seen is None else {"seen": entry.seen}),
        **({"asked_by": entry.asked_by} if entry.asked_by else {}),
        "simulated": simulated,
        **provenance.as_record(),
        **({"camera_setup": camera_setup} if camera_setup else {}),
    }


def latency_ms(stored: Stored) -> float:
    """From frame to verdict, waiting for the camera left out, milliseconds."""
    return sum(ms for name, ms in stored.entry.latency_ms.items() if name != "capture")


def utc_text(utc_ns: int) -> str:
    """ISO 8601 with microseconds and Z."""
    return datetime.fromtimestamp(utc_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
