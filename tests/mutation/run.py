"""The runner: each mutant in a forked process, against the tests that execute its line.

A test that executes none of a mutant's line cannot notice it, so a first run without a fault records which test runs
which line. The tests are collected once. For a fault inside a function the forked process exchanges the function's code
and runs the tests that were collected; only a fault in what runs at import costs a pytest of its own.
"""

import contextlib
import functools
import importlib
import importlib.util
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import hypothesis
import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.paths import ROOT

NOT_SET = 99  # exit status
LONGEST = 60  # seconds for one mutant: it may loop for ever, which is noticed as well
OPTIONS = ("-q", "-p", "no:cacheprovider", "-m", "not slow", "--no-header")


@dataclass(frozen=True)
class Target:
    """A module and its tests: paths from the checkout's root."""

    module: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it is imported."""
        return self.module.removesuffix(".py").replace("/", ".")

    @property
    def source(self) -> str:
        """Of the module."""
        return (ROOT / self.module).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Result:
    """What became of a module's mutants: names of those that lived, and how many there were."""

    module: str
    total: int
    survivors: tuple[str, ...]


def judged(target: Target, only: str = "") -> Result:
    """Run every mutant of a module, or those with `only` in the name.

    Raises:
        RuntimeError: the tests fail without a fault.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        _forked(lambda: int(pytest.main([*OPTIONS, *target.tests], plugins=[_Session(target, only, path)])), 3600)
        if not path.is_file():
            raise RuntimeError(
                f"the tests of {target.module} must pass without a fault: pytest {' '.join(target.tests)}"
            )
        found = json.loads(path.read_text())
    return Result(target.module, found["total"], tuple(found["survivors"]))


@dataclass(eq=False)  # hashed by pytest, where tests lie below several conftest.py
class _Session:
    """A pytest plugin: collects as usual, then runs the tests once a mutant."""

    target: Target
    only: str
    out: Path
    failed: bool = field(default=False, init=False)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        hypothesis.settings.register_profile("patient", deadline=None, database=None, derandomize=True)
        hypothesis.settings.load_profile("patient")
        found = self._lines(session.items)
        if found is None:
            return True
        lines, seconds = found
        chosen = [mutant for mutant in mutants(self.target.source) if self.only in mutant.name]
        items = sorted(session.items, key=lambda item: seconds[item.nodeid])
        survivors = []
        for number, mutant in enumerate(chosen, start=1):
            asked = [item for item in items if not mutant.function or not lines[item.nodeid].isdisjoint(mutant.lines)]
            if not asked or not self._noticed(mutant, asked):
                survivors.append(mutant.name)
                _say(f"{self.target.module}:{mutant.line}: lived: {mutant.name}")
            if number % 50 == 0:
                _say(f"{self.target.module}: {number} of {len(chosen)}, {len(survivors)} lived")
        self.out.write_text(json.dumps({"total": len(chosen), "survivors": survivors}))
        return True

    def _noticed(self, mutant: Mutant, items: Sequence[pytest.Item]) -> bool:
        code = compile(mutant.tree, str(ROOT / self.target.module), "exec")
        if not mutant.function:
            words = [*OPTIONS, "-x", *self.target.tests]  # not by name: a constant may be part of one
            return self._ended(mutant, _forked(lambda: _anew(self.target, code, words), LONGEST))

        def run() -> int:
            try:
                _exchange(self.target.name, mutant.function, code)
            except Exception:
                return NOT_SET
            return int(not self._pass(items))

        return self._ended(mutant, _forked(run, LONGEST))

    def _ended(self, mutant: Mutant, status: int) -> bool:
        """Whether a mutant was noticed; one that was never set would read as noticed."""
        if status in (NOT_SET, pytest.ExitCode.NO_TESTS_COLLECTED):
            raise RuntimeError(f"{self.target.module}: the mutant could not be set: {mutant.name}")
        return status != 0

    def _pass(self, items: Sequence[pytest.Item]) -> bool:
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return False
        return True

    def _lines(self, items: Sequence[pytest.Item]) -> tuple[dict[str, set[int]], dict[str, float]] | None:
        """Of every test: lines of the module that it runs, and its seconds; None when one fails without a fault."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lines.json"
            recorder = _Recorder(str(ROOT / self.target.module))

            def run() -> int:
                passed = self._pass_recorded(items, recorder)
                path.write_text(json.dumps({"lines": recorder.all(), "seconds": recorder.seconds}))
                return int(not passed)

            if _forked(run, 900) != 0:
                return None
            found = json.loads(path.read_text())
        return {test: set(lines) for test, lines in found["lines"].items()}, found["seconds"]

    def _pass_recorded(self, items: Sequence[pytest.Item], recorder: "_Recorder") -> bool:
        items[0].config.pluginmanager.register(recorder)
        for item, following in zip(items, [*items[1:], None], strict=True):
            with recorder.of(item.nodeid):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return False
        return True


class _Recorder:
    """Which lines of one file each test runs, its fixtures included."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: defaultdict[str, set[int]] = defaultdict(set)
        self._shared: set[int] = set()  # of fixtures that serve several tests
        self.seconds: dict[str, float] = {}
        self._now: set[int] = set()

    @contextlib.contextmanager
    def of(self, test: str) -> Iterator[None]:
        self._now, began = self._lines[test], time.perf_counter()
        threading.settrace(self._trace)  # stages of a pipeline run in threads of their own
        sys.settrace(self._trace)
        yield
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        self.seconds[test] = time.perf_counter() - began

    def all(self) -> dict[str, list[int]]:
        return {test: sorted(own | self._shared) for test, own in self._lines.items()}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before = set(self._now)
        yield
        if fixturedef.scope != "function":
            self._shared |= self._now - before

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._within(frame, event, argument) if frame.f_code.co_filename == self._file else None

    def _within(self, frame: FrameType, event: str, argument: object) -> Any:
        self._now.add(frame.f_lineno)
        return self._within


def _exchange(module: str, function: str, code: CodeType) -> None:
    """Give a function of an imported module the code that it has in `code`, the module's own."""
    names, found, place = function.split("."), code, sys.modules[module]
    for name in names:
        found = next(each for each in found.co_consts if isinstance(each, CodeType) and each.co_name == name)
    holder: Any = place
    for name in names[:-1]:
        holder = getattr(holder, name)
    held = vars(holder)[names[-1]]
    if isinstance(held, property):
        held = held.fget
    held = getattr(held, "__func__", held)
    while not hasattr(held, "__code__") or (hasattr(held, "__wrapped__") and held.__code__.co_name != names[-1]):
        held = held.func if isinstance(held, functools.cached_property) else held.__wrapped__
    held.__code__ = found


def _anew(target: Target, code: CodeType, words: Sequence[str]) -> int:
    """Exit code of a pytest that imports the module from `code`, and everything of the project again."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("edge", "models", "convert", "tests")]:
        if name not in ("tests", "tests.mutation", "tests.mutation.run", "tests.mutation.mutants", "tests.paths"):
            del sys.modules[name]
    sys.meta_path.insert(0, _Faulty(target.name, code))
    return int(pytest.main(list(words)))


class _Faulty(MetaPathFinder, Loader):
    """Imports one module from code that was compiled before."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_loader(name, self, origin=self._code.co_filename)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._code.co_filename
        exec(self._code, module.__dict__)


def _forked(run: Callable[[], int], seconds: int) -> int:
    """What `run` returns in a forked process that says nothing; 1 when it takes longer or is killed."""
    child = os.fork()
    if child == 0:
        status = 70
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            nothing = os.open(os.devnull, os.O_WRONLY)
            if os.environ.get("MUTATION_SHOW") != "1":
                os.dup2(nothing, 1)
            status = run()
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended) if os.WIFEXITED(ended) else 1


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(_ERRORS, f"{text}\n".encode())


_ERRORS = os.dup(2)  # pytest captures the one that everybody knows
