"""Interleaved timing of all points in one run, so that a busy moment of the machine affects all of them alike.

What counts is the processor time of the thread that runs the inference. On one thread that is the latency where
nothing else runs; where something does, the clock on the wall tells of that too, and of long inferences more than of
short ones.
"""

import time
from collections.abc import Callable

from convert.pareto.record import Latency
from edge.system.interleaved_timing import Calls, compare, median, shuffled, turns
from edge.system.machine import Machine

ROUNDS, FEWER_ROUNDS = 40, 10  # timed inferences of each point; the latter after an interruption
LEAST_ROUNDS = 5  # from which a median is worth showing, when the timing itself is interrupted
SLOW_MS = 50.0  # from here on the caches that another model left cold cost nothing worth a second run

Clocks = tuple[Callable[[], float], Callable[[], float]]  # seconds: of this thread's processor time, and on the wall
Times = dict[str, list[tuple[float, float]]]  # milliseconds by both, round by round


def timed_in_turns(calls: Calls, rounds: int, clocks: Clocks = (time.thread_time, time.perf_counter)) -> Times:
    """Milliseconds of every call in every round by both clocks; each round runs all of them, in an order drawn anew.

    A call runs once untimed right before it is timed, since a device runs one model alone: with the other models in
    between, none would find its own weights in the caches. Slow ones, to which that is nothing, do so only in the first
    round, which is not counted.

    Raises:
        KeyboardInterrupt: before `LEAST_ROUNDS` were whole; later, those that are whole are returned.
    """
    times: Times = {name: [] for name in calls}
    slow: set[str] = set()
    try:
        for name, round_ in turns(calls, rounds, warm_up=1, reorder=shuffled()):
            if name not in slow:
                calls[name]()
            start = clocks[0](), clocks[1]()
            calls[name]()
            spent = (clocks[0]() - start[0]) * 1e3, (clocks[1]() - start[1]) * 1e3
            if round_ >= 0:
                times[name].append(spent)
            elif spent[0] > SLOW_MS:
                slow.add(name)
    except KeyboardInterrupt:
        if min(map(len, times.values())) < LEAST_ROUNDS:
            raise
    whole = min(map(len, times.values()))
    return {name: values[:whole] for name, values in times.items()}


def against(times: Times, reference: str) -> dict[str, Latency]:
    """Every call's times, and their ratio to the reference's, by rounds (`edge.system.interleaved_timing.compare`)."""
    found = {}
    processor = {name: [spent for spent, _ in values] for name, values in times.items()}
    for name, values in processor.items():
        ratios = compare(values, processor[reference])
        wall = median([spent for _, spent in times[name]])
        figures = (median(values), min(values), wall, ratios.ratio, ratios.ratio_low, ratios.ratio_high)
        found[name] = Latency(*(round(figure, 4) for figure in figures))
    return found


def board() -> str:
    """What this machine calls itself: a board's model, else the processor's."""
    machine = Machine()
    lines = (machine.text("proc/cpuinfo") or "").splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return machine.text("proc/device-tree/model") or processor or machine.architecture
