"""Small records for the tests of the store, and ways to damage them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.record.entries import EndBody, Entry, Event, RunInfo, Stored
from edge.record.entry_parts import moment
from edge.record.store import Store
from edge.system.clock import Instant

DAY_NS = 86_400 * 10**9
NOON = Instant(1_762_171_200_123_456_789, 5_000_000_000, True)
PNG = b"\x89PNG not really, and nobody here looks: "
INFO = RunInfo(
    slide="S-1",
    camera="sim:?seed=1",
    simulated=True,
    bundle="tiny-int8",
    bundle_digest="ab" * 32,
    certified=True,
    runtime="litert",
    runtime_version="2.3.0",
    kind="xnnpack",
    labels=("Benign", "Early", "Pre", "Pro"),
    software="leukoscope 0",
    settings="{}",
)


def later(seconds: float) -> Instant:
    """NOON and so much."""
    return Instant(NOON.utc_ns + round(seconds * 1e9), NOON.monotonic_ns + round(seconds * 1e9), NOON.synchronized)


def verdict(number: int, image: bytes | None = None, **other: Any) -> Entry:
    """A verdict; every third frame was refused."""
    refused = number % 3 == 2
    entry = Entry(
        captured=later(number),
        sequence=number,
        source="",
        label=None if refused else "Pre",
        reason="out_of_focus" if refused else None,
        detail="out of focus: sharpness 0.8, needs 2.1 or more" if refused else None,
        probabilities=None if refused else (1 / 256, 0.0, 254 / 256, 1 / 256),
        gates={"out_of_focus": 0.1 + number / 7},
        latency_ms={"capture": 1.25, "gate": 0.3},
        image=image,
    )
    return replace(entry, **other)


def fill(
    folder: Path, verdicts: int = 9, *, images: bool = True, info: RunInfo = INFO, ended: bool = True
) -> list[Stored]:
    """A record with one (more) run of so many verdicts and one event, written in batches of three."""
    stored = []
    with Store.open(folder) as store:
        run = store.begin(info, NOON)
        for first in range(0, verdicts, 3):
            batch = [
                verdict(n, PNG + bytes([n % 256]) if images else None) for n in range(first, min(first + 3, verdicts))
            ]
            events = [Event(later(first), "stall", "no frame for 2 s")] if first == 0 else []
            stored += store.write(run, batch, events)
        if ended:
            store.end(run, later(verdicts), {"captured": verdicts, "stored": verdicts}, "complete")
    return stored


def miscount(folder: Path, said: int) -> None:
    """The end of a run whose stored verdicts were counted beside the record, as it once was."""
    with Store.open(folder) as store:
        [(run,)] = ask(folder, "SELECT max(run) FROM runs")
        with store.transaction() as transaction:
            end = EndBody(run=run, slide=INFO.slide, **moment(later(9)), counters={"stored": said}, why="failed")
            transaction.append(end)


def tamper(folder: Path, statement: str, *values: Any) -> None:
    """Change the database as anybody with an SQLite shell could."""
    with closing(sqlite3.connect(folder / "record.sqlite")) as connection, connection:
        connection.execute(statement, values)


def ask(folder: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read the database with nothing of ours."""
    with closing(sqlite3.connect(folder / "record.sqlite")) as connection:
        return connection.execute(query, values).fetchall()
