"""Lanes for argon2: two verifications at most at once, one of them kept for who is known, so that memory suffices."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from edge.page.problems import Problem

_T = TypeVar("_T")
MOST_WAITING = 8  # in a lane


class Lane:
    """One verification at a time, in a thread; a few wait, further ones are refused with 503."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most, self._waiting, self._lock = most_waiting, 0, asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], _T]) -> _T:
        """What `work` gives."""
        if self._waiting >= self._most:
            raise Problem(503, "busy", "too many logins at once: try again in a moment", headers={"Retry-After": "2"})
        self._waiting += 1
        # A task of its own: a client that goes away must not let the next one in while this one still computes.
        task = asyncio.ensure_future(self._alone(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _alone(self, work: Callable[[], _T]) -> _T:
        try:
            async with self._lock:
                return await asyncio.get_running_loop().run_in_executor(None, work)
        finally:
            self._waiting -= 1


class Lanes:
    """A lane for a known device, the machine itself and who is logged in, and one for everybody else."""

    def __init__(self) -> None:
        self.known, self.others = Lane(), Lane()
