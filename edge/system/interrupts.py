"""Signals that end a command: Ctrl-C (SIGINT) and SIGTERM, which services and `kill` send."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def unwind_on_sigterm() -> None:
    """Let SIGTERM unwind as Ctrl-C does, by KeyboardInterrupt, so that nothing half-written stays behind."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def ignored() -> Iterator[None]:
    """Within the block Ctrl-C and SIGTERM change nothing: what is left to do takes no time.

    >>> with ignored():
    ...     signal.raise_signal(signal.SIGINT)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_on(*signals: signal.Signals, on_first: Callable[[], None] = lambda: None) -> Iterator[threading.Event]:
    """Within the block the first of `signals` sets the event and calls `on_first`; a second raises KeyboardInterrupt.

    For work that ends in order: whoever does it looks at the event where it can stop. Elsewhere than in the main thread
    no signal can be caught, and nothing changes.

    >>> with stop_on(signal.SIGINT) as stop:
    ...     signal.raise_signal(signal.SIGINT)
    ...     stop.is_set()
    True
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        on_first()

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
