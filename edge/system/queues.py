"""Between two stages: a bounded place to leave work, where the newest wins or everybody waits."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """A bounded queue between two threads.

    Args:
        capacity: items that may wait, >= 1.
        newest_wins: True displaces the oldest waiting item instead of letting `put` wait.

    >>> newest = Handover[int](1, newest_wins=True)
    >>> newest.put(1), newest.put(2), newest.get()
    (None, 1, 2)
    """

    def __init__(self, capacity: int, *, newest_wins: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1; got {capacity}")
        self._capacity, self._newest_wins = capacity, newest_wins
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> T | None:
        """Leave an item; waits for room unless the newest wins.

        Returns:
            What will not be taken: the item displaced, or `item` itself once closed; None when all is well.
        """
        with self._changed:
            while not (self._newest_wins or self._closed) and len(self._items) >= self._capacity:
                self._changed.wait()
            if self._closed:
                return item
            displaced = self._items.popleft() if len(self._items) >= self._capacity else None
            self._items.append(item)
            self._changed.notify_all()
            return displaced

    def get(self, timeout_s: float | None = None) -> T | None:
        """The oldest item; waits for one. None when none came in time, or when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    @property
    def finished(self) -> bool:
        """Closed, and everything was taken."""
        with self._changed:
            return self._closed and not self._items

    def close(self) -> None:
        """No further item; those that wait can still be taken. More than once is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
