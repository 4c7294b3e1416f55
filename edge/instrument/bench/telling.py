"""What is in the record, as the socket tells it."""

from collections.abc import Sequence
from typing import Any

from edge.commissioning.control.standing import FAILED, OVERDUE
from edge.inference.gates.base import Gates
from edge.inference.gates.quality import CalibratedGate
from edge.inference.licence import held_back
from edge.instrument.bench.selector import Seen
from edge.instrument.pipeline.selection import Look
from edge.instrument.socket.messages import Correction, GateLimits, Meters, SlideAct, Verdict
from edge.record.chain import finite
from edge.record.entries import Stored, VerdictBody
from edge.record.slide_entries import CorrectionBody, SlideBody

FOCUS = "out_of_focus"


def verdict(stored: Stored, labels: Sequence[str]) -> Verdict:
    """A verdict that was just stored. Where the licence held its class back, no probability says it."""
    entry = stored.entry
    probabilities = None if held_back(entry.label, entry.reason) else entry.probabilities
    return Verdict(
        id=stored.id,
        slide=stored.slide,
        field=stored.field,
        sequence=entry.sequence,
        label=entry.label,
        reason=entry.reason,
        detail=entry.detail,
        probabilities=None if probabilities is None else dict(zip(labels, map(float, probabilities), strict=True)),
        gates={name: finite(value) for name, value in entry.gates.items()},
        seen=entry.seen,
        asked_by=entry.asked_by,
        utc=entry.captured.utc,
        image=stored.image is not None,
    )


def act(number: int, body: SlideBody) -> SlideAct:
    """What happened to a slide, whose entry has that number."""
    return SlideAct(
        id=number,
        slide=body.slide,
        act=body.act,
        by=body.by,
        command=body.command,
        why=body.why,
        finding=body.finding,
        utc=body.utc,
    )


def correction(number: int, body: CorrectionBody) -> Correction:
    """An expert's word, whose entry has that number."""
    return Correction(
        id=number,
        slide=body.slide,
        field=body.corrects,
        verdict=body.verdict,
        by=body.by,
        label=body.label,
        agrees=body.agrees,
        note=body.note,
        command=body.command,
        utc=body.utc,
    )


def judged(entry: int, body: VerdictBody | Stored) -> dict[str, Any]:
    """The result of `judge`."""
    verdict = body.entry if isinstance(body, Stored) else body
    seen = verdict.seen if isinstance(verdict.seen, int) else None
    return {"entry": entry, "field": body.field, "label": verdict.label, "reason": verdict.reason, "seen": seen}


def meters(look: Look, seen: Seen, gates: Gates) -> Meters:
    """What was measured on a frame. Without a gate on focus its edges are measured here."""
    values = {name: value for name, value in look.report.values.items() if name not in (OVERDUE, FAILED)}
    width = values[FOCUS] if FOCUS in values else gates.view(look.prepared).edges.sharp_px
    refusal = look.report.refusal
    return Meters(
        sequence=look.sequence,
        gates={name: finite(value) for name, value in values.items()},
        refused="" if refusal is None else refusal.gate,
        still=seen.still,
        seen=seen.seen,
        brightness=round(float(look.prepared.mean()), 1),
        sharpness=round(1 / width, 4) if width > 0 else None,
        utc_ns=look.at.utc_ns,
        monotonic_ns=look.at.monotonic_ns,
    )


def limits(gates: Gates) -> dict[str, GateLimits]:
    """The limits of the gates that are asked; of other measures than those on quality a part of the limit is told."""
    found = {}
    for gate in gates.gates:
        limit = gate.limit if isinstance(gate, CalibratedGate) else 1.0
        ceiling = gate.is_ceiling if isinstance(gate, CalibratedGate) else True
        found[gate.name] = GateLimits(highest=limit) if ceiling else GateLimits(lowest=limit)
    return found
