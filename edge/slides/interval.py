"""The exact interval of a share that was counted, after Clopper and Pearson (1934, Biometrika 26:404)."""

import math
from functools import lru_cache

_TINY = 1e-300
_STEPS = 100_000


@lru_cache(maxsize=4096)
def exact_interval(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided interval of a rate, 0..1; (0, 1) where nothing was tried.

    Raises:
        ValueError: counts or a confidence that are none.

    >>> tuple(round(limit, 4) for limit in exact_interval(2, 20))
    (0.0123, 0.317)
    """
    if not 0 <= events <= trials or not 0 < confidence < 1:
        raise ValueError(
            f"counts must fulfil 0 <= events <= trials, confidence 0..1; got {events} of {trials}, {confidence}"
        )
    tail = (1 - confidence) / 2
    low = 0.0 if events == 0 else beta_quantile(tail, events, trials - events + 1)
    high = 1.0 if events == trials else 1 - beta_quantile(tail, trials - events, events + 1)
    return low, high


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x at which the beta distribution of shapes `a`, `b` (> 0) has that probability below it, by halving.

    >>> round(beta_quantile(0.5, 2, 2), 6)
    0.5
    """
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if beta_below(middle, a, b) < probability else (low, middle)
    return (low + high) / 2


def beta_below(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), x in 0..1.

    >>> round(beta_below(0.25, 1, 3), 6)
    0.578125
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges fast
        return 1 - beta_below(1 - x, b, a)
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    numerator, denominator = 1.0, 1 / _kept(1 - (a + b) * x / (a + 1))
    value = denominator
    for m in range(1, _STEPS):
        before = value
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            denominator = 1 / _kept(1 + factor * denominator)
            numerator = _kept(1 + factor / numerator)
            value *= numerator * denominator
        if abs(value - before) <= 1e-15 * abs(value):
            break
    return min(1.0, scale * value)


def _kept(value: float) -> float:
    """`value`, or the least number in place of zero, as Lentz's method needs it."""
    return value if abs(value) > _TINY else _TINY
