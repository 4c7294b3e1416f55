"""Retention: the oldest entries and their images make room for new ones, by age or size, never unseen.

What goes is always a whole piece from the beginning of the chain. An entry appended in the same transaction says
where the chain begins now and under which run it goes on, so that `edge verify` still accounts for everything.
"""

import json as json_format
import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, to_builtins

from edge.record.entries import (
    Body,
    Event,
    PrunedBody,
    ReferenceBody,
    VerdictBody,
    event_body,
    read_body,
)
from edge.record.entry_parts import Image, moment
from edge.record.reader import KnownTime, Row
from edge.record.slide_entries import CorrectionBody
from edge.record.slide_queries import carried_verdicts, open_slide
from edge.record.store import Store, Transaction
from edge.system.clock import Instant
from edge.system.wording import counted

MOST_AT_ONCE = 5000  # entries a transaction
HELD_BACK, GOES_ON = "retention_held_back", "retention_goes_on"  # events
_NO_CLOCK = "nothing removed by age"
_NO_TIME = "no more removed by age"
_NOT_EXPORTED = "more exceeds the limits, and stays"
_DAY_NS = 86_400 * 10**9
_GIGABYTE = 10**9
_ROW_BYTES = 200  # of a row beside its body: digest, indexes


@dataclass(frozen=True)
class Retention:
    """How much is kept. None is no limit; with both, what exceeds either goes. The narrower ranges are the profile's.

    Attributes:
        days: age in days, > 0, by the wall clock; not applied while that is known to be unsynchronized, because a
            wrong clock must delete nothing. Entries stamped by such a clock are as old as `_Ages` says.
        gigabytes: 10^9 bytes of images and database, > 0.
        only_exported: nothing goes that was not exported; reference fields never do before that.

    >>> Retention(days=365, gigabytes=20).limited
    True
    """

    days: Annotated[float, Meta(ge=0.001, le=36_500, description="a number 0.001..36500")] | None = None
    gigabytes: Annotated[float, Meta(ge=0.001, le=100_000, description="a number 0.001..100000")] | None = None
    only_exported: bool = True

    def __post_init__(self) -> None:
        for name, value in (("days", self.days), ("gigabytes", self.gigabytes)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0; got {value}")

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.days is not None or self.gigabytes is not None


@dataclass(frozen=True)
class PruneReport:
    """What was removed, and why no more was (held_back, "" when the limits are met).

    >>> str(PruneReport(verdicts=2, images=1, image_bytes=1_500_000))
    '2 verdicts and 1 image (1.5 MB) removed'
    """

    removed: int = 0
    verdicts: int = 0
    images: int = 0
    image_bytes: int = 0
    held_back: str = ""

    def __str__(self) -> str:
        verdicts, images = counted(self.verdicts, "verdict"), counted(self.images, "image")
        text = f"{verdicts} and {images} ({self.image_bytes / 1e6:.1f} MB) removed"
        return f"{text}; {self.held_back}" if self.held_back else text


class Pruning:
    """Removal of what exceeds the limits, oldest first, in pieces: whoever records goes on between two of them.

    Args:
        store: open for writing; a run may go on in it.
        now: against which age is measured.

    Attributes:
        report: what was removed so far, and why the rest stays.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store.open(pathlib.Path(folder)) as store:
    ...     Pruning(store, Retention(days=30), Instant(10**18, 0, True)).step()
    False
    """

    def __init__(self, store: Store, retention: Retention, now: Instant) -> None:
        self._store, self._retention, self._now = store, retention, now
        self._ages = _Ages(store, now)
        self.report = PruneReport()

    def step(self, most: int | None = None) -> bool:
        """Remove so many entries (None: `MOST_AT_ONCE`) in one transaction; False when nothing more is to go.

        Raises:
            StoreFull: there is no room even for the note of what was removed. What was not removed is untouched.
        """
        through, held_back = self._choose(most or MOST_AT_ONCE)
        if through is None:
            self.report = replace(self.report, held_back=held_back)
            return False
        gone = _remove(self._store, through, self._now, self._retention)
        self.report = PruneReport(
            self.report.removed + gone["entries"],
            self.report.verdicts + gone["verdicts"],
            self.report.images + gone["images"],
            self.report.image_bytes + gone["image_bytes"],
        )
        return True

    def _choose(self, most: int) -> tuple[Row | None, str]:
        """(The last entry to remove, or None; why what exceeds the limits beyond it must stay)."""
        store, retention = self._store, self._retention
        oldest = _oldest_to_keep(retention, self._now)
        excess = 0 if retention.gigabytes is None else store.bytes_used() - round(retention.gigabytes * _GIGABYTE)
        exported = store.exported()
        last: Row | None = None
        held_back = ""
        if retention.days is not None and oldest is None:
            held_back = f"{_NO_CLOCK}: the clock is not synchronized; set a size, or synchronize it"
        base = store.base().id
        for row in store.entries(after=base, through=store.head().id):
            body = read_body(row.body)
            slide = None if isinstance(body, PrunedBody) else body.slide
            if excess <= 0:
                recorded = None if oldest is None else self._ages.recorded_by(row, body)
                if oldest is not None and recorded is None and slide is None:
                    continue  # a note of the record's own, in the way of nothing
                if oldest is not None and recorded is None:
                    held_back = (
                        f"{_NO_TIME}: when entry {row.id} was recorded is not known (stamped {body.utc}, and no later "
                        "entry by a synchronized clock)"
                    )
                if oldest is None or recorded is None or recorded >= oldest:
                    break
            bound = retention.only_exported or isinstance(body, ReferenceBody)  # which nobody can take again
            if bound and slide is not None and exported.get(slide, 0) < row.id:
                held_back = f"{_NOT_EXPORTED}: entry {row.id} of slide {slide} was not exported"
                break
            excess -= len(row.body) + _ROW_BYTES + (image.bytes if (image := _image(body)) else 0)
            if slide is not None:  # a record's own notes do not go alone: each removal writes one
                last = row
            if last is not None and row.id - base >= most:
                break
        return last, held_back


def apply(store: Store, retention: Retention, now: Instant) -> PruneReport:
    """Remove what exceeds the limits, all of it, and note in the record what holds the rest back.

    Raises:
        StoreFull: as in `Pruning.step`.
    """
    pruning = Pruning(store, retention, now)
    while pruning.step():
        pass
    note_held_back(store, pruning.report.held_back, now)
    return pruning.report


def note_held_back(store: Store, held_back: str, now: Instant) -> None:
    """An event where what holds retention back is another than the record says, or nothing does any longer.

    Entry numbers change with every removal; the kind, before the colon, is what counts.
    """
    last = store.last_event((HELD_BACK, GOES_ON))
    before = last.detail if last is not None and last.kind == HELD_BACK else ""
    if held_back.partition(":")[0] == before.partition(":")[0]:
        return
    event = (
        Event(now, HELD_BACK, held_back) if held_back else Event(now, GOES_ON, "what exceeded the limits was removed")
    )
    with store.transaction() as transaction:
        transaction.append(event_body(None, None, event))


class _Ages:
    """When entries were recorded, also those that a clock stamped which was wrong."""

    def __init__(self, store: Store, now: Instant) -> None:
        self._store, self._now = store, now
        self._known: KnownTime | None = None
        self._searched = False

    def recorded_by(self, row: Row, body: Body) -> int | None:
        """The time, in ns since 1970, by which an entry was recorded at the latest; None where nothing tells.

        A stamp counts unless the clock was known not to be synchronized, or it lies in the future. Then the next
        entry of a synchronized clock tells: in the same run by the monotonic clock, else because it came later.
        """
        if body.synchronized is not False and body.utc_ns <= self._now.utc_ns:
            return body.utc_ns
        known = self._next_known(row.id)
        if known is None:
            return None
        same_run = (
            not isinstance(body, PrunedBody | ReferenceBody | CorrectionBody)
            and body.run is not None
            and body.run == known.run
        )
        return known.utc_ns - max(0, known.monotonic_ns - body.monotonic_ns) if same_run else known.utc_ns

    def _next_known(self, after: int) -> KnownTime | None:
        """Searched once for all entries before it."""
        if not self._searched or (self._known is not None and self._known.id <= after):
            self._known = self._store.next_known_time(after, self._now.utc_ns)
            self._searched = True
        return self._known


def _oldest_to_keep(retention: Retention, now: Instant) -> int | None:
    if retention.days is None or now.synchronized is False:
        return None
    return now.utc_ns - round(retention.days * _DAY_NS)


def _remove(store: Store, through: Row, now: Instant, retention: Retention) -> dict[str, int]:
    """Remove every entry up to `through`: entries and checkpoint in one transaction, then the images."""
    gone = dict.fromkeys(("entries", "verdicts", "images", "image_bytes"), 0)
    with store.transaction() as transaction:
        for row in store.entries(through=through.id):
            body = read_body(row.body)
            image = _image(body)
            gone["entries"] += 1
            gone["verdicts"] += isinstance(body, VerdictBody)
            if image is not None:
                gone["images"] += 1
                gone["image_bytes"] += image.bytes
                transaction.connection.execute("INSERT OR IGNORE INTO doomed VALUES (?)", (image.path,))
        carried = _carried_run(transaction, through.id)
        act, corrected = _carried_act(store, through.id), _carried_verdicts(store, through.id)
        transaction.connection.execute("DELETE FROM entries WHERE id <= ?", (through.id,))
        why = json_format.dumps(asdict(retention), sort_keys=True)
        transaction.append(
            PrunedBody(
                **moment(now),
                through=through.id,
                digest=through.digest,
                removed=gone,
                carried_run=carried,
                why=why,
                carried_act=act,
                carried_verdicts=corrected,
            )
        )
        transaction.connection.execute("INSERT OR REPLACE INTO pruned VALUES (1, ?, ?)", (through.id, through.digest))
        transaction.count_images(-gone["image_bytes"])
    store.delete_doomed()
    return gone


def _carried_run(transaction: Transaction, through: int) -> dict[str, Any] | None:
    """The entry that began the run which goes on behind `through`, or None: later verdicts refer to it."""
    latest = "FROM entries WHERE type = '{}' AND type != 'verdict' AND id <= ? ORDER BY id DESC LIMIT 1"
    connection = transaction.connection
    start = connection.execute(f"SELECT body {latest.format('run')}", (through,)).fetchone()
    if start is None:
        carried = f"SELECT json_extract(body, '$.carried_run') {latest.format('pruned')}"
        start = connection.execute(carried, (transaction.head.id,)).fetchone()
    if start is None or start[0] is None:
        return None
    run: dict[str, Any] = json_format.loads(start[0])
    ended = connection.execute(f"SELECT run {latest.format('end')}", (through,)).fetchone()
    return None if ended is not None and ended[0] == run["run"] else run


def _carried_act(store: Store, through: int) -> dict[str, Any] | UnsetType:
    """The newest act of the slide that is not closed, where it goes: the next start takes that slide up again."""
    opened = open_slide(store)
    if opened is None or opened[0] > through:
        return UNSET
    return {"entry": opened[0], "body": to_builtins(opened[1])}


def _carried_verdicts(store: Store, through: int) -> dict[str, Any] | UnsetType:
    """The verdicts that go while corrections of them stay: no correction is kept without what it corrects."""
    query = """SELECT DISTINCT json_extract(body, '$.verdict') AS verdict FROM entries
               WHERE type = 'correction' AND type != 'verdict' AND id > ? ORDER BY verdict"""
    corrected = [number for (number,) in store.select(query, through) if number <= through]
    if not corrected:
        return UNSET
    before = carried_verdicts(store)
    carried: dict[str, Any] = {}
    for number in corrected:
        found = store.select("SELECT body FROM entries WHERE id = ?", number)
        if found:
            carried[str(number)] = json_format.loads(found[0][0])
        elif number in before:
            carried[str(number)] = to_builtins(before[number])
    return carried


def _image(body: Body) -> Image | None:
    return body.image if isinstance(body, VerdictBody | ReferenceBody) else None
