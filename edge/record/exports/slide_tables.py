"""`acts.csv` and `corrections.csv` of an export: what was done to the slide, and what experts say of its fields."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from edge.record.entries import VerdictBody
from edge.record.exports.cells import cell

ACTS, CORRECTIONS = "acts.csv", "corrections.csv"
_ACT = ("entry", "utc", "clock_synchronized", "slide", "act", "by", "why", "run")
_FINDING = ("finding", "finding_why", "rule", "fields", "seen", "answered", "not_benign")
_CORRECTION = ("entry", "utc", "clock_synchronized", "slide", "field", "label", "agrees", "answer", "reason")
_AFTER = ("command", "digest")


def write_acts(lines: Path, table: IO[str]) -> None:
    """What happened to the slide as CSV, a row an act; a closed one with its finding.

    Args:
        lines: the export's entries, one a line.
    """
    writer = csv.writer(table)
    writer.writerow([*_ACT, *_FINDING, "interval_low", "interval_high", *_AFTER])
    for record in _entries(lines, "slide"):
        entry, finding = record["entry"], record["entry"].get("finding", {})
        tally = finding.get("tally", {})
        low, high = finding.get("interval") or (None, None)
        judged = [finding.get("finding"), finding.get("why"), finding.get("rule")]
        judged += [tally.get(name) for name in ("fields", "seen", "answered", "other")]
        row = [*(_common(record, name) for name in _ACT), *judged, low, high, entry.get("command"), record["digest"]]
        writer.writerow([cell(value) for value in row])


def write_corrections(lines: Path, table: IO[str], removed: Mapping[int, VerdictBody]) -> None:
    """What experts say as CSV, a row a correction, beside what was answered.

    Args:
        lines: the export's entries, one a line. removed: the verdicts that are not among them, by their entry.
    """
    corrected = {record["entry"]["verdict"] for record in _entries(lines, "correction")}
    answers = {number: (body.label, body.reason) for number, body in removed.items()}
    for record in _entries(lines, "verdict"):
        if record["id"] in corrected:
            answers[record["id"]] = record["entry"]["label"], record["entry"]["reason"]
    writer = csv.writer(table)
    writer.writerow([*_CORRECTION, "by", "note", "verdict", *_AFTER])
    for record in _entries(lines, "correction"):
        entry = record["entry"]
        label, reason = answers.get(entry["verdict"], (None, None))
        values = {"field": entry["corrects"], "answer": label, "reason": reason}
        row = [values[name] if name in values else _common(record, name) for name in _CORRECTION]
        row += [entry["by"], entry.get("note"), entry["verdict"], entry.get("command"), record["digest"]]
        writer.writerow([cell(value) for value in row])


def _entries(lines: Path, kind: str) -> Iterator[dict[str, Any]]:
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            record = json.loads(line)
            if record["entry"]["type"] == kind:
                yield record


def _common(record: Mapping[str, Any], name: str) -> Any:
    if name == "entry":
        return record["id"]
    return record["entry"].get("synchronized" if name == "clock_synchronized" else name)
