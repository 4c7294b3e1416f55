"""A log of the command lines that tests run, from which `tests.project.pages.commands_run` tells which test runs which
line of the documents.

Without the variable `LEUKOSCOPE_COMMAND_LOG`, a folder, nothing is logged.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from edge.commands import command_line

FOLDER = os.environ.get("LEUKOSCOPE_COMMAND_LOG", "")
SCRIPTS = ("convert", "edge", "models")


def pytest_configure(config: pytest.Config) -> None:
    """Log what is run in this process, and what is started from it."""
    if FOLDER:
        _log_main()
        _log_processes()


def _log_main() -> None:
    original = command_line.main

    @wraps(original)
    def main(name: str, commands: Mapping[str, Any], argv: Sequence[str] | None = None) -> int:
        code = original(name, commands, argv)
        if argv is not None:
            _note(name, list(argv), code)
        return code

    command_line.main = main


def _log_processes() -> None:
    original = subprocess.Popen.__init__

    def started(self: Any, args: Any, *others: Any, **options: Any) -> None:
        original(self, args, *others, **options)
        words = [os.fspath(word) for word in args] if isinstance(args, (list, tuple)) else []
        if words[:2] == ["sh", "-c"]:
            words = shlex.split(words[2], comments=True)
        for position, word in enumerate(words[:8]):
            name = Path(word).name
            if name in SCRIPTS or word in [f"{script}.cli" for script in SCRIPTS]:
                _note(name.removesuffix(".cli"), words[position + 1 :], None)
                break

    subprocess.Popen.__init__ = started  # type: ignore[method-assign]


def _note(script: str, words: list[str], code: int | None) -> None:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0]
    path = Path(FOLDER) / f"{os.getpid()}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"script": script, "words": words, "code": code, "test": test}) + "\n")
