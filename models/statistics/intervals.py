"""Intervals and tests for proportions: what every accuracy, agreement and drop is reported with.

SciPy where it has the method; what it lacks, Tango's score interval for a paired difference, is here.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from models.errors import StatisticsError

Statistic = Callable[..., Any]
_ROOT_TOLERANCE = 1e-12  # of a difference of proportions; far below one image in any set


class Interval(Struct, frozen=True, array_like=True):
    """A closed interval with `low <= high`, both finite; [low, high] in JSON.

    >>> 0.5 in Interval(0.25, 0.75)
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise StatisticsError(f"an interval must be finite with low <= high; got {self.low}, {self.high}")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __iter__(self) -> Iterator[float]:
        yield from (self.low, self.high)

    def to_record(self) -> list[float]:
        """[low, high], as it stands in every JSON record."""
        return [self.low, self.high]


def wilson(successes: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion, two-sided, without continuity correction.

    Args:
        successes: 0..total.
        total: number of trials, >= 1.
        confidence: coverage, in (0, 1).

    Raises:
        StatisticsError: an argument is out of range, by name.

    Source: Wilson (1927), JASA 22:209; as `scipy.stats.binomtest(...).proportion_ci(method="wilson")`.
    """
    from scipy.stats import binomtest

    _check_count("total", total, at_least=1)
    _check_count("successes", successes, at_most=total)
    _check_confidence(confidence)
    low, high = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    # At 0 and at `total` the limits are exactly 0 and 1; rounding must not put the estimate outside.
    share = successes / total
    return Interval(min(max(0.0, float(low)), share), max(min(1.0, float(high)), share))


def clopper_pearson(successes: float, total: int, confidence: float = 0.95) -> Interval:
    """Exact two-sided interval of a proportion: it covers at least with this confidence, however few the trials.

    Args:
        successes: 0..total; not whole where each trial's share is a mean (fields of a slide), as Beta quantiles go on
            between whole numbers.
        total: number of trials, >= 1.
        confidence: coverage, in (0, 1).

    Raises:
        StatisticsError: an argument is out of range, by name.

    Source: Clopper and Pearson (1934), Biometrika 26:404.

    >>> round(clopper_pearson(0, 29).high, 3)
    0.119
    """
    _check_share(successes, total)
    _check_confidence(confidence)
    tail = (1 - confidence) / 2
    return Interval(_exact_lower(successes, total, tail), 1 - _exact_lower(total - successes, total, tail))


def exact_upper(successes: float, total: int, confidence: float = 0.95) -> float:
    """One-sided exact upper bound of a proportion: with this confidence it is no higher; as `clopper_pearson`.

    >>> round(exact_upper(0, 29), 4), round(exact_upper(0, 12), 2)
    (0.0981, 0.22)
    """
    _check_share(successes, total)
    _check_one_sided(confidence)
    return 1 - _exact_lower(total - successes, total, 1 - confidence)


def exact_lower(successes: float, total: int, confidence: float = 0.95) -> float:
    """One-sided exact lower bound of a proportion; see `exact_upper`."""
    _check_share(successes, total)
    _check_one_sided(confidence)
    return _exact_lower(successes, total, 1 - confidence)


def p_at_most(successes: int, total: int, share: float) -> float:
    """Exact binomial p-value: the chance of so few successes, or fewer, if the true share were `share`.

    Small where the true share is shown to be below `share`. Near 0 and 1 Wilson's limits are too narrow for
    that: 11 of 12 has an upper one below 0.99, though 11 or fewer come up in 11 % of such dozens.

    Args:
        successes: 0..total.
        total: number of trials, >= 1.
        share: hypothetical true proportion, 0..1.

    Raises:
        StatisticsError: an argument is out of range, by name.
    """
    from scipy.stats import binom

    _check_count("total", total, at_least=1)
    _check_count("successes", successes, at_most=total)
    if not 0 <= share <= 1:
        raise StatisticsError(f"share must be within 0..1; got {share!r}")
    return float(binom.cdf(successes, total, share))


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact McNemar test: p-value of `b` against `c` discordant pairs under equal chances.

    Args:
        b: pairs only the first got right, >= 0.
        c: pairs only the second got right, >= 0.

    Returns:
        p-value in (0, 1]; 1.0 when no pair is discordant.

    Source: McNemar (1947), Psychometrika 12:153, with the binomial distribution instead of chi-squared.
    """
    from scipy.stats import binomtest

    _check_count("b", b)
    _check_count("c", c)
    return 1.0 if b + c == 0 else min(1.0, float(binomtest(min(b, c), b + c, 0.5).pvalue))


def paired_difference(b: int, c: int, n: int, confidence: float = 0.95) -> Interval:
    """Tango's score interval, two-sided, for the paired difference `(b - c) / n`: first share minus second.

    With b = right only before and c = right only after, this is the interval of the accuracy drop. Unlike
    Wald's it keeps its coverage with few or no discordant pairs: for b = c = 0 it is +-z^2 / (n + z^2).

    Args:
        b: pairs only the first got right, >= 0.
        c: pairs only the second got right, >= 0.
        n: all pairs, concordant ones included, >= 1 and >= b + c.
        confidence: coverage, in (0, 1).

    Returns:
        Interval within [-1, 1] that holds (b - c) / n.

    Raises:
        StatisticsError: an argument is out of range, by name.

    Source: Tango (1998), Statistics in Medicine 17:891.
    """
    from scipy.stats import norm

    _check_pairs(b, c, n)
    _check_confidence(confidence)
    z = float(norm.ppf((1 + confidence) / 2))
    # Swapping the two changes the sign of the difference and nothing else.
    return Interval(-_tango_limit(c, b, n, z), _tango_limit(b, c, n, z))


def paired_difference_upper(b: int, c: int, n: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of `(b - c) / n` by Tango's score: with this confidence it is no higher.

    The upper end of the two-sided interval with confidence `2 * confidence - 1`; arguments as
    `paired_difference`.
    """
    from scipy.stats import norm

    _check_pairs(b, c, n)
    _check_one_sided(confidence)
    return _tango_limit(b, c, n, float(norm.ppf(confidence)))


def paired_difference_lower(b: int, c: int, n: int, confidence: float = 0.95) -> float:
    """One-sided lower bound of `(b - c) / n`; see `paired_difference_upper`."""
    return -paired_difference_upper(c, b, n, confidence)


def bootstrap(
    statistic: Statistic,
    *samples: npt.ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2000,
    method: Literal["percentile", "basic", "BCa"] = "percentile",
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of a statistic of one or several paired samples (row i of each is the same image).

    Args:
        statistic: `statistic(*samples, axis=-1)`, vectorized: reduces arrays (..., N) to (...).
        samples: one-dimensional arrays of equal length N >= 2, finite, resampled together.
        confidence: coverage, in (0, 1).
        resamples: number of resamples, >= 100.
        method: "percentile"; "basic" (reflected about the estimate: for a statistic that resampling biases;
            may leave the statistic's range); or "BCa" (bias-corrected and accelerated), which falls back to
            "percentile" where it is undefined (a statistic no resample changes, or all move to one side).
        seed: of the resampling; equal seeds give equal intervals.

    Raises:
        StatisticsError: an argument is out of range, or the statistic is not finite on the sample.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap; `scipy.stats.bootstrap`.
    """
    data = _check_samples(samples)
    _check_confidence(confidence)
    _check_count("resamples", resamples, at_least=100)
    if method not in ("percentile", "basic", "BCa"):
        raise StatisticsError(f"method must be percentile, basic or BCa; got {method!r}")
    estimate = float(statistic(*data, axis=-1))
    if not math.isfinite(estimate):
        raise StatisticsError(f"statistic must be finite on the sample; got {estimate}")
    options = {"n_resamples": resamples, "confidence_level": confidence, "method": method}
    limits = _bootstrap_limits(statistic, data, seed, options)
    if not all(map(math.isfinite, limits)) and method == "BCa":
        limits = _bootstrap_limits(statistic, data, seed, options | {"method": "percentile"})
    return Interval(*limits)


def _bootstrap_limits(
    statistic: Statistic, data: list[npt.NDArray[Any]], seed: int, options: dict[str, Any]
) -> tuple[float, float]:
    import warnings

    from scipy.stats import bootstrap as scipy_bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # degenerate BCa is expected and handled by the caller
        limits = scipy_bootstrap(
            data,
            statistic,
            batch=max(1, 2_000_000 // len(data[0])),  # bounds the memory: about 16 MB a sample and batch
            vectorized=True,
            paired=True,
            axis=-1,
            rng=np.random.default_rng(seed),
            **options,
        ).confidence_interval
    return float(limits.low), float(limits.high)


def _tango_limit(b: int, c: int, n: int, z: float) -> float:
    """The largest difference d with score T(d) >= -z; T falls as d rises, is >= 0 at the estimate."""
    from scipy.optimize import brentq

    estimate = (b - c) / n
    if b == n:  # the limit is 1 itself, where the score has no value
        return 1.0
    just_below_one = math.nextafter(1.0, 0.0)
    if _tango_score(b, c, n, just_below_one) > -z:
        return 1.0
    limit = brentq(lambda d: _tango_score(b, c, n, d) + z, estimate, just_below_one, xtol=_ROOT_TOLERANCE)
    return max(estimate, float(limit))


def _tango_score(b: int, c: int, n: int, difference: float) -> float:
    """Tango's T(d) = (b - c - n d) / sqrt(n (2 q + d (1 - d))), q the constrained MLE of P(only second)."""
    distance = b - c - n * difference
    if distance == 0:
        return 0.0
    linear = (2 * n - b + c) * difference - b - c
    constant = -c * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear * linear - 8 * n * constant))
    # The stable form of each branch: subtracting two nearly equal numbers would lose the root's digits.
    q = (root - linear) / (4 * n) if linear <= 0 else -2 * constant / (root + linear)
    variance = n * (2 * q + difference * (1 - difference))
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def _exact_lower(successes: float, total: int, tail: float) -> float:
    from scipy.stats import beta

    return 0.0 if successes == 0 else float(beta.ppf(tail, successes, total - successes + 1))


def _check_share(successes: float, total: int) -> None:
    _check_count("total", total, at_least=1)
    if isinstance(successes, bool) or not 0 <= successes <= total:
        raise StatisticsError(f"successes must be 0..{total}; got {successes!r}")


def _check_count(name: str, value: int, at_least: int = 0, at_most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise StatisticsError(f"{name} must be a whole number; got {value!r}")
    if value < at_least or (at_most is not None and value > at_most):
        span = f">= {at_least}" if at_most is None else f"{at_least}..{at_most}"
        raise StatisticsError(f"{name} must be {span}; got {value}")


def _check_pairs(b: int, c: int, n: int) -> None:
    _check_count("b", b)
    _check_count("c", c)
    _check_count("n", n, at_least=1)
    if b + c > n:
        raise StatisticsError(f"b + c must be <= n, all pairs; got {b} + {c} > {n}")


def _check_confidence(confidence: float) -> None:
    if not (isinstance(confidence, float | np.floating) and 0 < confidence < 1):
        raise StatisticsError(f"confidence must be a number in (0, 1); got {confidence!r}")


def _check_one_sided(confidence: float) -> None:
    if not (isinstance(confidence, float | np.floating) and 0.5 <= confidence < 1):
        raise StatisticsError(f"confidence of a bound must be a number in [0.5, 1); got {confidence!r}")


def _check_samples(samples: tuple[npt.ArrayLike, ...]) -> list[npt.NDArray[Any]]:
    if not samples:
        raise StatisticsError("samples must be one or more arrays; got none")
    data = [np.asarray(sample) for sample in samples]
    if any(sample.ndim != 1 or len(sample) != len(data[0]) for sample in data) or len(data[0]) < 2:
        raise StatisticsError(
            f"samples must be one-dimensional, of one length >= 2; got shapes {[s.shape for s in data]}"
        )
    if not all(np.isfinite(sample).all() for sample in data):
        raise StatisticsError("samples must be finite; got NaN or infinity")
    return data
