"""Lines for a stream, written by a thread of their own: whoever has a line to say never waits for who reads it."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import TextIO

MOST_LINES = 4096  # that wait for a reader
HURRIED_S = 0.5
_LOOK_S = 0.05
_AT_ONCE = 4096  # bytes: POSIX promises that a pipe takes so many whole or not at all
_POLL_MS = 200


class LineWriter:
    """Writes lines in order while their reader keeps up, and counts those that it has to give up.

    Bytes go to a copy of the stream's descriptor, past Python's buffers: a write that blocks for ever holds no lock
    that the end of the process waits for, and redirections of the descriptor do not swallow lines. A stream without
    a descriptor is written to as it is; None takes nothing.

    Args:
        most: lines that may wait; those that come while so many do are lost.
        on_gone: called once, by the writing thread, when the reader has closed its end.

    Attributes:
        lost: lines that were not written. Those that come after the reader has closed its end are not wanted, and do
            not count. why: of the last one lost.

    >>> import io
    >>> stream = io.StringIO()
    >>> writer = LineWriter(stream)
    >>> writer.put(["one", "two"])
    >>> writer.close()
    >>> stream.getvalue(), writer.lost
    ('one\\ntwo\\n', 0)
    """

    def __init__(
        self, stream: TextIO | None, *, most: int = MOST_LINES, on_gone: Callable[[], None] = lambda: None
    ) -> None:
        self._stream, self._most, self._on_gone = stream, most, on_gone
        self._file = _own_descriptor(stream)
        self._waiting: deque[str] = deque()
        self._in_hand = 0  # lines taken from there that are being written
        self._writes = 0
        self._changed = threading.Condition()
        self._closed = self._gone = stream is None
        self.lost, self.why = 0, ""
        self._thread = threading.Thread(target=self._write_all, name="lines", daemon=True)
        if stream is not None:
            self._thread.start()

    def put(self, lines: Sequence[str]) -> None:
        """Leave lines to be written; never waits, never raises."""
        with self._changed:
            if self._gone:
                return
            room = 0 if self._closed else max(0, self._most - len(self._waiting))
            self._waiting.extend(lines[:room])
            if len(lines) > room:
                self._lose(len(lines) - room, "nobody read them in time")
            self._changed.notify_all()

    def give_up(self, lines: int, why: str) -> None:
        """Count lines that cannot be left here."""
        with self._changed:
            self._lose(lines, why)

    def settle(self, patience_s: float, hurry: threading.Event | None = None) -> None:
        """Wait until every line that was left here has been written or lost; further ones may come.

        Args:
            patience_s: the longest to wait, in all. hurry: once set, `HURRIED_S` more at most.
        """
        give_up_at, hurried = monotonic() + patience_s, False
        with self._changed:
            while (self._waiting or self._in_hand) and (left := give_up_at - monotonic()) > 0:
                if hurry is not None and hurry.is_set() and not hurried:
                    hurried, give_up_at = True, min(give_up_at, monotonic() + HURRIED_S)
                self._changed.wait(min(left, _LOOK_S))

    def close(self, patience_s: float = 1.0, hurry: threading.Event | None = None) -> None:
        """No further line; wait while those that are left are being read, then give up the rest.

        Args:
            patience_s: seconds in which at least one write must end.
            hurry: once set, `HURRIED_S` more in all.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        writes, give_up_at, hurried = self._writes, monotonic() + patience_s, False
        while self._thread.is_alive() and monotonic() < give_up_at:
            self._thread.join(_LOOK_S)
            if hurry is not None and hurry.is_set() and not hurried:
                hurried, give_up_at = True, min(give_up_at, monotonic() + HURRIED_S)
            if self._writes != writes and not hurried:
                writes, give_up_at = self._writes, monotonic() + patience_s
        with self._changed:
            if self._in_hand or self._waiting:
                self._lose(self._in_hand + len(self._waiting), "nobody read them in time")
            self._in_hand = 0
            self._waiting.clear()

    def _lose(self, lines: int, why: str) -> None:
        self.lost += lines
        self.why = why

    # --- on the thread ----------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while (piece := self._next_piece()) is not None:
            why = ""
            try:
                self._write(piece)
            except BrokenPipeError:
                self._leave()
                break
            except (OSError, ValueError) as error:  # ValueError: the stream was closed
                why = getattr(error, "strerror", None) or str(error)
            with self._changed:
                if why and self._in_hand:
                    self._lose(self._in_hand, why)
                self._in_hand = 0
                self._writes += 1
                self._changed.notify_all()
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)

    def _next_piece(self) -> bytes | None:
        """The next lines, as many as a pipe takes at once, and one at least; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            piece = b""
            while self._waiting:
                line = self._encoded(self._waiting[0])
                if piece and len(piece) + len(line) > _AT_ONCE:
                    break
                piece += line
                self._waiting.popleft()
                self._in_hand += 1
            return piece or None

    def _encoded(self, line: str) -> bytes:
        """In the stream's encoding; what that cannot spell is escaped."""
        encoding, errors = getattr(self._stream, "encoding", None) or "utf-8", getattr(self._stream, "errors", None)
        try:
            return f"{line}\n".encode(encoding, errors or "strict")
        except UnicodeError:
            return f"{line}\n".encode(encoding, "backslashreplace")

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            assert self._stream is not None
            self._stream.write(piece.decode(getattr(self._stream, "encoding", None) or "utf-8", "backslashreplace"))
            self._stream.flush()
            return
        while piece:
            try:
                piece = piece[os.write(self._file, piece) :]
            except BlockingIOError:  # whoever shares the descriptor made it non-blocking
                room = select.poll()
                room.register(self._file, select.POLLOUT)
                room.poll(_POLL_MS)

    def _leave(self) -> None:
        with self._changed:
            self._gone = True
            self._in_hand = 0
            self._waiting.clear()
            self._changed.notify_all()
        self._on_gone()


def _own_descriptor(stream: TextIO | None) -> int | None:
    """A copy of the stream's descriptor; None where it has none."""
    if stream is None:
        return None
    try:
        return os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):  # io.UnsupportedOperation is both: a stream in memory
        return None
