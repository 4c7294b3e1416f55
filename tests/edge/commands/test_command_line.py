"""python-fire, tamed: what is not understood is refused by name, before anything runs."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from edge.commands import command_line as command
from edge.commands.command_line import Outcome, main
from edge.errors import InterpreterUnavailable, LeukoscopeError, UsageError
from edge.system.option_values import switch, whole_number
from tests.paths import ROOT

RAN: list["Shown"] = []


@dataclass(frozen=True)
class Shown:
    """Executes into a copy of what it was asked for."""

    values: dict[str, Any]
    json: bool = False
    outcome: Any = None

    def execute(self) -> Outcome:
        RAN.append(self)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome or Outcome(record=self.values, text=f"did {self.values}")


def copy(source: str, *, count: str = "3", dry_run: bool = False, from_: str = "", json: bool = False) -> Shown:
    """Copy a thing.

    Args:
        source: what to copy.
        count: how often.
        dry_run: only say it.
        from_: where from.
        json: one object.
    """
    values = {
        "source": source,
        "count": whole_number(count, "--count", 1),
        "dry_run": dry_run,
        "from": from_,
    }
    return Shown(values, json)


def marked(*paths: str, mark: tuple[str, ...] = (), json: bool = False) -> Shown:
    """Take paths with marks."""
    return Shown({"paths": list(paths), "mark": mark}, json)


def many(*paths: str, json: bool = False) -> Shown:
    """Take many paths."""
    return Shown({"paths": list(paths)}, json)


COMMANDS = {"copy": copy, "many": many}


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


def run(*words: str) -> int:
    return main("tool", COMMANDS, list(words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["copy", "x"], {"source": "x", "count": 3, "dry_run": False, "from": ""}),
        (["copy", "1e3"], {"source": "1e3", "count": 3, "dry_run": False, "from": ""}),
        (["copy", "[1,2]"], {"source": "[1,2]", "count": 3, "dry_run": False, "from": ""}),
        (["copy", "None"], {"source": "None", "count": 3, "dry_run": False, "from": ""}),
        (["copy", "a b.png"], {"source": "a b.png", "count": 3, "dry_run": False, "from": ""}),
        (["copy", "--source", "x"], {"source": "x", "count": 3, "dry_run": False, "from": ""}),
        (["copy", "--dry-run", "x"], {"source": "x", "count": 3, "dry_run": True, "from": ""}),
        (
            ["copy", "x", "--dry_run", "--count", "7"],
            {"source": "x", "count": 7, "dry_run": True, "from": ""},
        ),
        (["copy", "x", "--dry-run=false"], {"source": "x", "count": 3, "dry_run": False, "from": ""}),
        (
            ["copy", "x", "--count=1", "--from", "y"],
            {"source": "x", "count": 1, "dry_run": False, "from": "y"},
        ),
        (["copy", "execute"], {"source": "execute", "count": 3, "dry_run": False, "from": ""}),
        (["many"], {"paths": []}),
        (["many", "a", "2", "True", "../c"], {"paths": ["a", "2", "True", "../c"]}),
    ],
)
def test_words_become_text(words: list[str], expected: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert len(RAN) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "tool needs a command, one of: copy, many"),
        (["cpoy", "x"], "has no command cpoy; did you mean copy?"),
        (["execute"], "has no command execute"),
        (["--dry-run"], "has no command --dry-run"),
        (["copy"], "needs SOURCE"),
        (["copy", "x", "--cuont", "3"], "has no option --cuont; did you mean --count?"),
        (["copy", "x", "--cuont=3"], "has no option --cuont; did you mean --count?"),
        (["copy", "x", "--drynun"], "did you mean --dry-run?"),
        (["copy", "x", "-c", "3"], "has no option -c"),
        (["copy", "x", "--count"], "--count needs a value"),
        (["copy", "x", "--count", "--dry-run"], "--count needs a value"),
        (["copy", "x", "--count", "many"], "--count must be a whole number; got 'many'"),
        (["copy", "x", "--count", "1e3"], "--count must be a whole number; got '1e3'"),
        (["copy", "x", "--count", "0"], "--count must be at least 1; got 0"),
        (["copy", "x", "--dry-run=maybe"], "--dry-run must be given alone or as true or false"),
        (["copy", "x", "execute"], "execute"),
        (["copy", "x", "3", "true", "execute"], "3"),
        (["copy", "x", "--", "--interactive"], "-- is not used by tool"),
        (["copy", "x", "-", "execute"], "has no option -"),
        (["many", "--paths=x"], "has no option --paths"),
        (["copy", "x", "--values"], "has no option --values"),
    ],
)
def test_what_is_not_understood_runs_nothing(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert RAN == []


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["copy", "--help"], ["copy", "x", "-h"], ["cpoy", "--help"]])
def test_help_runs_nothing_and_opens_no_pager(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", "false")
    assert run(*words) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.startswith("NAME") and RAN == []


def test_help_shows_what_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot: Fire is pinned, so this changes only when we change it."""
    assert run("copy", "--help") == 0
    assert capsys.readouterr().out == HELP


HELP = """\
NAME
    tool copy - Copy a thing.

SYNOPSIS
    tool copy SOURCE <flags>

DESCRIPTION
    Copy a thing.

POSITIONAL ARGUMENTS
    SOURCE
        what to copy.

FLAGS
    --count=COUNT
        Default: 3
        how often.
    --dry-run
        only say it.
    --from=FROM
        where from.
    --json
        one object.
"""


# --- outcomes and exit codes


def end_with(outcome: object, *, as_json: bool = False) -> int:
    return main("tool", {"go": lambda: Shown({}, as_json, outcome)}, ["go"])


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_the_outcome_is_the_exit_code(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_with(Outcome(code, {"verdict": "x"}, "words")) == code
    assert capsys.readouterr().out == "words\n"
    assert end_with(Outcome(code, {"verdict": "x"}, "words"), as_json=True) == code
    assert capsys.readouterr().out == '{"verdict": "x"}\n'


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        ([], ()),
        (["--mark", "a"], ("a",)),
        (["--mark=a"], ("a",)),
        (["--mark", "a", "x", "--mark=b,c", "--mark", "d"], ("a", "b,c", "d")),
    ],
)
def test_an_option_with_a_tuple_may_be_repeated(words: list[str], mark: tuple[str, ...]) -> None:
    """Fire alone would keep the last value and say nothing."""
    assert main("tool", {"marked": marked}, ["marked", "y", *words]) == 0
    assert RAN[-1].values == {"paths": ["y", "x"] if "x" in words else ["y"], "mark": mark}


def test_a_repeated_option_needs_a_value_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("tool", {"marked": marked}, ["marked", "--mark", "a", "--mark"]) == 2
    assert "--mark needs a value" in capsys.readouterr().err


def test_a_stream_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_with(Outcome(0, [{"a": 1}, {"a": 2}]), as_json=True) == 0
    assert capsys.readouterr().out == '{"a": 1}\n{"a": 2}\n'
    assert end_with(Outcome(0, []), as_json=True) == 0
    assert capsys.readouterr().out == ""


def test_not_a_number_is_never_printed_as_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        end_with(Outcome(0, {"agreement": float("nan")}), as_json=True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LeukoscopeError("said\n  so"), 2),
        (UsageError("said so"), 2),
        (InterpreterUnavailable("said so"), 4),
        (FileNotFoundError(errno.ENOENT, "said so", "f"), 2),
        (PermissionError(errno.EACCES, "said so", "f"), 2),
        (OSError(errno.ENOSPC, "said so", "f"), 4),
        (OSError(errno.EROFS, "said so"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_end_in_one_line(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_with(error) == code
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "said so" in said or code == 130


def test_a_traceback_only_when_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKOSCOPE_DEBUG", "1")
    assert end_with(LeukoscopeError("said so")) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("True", True), ("FALSE", False), (True, True), (False, False)])
def test_switches(text: object, value: bool) -> None:
    assert switch(text, "--x") is value


@pytest.mark.parametrize("text", ["", "yes", "0", "1", "None", "falsch"])
def test_switches_take_nothing_else(text: str) -> None:
    with pytest.raises(UsageError, match="--x must be"):
        switch(text, "--x")


# --- as users meet it


def shell(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "classify"),
        (["classify", "--help"], 0, "--allow-uncertified"),
        ([], 2, "edge needs a command"),
        (["clasify", "x.png"], 2, "did you mean classify?"),
        (["classify"], 2, "needs the path of an image"),
        (["classify", "x.png", "--bundel", "y"], 2, "did you mean --bundle?"),
        (["classify", "x.png", "--threads", "two"], 2, "--threads must be a whole number"),
        (["classify", "x.png", "--threads", "999"], 2, "--threads must be at most"),
        (["classify", "x.png", "--runtime", "onnx"], 2, "--runtime must be one of"),
        (["classify", "nowhere.png"], 2, "nowhere.png: no such image or folder"),
    ],
)
def test_the_installed_command(words: list[str], code: int, said: str) -> None:
    done = shell(*words)
    assert done.returncode == code
    assert said in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr and (code == 0 or done.stdout == "")


def test_a_reader_who_leaves_is_no_error() -> None:
    """`edge --help | head -0`"""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", "classify", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    os.close(writing)
    assert done.stderr == "" and done.returncode == 0
    assert command.DONE == 0
