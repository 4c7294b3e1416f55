"""Limits from measured values: the last value that passes, by the share of a model's own images that may be refused.

With thousands of images a limit is a quantile of theirs. With fewer, the share asks for a value beyond the largest
one seen: the tail is extrapolated as an exponential, whose mean excess the outermost tenth of the images gives. Its
median stands for the mean (the mean is median / ln 2), so that one odd image does not move a limit so far out that
pictures of something else pass; that image may then be beyond it.
Source: peaks over a threshold with shape 0 (Pickands 1975, Ann. Statist. 3:119; Coles 2001, An Introduction to
Statistical Modeling of Extreme Values, section 4.3).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TAIL = 0.1  # of the values: those whose excesses an extrapolation rests on
EXPECTED = 1  # images beyond a quantile for it to be taken as it is


@dataclass(frozen=True)
class LimitRule:
    """How one limit follows from values.

    Attributes:
        ceiling: large values are refused. share: of the images that may lie beyond, > 0.
        factor: what the quantile is multiplied by. digits: kept behind the point, rounded outwards.
        least: of a ceiling: below it nothing is amiss, however little the images show of it.
        why: of share or factor, for the file.

    >>> LimitRule(True, share=0.1).limit(np.arange(100.0))
    90.0
    """

    ceiling: bool
    share: float
    factor: float = 1.0
    digits: int = 2
    why: str = ""
    least: float = 0.0

    @property
    def quantile(self) -> float:
        """Of the values."""
        return 1 - self.share if self.ceiling else self.share

    def limit(self, values: Floats) -> float:
        """The last value that passes, of (N,) values, N >= 1; never below 0."""
        edge = upper_tail(values, self.share) if self.ceiling else -upper_tail(-values, self.share)
        scale = 10.0**self.digits
        outwards = math.ceil if self.ceiling else math.floor
        return max(self.least, outwards(round(edge * self.factor * scale, 6)) / scale)

    def refused(self, values: Floats, limit: float) -> int:
        """How many of the values a limit refuses; one that is no number is refused."""
        return int((~(values <= limit if self.ceiling else values >= limit)).sum())


def upper_tail(values: Floats, share: float) -> float:
    """The value that `share` of such values exceed: a quantile of (N,) values, or one extrapolated beyond them.

    >>> round(upper_tail(np.arange(30.0), 0.001), 1) > 29
    True
    """
    empirical = float(np.quantile(values, 1 - share, method="higher"))
    if len(values) * share >= EXPECTED or share >= TAIL:
        return empirical
    start = float(np.quantile(values, 1 - TAIL))
    beyond = values[values > start] - start
    excess = float(np.median(beyond)) / math.log(2) if len(beyond) else 0.0
    return start + excess * math.log(TAIL / share)
