"""Progress of long work on standard error: a bar with the time left on a terminal, a plain line now and then elsewhere.

Work that ends within `QUIET_S` shows nothing.
"""

import contextlib
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TypeVar

from edge.system.streams import one_line

QUIET_S = 2.0  # work shorter than this says nothing
LINE_EVERY_S = 10.0  # where standard error is no terminal
REDRAW_EVERY_S = 0.1
BAR_CELLS = 24
_ERASE = "\r\x1b[K"

Item = TypeVar("Item")


class Progress:
    """A context manager around one long piece of work. Work within work shows nothing of its own.

    Args:
        title: what is done, such as "drawing fields".
        total: steps.
        wanted: False keeps the lines of `say` and drops the rest.

    >>> with Progress("drawing fields", 2) as progress:
    ...     progress.advance()
    ...     progress.advance()
    ...     progress.text()
    'drawing fields: 2 of 2'
    """

    def __init__(self, title: str, total: int, wanted: bool = True) -> None:
        self._title, self._total, self._wanted = title, total, wanted
        self._done = 0
        self._began = self._shown_at = time.monotonic()
        self._shown = False
        self._outermost = False
        self._first: tuple[float, int] | None = None  # when the first steps were done, and how many

    def __enter__(self) -> "Progress":
        self._began = self._shown_at = time.monotonic()
        self._outermost = not _Line.taken
        self._wanted = self._wanted and self._outermost
        _Line.taken = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outermost:
            _Line.taken = False
        if self._shown:
            seconds = _time(time.monotonic() - self._began)
            _write(f"{one_line(self._title)}: {self._done} of {self._total} in {seconds}\n")

    def advance(self, steps: int = 1) -> None:
        """`steps` more are done."""
        now = time.monotonic()
        self._done += steps
        if self._first is None:
            self._first = now, self._done
        if not self._wanted or now - self._began < QUIET_S:
            return
        terminal, finished = _is_terminal(), self._done >= self._total
        if self._shown and now - self._shown_at < (REDRAW_EVERY_S if terminal else LINE_EVERY_S) and not finished:
            return
        if terminal:
            _write(self._bar(), ends=False)
        elif not finished:
            _write(f"{self.text()}\n")
        else:
            return
        self._shown, self._shown_at = True, now

    def say(self, line: str) -> None:
        """A line that stays."""
        _write(f"{one_line(line)}\n")

    def text(self) -> str:
        """How far it is, and how long it will take at the pace so far."""
        counted = f"{one_line(self._title)}: {self._done} of {self._total}"
        if self._first is None or not self._first[1] < self._done < self._total:
            return counted
        since, before = self._first  # what goes before the first step tells nothing about the others
        pace = (time.monotonic() - since) / (self._done - before)
        return f"{counted}, about {_time(pace * (self._total - self._done))} left"

    def _bar(self) -> str:
        filled = BAR_CELLS * self._done // max(self._total, 1)
        title, rest = self.text().split(": ", 1)
        columns = shutil.get_terminal_size().columns
        return f"{title} [{'#' * filled}{'.' * (BAR_CELLS - filled)}] {rest}"[: columns - 1]


def tracked(items: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """The items, with progress while they are taken.

    Args:
        total: how many there are; needed where `items` has no length.

    >>> list(tracked("ab", "letters"))
    ['a', 'b']
    """
    if total is None:
        if not isinstance(items, Sized):
            raise TypeError("total is needed where items has no length")
        total = len(items)
    with Progress(title, total) as progress:
        for item in items:
            yield item
            progress.advance()


class _Line:
    """The terminal's last line: whether somebody's progress has it, and whether a bar stands on it."""

    taken = False
    drawn = False


def clear_bar() -> None:
    """Erase a bar that stands on the terminal's last line, so that something else can be printed there."""
    if _Line.drawn:
        _Line.drawn = False
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(_ERASE)
            sys.stderr.flush()


def _write(text: str, ends: bool = True) -> None:
    """Write text in place of a bar; one that does not end the line is itself a bar."""
    before = _ERASE if _Line.drawn else ""
    _Line.drawn = not ends
    with contextlib.suppress(OSError, ValueError):  # closed or full: the work goes on
        sys.stderr.write(before + text)
        sys.stderr.flush()


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no standard error, or a closed one
        return False


def _time(seconds: float) -> str:
    """12.3 -> "12 s", 133 -> "2 min 13 s"."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
