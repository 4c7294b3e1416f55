"""Ctrl-C during a search: the first ends the search and keeps the best so far, the second ends the command."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_log = logging.getLogger(__name__)


class StopRequested:
    """Whether somebody has asked for the end; asked between images and steps, since no signal may unwind through
    the converter."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


class SearchStopped(Exception):  # noqa: N818  (not an error: what unwinds a trial that is not finished)
    """The search was asked to end in the middle of a trial."""


@contextmanager
def stoppable() -> Iterator[StopRequested]:
    """Within, the first SIGINT is a request; the second raises KeyboardInterrupt. Elsewhere than in the main
    thread signals cannot be caught, and nothing changes."""
    asked = StopRequested()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if asked.asked:
            signal.default_int_handler(number, frame)
        asked.asked = True
        _log.info("  stopping: the best file so far is kept and judged; Ctrl-C again to give up")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
