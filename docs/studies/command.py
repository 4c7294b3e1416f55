"""The command line that all studies share: options, and where a record goes."""

import json as json_format
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from edge.commands.command_line import Command, Outcome, main
from edge.errors import DONE
from edge.system.files import write_whole
from edge.system.option_values import switch


class Output(TypedDict):
    """The options that every study has."""

    out: Path | None
    json: bool


def output(out: str, json: bool) -> Output:
    """From the words of the command line: `--out FILE` and `--json`."""
    return {"out": Path(out) if out else None, "json": switch(json, "--json")}


@dataclass(frozen=True, kw_only=True)
class Study:
    """The request of a study: its record is written to `out`, where that is given, and printed with `json`."""

    out: Path | None
    json: bool

    def finished(self, record: Mapping[str, Any], text: str, code: int = DONE) -> Outcome:
        """Write the record, and say what it came to."""
        if self.out is not None:
            write_record(self.out, record)
        return Outcome(code, record, text)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as the files in docs/reference are written."""
    write_whole(path, json_format.dumps(record, indent=1) + "\n")


def run(commands: Mapping[str, Command], word: str = "") -> NoReturn:
    """Run the module that was started with `python -m`, and exit.

    Args:
        commands: command word to function, as `edge.commands.command_line.main` takes them.
        word: the only command's, where it is left out on the command line.
    """
    spec = sys.modules["__main__"].__spec__
    name = f"python -m {spec.name}" if spec else sys.argv[0]
    raise SystemExit(main(name, commands, [word, *sys.argv[1:]] if word else None))
