"""What was missed: verdicts, acts and corrections behind an entry, as the instrument tells them."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import UNSET

from edge.instrument.socket.messages import Correction, SlideAct, Verdict
from edge.page.records.fields import probabilities
from edge.page.records.tallies import Tallies
from edge.record.entries import VerdictBody, read_body
from edge.record.reader import Reader
from edge.record.slide_entries import CorrectionBody, SlideBody

MOST_MISSED = 200  # that are told one by one
_MOST_READ = 2000  # entries that are looked through

Told = Verdict | SlideAct | Correction


@dataclass(frozen=True)
class Missed:
    """Messages behind an entry. `through`: the newest entry. `complete`: nothing was left out.

    >>> Missed([], 7, True).through
    7
    """

    messages: list[Told]
    through: int
    complete: bool


def missed(after: int, tallies: Tallies) -> Callable[[Reader], Missed]:
    """The question for what is behind entry `after`, the oldest first; of much, the newest."""

    def ask(store: Reader) -> Missed:
        with store.at_one_moment():
            newest = store.head().id
            first = max(after, newest - _MOST_READ)
            query = """SELECT id, body FROM entries WHERE id > ? AND type IN ('verdict', 'slide', 'correction')
                       ORDER BY id DESC LIMIT ?"""
            rows = store.select(query, first, MOST_MISSED + 1)
            told = [
                each for number, text in reversed(rows[:MOST_MISSED]) if (each := _told(store, tallies, number, text))
            ]
        return Missed(told, newest, len(rows) <= MOST_MISSED and first <= after)

    return ask


def _told(store: Reader, tallies: Tallies, number: int, text: str) -> Told | None:
    body = read_body(text)
    if isinstance(body, VerdictBody):
        return Verdict(
            id=number,
            slide=body.slide,
            field=body.field,
            sequence=body.sequence,
            label=body.label,
            reason=body.reason,
            detail=body.detail,
            probabilities=probabilities(body, tallies.labels(store, body.run)),
            gates=body.gates,
            seen=None if body.seen is UNSET else body.seen,
            asked_by="" if body.asked_by is UNSET else body.asked_by,
            utc=body.utc,
            image=body.image is not None,
        )
    if isinstance(body, SlideBody):
        names = ("slide", "act", "by", "command", "why", "finding", "utc")
        return SlideAct(id=number, **{name: getattr(body, name) for name in names})
    if isinstance(body, CorrectionBody):
        of_correction = ("slide", "verdict", "by", "label", "agrees", "note", "command", "utc")
        return Correction(id=number, field=body.corrects, **{name: getattr(body, name) for name in of_correction})
    return None
