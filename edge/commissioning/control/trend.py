"""A trend in a series of controls, before a rule rejects it: a lamp that dims a little every day."""

import math
from collections.abc import Sequence

from msgspec import Struct

FEWEST, NEWEST = 5, 20  # measurements that are looked at, at least and at most
LEAST_CHANGE = 1.0  # standard deviations from the first of them to the last: less is no matter
# Student's t, two-sided 0.1 %, for 3 to 18 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2): eight measures a
# control are asked, and a warning a day would be read by nobody.
_T = (12.924, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221, 4.140, 4.073, 4.015, 3.965, 3.922)
_LIMIT = 2.0  # standard deviations that the sentence counts to


class Trend(Struct, frozen=True):
    """A straight line through the newest measurements whose slope is not chance.

    Attributes:
        slope: standard deviations a control. measurements: that it was found in. newest: the line's end, standard
            deviations. until: controls until the line is 2 standard deviations from the mean; 0 where it is.

    >>> trend([0.0, 0.3, 0.6, 0.9, 1.2]).until
    3
    """

    slope: float
    measurements: int
    newest: float
    until: int


def trend(z: Sequence[float]) -> Trend | None:
    """The trend of a series of z-scores, oldest first; None where there is none.

    Least squares over the newest `NEWEST`; the slope's t-test at 0.1 % with n - 2 degrees of freedom.
    """
    values = list(z)[-NEWEST:]
    count = len(values)
    if count < FEWEST:
        return None
    middle, mean = (count - 1) / 2, math.fsum(values) / count
    across = math.fsum((index - middle) ** 2 for index in range(count))
    slope = math.fsum((index - middle) * value for index, value in enumerate(values)) / across
    rest = math.fsum((value - mean - slope * (index - middle)) ** 2 for index, value in enumerate(values))
    error = math.sqrt(rest / (count - 2) / across)
    if abs(slope) * (count - 1) < LEAST_CHANGE or abs(slope) <= _T[count - FEWEST] * error:
        return None
    newest = mean + slope * middle
    left = _LIMIT - newest if slope > 0 else _LIMIT + newest
    return Trend(slope, count, newest, max(0, math.ceil(left / abs(slope) - 1e-9)))
