"""Counted shares: so many of so many, with Wilson's interval."""

from msgspec import Struct

from models.statistics.formatting import percent_range
from models.statistics.intervals import Interval, wilson


class Share(Struct, frozen=True):
    """`count` of `of`; share and interval (Wilson, 95 %) are None of none.

    >>> print(Share.counted(1, 2))
    1 of 2: 50.00 % (9.45 to 90.55)
    """

    count: int
    of: int
    share: float | None
    interval: Interval | None

    @classmethod
    def counted(cls, count: int, of: int) -> "Share":
        """Share and interval of a count."""
        return cls(count, of, count / of if of else None, wilson(count, of) if of else None)

    def __str__(self) -> str:
        return f"{self.count} of {self.of}: {percent_range(self.share, self.interval)}"
