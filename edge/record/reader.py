"""Read access to the record in small pieces, each at one moment, so that a reader never hinders the writer."""

import heapq
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.record.chain import genesis
from edge.record.entries import EventBody, RunBody, read_body
from edge.record.images import ImageFolder
from edge.record.schema import narrowed, roll_back

CHUNK = 500  # rows read at a time: no snapshot is held long enough to let the write-ahead log grow


@dataclass(frozen=True)
class Head:
    """The end of the chain: the last entry's number and digest, and the bytes of all images that entries name.

    >>> Head("ab" * 16, 0, genesis("ab" * 16), image_bytes=0).id
    0
    """

    record: str
    id: int
    digest: str
    image_bytes: int


@dataclass(frozen=True)
class Row:
    """An entry as it is stored: number, JSON text, digest.

    >>> Row(1, '{"type":"end"}', "0" * 64).body
    '{"type":"end"}'
    """

    id: int
    body: str
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """A record at one moment: its head, what its first entry follows, its highest entry, last field by slide.

    >>> head = Head("ab" * 16, 2, "0" * 64, 0)
    >>> Snapshot(head, Row(0, "", genesis(head.record)), newest=2, slides={"s1": 1}).head.id
    2
    """

    head: Head
    base: Row
    newest: int
    slides: Mapping[str, int]


@dataclass(frozen=True)
class KnownTime:
    """When an entry was recorded, by a clock that was synchronized.

    >>> KnownTime(7, 1, utc_ns=1_762_171_200_000_000_000, monotonic_ns=5_000_000_000).id
    7
    """

    id: int
    run: int | None
    utc_ns: int
    monotonic_ns: int


class PrunedMeanwhile(Exception):  # noqa: N818  (no error: whoever reads begins again)
    """Retention removed entries while they were being read."""


class Reader:
    """What can be asked of a record. Methods may be called from any thread.

    >>> import tempfile
    >>> from edge.record.store import Store
    >>> with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
    ...     list(store.entries(through=store.head().id)), store.problems(1)
    ([], [])
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.images = ImageFolder(folder)
        self._connection = connection
        self._guard = threading.RLock()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """What is read inside is the record at one moment, whatever a writer does meanwhile.

        For minutes at most: as long as it lasts, the write-ahead log grows by all that is written.
        """
        with self._guard:
            if self._connection.in_transaction:
                yield
                return
            with narrowed(self.folder):
                self._connection.execute("BEGIN")
            try:
                yield
            finally:
                roll_back(self._connection)

    def snapshot(self) -> Snapshot:
        """How far the record goes, all of it at one moment."""
        with self.at_one_moment(), self._reading() as connection:
            newest = connection.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()[0]
            return Snapshot(head_of(connection), _base(connection), newest, _slides(connection))

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a SELECT finds, all of one moment. For queries with a bounded answer."""
        with self._reading() as connection:
            return connection.execute(query, values).fetchall()

    def head(self) -> Head:
        """The end of the chain."""
        with self._reading() as connection:
            return head_of(connection)

    def base(self) -> Row:
        """What the first entry follows: number 0 and the genesis, or the last entry that was pruned (no body)."""
        with self._reading() as connection:
            return _base(connection)

    def slides(self) -> dict[str, int]:
        """The last field number given, by slide."""
        with self._reading() as connection:
            return _slides(connection)

    def last_removal(self) -> str | None:
        """When retention last removed entries, ISO 8601; None where it never did."""
        query = """SELECT json_extract(body, '$.utc') FROM entries
                   WHERE type = 'pruned' AND type != 'verdict' ORDER BY id DESC LIMIT 1"""
        with self._reading() as connection:
            found = connection.execute(query).fetchone()
            return None if found is None else str(found[0])

    def last_event(self, kinds: Sequence[str]) -> EventBody | None:
        """The last event of these kinds; None where there is none."""
        query = f"""SELECT body FROM entries WHERE type = 'event' AND type != 'verdict'
                    AND json_extract(body, '$.kind') IN ({", ".join("?" * len(kinds))}) ORDER BY id DESC LIMIT 1"""
        with self._reading() as connection:
            found = connection.execute(query, kinds).fetchone()
            body = None if found is None else read_body(str(found[0]))
            return body if isinstance(body, EventBody) else None

    def events(self, kind: str) -> list[EventBody]:
        """All events of a kind, in order."""
        query = """SELECT body FROM entries WHERE type = 'event' AND type != 'verdict'
                   AND json_extract(body, '$.kind') = ? ORDER BY id"""
        with self._reading() as connection:
            bodies = [read_body(str(row[0])) for row in connection.execute(query, (kind,))]
        return [body for body in bodies if isinstance(body, EventBody)]

    def last_run(self) -> RunBody | None:
        """The entry that began the last run, also where it was pruned and the run goes on; None where there is none."""
        query = "SELECT body FROM entries WHERE type = 'run' AND type != 'verdict' ORDER BY id DESC LIMIT 1"
        carried = """SELECT json_extract(body, '$.carried_run') FROM entries
                     WHERE type = 'pruned' AND type != 'verdict' ORDER BY id DESC LIMIT 1"""
        with self._reading() as connection:
            found = connection.execute(query).fetchone() or connection.execute(carried).fetchone()
            body = None if found is None or found[0] is None else read_body(str(found[0]))
            return body if isinstance(body, RunBody) else None

    def next_known_time(self, after: int, not_after_ns: int) -> KnownTime | None:
        """The first entry behind `after` that was stamped by a synchronized clock, no later than that; or None."""
        query = """SELECT id, run, json_extract(body, '$.utc_ns'), json_extract(body, '$.monotonic_ns') FROM entries
                   WHERE id > ? AND json_extract(body, '$.synchronized') = 1 AND json_extract(body, '$.utc_ns') <= ?
                   ORDER BY id LIMIT 1"""
        with self._reading() as connection:
            found = connection.execute(query, (after, not_after_ns)).fetchone()
            return None if found is None else KnownTime(*found)

    def next_field(self, slide: str, after: int) -> int | None:
        """The first field of a slide behind entry `after`; None where there is none."""
        query = "SELECT min(field) FROM entries WHERE slide = ? AND field > 0 AND id > ?"
        with self._reading() as connection:
            found: int | None = connection.execute(query, (slide, after)).fetchone()[0]
            return found

    def exported(self) -> dict[str, int]:
        """The last entry that was exported, by slide."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT slide, through FROM exports"))

    def entries(self, *, after: int = 0, through: int) -> Iterator[Row]:
        """The entries with `after` < number <= `through`, in order."""
        query = "SELECT id, body, digest FROM entries WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        while rows := self._rows(query, (after, through, CHUNK)):
            yield from rows
            after = rows[-1].id

    def slide_entries(self, slide: str, *, through: int) -> Iterator[Row]:
        """The entries of a slide up to `through`, in order: its runs, their events and verdicts."""
        return heapq.merge(self._verdicts(slide, through), self._others(slide, through), key=lambda row: row.id)

    def run_body(self, run: int) -> str | None:
        """The JSON text of the entry that began a run, also where it was pruned and the run goes on; or None."""
        with self._reading() as connection:
            return run_start(connection, run)

    def names_image(self, slide: str, field: int, path: str) -> bool:
        """Whether an entry names that image, or did until it was pruned."""
        query = """SELECT 1 FROM entries WHERE slide = ? AND field = ? AND json_extract(body, '$.image.path') = ?
                   UNION ALL SELECT 1 FROM doomed WHERE path = ?"""
        with self._reading() as connection:
            return connection.execute(query, (slide, field, path, path)).fetchone() is not None

    def bytes_used(self) -> int:
        """Bytes of the database's pages in use and of all images."""
        with self._reading() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            return int((pages - free) * size) + head_of(connection).image_bytes

    def problems(self, most: int) -> list[str]:
        """What SQLite finds wrong with the file's structure and indexes, `most` of it at most."""
        with self._reading() as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({most:d})")]
            return [] if found == ["ok"] else found

    def _verdicts(self, slide: str, through: int) -> Iterator[Row]:
        query = """SELECT id, body, digest, field FROM entries
                   WHERE slide = ? AND field > ? AND id <= ? ORDER BY field LIMIT ?"""
        field = 0
        while True:
            with self._reading() as connection:
                rows = connection.execute(query, (slide, field, through, CHUNK)).fetchall()
            if not rows:
                return
            yield from (Row(*row[:3]) for row in rows)
            field = rows[-1][3]

    def _others(self, slide: str, through: int) -> Iterator[Row]:
        query = """SELECT id, body, digest FROM entries
                   WHERE slide = ? AND field IS NULL AND id > ? AND id <= ? ORDER BY id LIMIT ?"""
        after = 0
        while rows := self._rows(query, (slide, after, through, CHUNK)):
            yield from rows
            after = rows[-1].id

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[Row]:
        with self._reading() as connection:
            return [Row(*row) for row in connection.execute(query, values)]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._guard, narrowed(self.folder):
            yield self._connection


def run_start(connection: sqlite3.Connection, run: int) -> str | None:
    """As `Store.run_body`."""
    found = connection.execute(
        "SELECT body FROM entries WHERE type = 'run' AND type != 'verdict' AND run = ?", (run,)
    ).fetchone()
    if found is None:
        found = connection.execute(
            """SELECT body FROM (SELECT json_extract(body, '$.carried_run') AS body FROM entries
               WHERE type = 'pruned' AND type != 'verdict' ORDER BY id DESC LIMIT 1)
               WHERE json_extract(body, '$.run') = ?""",
            (run,),
        ).fetchone()
    return None if found is None else str(found[0])


def head_of(connection: sqlite3.Connection) -> Head:
    found = connection.execute("SELECT record, id, digest, image_bytes FROM head").fetchone()
    if found is None:
        raise sqlite3.DatabaseError("the row that holds the head of the chain is missing")
    return Head(*found)


def _base(connection: sqlite3.Connection) -> Row:
    pruned = connection.execute("SELECT through, digest FROM pruned").fetchone()
    return Row(pruned[0], "", pruned[1]) if pruned else Row(0, "", genesis(head_of(connection).record))


def _slides(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT slide, fields FROM slides ORDER BY slide"))
