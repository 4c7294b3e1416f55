"""What is known of the slides that were asked about last: their tallies and, a line a field, what lists are made of."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from edge.record.entries import RunBody, VerdictBody, read_body
from edge.record.reader import Reader
from edge.slides.suspicion import suspicion
from edge.slides.tally import Tally, benign_labels

MOST_SLIDES, MOST_LINES = 64, 50_000  # a line takes some 250 bytes
_CHUNK = 2000


class Line(NamedTuple):
    """A field in a list: by what it is sorted and chosen.

    >>> Line((0, -0.9, 1), "Pre", None).key[2]
    1
    """

    key: tuple[int, float, int]  # `edge.slides.suspicion.suspicion`; the field's number last
    label: str | None
    reason: str | None


class _Judged(Struct, frozen=True):
    """What is read of a verdict: a tenth of it."""

    type: str
    field: int
    run: int
    label: str | None
    reason: str | None
    probabilities: tuple[float, ...] | None = None
    seen: int | UnsetType | None = UNSET


@dataclass
class Counted:
    """A slide up to field `through`: its tally, and its lines, the most suspicious first."""

    tally: Tally
    through: int = 0
    runs: set[int] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)


class Tallies:
    """The slides asked about last. A slide that was asked about before is read from where it was left.

    Nothing is asked twice of a slide whose fields have not grown; a record that retention shortened is read anew.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()  # of what is below; each slide has one of its own
        self._known: OrderedDict[str, Counted] = OrderedDict()
        self._labels: dict[int, tuple[str, ...]] = {}
        self._record: tuple[str, int] = ("", 0)

    def of(self, store: Reader, slide: str) -> Counted:
        """A slide as the record has it now."""
        counted = self._counted(store, slide)
        with counted.guard:
            self._read_on(store, slide, counted)
            copied = _copied(counted)
        with self._guard:
            self._trim()
        return copied

    def labels(self, store: Reader, run: int) -> tuple[str, ...]:
        """The classes of a run, in the order of its verdicts' probabilities."""
        known = self._labels.get(run)
        if known is None:
            text = store.run_body(run)
            body = None if text is None else read_body(text)
            known = body.labels if isinstance(body, RunBody) else ()
            self._labels[run] = known
        return known

    def _counted(self, store: Reader, slide: str) -> Counted:
        """What is known of a slide so far."""
        with self._guard:
            record = (store.head().record, store.base().id)
            if record != self._record:
                self._known.clear()
                self._labels.clear()
                self._record = record
            counted = self._known.pop(slide, None) or Counted(Tally(()))
            self._known[slide] = counted
            return counted

    def _trim(self) -> None:
        """Forget the slides that were not asked about for longest, where there are too many."""
        lines = sum(len(each.lines) for each in self._known.values())
        while len(self._known) > 1 and (len(self._known) > MOST_SLIDES or lines > MOST_LINES):
            _, forgotten = self._known.popitem(last=False)
            lines -= len(forgotten.lines)

    def _read_on(self, store: Reader, slide: str, counted: Counted) -> None:
        query = "SELECT body, field FROM entries WHERE slide = ? AND field > ? ORDER BY field LIMIT ?"
        while rows := store.select(query, slide, counted.through, _CHUNK):
            judged = [each for text, _ in rows if (each := _read(text)) is not None]
            if new := {each.run for each in judged} - counted.runs:
                counted.runs |= new
                benign = benign_labels(store, counted.runs)
                if benign != counted.tally.benign and counted.lines:  # another model judges: all are sorted anew
                    counted.through, counted.lines, counted.tally = 0, [], Tally(benign)
                    continue
                counted.tally.benign = benign
            for each in judged:
                counted.tally.add(each)
                key = suspicion(cast(VerdictBody, each), self.labels(store, each.run), counted.tally.benign)
                counted.lines.append(Line(key, each.label, each.reason))
            counted.lines = sorted(counted.lines)  # anew: a caller may still look through the one before
            counted.through = rows[-1][1]


def _copied(counted: Counted) -> Counted:
    """What a caller may change."""
    tally = Tally(counted.tally.benign)
    tally.fields, tally.seen = counted.tally.fields, counted.tally.seen
    tally.labels.update(counted.tally.labels)
    tally.reasons.update(counted.tally.reasons)
    return Counted(tally, counted.through, set(counted.runs), counted.lines)


_decoder = msgspec.json.Decoder(_Judged)


def _read(text: str) -> _Judged | None:
    """A verdict; None for a reference field."""
    try:
        judged = _decoder.decode(text)
        return judged if judged.type == "verdict" else None
    except msgspec.DecodeError:  # a file's name with bytes of no encoding, or no verdict
        body = read_body(text)
        if not isinstance(body, VerdictBody):
            return None
        return _Judged("verdict", body.field, body.run, body.label, body.reason, body.probabilities, body.seen)
