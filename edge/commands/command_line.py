"""python-fire, tamed: a command line becomes a frozen request first, which is executed afterwards.

Fire by itself turns `1e3` into 1000.0, swallows the word after a switch, lets trailing words reach attributes
of a result, prints usage pages for a typing error and shows tracebacks. Here a command is a small function
from text to a request; `main` parses, executes, and is the only place that maps exceptions to exit codes.
"""

import contextlib
import inspect
import io
import json
import os
import pkgutil
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from edge.commands.terminal.fire_text import plain_help, usage_line
from edge.commands.terminal.log import show_log
from edge.errors import DONE, MACHINE_LACKS, WRONG_REQUEST, LeukoscopeError, UsageError
from edge.instrument.pipeline.sd_notify import Notifier
from edge.system.interrupts import ignored, unwind_on_sigterm
from edge.system.line_writer import LineWriter
from edge.system.media import os_errors
from edge.system.option_values import switch
from edge.system.streams import given_back, lines, one_line, open_standard_streams

DEFECT = 70  # EX_SOFTWARE of sysexits.h: an exception that nobody foresaw, with its traceback
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True)
class Outcome:
    """What a request came to: an exit code, the record printed with `--json`, and the text printed without.

    A record that is a sequence is a stream: one JSON object a line. An empty text prints nothing.

    >>> Outcome(record={"verdict": "pass"}, text="passed").code
    0
    """

    code: int = DONE
    record: Mapping[str, Any] | Sequence[Mapping[str, Any]] = field(default_factory=dict)
    text: str = ""


class Request(Protocol):
    """A checked request: frozen, free of side effects until `execute`."""

    @property
    def json(self) -> bool:
        """True when standard output is to carry one JSON object and nothing else."""

    def execute(self) -> Outcome:
        """Do the work. Notes and progress go to standard error."""


Command = Callable[..., Request]  # options as text, switches as bool; its docstring is the help


class Commands(Mapping[str, Command]):
    """The commands of a console script: word to `module:function`, imported when the word is looked up.

    So a command line imports only what its own command needs; only the list of all commands imports all of them.

    >>> commands = Commands({"join": "posixpath:join"})
    >>> commands["join"]("a", "b")
    'a/b'
    """

    def __init__(self, functions: Mapping[str, str]) -> None:
        self._functions = functions

    def __getitem__(self, word: str) -> Command:
        command: Command = pkgutil.resolve_name(self._functions[word])
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def main(name: str, commands: Mapping[str, Command], argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        name: console script, shown in help.
        commands: command word to function; a `bool` default marks a switch, which arrives as a bool; other options
            arrive as text, and as a tuple of texts where the default is a tuple: such an option may be repeated.
        argv: words after the script's name; `sys.argv[1:]` when None.
    """
    open_standard_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    unwind_on_sigterm()
    _spell_what_the_locale_cannot()
    show_log()
    try:
        with given_back():  # before anything is said of what ended it
            request = _about_itself(name, commands, words) or _parse(name, commands, words)
            if request is None:
                return DONE
            outcome = request.execute()
            _show(outcome, request.json)
    except KeyboardInterrupt:
        with ignored():  # a second one would show a traceback in place of the line
            return fail("interrupted; nothing half-written was left behind", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has seen enough: `edge classify ... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains while it closes standard output
        return DONE
    except (LeukoscopeError, OSError, MemoryError) as error:
        return fail(*_said(error))
    return outcome.code


def run_script(name: str, commands: Mapping[str, Command], *, defect: int | None = None) -> NoReturn:
    """As `main`, for a console script: ends the process with the exit code, also where a signal comes at its very end.

    Args:
        defect: exit code of an exception that nobody foresaw, after its traceback; None leaves it to Python (1). A
            script that has one is the device's: where threads are left it ends at once, because one that is inside
            OpenCV or the interpreter while Python ends aborts the process, whatever the exit code was to be.
    """
    try:
        code = main(name, commands)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:
        if defect is None:
            raise
        traceback.print_exc()
        code = defect
    for number in (signal.SIGINT, signal.SIGTERM):  # Python takes its time to end, and one that came meanwhile
        signal.signal(number, signal.SIG_IGN)  # would be what the caller sees
    if defect is not None and any(thread.daemon for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # gone, or closed
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _said(error: LeukoscopeError | OSError | MemoryError) -> tuple[str, int, str]:
    """What is said of an error that ends a command, the exit code, and what it is about."""
    if isinstance(error, LeukoscopeError):
        cause = error.__cause__
        if error.exit_code == WRONG_REQUEST and isinstance(cause, OSError):  # right, and not readable now
            return str(error), os_errors.exit_code(cause), error.concerns
        return str(error), error.exit_code, error.concerns
    if isinstance(error, OSError):
        return os_errors.said(error), os_errors.exit_code(error), "system"
    return "not enough memory; close other programs, or ask for less", MACHINE_LACKS, "system"


@dataclass(frozen=True)
class _About:
    """`--version` or `--completion`."""

    record: Mapping[str, Any]
    text: str
    json: bool = False

    def execute(self) -> Outcome:
        return Outcome(record=self.record, text=self.text)


def _about_itself(name: str, commands: Mapping[str, Command], words: list[str]) -> Request | None:
    """What the console script is asked about itself, in place of a command; None for a command."""
    first, *rest = [word for word in words if word != "--json"] or [""]
    if first == "--version":
        if rest:
            raise UsageError(f"{name} --version takes --json and nothing else; got {rest[0]}")
        from edge.commands.terminal.version import version_record, version_text

        record = version_record(name)
        return _About(record, version_text(record), "--json" in words)
    if first.partition("=")[0] == "--completion":
        from edge.commands.terminal.completion import SHELLS, script

        shell = first.partition("=")[2] or (rest[0] if rest else "")
        if shell not in SHELLS:
            raise UsageError(f"{name} --completion needs a shell, one of: {', '.join(SHELLS)}; got {shell!r}")
        options = {word: _options(commands[word]) for word in commands}
        return _About({}, script(shell, name, options))
    return None


def _options(command: Command) -> list[str]:
    parameters = inspect.signature(command).parameters.values()
    return [f"--{p.name.rstrip('_').replace('_', '-')}" for p in parameters if p.kind is not p.VAR_POSITIONAL]


def _spell_what_the_locale_cannot() -> None:
    """A name outside the locale's characters is printed as \\xe9 and the like, on both streams, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Parsed:
    """Holds a request out of Fire's reach: no attribute of it can be named by a trailing word."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __dir__(self) -> list[str]:
        return []


def _parse(name: str, commands: Mapping[str, Command], words: list[str]) -> Request | None:
    """The request that a command line makes; None when it asks for help, which is then printed."""
    if not words:
        raise UsageError(f"{name} needs a command, one of: {', '.join(commands)} (see `{name} --help`)")
    import fire

    fire.core.Display = lambda lines, out: print("\n".join(lines), file=out)  # no pager
    os.environ.setdefault("PAGER", "cat")
    if {"--help", "-h"} & set(words):  # wherever it stands: `edge classify x.png --help` runs nothing
        words = [*(words[:1] if words[0] in commands else []), "--help"]
    _refuse_unknown_words(name, commands, words)
    needed = words[:1] if words[0] in commands else commands  # all of them for the list that --help prints
    table = {word: _wrapped(commands[word]) for word in needed}
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            spelled = _explicit_switches(commands, words)
            if words[0] in commands:
                spelled = _gathered(commands[words[0]], spelled)
            result = fire.Fire(table, command=spelled, name=name, serialize=lambda _: None)
    except fire.core.FireExit as stop:
        if stop.code == 0:
            print(plain_help(said.getvalue()))
            if spelled[0] not in commands:
                print(f"\n{name} --version [--json] says which release this is; {name} --completion bash, zsh or fish")
                print("prints a script that completes words.")
            return None
        raise UsageError(usage_line(f"{name} {words[0]}", stop, _positional(table[words[0]]))) from None
    assert isinstance(result, _Parsed)
    return result._request


def _wrapped(command: Command) -> Callable[..., _Parsed]:
    """`command` with every option left as text but switches, its result hidden from Fire."""
    import functools

    import fire

    switches, repeatable = _switches(command), _repeatable(command)

    @functools.wraps(command)
    def parsed(*args: Any, **kwargs: Any) -> _Parsed:
        given = inspect.signature(command).bind(*args, **kwargs)
        for name in [each for each in given.arguments if each in repeatable]:
            given.arguments[name] = tuple(given.arguments[name].split(_BETWEEN))
        for name in [each for each in given.arguments if each in switches]:
            given.arguments[name] = switch(given.arguments[name], f"--{name.rstrip('_').replace('_', '-')}")
        return _Parsed(command(*given.args, **given.kwargs))

    parsed.__doc__ = command.__doc__ or _docstring_in_the_source(command)
    fire.decorators.SetParseFn(str)(parsed)
    return parsed


def _docstring_in_the_source(command: Command) -> str | None:
    """The docstring, which is the help, where Python was told to forget it (PYTHONOPTIMIZE=2)."""
    import ast

    try:
        [function] = ast.parse(textwrap.dedent(inspect.getsource(command))).body
    except (OSError, SyntaxError, TypeError, ValueError):  # no source at hand
        return None
    return ast.get_docstring(function) if isinstance(function, ast.FunctionDef) else None


def _switches(command: Command) -> set[str]:
    parameters = inspect.signature(command).parameters.values()
    return {p.name for p in parameters if isinstance(p.default, bool)}


def _repeatable(command: Command) -> set[str]:
    """Options that may be given several times; they arrive as a tuple."""
    return {p.name for p in inspect.signature(command).parameters.values() if isinstance(p.default, tuple)}


def _gathered(command: Command, words: list[str]) -> list[str]:
    """The words with the values of a repeated option behind its first occurrence, since Fire would keep the last."""
    repeatable, kept = _repeatable(command), []
    first: dict[str, int] = {}
    following = iter(words)
    for word in following:
        option, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or option.replace("-", "_") not in repeatable:
            kept.append(word)
            continue
        value = value if equals else next(following)
        if option in first:
            kept[first[option]] += f"{_BETWEEN}{value}"
        else:
            first[option] = len(kept)
            kept.append(f"--{option}={value}")
    return kept


def _explicit_switches(commands: Mapping[str, Command], words: list[str]) -> list[str]:
    """The words with every switch spelled out, since `--int8 MODEL` would give Fire int8=MODEL.

    An option that Python reserves (`--from`) is a parameter with a trailing underscore (`from_`).
    """
    if not words or words[0] not in commands:
        return words
    switches = _switches(commands[words[0]])
    reserved = {p.rstrip("_"): p for p in inspect.signature(commands[words[0]]).parameters if p.endswith("_")}
    spelled = []
    for word in words:
        option, equals, value = word[2:].partition("=") if word.startswith("--") else ("", "", "")
        name = option.replace("-", "_")
        if name in switches and not equals:
            spelled.append(f"--{option}=True")
        elif name in reserved:
            spelled.append(f"--{reserved[name]}{equals}{value}")
        else:
            spelled.append(word)
    return spelled


def _refuse_unknown_words(name: str, commands: Mapping[str, Command], words: list[str]) -> None:
    """Refuse a mistyped command or option by name, with the nearest right one, before Fire acts on it.

    So is an option left without its value, for which Fire would put the text "True".
    """
    if not words or words[0] == "--help":
        return
    if words[0] not in commands:
        near = nearest(words[0], commands)
        raise UsageError(f"{name} has no command {words[0]}{near} (see `{name} --help`)")
    if "--" in words[1:]:
        raise UsageError(f"-- is not used by {name}; name a file that begins with a dash as ./-FILE")
    parameters = inspect.signature(commands[words[0]]).parameters.values()
    known = {p.name.rstrip("_") for p in parameters if p.kind is not p.VAR_POSITIONAL}
    switches = {switch.rstrip("_") for switch in _switches(commands[words[0]])}
    for word, following in zip(words[1:], [*words[2:], None], strict=False):  # no words: nothing to look at
        if not word.startswith("-") or word == "--help":
            continue
        option, equals, _ = word.lstrip("-").replace("-", "_").partition("=")
        if not word.startswith("--") or option not in known:
            near = nearest(option, known, "--")
            raise UsageError(f"{name} {words[0]} has no option {word.split('=')[0]}{near}")
        if option not in switches and not equals and (following is None or following.startswith("--")):
            raise UsageError(f"{word} needs a value")


def nearest(word: str, known: Iterable[str], dashes: str = "") -> str:
    """`; did you mean WORD?` for the known word most like this one, "" where none is."""
    import difflib

    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {dashes}{near[0].replace('_', '-')}?" if near else ""


_BETWEEN = "\n"  # values of a repeated option: no shell word that means anything here holds a line's end


def _positional(command: Callable[..., Any]) -> set[str]:
    """Names of the words that need no option before them."""
    return {p.name for p in inspect.signature(command).parameters.values() if p.kind is not p.KEYWORD_ONLY}


def _show(outcome: Outcome, as_json: bool) -> None:
    if not as_json:
        if outcome.text:
            print(lines(outcome.text), flush=True)
        return
    records = [outcome.record] if isinstance(outcome.record, Mapping) else outcome.record
    for record in records:
        print(json.dumps(record, allow_nan=False), flush=True)


def fail(message: str, code: int, concerns: str = "") -> int:
    """Say in one line on standard error why a command ends, and return its exit code.

    A service manager that listens is told the same, with what it is about (`LeukoscopeError.concerns`).
    """
    if concerns:
        Notifier.from_environment().status(f"failed ({concerns}): {message}")
    writer = LineWriter(sys.stderr)  # which may be full, or read by nobody: the code counts
    writer.put([f"error: {one_line(' '.join(message.split()))}"])
    writer.close()
    if os.environ.get("LEUKOSCOPE_DEBUG") == "1":
        traceback.print_exc()
    return code
