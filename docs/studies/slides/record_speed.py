"""Slides in a large record: how long what the page and `edge slides` ask takes.

    python -m docs.studies.slides.record_speed run --out docs/reference/slides_speed.json

Makes a record of closed slides (`tests/edge/slides/records.py`), asks each question of slides drawn at random, and
writes the median and the 95th percentile in milliseconds; and what a verdict costs to insert, with and without the two
indexes that slides have, in a new record that does not wait for the disk.
"""

import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.record.slide_entries import SlideBody
from edge.record.slide_queries import acts, command, corrections, history, open_slide, recent_commands, verdicts
from edge.record.store import Store
from edge.slides.suspicion import most_suspicious_first
from edge.slides.tally import Tally
from tests.edge.record.records import INFO, NOON, verdict
from tests.edge.slides.records import BENIGN, LABELS, large_record

TIMES, SEED = 200, 1
LARGEST_MS = 300.0  # of a page, at the 95th percentile


@dataclass(frozen=True)
class SpeedStudy(Study):
    """Ask a record of `slides` slides with `fields` fields each."""

    slides: int
    fields: int

    def execute(self) -> Outcome:
        folder = Path(tempfile.mkdtemp())
        try:
            names = large_record(folder, self.slides, self.fields)
            size = (folder / "record.sqlite").stat().st_size
            with Store.open(folder, read_only=True) as store:
                asked = {name: timed(question) for name, question in questions(store, names).items()}
        finally:
            shutil.rmtree(folder)
        record: dict[str, Any] = {
            "slides": self.slides,
            "fields": self.slides * self.fields,
            "megabytes": round(size / 1e6),
        }
        record["microseconds_a_verdict"] = {"with_indexes": inserted(), "without": inserted(("acts", "commands"))}
        text = "\n".join(f"{name}: {each['median_ms']} ms, p95 {each['p95_ms']} ms" for name, each in asked.items())
        return self.finished({**record, "asked": asked}, text)


def main_run(*, slides: str = "10000", fields: str = "100", out: str = "", json: bool = False) -> SpeedStudy:
    """Measure the questions.

    Args:
        slides: of the record.
        fields: of each slide.
        out: file for the record.
        json: print it.
    """
    return SpeedStudy(**output(out, json), slides=int(slides), fields=int(fields))


def questions(store: Store, names: list[str]) -> dict[str, Callable[[], object]]:
    """What is asked, by name."""
    drawn = random.Random(SEED)

    def slide() -> str:
        return drawn.choice(names)

    def suspicious() -> list[Any]:
        found = [body for _, body in verdicts(store, slide())]
        return most_suspicious_first([body for body in found if body.label == "Benign"], LABELS, BENIGN)

    def known_command() -> tuple[int, Any] | None:
        [(_, body), *_] = acts(store, slide())
        assert isinstance(body, SlideBody)
        return command(store, body.command)

    return {
        "history_newest": lambda: history(store),
        "history_deep": lambda: history(store, before=(drawn.randint(1, store.head().id), "z")),
        "history_search": lambda: history(store, f"{drawn.randint(0, 999):03d}"),
        "history_nothing_found": lambda: history(store, "zzz"),
        "acts_and_corrections": lambda: (acts(store, name := slide()), corrections(store, name)),
        "tally": lambda: Tally.from_record(store, slide()),
        "fields_of_a_class_suspicious_first": suspicious,
        "open_slide": lambda: open_slide(store),
        "known_command": known_command,
        "unknown_command": lambda: command(store, "f" * 32),
        "recent_commands": lambda: recent_commands(store),
    }


def timed(question: Callable[[], object], times: int = TIMES) -> dict[str, float]:
    """Median and 95th percentile, milliseconds, by the wall clock; and of the processor, which other programs leave
    alone."""
    took: tuple[list[float], list[float]] = [], []
    for _ in range(times):
        begun = time.perf_counter(), time.thread_time()
        question()
        for times_, before, now in zip(took, begun, (time.perf_counter(), time.thread_time()), strict=True):
            times_.append((now - before) * 1e3)
    wall, processor = (sorted(each) for each in took)
    return {
        "median_ms": round(wall[times // 2], 2),
        "p95_ms": round(wall[int(times * 0.95)], 2),
        "processor_p95_ms": round(processor[int(times * 0.95)], 2),
    }


def inserted(without: tuple[str, ...] = (), batches: int = 400) -> float:
    """Microseconds a verdict, in batches of 32; the median of them."""
    with tempfile.TemporaryDirectory() as folder:
        Store.open(Path(folder)).close()
        with closing(sqlite3.connect(Path(folder) / "record.sqlite")) as connection, connection:
            for index in without:
                connection.execute(f"DROP INDEX {index}")
        took = []
        with Store.open(Path(folder)) as store:
            store.select("PRAGMA synchronous = OFF")
            run_number, batch = store.begin(INFO, NOON), [verdict(number) for number in range(32)]
            for _ in range(batches):
                begun = time.thread_time()
                store.write(run_number, batch)
                took.append((time.thread_time() - begun) / len(batch) * 1e6)
    return round(statistics.median(took), 1)


if __name__ == "__main__":
    run({"run": main_run})
