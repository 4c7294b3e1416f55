"""Progress of long work: a bar with time left on a terminal, plain lines elsewhere. All on standard error."""

import sys
import time
from types import TracebackType
from typing import Any

from edge.system.streams import one_line

_REDRAW_SECONDS = 0.1


class Progress:
    """A context manager around one long piece of work."""

    def __init__(self, title: str, total: int, wanted: bool = True) -> None:
        """`total` steps under `title`; `wanted` False keeps the lines of `say` and drops the bar."""
        self._title, self._total = title, total
        self._bar: Any = None
        self._drawn = 0.0
        self._terminal = wanted and sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        if self._terminal:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = RichProgress(*columns, console=Console(stderr=True), auto_refresh=False)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.stop()

    def advance(self, steps: int = 1) -> None:
        """`steps` more are done."""
        if self._bar is not None:
            self._bar.advance(self._task, steps)
            # drawn here and not by rich's own thread, which would draw into the silence around the converter
            if time.monotonic() - self._drawn > _REDRAW_SECONDS:
                self._bar.refresh()
                self._drawn = time.monotonic()

    def say(self, line: str) -> None:
        """A line that stays."""
        line = one_line(line)
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)
