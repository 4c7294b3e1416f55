"""The log of Coral's compiler, as a table.

Its exit code is not to be trusted (an internal error has ended with 0), its lines have changed between releases, and a
killed compiler leaves half of them: so only what is recognized counts, and success must be said in so many words and
not be taken back.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

MAPPED_STATUS = "Mapped to Edge TPU"
LONGEST_LOG = 1 << 20  # characters that are looked at
MOST_ROWS = 10_000
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 1000, "MB": 1000**2, "GB": 1000**3}
_ROW = re.compile(r"^\s*([A-Za-z][A-Za-z0-9_\-]{0,80})\s+(\d{1,7})\s+(\S.{0,200}?)\s*$")
_NUMBERS = {  # field -> what stands before its number
    "subgraphs": r"Number of Edge TPU subgraphs:",
    "operations": r"Total number of operations:",
    "on_tpu": r"Number of operations that will run on Edge TPU:",
    "on_cpu": r"Number of operations that will run on CPU:",
}
_MEMORY = {
    "cached_bytes": r"On-chip memory used for caching model parameters:",
    "remaining_bytes": r"On-chip memory (?:remaining|available) for caching model parameters:",
    "streamed_bytes": r"Off-chip memory used for streaming uncached model parameters:",
}
_FAILED = (
    "internal compiler error",
    "compilation failed",
    "invalid model",
    "model not quantized",
    "model could not be parsed",
    "terminating with uncaught exception",
    "compilation child process timed out",
)


@dataclass(frozen=True)
class Row:
    """A line of the operator table.

    >>> Row("CONV_2D", 14, "Mapped to Edge TPU").mapped
    True
    """

    operator: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        """It runs on the Edge TPU."""
        return self.status == MAPPED_STATUS


@dataclass(frozen=True)
class CompilerLog:
    """What was recognized in a log; None where it says nothing of it.

    Attributes:
        version: of the compiler, "" when it did not say.
        succeeded: it said that the model was compiled, and nothing to the contrary.
        complaints: its lines that tell of errors, as they stand.

    >>> parse("no log at all").recognized
    False
    """

    version: str
    succeeded: bool
    complaints: tuple[str, ...]
    rows: tuple[Row, ...]
    subgraphs: int | None
    operations: int | None
    on_tpu: int | None
    on_cpu: int | None
    cached_bytes: int | None
    remaining_bytes: int | None
    streamed_bytes: int | None
    milliseconds: int | None

    @property
    def recognized(self) -> bool:
        """It is a log of this compiler at all."""
        return bool(self.version or self.succeeded or self.complaints)

    def mapped_by_operator(self) -> Counter[str]:
        """How many of each operator are on the Edge TPU."""
        counted: Counter[str] = Counter()
        for row in self.rows:
            if row.mapped:
                counted[row.operator] += row.count
        return counted

    def counted_by_operator(self) -> Counter[str]:
        """How many of each operator there are."""
        counted: Counter[str] = Counter()
        for row in self.rows:
            counted[row.operator] += row.count
        return counted

    @property
    def contradiction(self) -> str:
        """Why the table cannot be right, or ""."""
        if not self.rows:
            return ""
        mapped, total = sum(self.mapped_by_operator().values()), sum(self.counted_by_operator().values())
        if self.operations is not None and total > self.operations:
            return f"its table has {total} operators, its summary {self.operations}"
        if self.on_tpu is not None and mapped != self.on_tpu and total == self.operations:
            return f"its table maps {mapped} operators, its summary {self.on_tpu}"
        return ""

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "version": self.version or None,
            "succeeded": self.succeeded,
            "complaints": list(self.complaints),
            "operators": [{"operator": r.operator, "count": r.count, "status": r.status} for r in self.rows],
            "subgraphs": self.subgraphs,
            "operations": self.operations,
            "mapped": self.on_tpu,
            "cpu": self.on_cpu,
            "parameter_bytes_cached": self.cached_bytes,
            "parameter_bytes_remaining": self.remaining_bytes,
            "parameter_bytes_streamed": self.streamed_bytes,
            "milliseconds": self.milliseconds,
        }


def parse(text: str) -> CompilerLog:
    """Recognize what a log says; never raises. Of a table that stands in it twice, the last counts."""
    lines = text[:LONGEST_LOG].splitlines()
    version = _first(r"Edge TPU Compiler version\s+([\w.\-]{1,40})", text[:LONGEST_LOG])
    complaints = tuple(dict.fromkeys(line.strip()[:300] for line in lines if _complains(line)))
    success = any("Model compiled successfully" in line for line in lines)
    numbers = {field: _number(pattern, text[:LONGEST_LOG]) for field, pattern in _NUMBERS.items()}
    memory = {field: _bytes(pattern, text[:LONGEST_LOG]) for field, pattern in _MEMORY.items()}
    return CompilerLog(
        version=version,
        succeeded=success and not any(mark in line.lower() for line in complaints for mark in _FAILED),
        complaints=complaints,
        rows=_table(lines),
        milliseconds=_number(r"Model compiled successfully in", text[:LONGEST_LOG]),
        **numbers,
        **memory,
    )


def _complains(line: str) -> bool:
    return line.strip().startswith("ERROR:") or any(mark in line.lower() for mark in _FAILED)


def _table(lines: list[str]) -> tuple[Row, ...]:
    heads = [n for n, line in enumerate(lines) if line.split() == ["Operator", "Count", "Status"]]
    rows: list[Row] = []
    for line in lines[heads[-1] + 1 :] if heads else []:
        match = _ROW.match(line)
        if match is not None and len(rows) < MOST_ROWS:
            rows.append(Row(match[1], int(match[2]), " ".join(match[3].split())))
        elif line.strip() and match is None:
            break
    return tuple(rows)


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _number(pattern: str, text: str) -> int | None:
    found = _first(pattern + r"\s*(\d{1,12})", text)
    return int(found) if found else None


def _bytes(pattern: str, text: str) -> int | None:
    match = re.search(pattern + r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([KMG]?i?B)", text)
    return round(float(match[1]) * _SIZES[match[2]]) if match and match[2] in _SIZES else None
