"""Wherever Ctrl-C lands while the streams are held back, the one line of the end reaches the terminal."""

import itertools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import pytest

from edge.commands.command_line import INTERRUPTED, Outcome, main
from edge.errors import DONE
from edge.system import streams
from edge.system.streams import STREAMS, HeldBack, given_back, silenced, stderr_without
from tests.paths import ROOT

LINE = "error: interrupted; nothing half-written was left behind\n"


@dataclass(frozen=True)
class Work:
    """A request; what it does is `work`."""

    work: Callable[[], None]
    json: bool = False

    def execute(self) -> Outcome:
        self.work()
        return Outcome(text="done")


def under_tensorflow() -> None:
    with silenced() as held:
        noise()
        with held.lifted():
            print("half of it", file=sys.stderr, flush=True)
        noise()


def under_a_runtime() -> None:
    streams._lock = threading.Lock()  # as in a new process: the one before ended where it was interrupted
    with stderr_without(b"XNNPACK"):
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")


def noise() -> None:
    print("said by Python")
    for stream in STREAMS:
        os.write(stream, b"said below Python\n")


BLOCKS: dict[str, tuple[Callable[[], None], set[CodeType]]] = {
    "silenced": (
        under_tensorflow,
        {HeldBack.begin.__code__, HeldBack.end.__code__}
        | {f.__wrapped__.__code__ for f in (silenced, HeldBack.lifted)},  # type: ignore[attr-defined]
    ),
    "without a line": (under_a_runtime, {stderr_without.__wrapped__.__code__}),  # type: ignore[attr-defined]
}


@contextmanager
def interrupted_at(step: int, places: set[CodeType]) -> Iterator[list[int]]:
    """KeyboardInterrupt before the `step`th instruction that is carried out of `places`, as a signal raises it."""
    passed = [0]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code not in places:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            passed[0] += 1
            if passed[0] == step:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield passed
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_instruction(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    work, places = BLOCKS[name]
    with tempfile.TemporaryFile():  # imports what the blocks import, outside of what is counted
        pass
    for step in itertools.count(1):
        descriptors = identities()
        with interrupted_at(step, places) as passed:
            code = main("t", {"work": lambda: Work(work)}, ["work"])
        out, err = capfd.readouterr()
        assert identities() == descriptors, step
        if passed[0] < step:
            assert (code, out) == (DONE, "done\n") and step > 50
            break
        assert code == INTERRUPTED and out == "" and err.endswith(LINE) and err.count("error:") == 1, (step, out, err)
        assert "below" not in err and "XNNPACK" not in err


def identities() -> list[tuple[int, int]]:
    return [(os.fstat(stream).st_dev, os.fstat(stream).st_ino) for stream in STREAMS]


def test_without_giving_back_the_line_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """The negative control: an interrupt right after the exchange, and nobody to undo it."""
    kept = {stream: os.dup(stream) for stream in STREAMS}
    try:
        with tempfile.TemporaryFile() as held:
            HeldBack(held.fileno()).begin()
            print("lost", file=sys.stderr, flush=True)
            held.seek(0)
            assert held.read() == b"lost\n"
    finally:
        for stream, real in kept.items():
            os.dup2(real, stream)
            os.close(real)
    assert capfd.readouterr().err == ""


def test_given_back_after_an_exchange_that_nobody_undid(capfd: pytest.CaptureFixture[str]) -> None:
    python = sys.stdout, sys.stderr
    with given_back(), tempfile.TemporaryFile() as held:
        HeldBack(held.fileno()).begin()
        noise()
    assert (sys.stdout, sys.stderr) == python
    print("out")
    print("err", file=sys.stderr, flush=True)
    assert capfd.readouterr() == ("out\n", "err\n")


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_streams_that_were_closed_from_the_start(closed: str) -> None:
    script = "from edge.system.streams import given_back\nwith given_back():\n    pass\n"
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, script], capture_output=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
