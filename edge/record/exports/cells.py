"""Cells of an export's tables, and the table of controls."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

CONTROLS = "controls.csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for a formula (OWASP, "CSV Injection")
_BEFORE = ("entry", "utc", "clock_synchronized", "slide", "lot", "expected", "outcome", "number", "baseline", "fields")
_AFTER = ("failed_checks", "bundle", "bundle_digest", "camera", "camera_setup", "run", "digest")


def cell(value: Any) -> Any:
    """A value as a cell: numbers by their shortest exact spelling, text that no spreadsheet runs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe(value) if isinstance(value, str) else value


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> safe("=1+1"), safe("S-1")
    ("'=1+1", 'S-1')
    """
    text = text.replace("\0", "\\0")
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_controls(lines: Path, table: IO[str]) -> None:
    """The controls of a slide as CSV, a row each: measures, their targets and what rejected them.

    Args:
        lines: the export's entries, one a line.
    """
    writer = csv.writer(table)
    with lines.open(encoding="utf-8") as stream:
        controls = [record for line in stream if (record := json.loads(line))["entry"]["type"] == "control"]
    names = list(dict.fromkeys(name for record in controls for name in record["entry"]["measures"]))
    head = [f"{safe(name)}{what}" for name in names for what in ("", "_mean", "_sd", "_rejected_by")]
    writer.writerow([*_BEFORE, *head, *_AFTER])
    for record in controls:
        writer.writerow([cell(value) for value in _row(record, names)])


def _row(record: Mapping[str, Any], names: list[str]) -> list[Any]:
    entry = record["entry"]
    values = {"lot": None, "expected": None, "camera_setup": None, **entry["series"], **entry}
    values |= {"entry": record["id"], "digest": record["digest"], "clock_synchronized": entry["synchronized"]}
    values["failed_checks"] = " ".join(entry["checks"])
    measured: list[Any] = []
    for name in names:
        target = entry["targets"].get(name, {})
        rules = " ".join(entry["broken"].get(name, ()))
        measured += [entry["measures"].get(name), target.get("mean"), target.get("sd"), rules or None]
    return [*(values[name] for name in _BEFORE), *measured, *(values[name] for name in _AFTER)]
