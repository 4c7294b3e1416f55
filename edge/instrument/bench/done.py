"""Commands that were done before, by their id in the record: what was answered then."""

from typing import Any

from edge.instrument.bench.modes import Refused, act_of
from edge.instrument.bench.telling import judged
from edge.instrument.socket.messages import Command
from edge.record.entries import VerdictBody, read_body
from edge.record.slide_entries import CommandBody, CorrectionBody, SlideBody
from edge.record.slide_queries import command as find
from edge.record.store import Store
from edge.slides.names import name_hint

Commanded = SlideBody | CorrectionBody | CommandBody


def result_of(store: Store, number: int, body: Commanded) -> dict[str, Any]:
    """What a command came to, whose entry has that number."""
    match body:
        case SlideBody():
            found: dict[str, Any] = {"entry": number, "slide": body.slide, "act": body.act}
            if body.finding:
                found["finding"] = body.finding
            if body.act == "opened" and (hint := name_hint(body.slide)):
                found["hint"] = hint
            return found
        case CorrectionBody():
            return {"entry": number, "slide": body.slide, "field": body.corrects, "verdict": body.verdict}
    if body.name == "judge":  # its verdict is the entry after it
        for row in store.entries(after=number, through=number + 1):
            verdict = read_body(row.body)
            if isinstance(verdict, VerdictBody):
                return judged(row.id, verdict)
    return {"entry": number, **body.arguments}


def done_before(store: Store, command: Command) -> dict[str, Any] | None:
    """The result of a command whose id is in the record; None where it was not done.

    Raises:
        Refused: the id was given to another command.
    """
    found = find(store, command.id)
    if found is None:
        return None
    number, body = found
    if isinstance(body, CommandBody) and body.refused:
        return None  # it may be tried again
    if not _same(command, body):
        raise Refused("id_reused", f"the id was of another command: entry {number} of the record")
    return result_of(store, number, body)


def _same(command: Command, body: Commanded) -> bool:
    given = command.arguments
    match body:
        case SlideBody():
            return act_of(command.name) == body.act and given.get("slide") in (None, body.slide)
        case CorrectionBody():
            said = {"slide": body.slide, "field": body.corrects, "label": body.label, "agrees": body.agrees}
            return command.name == "correct" and {**said, "note": body.note} == {"note": "", **given}
    return command.name == body.name and given == body.arguments
