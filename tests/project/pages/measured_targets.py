"""What was aimed at and what was measured, as the table in docs/explanation/runtime.md, always from the files.

    python -m tests.project.pages.measured_targets --write

Without --write it says whether the table is current, and how to make it so. A file that is not there yet gives no
row.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.paths import ROOT
from tests.project.pages.paragraphs import wrapped

PAGE = ROOT / "docs" / "explanation" / "runtime.md"
REFERENCE = ROOT / "docs" / "reference"
BEGIN, END = "<!-- targets:begin -->", "<!-- targets:end -->"

MOST_OVER_INVOKE, MOST_ADDED_MS = 1.03, 1.0
MOST_OF_MEDIAPIPE, LEAST_OF_BARE_RATE = 0.85, 0.93
MOST_NOVELTY = 0.10
MOST_COLD_S, MOST_COLD_MB, MOST_RUN_MB = 1.0, 120.0, 140.0


@dataclass(frozen=True)
class Row:
    """A line of the table: what, the limit, what was measured, and whether that is within."""

    what: str
    aim: str
    measured: str
    met: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.aim} | {self.measured} | {'yes' if self.met else '**no**'} |"


def targets(reference: Path = REFERENCE) -> str:
    """The table and the sentence below it, from the files in `reference`; bench.json must be there."""
    bench = _read(reference / "bench.json")
    assert bench is not None, "docs/reference/bench.json is missing: edge bench --json"
    rows = bench_rows(bench)
    for name, of in (("run_memory.json", memory_rows), ("soak.json", soak_rows)):
        if (record := _read(reference / name)) is not None:
            rows += of(record)
    head = "| | aim | measured | met |\n|---|---|---|---|\n"
    return head + "\n".join(map(str, rows)) + "\n\n" + _circumstances(bench)


def bench_rows(bench: dict[str, Any]) -> list[Row]:
    """The rows about speed, from a record of `edge bench --mediapipe`."""
    details = bench["details"]
    prepared, frame = (details["against_invoke"][name] for name in ("frame_224", "frame_1280x960"))
    fastest = details["contenders"]["frame_1280x960"]["min"] - details["contenders"]["invoke"]["min"]
    pipeline = details["pipeline"]
    rows = [
        Row(
            "a prepared 224x224 frame to its verdict, against bare `invoke()`",
            f"at most {MOST_OVER_INVOKE} times",
            f"{_with_interval(prepared)}; fastest against fastest {prepared['ratio_of_minima']:.3f}",
            prepared["ratio"] <= MOST_OVER_INVOKE,
        ),
        Row(
            "a 1280x960 frame to its verdict",
            f"`invoke()` + {MOST_ADDED_MS} ms at most",
            f"+ {frame['difference_ms']:.2f} ms; fastest against fastest + {fastest:.2f}",
            frame["difference_ms"] <= MOST_ADDED_MS,
        ),
    ]
    for size in ("224", "1280x960"):
        against = details["against_mediapipe"][f"frame_{size}"]
        rows.append(
            Row(
                f"the same from {'224x224' if size == '224' else size}, against MediaPipe Tasks' ImageClassifier",
                f"at most {MOST_OF_MEDIAPIPE} times",
                _with_interval(against),
                against["ratio"] <= MOST_OF_MEDIAPIPE,
            )
        )
    rows.append(
        Row(
            "the whole pipeline, every verdict stored, against bare `invoke()`'s rate",
            f"at least {LEAST_OF_BARE_RATE}",
            f"{pipeline['ratio']:.3f}; neighbouring slices from {pipeline['ratio_min']:.2f} to "
            f"{pipeline['ratio_max']:.2f}",
            pipeline["ratio"] >= LEAST_OF_BARE_RATE,
        )
    )
    rows.append(
        Row(
            "the gate against frames unlike the training images, against an inference",
            f"at most {MOST_NOVELTY}",
            f"{details['novelty_share']:.3f}",
            details["novelty_share"] <= MOST_NOVELTY,
        )
    )
    return rows


def memory_rows(record: dict[str, Any]) -> list[Row]:
    """The rows about memory and a cold start, from `python -m tests.edge.commands.run_memory`."""
    cold, run = record["classify_one_image"], record["run"]
    seconds, peak, held = cold["seconds"]["median"], cold["peak_rss_mb"]["median"], run["rss_mb"]
    return [
        Row(
            "`edge classify` of one image from a cold process",
            f"at most {MOST_COLD_S} s and {MOST_COLD_MB:.0f} MB",
            f"{seconds:.2f} s, {peak:.0f} MB",
            seconds <= MOST_COLD_S and peak <= MOST_COLD_MB,
        ),
        Row(
            f"`edge run` over {run['frames']:,} frames of 1280x960",
            f"at most {MOST_RUN_MB:.0f} MB, and flat",
            f"{held['settled']:.0f} MB when settled, {held['end']:.0f} at the end, {held['peak_ever']:.0f} at most",
            held["peak_ever"] <= MOST_RUN_MB and run["flat"],
        ),
    ]


def soak_rows(record: dict[str, Any]) -> list[Row]:
    """The row about a day of frames, from `python -m tests.edge.commands.soak`."""
    counts, memory = record["counts"], record["memory_mb"]
    return [
        Row(
            f"{record['frames']:,} frames through gates and record, the model asked about one in "
            f"{record['asked_one_in']}",
            "counters add up, memory flat, the record verifies",
            f"{counts['stored']:,} stored; {memory['settled']:.0f} MB when settled, {memory['end']:.0f} at the end",
            record["counts_add_up"] and record["memory_flat"] and record["record_verifies"],
        )
    ]


def table_in(text: str) -> str:
    """What stands between a page's markers."""
    assert text.count(BEGIN) == text.count(END) == 1, f"the page must hold {BEGIN} and {END} once"
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def _circumstances(bench: dict[str, Any]) -> str:
    details = bench["details"]
    bare, stages = details["contenders"]["invoke"], details["stages"]
    return wrapped(
        f"`bench.json`: {bench['bundle']}, {bench['runtime']} {details['runtime_version']}, {bench['threads']} "
        f"thread{'s' if bench['threads'] > 1 else ''}, {details['board']}, {details['frames']} rounds; intervals are "
        f"95 %. Bare `invoke()` took {bare['min']:.2f} ms at best, {bare['p50']:.2f} at the median and "
        f"{bare['p90']:.2f} at the 90th percentile. Timed by themselves, the stages of a frame took, at the median: "
        + ", ".join(f"{name} {row['p50']:.2f}" for name, row in stages.items() if name not in ("capture", "store"))
        + " ms."
    )


def _with_interval(against: dict[str, float]) -> str:
    return f"{against['ratio']:.3f} ({against['ratio_low']:.3f} to {against['ratio_high']:.3f})"


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{targets()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    elif table_in(page) != targets():
        sys.exit(f"{PAGE.name} is not what the files say: python -m tests.project.pages.measured_targets --write")
