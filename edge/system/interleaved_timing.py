"""Interleaved timing: contenders take turns in one run.

Clocks drift with heat and neighbours, so nothing is timed alone: every round runs all contenders once, in an order that
changes, and what is compared is compared within rounds.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

_RESAMPLES = 1000

Calls = Mapping[str, Callable[[], object]]
Times = dict[str, list[float]]  # milliseconds, round by round
Reorder = Callable[[list[str]], None]  # in place


class Percentiles(Struct, frozen=True):
    """Of one contender's rounds: how many, the shortest, and three percentiles, milliseconds.

    >>> percentiles([1.0, 2.0, 3.0])
    Percentiles(count=3, min=1.0, p50=2.0, p90=2.8, p99=2.98)
    """

    count: int
    min: float
    p50: float
    p90: float
    p99: float


class Comparison(Struct, frozen=True):
    """How two contenders of one interleaved run compare.

    Attributes:
        ratio: median over the rounds of ours / theirs, with a 95 % percentile bootstrap interval over rounds
            (ratio_low, ratio_high; Efron and Tibshirani 1993, ch. 13).
        ratio_of_minima: the shortest of ours / the shortest of theirs.
        difference_ms: median over the rounds of ours - theirs, milliseconds.

    >>> compare([2.0, 2.0], [1.0, 1.0]).difference_ms
    1.0
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    ratio_of_minima: float
    difference_ms: float


def shuffled(seed: int = 0) -> Reorder:
    """An order drawn anew for every round."""
    return random.Random(seed).shuffle


def turns(names: Iterable[str], rounds: int, *, warm_up: int, reorder: Reorder) -> Iterator[tuple[str, int]]:
    """Whose turn it is: (name, round), the rounds of the warm-up below 0; all names once a round.

    >>> [name for name, round_ in turns("ab", 3, warm_up=1, reorder=list.reverse) if round_ >= 0]
    ['a', 'b', 'b', 'a', 'a', 'b']
    """
    order = list(names)
    for round_ in range(-warm_up, rounds):
        reorder(order)
        for name in order:
            yield name, round_


def interleaved(calls: Calls, rounds: int, *, warm_up: int = 10) -> Times:
    """Milliseconds of every call in every round, by the clock on the wall; those of the warm-up are not counted."""
    times: Times = {name: [] for name in calls}
    for name, round_ in turns(calls, rounds, warm_up=warm_up, reorder=shuffled()):
        start = time.perf_counter()
        calls[name]()
        elapsed = (time.perf_counter() - start) * 1e3
        if round_ >= 0:
            times[name].append(elapsed)
    return times


def median(values: Sequence[float]) -> float:
    """The middle one, as a float."""
    return float(np.median(values))


def percentiles(values: Sequence[float]) -> Percentiles:
    """Of milliseconds, to the tenth of a microsecond."""
    figures = (min(values), *np.percentile(values, (50, 90, 99)))
    return Percentiles(len(values), *(round(float(value), 4) for value in figures))


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Comparison:
    """How two contenders of one interleaved run compare; `seed` draws the bootstrap."""
    a, b = np.asarray(ours), np.asarray(theirs)
    drawn = np.random.default_rng(seed).integers(0, len(a), (_RESAMPLES, len(a)))
    low, high = np.percentile(np.median((a / b)[drawn], axis=1), (2.5, 97.5))
    figures = (np.median(a / b), low, high, a.min() / b.min(), np.median(a - b))
    return Comparison(*(round(float(value), 4) for value in figures))
