"""How many more images would decide a rule, if they came out as those so far."""

import math
from collections.abc import Callable

from models.statistics.intervals import paired_difference_lower, paired_difference_upper

MOST = 1_000_000  # images: what so many do not decide, no number does


def more_for_bound(lost: int, gained: int, images: int, limit: float, confidence: float) -> int | None:
    """Until the upper bound of a fall is within `limit` points, or its lower one beyond; None if no number would.

    >>> more_for_bound(0, 0, 180, 1.0, 0.95)
    88
    """

    def decided(b: int, c: int, n: int) -> bool:
        upper, lower = (f(b, c, n, confidence) for f in (paired_difference_upper, paired_difference_lower))
        return 100 * upper <= limit or 100 * lower > limit

    return _more(lost, gained, images, decided)


def more_for_fall(lost: int, gained: int, images: int, limit: float, confidence: float) -> int | None:
    """Until a fall beyond `limit` points is beyond it with the lower end of its interval; None if no number would."""
    return _more(lost, gained, images, lambda b, c, n: 100 * paired_difference_lower(b, c, n, confidence) > limit)


def _more(lost: int, gained: int, images: int, decided: Callable[[int, int, int], bool]) -> int | None:
    """The least number of further images with the same shares lost and gained that decides."""

    def of(total: int) -> bool:
        return decided(round(lost * total / images), round(gained * total / images), total)

    low, high = images, images
    while not of(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:  # rounding makes it uneven; the least of a rising run is near enough
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if of(middle) else (middle, high)
    return high - images
