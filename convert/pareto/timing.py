"""All points timed in turns in one run, so that a busy moment of the machine falls on all of them alike."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.bench_timing import compare, median
from edge.probes.base import Machine

ROUNDS, FEWER_ROUNDS = 40, 10  # timed inferences of each point; the latter after an interruption
LEAST_ROUNDS = 5  # from which a median is worth showing, when the timing itself is interrupted
SLOW_MS = 50.0  # from here on the caches that another model left cold cost nothing worth a second run

Calls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Timed:
    """Milliseconds of one point, and of the same rounds against the reference's."""

    median_ms: float
    min_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {name: round(value, 4) for name, value in vars(self).items()}


def turns(calls: Calls, rounds: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, list[float]]:
    """Milliseconds of every call in every round; each round runs all of them, in an order drawn anew.

    A call runs once untimed right before it is timed, since a device runs one model alone: with the other models in
    between, none would find its own weights in the caches. Slow ones, to which that is nothing, do so only in the first
    round, which is not counted.

    Raises:
        KeyboardInterrupt: before `LEAST_ROUNDS` were whole; later, those that are whole are returned.
    """
    order, shuffle = list(calls), random.Random(0).shuffle
    times: dict[str, list[float]] = {name: [] for name in calls}
    slow: set[str] = set()
    try:
        for round_ in range(rounds + 1):
            shuffle(order)
            for name in order:
                if name not in slow:
                    calls[name]()
                start = clock()
                calls[name]()
                elapsed = (clock() - start) * 1e3
                if round_:
                    times[name].append(elapsed)
                elif elapsed > SLOW_MS:
                    slow.add(name)
    except KeyboardInterrupt:
        if min(map(len, times.values())) < LEAST_ROUNDS:
            raise
    whole = min(map(len, times.values()))
    return {name: values[:whole] for name, values in times.items()}


def against(times: Mapping[str, list[float]], reference: str) -> dict[str, Timed]:
    """Every call's times and how many times the reference's they are, by rounds (`edge.bench_timing.compare`)."""
    found = {}
    for name, values in times.items():
        ratios = compare(values, times[reference])
        found[name] = Timed(median(values), min(values), ratios["ratio"], ratios["ratio_low"], ratios["ratio_high"])
    return found


def board() -> str:
    """What this machine calls itself: a board's model, else the processor's."""
    machine = Machine()
    lines = (machine.text("proc/cpuinfo") or "").splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return machine.text("proc/device-tree/model") or processor or machine.architecture
