"""What one verification of a password costs, by memory and passes, and what two at once take of memory.

    python -m docs.studies.page.login_cost run --out docs/reference/page_login.json

`peak` measures memory in a process of its own.
"""

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.page.access.accounts.passwords import (
    AIM_S,
    FEWEST_PASSES,
    MEMORY_KIB,
    MOST_PASSES,
    Passwords,
    measured_passes,
)

MEMORIES_MIB = (19, 32, 64)
ROUNDS = 7


@dataclass(frozen=True)
class CostRequest(Study):
    """Measure on this machine, one core at a time."""

    def execute(self) -> Outcome:
        """One row a pair of memory and passes; what the page would choose here."""
        rows = [
            {"memory_mib": memory, "passes": passes, "ms": round(_ms(passes, memory), 1)}
            for memory in MEMORIES_MIB
            for passes in (FEWEST_PASSES, 4, MOST_PASSES)
        ]
        chosen = measured_passes()
        record = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "argon2_cffi": metadata.version("argon2-cffi"),
            "rounds": ROUNDS,
            "rows": rows,
            "page": {"memory_mib": MEMORY_KIB // 1024, "aim_ms": round(AIM_S * 1000), "passes_here": chosen},
            "two_at_once_mb": round(_two_at_once_mb(), 1),
        }
        text = "\n".join(f"{row['memory_mib']} MiB, {row['passes']} passes: {row['ms']} ms" for row in rows)
        return self.finished(record, f"{text}\nthe page takes {chosen} passes here")


def _ms(passes: int, memory_mib: int) -> float:
    """Median processor time of one verification."""
    passwords = Passwords(passes, memory_mib * 1024)
    stored, times = passwords.hash("measured"), []
    for _ in range(ROUNDS):
        start = time.process_time()
        passwords.verify(stored, "measured")
        times.append(time.process_time() - start)
    return statistics.median(times) * 1000


def _two_at_once_mb() -> float:
    """How far the peak of a fresh process rises with two verifications at once, as many as the page runs."""
    words = [sys.executable, "-m", "docs.studies.page.login_cost", "peak"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout)


@dataclass(frozen=True)
class PeakRequest:
    """In a process of its own: the peak before and after."""

    json: bool = False

    def execute(self) -> Outcome:
        """Megabytes of 10^6 bytes."""
        Passwords(1, 64).hash("loaded")
        before = _peak_kib()
        with ThreadPoolExecutor(2) as two:
            list(two.map(Passwords(FEWEST_PASSES, MEMORY_KIB).hash, ["one", "two"]))
        risen = (_peak_kib() - before) * 1024 / 1e6
        return Outcome(record={"mb": risen}, text=f"{risen:.1f}")


def _peak_kib() -> int:
    """Of this program's own memory; `ru_maxrss` counts what its parent held."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1])


def measure(out: str = "", json: bool = False) -> CostRequest:
    """Measure on this machine.

    Args:
        out: file of the record.
        json: print it.
    """
    return CostRequest(**output(out, json))


def peak() -> PeakRequest:
    """How far two verifications at once raise the peak of a process, megabytes."""
    return PeakRequest()


if __name__ == "__main__":
    run({"run": measure, "peak": peak})
