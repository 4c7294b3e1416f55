"""How many WebSockets are open, in all and by user."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Sockets:
    """Counts open sockets.

    >>> sockets = Sockets(most=2, most_of_user=1)
    >>> with sockets.one("anna") as first, sockets.one("anna") as second:
    ...     first, second, sockets.open
    (True, False, 1)
    """

    def __init__(self, most: int, most_of_user: int) -> None:
        self._most, self._most_of_user = most, most_of_user
        self._by_user: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many are open."""
        return self._by_user.total()

    @contextmanager
    def one(self, user: str) -> Iterator[bool]:
        """One more for as long as the block lasts; False where that would be too many."""
        if self.open >= self._most or self._by_user[user] >= self._most_of_user:
            yield False
            return
        self._by_user[user] += 1
        try:
            yield True
        finally:
            self._by_user[user] -= 1
            if not self._by_user[user]:
                del self._by_user[user]
