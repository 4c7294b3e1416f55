"""`verdicts.csv` of an export: a verdict a row."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from edge.record.exports.cells import cell, safe
from edge.record.exports.summary import SlideSummary
from edge.record.images import Place

_BEFORE = ("field", "utc", "utc_ns", "clock_synchronized", "slide", "label", "reason", "detail")
_OF_RUN = (
    *("camera", "simulated", "bundle", "bundle_digest", "certified", "runtime", "runtime_version", "kind"),
    *("signed_by", "bundle_version", "synthetic_certificate", "ungated", "acceptance", "camera_setup"),
)
_AT_BENCH = ("seen", "asked_by")  # last, and only where a verdict has one
_AFTER = ("run", *_OF_RUN, "sequence", "source", "monotonic_ns", "image", "image_sha256", "entry", "digest")


def write_verdicts(lines: Path, summary: SlideSummary, table: IO[str]) -> None:
    """The verdicts as CSV, read back from the lines just written, now that all columns are known."""
    writer = csv.writer(table)  # lines end with CR LF (RFC 4180): only so are cells with either quoted
    runs: dict[int, Mapping[str, Any]] = {}
    columns = [
        *_BEFORE,
        *(f"probability_{safe(label)}" for label in summary.labels),
        *(f"gate_{safe(gate)}" for gate in summary.gates),
        *(f"{safe(stage)}_ms" for stage in summary.stages),
        *_tile_columns(summary),
        *_AFTER,
        *(_AT_BENCH if summary.at_bench else ()),
    ]
    writer.writerow(columns)
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            record = json.loads(line)
            entry = record["entry"]
            if entry["type"] == "run":
                runs = {entry["run"]: entry}  # one at a time
            elif entry["type"] == "verdict":
                if entry["run"] not in runs:
                    runs = {entry["run"]: summary.carried.get(entry["run"], {})}
                writer.writerow([cell(value) for value in _row(record, runs[entry["run"]], summary)])


def _row(record: Mapping[str, Any], run: Mapping[str, Any], summary: SlideSummary) -> list[Any]:
    entry = record["entry"]
    probabilities = dict(zip(run.get("labels", ()), entry["probabilities"] or (), strict=False))
    image = entry["image"] or {"path": None, "sha256": None}
    name = None if image["path"] is None else Place.of(image["path"]).exported
    values = {**entry, "clock_synchronized": entry["synchronized"], "image": name, "image_sha256": image["sha256"]}
    values |= {"entry": record["id"], "digest": record["digest"], **{name: run.get(name) for name in _OF_RUN}}
    return [
        *(values[name] for name in _BEFORE),
        *(probabilities.get(label) for label in summary.labels),
        *(entry["gates"].get(gate) for gate in summary.gates),
        *(entry["latency_ms"].get(stage) for stage in summary.stages),
        *_tile_cells(entry, run, summary),
        *(values[name] for name in _AFTER),
        *(entry.get(name) for name in _AT_BENCH if summary.at_bench),
    ]


def _tile_columns(summary: SlideSummary) -> list[str]:
    """`tiles`, columns x rows, and the network's own output of every tile and label; none without tiles."""
    if not summary.tiles:
        return []
    return ["tiles", *(f"tile_{k}_{safe(label)}" for k in range(1, summary.tiles + 1) for label in summary.labels)]


def _tile_cells(entry: Mapping[str, Any], run: Mapping[str, Any], summary: SlideSummary) -> list[Any]:
    if not summary.tiles:
        return []
    tiling, tiles = run.get("tiling"), entry.get("tiles", ())
    by_label = [dict(zip(run.get("labels", ()), tile, strict=False)) for tile in tiles]
    by_label += [{}] * (summary.tiles - len(by_label))
    shape = None if tiling is None else f"{tiling['columns']}x{tiling['rows']}"
    return [shape, *(tile.get(label) for tile in by_label for label in summary.labels)]
