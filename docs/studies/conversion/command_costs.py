"""The cost of commands: time and memory of one `convert` command after the other, each a row of one file.

    python -m docs.studies.conversion.command_costs measure 'convert inspect FILE --edgetpu' --data IMAGES --out FILE
    python -m docs.studies.conversion.command_costs table FILE

In the words IMAGES stands for the folder given with `--data`, COMPILER for the program given with `--compiler` (such as
`python -m tests.convert.edgetpu.stand_in` makes) and SCRATCH for a folder that is thrown away. A row with
the same words is replaced, the others stay. TensorFlow is never imported here: a child's peak counts what its parent
held.
"""

import json as json_format
import logging
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.studies.command import Study, output, run, write_record
from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.option_values import switch, whole_number

_log = logging.getLogger(__name__)

Record = dict[str, Any]
PACKAGES = ("convert", "models", "edge")
PLACES = {"IMAGES": "--data", "COMPILER": "--compiler"}  # what stands in words for a path, and the option that names it
ANSWERS = (0, 1, 3)  # exit codes of a command that ran: done, no, not enough evidence
LONGEST_REASON = 300


@dataclass(frozen=True)
class MeasureRequest(Study):
    """Run one command a few times."""

    words: str
    places: Mapping[str, Path]
    rounds: int

    def execute(self) -> Outcome:
        """The row; with `out` it is put into the file."""
        rounds = []
        for number in range(self.rounds):
            _log.info(f"{self.words}: round {number + 1} of {self.rounds}")
            rounds.append(measure(self.words, self.places))
        row = {"words": self.words, "rounds": self.rounds, **min(rounds, key=lambda r: r["processor_s"])}
        if self.out is not None:
            write_record(self.out, _merged(_read(self.out), row))
        return Outcome(DONE, row, "\n".join(table([row])))


@dataclass(frozen=True)
class TableRequest:
    """Show a file."""

    file: Path
    json: bool

    def execute(self) -> Outcome:
        """As Markdown."""
        record = _read(self.file)
        return Outcome(DONE, record, "\n".join(table(record["rows"])))


def measure(words: str, places: Mapping[str, Path]) -> Record:
    """Run a command once.

    Args:
        words: as typed; the names in `PLACES`, and SCRATCH, stand for paths.
        places: which.

    Returns:
        "seconds" on the clock, "processor_s" of all threads, "peak_mb" resident, "exit_code".

    Raises:
        UsageError: the command did not run: its exit code is none of `ANSWERS`.
    """
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+") as said:
        command = _command(words, {**places, "SCRATCH": Path(scratch)})
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last = (said.read().strip().splitlines() or ["it said nothing"])[-1]
    if child.returncode not in ANSWERS:
        raise UsageError(f"{words}: exit code {child.returncode}: {last[:LONGEST_REASON]}")
    return {
        "seconds": round(seconds, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)),
        "exit_code": child.returncode,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
    }


def table(rows: list[Record]) -> list[str]:
    """Markdown, a line a command."""
    lines = ["| command | processor s | s | peak MB | exit |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row['words']}`", row["processor_s"], row["seconds"], row["peak_mb"], row["exit_code"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _command(words: str, places: Mapping[str, Path]) -> list[str]:
    package, *rest = shlex.split(words)
    command = [sys.executable, "-m", f"{package}.cli"]
    for word in rest:
        name, slash, behind = word.partition("/")
        if name in PLACES and name not in places:
            raise UsageError(f"{words}: {name} stands in it: {PLACES[name]} must say what that is")
        command.append(f"{places.get(name, name)}{slash}{behind}")
    return command


def _read(path: Path) -> Record:
    if not path.exists():
        return {"rows": []}
    try:
        record = json_format.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(row["words"], str) for row in record["rows"]):
            return dict(record)
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{path}: is no file of this command: a JSON object with rows, each with its words")


def _merged(record: Record, row: Record) -> Record:
    """`row` in place of the one with the same words, else behind the others."""
    rows = [row if old["words"] == row["words"] else old for old in record["rows"]]
    return {**record, "rows": rows if row in rows else [*rows, row]}


def measure_words(
    words: str, data: str = "", compiler: str = "", rounds: str = "1", out: str = "", json: bool = False
) -> MeasureRequest:
    """Measure one command.

    Args:
        words: of the command, quoted as one, such as 'convert inspect FILE --edgetpu'.
        data: the folder that IMAGES stands for in them.
        compiler: the program that COMPILER stands for.
        rounds: runs; the one with the least processor time is kept.
        out: JSON that gets the row.
        json: print the row as JSON.
    """
    try:
        parts = shlex.split(words)
    except ValueError as error:
        raise UsageError(f"WORDS must be a command: {error}; got {words!r}") from error
    if len(parts) < 2 or parts[0] not in PACKAGES:
        raise UsageError(f"WORDS must begin with {', '.join(PACKAGES)} and a command; got {words!r}")
    places = {name: Path(path) for name, path in (("IMAGES", data), ("COMPILER", compiler)) if path}
    times = whole_number(rounds, "--rounds", at_least=1)
    return MeasureRequest(words, places, times, **output(out, json))


def show(file: str, json: bool = False) -> TableRequest:
    """Print a file of measured commands as a table.

    Args:
        file: that `measure --out` wrote.
        json: print it as JSON.
    """
    return TableRequest(Path(file), switch(json, "--json"))


if __name__ == "__main__":
    run({"measure": measure_words, "table": show})
