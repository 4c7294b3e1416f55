"""Many clients of the page for minutes: errors, memory, and what they take from the instrument.

    python -m docs.studies.page.load --out docs/reference/bench_load.json

The instrument is on a drawn slide that is open; two fifths of the clients watch it, the others ask the API.
"""

import asyncio
import json as json_format
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.studies.command import Study, output, run
from docs.studies.page.clients import crowd
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.record.audit import verify
from edge.system.option_values import whole_number
from tests.bench.processes import Bench

MOST_GROWTH_MB = 8.0
_SETTLED = 0.25  # the part of the time after which memory must not grow


def loaded(bench: Bench, seconds: float, *, clients: int) -> dict[str, Any]:
    """`clients` at a running bench, two fifths of them at the stream; errors, times and memory."""
    api = bench.api()
    assert api.insist("POST", "/slides", {"slide": "load-1"}).is_success
    watchers = 2 * clients // 5
    memory: dict[str, list[float]] = {"page": [], "instrument": []}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1):
            for which, found in memory.items():
                found.append(bench.resident_mb(which))

    looking = threading.Thread(target=look)
    looking.start()
    began, cpu = time.monotonic(), {which: bench.cpu_s(which) for which in memory}
    try:
        seen = asyncio.run(
            crowd(bench.url, seconds, readers=clients - watchers, watchers=watchers, headers=api.headers)
        )
    finally:
        ended.set()
        looking.join()
    took = time.monotonic() - began
    state = api.get("/state")["state"]
    assert api.insist("POST", "/slides/load-1/close").is_success
    return {
        "clients": clients,
        "watchers": watchers,
        "seconds": round(took, 1),
        **seen.as_record(),
        "memory_mb": {which: _growth(found) for which, found in memory.items()},
        "cpu_share": {which: round((bench.cpu_s(which) - cpu[which]) / took, 3) for which in memory},
        "fps": state["fps"],
        "record_sound": verify(bench.record).sound,
    }


def _growth(found: list[float]) -> dict[str, float]:
    settled = found[int(_SETTLED * len(found)) :]
    third = max(1, len(settled) // 3)
    first, last = sum(settled[:third]) / third, sum(settled[-third:]) / third
    return {"settled": round(first, 1), "end": round(last, 1), "highest": round(max(found), 1)}


def bore(record: dict[str, Any]) -> bool:
    """No error, no growth, everything stored."""
    flat = all(each["end"] - each["settled"] <= MOST_GROWTH_MB for each in record["memory_mb"].values())
    return flat and not record["errors"] and record["record_sound"] and record["previews"] > 0


@dataclass(frozen=True, kw_only=True)
class LoadStudy(Study):
    seconds: int
    clients: int

    def execute(self) -> Outcome:
        with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
            record = loaded(bench.start(), self.seconds, clients=self.clients)
        return self.finished(record, json_format.dumps(record, indent=1), DONE if bore(record) else ANSWER_IS_NO)


def study(seconds: str = "600", clients: str = "50", out: str = "", json: bool = False) -> LoadStudy:
    """Ask and watch a page with many clients at once, one more reading a byte a second.

    Args:
        seconds: that they stay.
        clients: how many, two fifths of them at the live stream.
        out: file for the record.
        json: print the record.
    """
    return LoadStudy(
        seconds=whole_number(seconds, "--seconds", at_least=1),
        clients=whole_number(clients, "--clients", at_least=5),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": study}, "run")
