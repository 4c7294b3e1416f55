"""Commands as a user runs them: in a process of their own, or in this one, which saves the imports."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge.commands.command_line import main
from tests.paths import ROOT


def command(name: str) -> list[str]:
    """How the console script `name` is started: itself where it is installed, else its module."""
    script = Path(sys.executable).with_name(name)
    return [str(script)] if script.is_file() else [sys.executable, "-m", f"{name}.cli"]


def shell(
    name: str, *words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    return subprocess.run(
        [*command(name), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )


def started(name: str, *words: object) -> subprocess.Popen[str]:
    """A command that goes on while the test reads what it says; Ctrl-C (SIGINT) reaches it."""
    return subprocess.Popen(
        [*command(name), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # a test run in the background of a shell has SIGINT ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,  # noqa: PLW1509
    )


def said_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Lines of standard error up to the first with `text`; all of them where none has it."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            break
    return said


def is_one_line(err: str) -> bool:
    """Standard error ends in exactly one `error:` line and shows no traceback."""
    lines = err.splitlines()
    errors: Sequence[str] = [line for line in lines if line.startswith("error: ")]
    return len(errors) == 1 and lines[-1] == errors[0] and "Traceback" not in err


class Done(NamedTuple):
    """How a command ended that ran in this process: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object on one line."""
        assert self.out.count("\n") == 1
        record: dict[str, Any] = json.loads(self.out)
        return record

    def refused(self, code: int, *said: str) -> None:
        """It ended as bad input must: one line that says so, nothing on standard output."""
        assert self.code == code and self.out == "" and is_one_line(self.err), self.err
        for text in said:
            assert text in self.err.splitlines()[-1]


Run = Callable[..., Done]


def in_this_process(capsys: pytest.CaptureFixture[str], name: str, commands: Mapping[str, Any], *first: str) -> Run:
    """What runs `name FIRST... WORD...` when it is called with the words."""

    def run(*words: object) -> Done:
        capsys.readouterr()
        code = main(name, commands, [*first, *map(str, words)])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
