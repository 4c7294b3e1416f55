"""Retention: the oldest entries and their images make room for new ones, by age or size, never unseen.

What goes is always a whole piece from the beginning of the chain. An entry appended in the same transaction says
where the chain begins now and under which run it goes on, so that `edge verify` still accounts for everything.
"""

import json as json_format
import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from msgspec import Meta

from edge.record.entries import Body, Image, PrunedBody, VerdictBody, moment, read_body
from edge.record.reader import KnownTime, Row
from edge.record.store import Store, Transaction
from edge.system.clock import Instant
from edge.system.wording import counted

MOST_AT_ONCE = 5000  # entries a transaction: recording waits that long
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
        only_exported: nothing goes that was not exported.

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
    '2 verdicts and 1 images (1.5 MB) removed'
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


def apply(store: Store, retention: Retention, now: Instant) -> PruneReport:
    """Remove what exceeds the limits, oldest first, in transactions of `MOST_AT_ONCE` entries.

    Args:
        store: open for writing; a run may go on in it.
        now: against which age is measured.

    Raises:
        StoreFull: there is no room even for the note of what was removed. What was not removed is untouched.
    """
    total = PruneReport()
    while True:
        through, held_back = _choose(store, retention, now)
        if through is None:
            return PruneReport(total.removed, total.verdicts, total.images, total.image_bytes, held_back)
        gone = _remove(store, through, now, retention)
        total = PruneReport(
            total.removed + gone["entries"],
            total.verdicts + gone["verdicts"],
            total.images + gone["images"],
            total.image_bytes + gone["image_bytes"],
        )


def _choose(store: Store, retention: Retention, now: Instant) -> tuple[Row | None, str]:
    """(The last entry to remove, or None; why what exceeds the limits beyond it must stay)."""
    oldest = _oldest_to_keep(retention, now)
    excess = 0.0 if retention.gigabytes is None else store.bytes_used() - retention.gigabytes * _GIGABYTE
    exported = store.exported()
    last: Row | None = None
    held_back = ""
    if retention.days is not None and oldest is None:
        held_back = "nothing removed by age: the clock is not synchronized; set a size, or synchronize it"
    base = store.base().id
    ages = _Ages(store, now)
    for row in store.entries(after=base, through=store.head().id):
        body = read_body(row.body)
        if excess <= 0:
            recorded = None if oldest is None else ages.recorded_by(row, body)
            if oldest is not None and recorded is None:
                held_back = (
                    f"no more removed by age: when entry {row.id} was recorded is not known (stamped {body.utc}, "
                )
                held_back += "and no later entry by a synchronized clock)"
            if oldest is None or recorded is None or recorded >= oldest:
                break
        slide = None if isinstance(body, PrunedBody) else body.slide
        if retention.only_exported and slide is not None and exported.get(slide, 0) < row.id:
            held_back = f"more exceeds the limits, and stays: entry {row.id} of slide {slide} was not exported"
            break
        excess -= len(row.body) + _ROW_BYTES + (image.bytes if (image := _image(body)) else 0)
        if slide is not None:  # a record's own notes do not go alone: each removal writes one
            last = row
        if last is not None and row.id - base >= MOST_AT_ONCE:
            break
    return last, held_back


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
        same_run = not isinstance(body, PrunedBody) and body.run is not None and body.run == known.run
        return known.utc_ns - max(0, known.monotonic_ns - body.monotonic_ns) if same_run else known.utc_ns

    def _next_known(self, after: int) -> KnownTime | None:
        """Searched once for all entries before it."""
        if not self._searched or (self._known is not None and self._known.id <= after):
            self._known = self._store.next_known_time(after, self._now.utc_ns)
            self._searched = True
        return self._known


def _oldest_to_keep(retention: Retention, now: Instant) -> float | None:
    if retention.days is None or now.synchronized is False:
        return None
    return now.utc_ns - retention.days * _DAY_NS


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
        transaction.connection.execute("DELETE FROM entries WHERE id <= ?", (through.id,))
        why = json_format.dumps(asdict(retention), sort_keys=True)
        transaction.append(
            PrunedBody(
                **moment(now), through=through.id, digest=through.digest, removed=gone, carried_run=carried, why=why
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


def _image(body: Body) -> Image | None:
    return body.image if isinstance(body, VerdictBody) else None
