"""An answer that costs something, computed by one thread at a time and kept for some seconds."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Cached(Generic[_T]):
    """What `look` says, no older than `keep_s`. Whoever asks while it is being looked at waits for that answer.

    Args:
        look: computes it; called by one thread at a time.
        keep_s: seconds for which an answer serves.
        clock: seconds, monotonic.

    >>> asked = []
    >>> cached = Cached(lambda: asked.append(1) or len(asked), keep_s=60)
    >>> cached(), cached()
    (1, 1)
    """

    def __init__(self, look: Callable[[], _T], keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._keep_s, self._clock = look, keep_s, clock
        self._guard = threading.Lock()
        self._kept: tuple[float, _T] | None = None

    def __call__(self) -> _T:
        """The answer; what `look` raises, raised."""
        with self._guard:
            kept = self._kept
            if kept is None or self._clock() - kept[0] >= self._keep_s:
                answer = self._look()
                self._kept = kept = (self._clock(), answer)
            return kept[1]
