"""A board under load: inferences without a pause, with an eye on temperature, clock and the firmware's throttling."""

import time
from collections.abc import Callable

from edge.diagnostics import board
from edge.diagnostics.proof.record import LoadProof
from edge.system.machine import Machine

_CLOCK = "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"  # kHz


def prove(
    infer: Callable[[], object], machine: Machine, seconds: float, *, now: Callable[[], float] = time.monotonic
) -> LoadProof:
    """Call `infer` again and again for `seconds` (> 0), and look at the board once a second."""
    throttled_before = board.throttled(machine)[0]
    start = now()
    done: list[float] = []  # when each inference ended, seconds from the start
    temperatures, clocks, due = [board.hottest_c(machine)], [machine.number(_CLOCK)], 1.0
    while not done or done[-1] < seconds:
        infer()
        done.append(now() - start)
        if done[-1] >= due:
            temperatures.append(board.hottest_c(machine))
            clocks.append(machine.number(_CLOCK))
            due = done[-1] + 1
    temperatures.append(board.hottest_c(machine))
    known = [celsius for celsius in temperatures if celsius is not None]
    total = done[-1]
    first = sum(at <= total / 10 for at in done)
    last = sum(at > total * 0.9 for at in done)
    return LoadProof(
        seconds=round(total, 3),
        invoke_fps=(round(len(done) / total, 2), round(first / total * 10, 2), round(last / total * 10, 2)),
        temperature_c=(known[0], max(known), known[-1]) if known else None,
        throttled_before=throttled_before,
        throttled_after=board.throttled(machine)[0],
        lowest_mhz=min((clock / 1000 for clock in clocks if clock is not None), default=None),
    )
