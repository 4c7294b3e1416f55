"""Interleaved timing: contenders take turns in one run.

Clocks drift with heat and neighbours, so nothing is timed alone: every round runs all contenders once, in an order that
changes, and what is compared is compared within rounds.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

_RESAMPLES = 1000

Calls = Mapping[str, Callable[[], object]]
Times = dict[str, list[float]]  # milliseconds, round by round
Reorder = Callable[[list[str]], None]  # in place


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


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Count, minimum, p50, p90 and p99, milliseconds."""
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    named = {"min": min(values), "p50": p50, "p90": p90, "p99": p99}
    return {"count": len(values), **{name: round(float(value), 4) for name, value in named.items()}}


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> dict[str, float]:
    """How two contenders of one interleaved run compare.

    Returns:
        `ratio`: median over the rounds of ours / theirs, with a 95 % percentile bootstrap interval over rounds
        (`ratio_low`, `ratio_high`; Efron and Tibshirani 1993, ch. 13); `ratio_of_minima`; `difference_ms`:
        median over the rounds of ours - theirs, milliseconds.
    """
    a, b = np.asarray(ours), np.asarray(theirs)
    drawn = np.random.default_rng(seed).integers(0, len(a), (_RESAMPLES, len(a)))
    low, high = np.percentile(np.median((a / b)[drawn], axis=1), (2.5, 97.5))
    values = {
        "ratio": np.median(a / b),
        "ratio_low": low,
        "ratio_high": high,
        "ratio_of_minima": a.min() / b.min(),
        "difference_ms": np.median(a - b),
    }
    return {name: round(float(value), 4) for name, value in values.items()}
