"""Questions to a record that other processes write, open and close meanwhile, by a reader that may not write.

SQLite's readers and writers agree over a shared file beside the database (`-shm`). While a writer has the record open,
and after one was killed, it stands, and a reader without the right to write uses it. A writer that ends in order
removes it: such a reader then opens the database as one that nobody changes, which is true until the next writer comes.
So it looks afterwards whether that was still so, and asks again where it was not (docs/decisions/0046).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge.errors import StoreError, StoreFull
from edge.record.schema import DATABASE
from edge.record.store import Store

_T = TypeVar("_T")
_TRIES = 5


def ask(folder: Path, question: Callable[[Store], _T]) -> _T:
    """The answer of the record in `folder`, opened for this question alone.

    Args:
        question: may be asked more than once.

    Raises:
        StoreFull: it cannot be read now, or was opened and closed by others each time.
        StoreError: no record there, damaged, or written by a newer version.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Store.open(Path(folder)).close()
    ...     ask(Path(folder), lambda record: record.head().id)
    0
    """
    for _ in range(_TRIES):
        before = _state(folder)
        try:
            with Store.open(folder, read_only=True) as record:
                answer = question(record)
        except StoreError:
            if before == _state(folder):
                raise
            continue
        # With the log beside it the reader and a writer agree by SQLite's own locks.
        if before[1] or before == _state(folder):
            return answer
    raise StoreFull(f"{folder}: the record was opened and closed by others while it was read; ask again")


def _state(folder: Path) -> tuple[tuple[int, int, int], bool]:
    """(identity, size and time of the database, whether a log stands beside it)."""
    try:
        status = (folder / DATABASE).stat()
    except OSError:
        return (0, 0, 0), False
    logged = os.path.lexists(folder / f"{DATABASE}-wal")
    return (status.st_ino, status.st_size, status.st_mtime_ns), logged
