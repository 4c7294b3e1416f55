"""Standard output and standard error, held back while a library writes to them below Python, and given back.

TensorFlow and the TFLite runtimes write to file descriptors, where redirecting `sys.stderr` does not reach. Blocks here
point the descriptors elsewhere for a while. Ctrl-C may land between any two steps of doing so, where no `finally` of
the block itself can help: `given_back`, around a whole command, restores them, so that its last line reaches the
terminal.
"""

import contextlib
import io
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

STREAMS = (1, 2)
_MODES = {0: "r", 1: "w", 2: "w"}
_lock = threading.Lock()  # the streams are the process's


def open_standard_streams() -> None:
    """Open those of descriptors 0, 1 and 2 that a command was started without (`2>&-`), on /dev/null.

    Else the next file opened has such a number, and what a library writes to standard error ends up in it.
    """
    for stream, mode in _MODES.items():
        try:
            os.fstat(stream)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != stream:
                os.dup2(opened, stream)
                os.close(opened)
            name = ("stdin", "stdout", "stderr")[stream]
            if getattr(sys, name) is None:
                setattr(sys, name, os.fdopen(stream, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


def one_line(text: str | Path) -> str:
    r"""`text` with every character escaped that is not printable: line ends, terminal commands, marks of direction.

    Names of files and what others wrote may hold any of them. Bytes of a name that is not UTF-8 show as `\xff`.

    >>> one_line("a\nerror: b\x1b[31m.png")
    'a\\nerror: b\\x1b[31m.png'
    """
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def lines(text: str) -> str:
    r"""The same for text of several lines, which stay.

    >>> lines("two\nlines\x07")
    'two\nlines\\x07'
    """
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in text.split("\n"))


@contextlib.contextmanager
def given_back() -> Iterator[None]:
    """After the block the streams are those that were there before it, for Python and below it."""
    python = sys.stdout, sys.stderr
    real = {}
    for stream in STREAMS:
        with contextlib.suppress(OSError):  # closed from the start: there is nothing to give back
            real[stream] = os.dup(stream)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = python
        for stream, kept in real.items():
            os.dup2(kept, stream)
            os.close(kept)


class HeldBack:
    """Both streams pointed at a file, from `begin` to `end`.

    Args:
        file: descriptor of the file; None holds nothing back.

    >>> with silenced() as held:
    ...     print("dropped")
    ...     with held.lifted():
    ...         pass
    """

    def __init__(self, file: int | None) -> None:
        self._file = file
        self._real: dict[int, int] = {}
        self._python = sys.stdout, sys.stderr

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """The real streams for the length of a block, for a line of progress."""
        if self._file is None:
            yield
            return
        self.end()
        try:
            yield
        finally:
            self.begin()

    def begin(self) -> None:
        """Point the streams at the file."""
        if self._file is None:
            return
        self._python = sys.stdout, sys.stderr
        _flush()
        self._real = {stream: os.dup(stream) for stream in STREAMS}
        for stream in STREAMS:
            os.dup2(self._file, stream)
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(self._file, "w", closefd=False), write_through=True)

    def end(self) -> None:
        """Give the streams back."""
        _flush()
        sys.stdout, sys.stderr = self._python
        while self._real:  # interrupted between two, it goes on where it was
            stream, real = self._real.popitem()
            os.dup2(real, stream)
            os.close(real)


@contextlib.contextmanager
def silenced() -> Iterator[HeldBack]:
    """Drop what is written to both streams, and warnings; not for two threads at once.

    With LEUKOSCOPE_DEBUG=1 nothing is dropped.
    """
    if os.environ.get("LEUKOSCOPE_DEBUG") == "1":
        yield HeldBack(None)
        return
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = HeldBack(file.fileno())
        try:
            held.begin()
            yield held
        finally:
            held.end()


@contextlib.contextmanager
def stderr_without(unwanted: bytes) -> Iterator[None]:
    """Hold standard error back within the block, then repeat it without the lines that contain `unwanted`.

    Threads take turns. Python's own `sys.stderr` writes to the same descriptor, and is repeated too.
    """
    with _lock:
        try:
            real = os.dup(2)
        except OSError:  # standard error is closed
            yield
            return
        with tempfile.TemporaryFile() as file:
            sys.stderr.flush()
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(real, 2)
                os.close(real)
                file.seek(0)
                kept = [line for line in file if unwanted not in line]
                if kept:
                    os.write(2, b"".join(kept))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # PEP 383: a byte that no encoding explains
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):  # closed, or a full pipe
            stream.flush()
