"""Threads that read the record, each over a read-only connection of its own, so that nothing blocks the event loop."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from edge.errors import LeukoscopeError, StoreFull
from edge.page.problems import Problem
from edge.record.schema import DATABASE
from edge.record.store import Store

MOST_WAITING = 256  # questions; more than so many are refused
_TRIES = 5

_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


class NoRecord(Exception):  # noqa: N818  (an instrument that has not run yet)
    """There is no record in the folder so far."""


class Readers:
    """Read access to the record in a folder. A record that was moved, replaced or made meanwhile is opened anew.

    Args:
        threads: how many questions are answered at once.

    >>> async def ask() -> int:
    ...     return await Readers(Path("/nowhere"), 1).ask(lambda store: store.head().id, 0)
    >>> asyncio.run(ask())
    0
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="record")
        self._mine = threading.local()
        self._waiting = 0

    async def ask(self, question: Callable[[Store], _Answer], without: _Answer | Problem) -> _Answer:
        """The answer of a question to the record, worked out in a thread.

        Args:
            without: the answer while there is no record, or the problem that it is.

        Raises:
            Problem: 503: the record cannot be read, or too many wait.
        """
        if self._waiting >= MOST_WAITING:
            raise Problem(503, "busy", "too many requests wait for the record", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, question)
        except NoRecord:
            if isinstance(without, Problem):
                raise without from None
            return without
        except LeukoscopeError as error:
            _log.warning(f"the record cannot be read: {error}")
            raise Problem(503, "record-unavailable", str(error)) from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads end; connections go with them."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, question: Callable[[Store], _Answer]) -> _Answer:
        """As `edge.record.asking.ask`, over a connection that is kept: asked again where the file was opened as one
        that nobody changes, and changed."""
        for _ in range(_TRIES):
            before = self._file()
            try:
                answer = question(self._store(before))
            except LeukoscopeError:  # it may have been replaced under the connection
                self._forget()
                if before == self._file():
                    raise
                continue
            if before == self._file():
                return answer
            self._forget()
        raise StoreFull(f"{self.folder}: the record was opened and closed by others while it was read; ask again")

    def _store(self, file: tuple[int, ...] | None) -> Store:
        """This thread's connection to that file."""
        store: Store | None = getattr(self._mine, "store", None)
        if store is None or self._mine.file != file:
            self._forget()
            if file is None:
                raise NoRecord
            store = Store.open(self.folder, read_only=True)
            self._mine.store, self._mine.file = store, file
        return store

    def _forget(self) -> None:
        store: Store | None = getattr(self._mine, "store", None)
        self._mine.store = None
        if store is not None:
            store.close()

    def _file(self) -> tuple[int, ...] | None:
        """Which file it is. Without a write-ahead log a connection may have been opened to a file that never changes
        (`edge.record.schema.connect`): when it does, or a log appears, another one is needed."""
        path = self.folder / DATABASE
        try:
            status = path.stat()
        except OSError:
            return None
        with suppress(OSError):
            path.with_name(f"{path.name}-wal").stat()
            return status.st_dev, status.st_ino
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
