"""The activity of the stages: which one works on a frame, and since when, so that a hang is told from waiting.

Waiting is no sign of anything: a camera that is away, a full disk or an empty hand-over can last for hours. A call that
began and does not end is.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class StageActivity:
    """Written by the stages, each of which works on one frame at a time; read by the watchdog.

    >>> activity = StageActivity()
    >>> with activity.at_work("gate"):
    ...     list(activity.busy())
    ['gate']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    @contextmanager
    def at_work(self, stage: str) -> Iterator[None]:
        """The stage is at work within this block, and not to be waited for any longer than is reasonable."""
        with self._lock:
            self._since[stage] = monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._since.pop(stage, None)

    def busy(self) -> dict[str, float]:
        """Seconds since each stage that is at work began with what it works on."""
        now = monotonic()
        with self._lock:
            return {stage: now - since for stage, since in self._since.items()}
