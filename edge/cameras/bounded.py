"""Waiting for a driver no longer than so many seconds."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from edge.errors import CameraLost

T = TypeVar("T")


def bounded(call: Callable[[], T], seconds: float, what: str, *, too_late: Callable[[T], None] | None = None) -> T:
    """`call()`, waited for no longer than `seconds`; a result that comes later is handed to `too_late`.

    Raises:
        CameraLost: it did not return in time. Its daemon thread is left behind.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, name=f"waiting for {what}", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError as error:
        if outcome.done():  # the call's own
            raise
        if too_late is not None:
            outcome.add_done_callback(lambda late: None if late.exception() else too_late(late.result()))
        raise CameraLost(f"waited {seconds:g} s for {what}") from error
