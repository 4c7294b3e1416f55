"""The record: a folder with a database of entries, chained by hash, and the images they name.

One process writes, held to it by a lock; any number read meanwhile. A verdict is durable when `write` returns:
its image first (written aside, synced, renamed), then one transaction for the whole batch.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from msgspec import to_builtins
from msgspec.structs import asdict, replace

from edge.errors import StoreError
from edge.record.chain import canonical, link
from edge.record.entries import (
    Body,
    EndBody,
    Entry,
    Event,
    ReferenceBody,
    RunBody,
    RunInfo,
    Stored,
    event_body,
    require_slide,
    verdict_body,
)
from edge.record.entry_parts import Image, ReferenceField, moment
from edge.record.location import identity, locked, make_folder, require_new
from edge.record.reader import CHUNK, Head, Reader, Row, head_of
from edge.record.schema import DATABASE, connect, create, narrowed, roll_back
from edge.record.slide_entries import CommandBody, CorrectionBody, SlideBody
from edge.record.slide_queries import require_act, require_corrects
from edge.system.clock import Clock, Instant

COLLECTING, COLLECTED = "collecting", "collected"  # events about a slide whose reference fields are being stored
_CLOSE_S = 1.0  # that `close` waits for a write on another thread


class Transaction:
    """A transaction under way: entries are appended to the chain, and become durable together or not at all.

    >>> import tempfile
    >>> event = event_body(None, None, Event(Instant(0, 0, None), "swept", "1 image moved"))
    >>> with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store, store.transaction() as changes:
    ...     changes.append(event).id
    1
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.head = head_of(connection)

    def append(self, body: Body) -> Row:
        """Append one entry to the chain."""
        number, text = self.head.id + 1, canonical(to_builtins(body))
        row = Row(number, text, link(self.head.digest, number, text))
        self.connection.execute("INSERT INTO entries (id, body, digest) VALUES (?, ?, ?)", (row.id, text, row.digest))
        self.head = Head(self.head.record, row.id, row.digest, self.head.image_bytes)
        return row

    def count_images(self, more_bytes: int) -> None:
        """Add to the bytes of all images, or take from them."""
        head = self.head
        self.head = Head(head.record, head.id, head.digest, head.image_bytes + more_bytes)

    def _finish(self) -> None:
        head = self.head
        self.connection.execute(
            "UPDATE head SET id = ?, digest = ?, image_bytes = ?", (head.id, head.digest, head.image_bytes)
        )


class Store(Reader):
    """The record in a folder. Use `Store.open`; methods may be called from any thread.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
    ...     store.head().id, store.slides()
    (0, {})
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        super().__init__(folder, connection)
        self._lock_file = lock
        self._file = identity(folder / DATABASE)
        self._run: tuple[int, str] | None = None  # the open one, and its slide
        self._fields_before = 0  # of that slide, when the run began

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> "Store":
        """Open the record in `folder`; for writing, make it where there is none.

        What an interrupted process left behind is cleared away first: unfinished files are deleted, images that
        no entry names are moved to `left-over/` and an event says so.

        Raises:
            StoreBusy: another process writes to it.
            StoreFull: it cannot be written now: disk full, read-only, no file handles.
            StoreError: damaged, incomplete, or written by a newer version.
            UsageError: `folder` is a file.
        """
        folder = Path(folder)
        if read_only:
            return cls(folder, connect(folder, read_only=True), None)
        with narrowed(folder):
            make_folder(folder)
            lock = locked(folder)
            try:
                if not os.path.lexists(folder / DATABASE):
                    require_new(folder)
                    create(folder)
                store = cls(folder, connect(folder, read_only=False), lock)
            except BaseException:
                os.close(lock)
                raise
        try:
            store._recover()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Fold the log into the database and let go of the record. More than once is fine.

        A write that another thread is in is waited for, `_CLOSE_S` at most; after that the process's end closes the
        record, as a kill would, and holds it until then.
        """
        if not self._guard.acquire(timeout=_CLOSE_S):
            return
        try:
            with suppress(sqlite3.Error):
                self._connection.close()
            lock, self._lock_file = self._lock_file, None
            if lock is not None:
                with suppress(OSError):  # the medium is gone, and the lock with it
                    os.close(lock)
        finally:
            self._guard.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- writing ------------------------------------------------------------------------------------------

    def begin(self, info: RunInfo, at: Instant, act: SlideBody | None = None) -> int:
        """Record that a run begins, and give its number. One run at a time; `act`, of its slide, is the entry after.

        Raises:
            StoreFull, StoreError: as in `write`. ValueError: another run is open, or of the act, as `append_slide`.
        """
        with self._guard:
            if self._run is not None:
                raise ValueError(f"run {self._run[0]} has not ended")
            self._sweep(info.slide)
            with self.transaction() as transaction:
                run = transaction.head.id + 1
                transaction.append(RunBody(run=run, **moment(at), **asdict(info)))
                transaction.connection.execute("INSERT OR IGNORE INTO slides VALUES (?, 0)", (info.slide,))
                if act is not None:
                    require_act(self, act.slide, act.act)
                    transaction.append(replace(act, run=run))
            self._run, self._fields_before = (run, info.slide), self._last_field(info.slide)
            return run

    def write(
        self,
        run: int,
        entries: Sequence[Entry],
        events: Sequence[Event] = (),
        commands: Mapping[int, CommandBody] = MappingProxyType({}),
    ) -> list[Stored]:
        """Record a batch, all of it or nothing; durable on return. `commands`, by the place of what they asked for in
        `entries`, are the entries before those verdicts.

        Raises:
            StoreFull: not possible now. Nothing of the batch is in the record, and the store can be used again
                at once when there is room.
            StoreError: the record is damaged, or is no longer the file that was opened.
        """
        with self._guard, narrowed(self.folder):
            slide = self._slide_of(run)
            first = self._last_field(slide) + 1
            kept = [(first + n, e.image_suffix, e.image) for n, e in enumerate(entries) if e.image is not None]
            images = self.images.save(slide, kept)
            named: Mapping[int, Image] = {field: image for (field, _, _), image in zip(kept, images, strict=True)}
            try:
                with self.transaction() as transaction:
                    for event in events:
                        transaction.append(event_body(run, slide, event))
                    stored = []
                    for field, entry in enumerate(entries, first):
                        image = named.get(field)
                        if (command := commands.get(field - first)) is not None:
                            transaction.append(command)
                        row = transaction.append(verdict_body(run, slide, field, entry, image))
                        path = image.path if image else None
                        stored.append(Stored(row.id, slide, field, entry, path, row.digest))
                    transaction.count_images(sum(image.bytes for image in images))
                    transaction.connection.execute(
                        "UPDATE slides SET fields = ? WHERE slide = ?", (first + len(entries) - 1, slide)
                    )
            except BaseException as error:
                if self._surely_absent(slide, first, error):
                    self.images.delete([image.path for image in images])
                raise
            return stored

    def begin_collection(self, slide: str, at: Instant, detail: str) -> None:
        """Note that reference fields of a slide will follow, and clear away what an interrupted write left of it.

        Raises:
            StoreFull, StoreError: as in `write`.
        """
        with self._guard:
            self._sweep(slide)
            with self.transaction() as transaction:
                transaction.append(event_body(None, slide, Event(at, COLLECTING, detail)))
                transaction.connection.execute("INSERT OR IGNORE INTO slides VALUES (?, 0)", (slide,))

    def write_reference(
        self, slide: str, at: Instant, reference: ReferenceField, image: bytes, suffix: str = ".png"
    ) -> tuple[Row, ReferenceBody]:
        """Record one reference field with its image; durable on return. `begin_collection` comes first.

        Raises:
            StoreFull, StoreError: as in `write`; nothing of the field is in the record then.
        """
        with self._guard, narrowed(self.folder):
            field = self._last_field(slide) + 1
            [kept] = self.images.save(slide, [(field, suffix, image)])
            body = ReferenceBody(slide=slide, field=field, **moment(at), reference=reference, image=kept)
            try:
                with self.transaction() as transaction:
                    row = transaction.append(body)
                    transaction.count_images(kept.bytes)
                    transaction.connection.execute("UPDATE slides SET fields = ? WHERE slide = ?", (field, slide))
            except BaseException as error:
                if self._surely_absent(slide, field, error):
                    self.images.delete([kept.path])
                raise
            return row, body

    def end_collection(self, slide: str, at: Instant, detail: str) -> None:
        """Note that no more reference fields follow for now, and why."""
        with self.transaction() as transaction:
            transaction.append(event_body(None, slide, Event(at, COLLECTED, detail)))

    def end(self, run: int, at: Instant, counters: Mapping[str, int], why: str, act: SlideBody | None = None) -> None:
        """Record that a run has ended: how many frames went where, and why it ended; `act` is the entry before.

        `stored` among the counters is what the record holds of the run, whatever the caller counted.
        """
        with self._guard:
            slide = self._slide_of(run)
            with self.transaction() as transaction:
                if act is not None:
                    require_act(self, slide, act.act)
                    transaction.append(act)
                counted = {**counters, "stored": self.stored(run)}
                transaction.append(EndBody(run=run, slide=slide, **moment(at), counters=counted, why=why))
            self._run = None

    def append_slide(self, body: SlideBody) -> Row:
        """Record what happened to a slide, within a run or beside one; durable on return.

        Raises:
            ValueError: no slide's name, its state does not allow that act, or another slide is open.
            StoreFull, StoreError: as in `write`.
        """
        require_slide(body.slide)
        with self.transaction() as transaction:
            require_act(self, body.slide, body.act)
            transaction.connection.execute("INSERT OR IGNORE INTO slides VALUES (?, 0)", (body.slide,))
            return transaction.append(body)

    def append_correction(self, body: CorrectionBody) -> tuple[Row, CorrectionBody]:
        """Record an expert's word on a field, whose verdict stays as it is; durable on return.

        Args:
            body: `verdict` 0 is filled in, as the body that is returned says.

        Raises:
            ValueError: there is no such verdict, no such label, or it agrees and names another class than was answered.
            StoreFull, StoreError: as in `write`.
        """
        with self.transaction() as transaction:
            body = replace(body, verdict=require_corrects(self, body))
            return transaction.append(body), body

    def append_command(self, body: CommandBody) -> Row:
        """Record a command that has no entry of another kind, also one that was refused; durable on return.

        Raises:
            StoreFull, StoreError: as in `write`.
        """
        with self.transaction() as transaction:
            return transaction.append(body)

    def stored(self, run: int) -> int:
        """Verdicts of the open run that were recorded, also those that retention has removed since."""
        with self._guard, narrowed(self.folder):
            return self._last_field(self._slide_of(run)) - self._fields_before

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One durable transaction on the chain; whatever ends it early undoes it."""
        if self._lock_file is None:
            raise StoreError(f"{self.folder}: the record is open for reading only, or closed")
        with self._guard, narrowed(self.folder):
            if identity(self.folder / DATABASE) != self._file:
                raise StoreError(
                    f"{self.folder / DATABASE}: was moved or replaced while in use; restore it, then start again"
                )
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._connection)
                yield transaction
                transaction._finish()
                self._connection.execute("COMMIT")
            except BaseException:
                roll_back(self._connection)
                raise

    def mark_exported(self, slide: str, through: Row, utc: str) -> None:
        """Note that the entries of a slide up to `through` were exported. Needs no lock: it is no part of the chain."""
        connection = connect(self.folder, read_only=False)
        with narrowed(self.folder):
            try:
                connection.execute(
                    "INSERT OR REPLACE INTO exports VALUES (?, ?, ?, ?)", (slide, through.id, through.digest, utc)
                )
            finally:
                connection.close()

    def delete_doomed(self) -> None:
        """Delete the images whose entries were pruned."""
        with self._guard, narrowed(self.folder):
            while paths := [row[0] for row in self._connection.execute("SELECT path FROM doomed LIMIT ?", (CHUNK,))]:
                self.images.delete(paths)
                self._connection.executemany("DELETE FROM doomed WHERE path = ?", [(path,) for path in paths])

    # --- inside -------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Clear away what an interrupted process left: it was writing to the last run's slide, or collecting."""
        self.delete_doomed()
        with self._reading() as connection:
            last = [
                connection.execute(query).fetchone()
                for query in (
                    "SELECT slide FROM entries WHERE type = 'run' AND type != 'verdict' ORDER BY run DESC LIMIT 1",
                    "SELECT slide FROM entries WHERE type = 'event' AND type != 'verdict' AND run IS NULL "
                    f"AND json_extract(body, '$.kind') = '{COLLECTING}' ORDER BY id DESC LIMIT 1",
                )
            ]
        for slide in dict.fromkeys(found[0] for found in last if found):
            self._sweep(slide)

    def _sweep(self, slide: str) -> None:
        with self._guard, narrowed(self.folder):
            moved = self.images.sweep(slide, self._last_field(slide))
        if moved:
            what = f"{moved} image{'s' if moved > 1 else ''} of slide {slide} that no entry names moved to left-over/"
            with self.transaction() as transaction:
                transaction.append(event_body(None, None, Event(Clock().now(), "swept", what)))

    def _slide_of(self, run: int) -> str:
        if self._run is None or self._run[0] != run:
            raise ValueError(f"run must be the one that was begun here and has not ended; got {run}")
        return self._run[1]

    def _last_field(self, slide: str) -> int:
        found = self._connection.execute("SELECT fields FROM slides WHERE slide = ?", (slide,)).fetchone()
        return int(found[0]) if found else 0

    def _surely_absent(self, slide: str, first: int, error: BaseException) -> bool:
        """Whether a batch that failed is not in the record, not even after a power cut.

        A sync that failed at the commit leaves that open: the log may be on the disk and be recovered. Its images
        stay then; the next batch has the same names, or the next start sweeps them.
        """
        cause = error.__cause__
        if getattr(error, "sqlite_errorcode", getattr(cause, "sqlite_errorcode", 0)) == sqlite3.SQLITE_IOERR_FSYNC:
            return False
        try:
            return self._last_field(slide) < first
        except sqlite3.Error:
            return False
