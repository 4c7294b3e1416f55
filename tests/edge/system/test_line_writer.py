"""Lines for readers that are quick, slow, stalled, gone or full; whoever says them never waits."""

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import TextIO

import pytest

from edge.system.line_writer import HURRIED_S, LineWriter

LINES = [f"{number:063d}" for number in range(1000)]  # 64 bytes each: a page holds 64


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe that holds one page."""
    reader, writer = os.pipe()
    fcntl(writer, F_SETPIPE_SZ, 4096)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
    with suppress(OSError):  # where the test closed it
        os.close(reader)


def read_on_thread(file: int, pause_s: float = 0.0) -> Callable[[], str]:
    """Reads until the end; what was read."""
    pieces: list[bytes] = []

    def read() -> None:
        while piece := os.read(file, 1000):
            pieces.append(piece)
            time.sleep(pause_s)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def result() -> str:
        thread.join(10)
        return b"".join(pieces).decode()

    return result


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_gets_every_line_in_order(pipe, blocking):
    file, stream = pipe
    os.set_blocking(stream.fileno(), blocking)
    read, writer = read_on_thread(file), LineWriter(stream)
    for line in LINES:
        writer.put([line])
    writer.close()
    stream.close()
    assert read().splitlines() == LINES and writer.lost == 0


def test_a_slow_reader_is_waited_for_while_it_reads(pipe):
    file, stream = pipe
    read, writer = read_on_thread(file, pause_s=0.01), LineWriter(stream)
    writer.put(LINES)
    writer.close(patience_s=0.3)
    stream.close()
    assert read().splitlines() == LINES and writer.lost == 0


@pytest.mark.parametrize("hurry", [True, False])
def test_a_reader_that_stops_holds_nobody_up_and_what_it_misses_is_counted(pipe, hurry):
    file, stream = pipe
    writer, told = LineWriter(stream, most=100), threading.Event()
    began = time.monotonic()
    for line in LINES:
        writer.put([line])
    assert time.monotonic() - began < 1
    if hurry:
        told.set()
    writer.close(patience_s=30 if hurry else 0.3, hurry=told)
    assert time.monotonic() - began < 1 + HURRIED_S
    os.set_blocking(file, False)
    read = os.read(file, 10_000).decode().splitlines()
    assert read == LINES[: len(read)] and len(read) >= 1
    assert writer.lost == len(LINES) - len(read)
    assert "nobody read" in writer.why


def test_a_reader_that_leaves_is_told_of_once_and_misses_nothing(pipe):
    file, stream = pipe
    gone: list[bool] = []
    writer = LineWriter(stream, on_gone=lambda: gone.append(True))
    os.close(file)
    for line in LINES:
        writer.put([line])
    writer.close()
    assert gone == [True] and writer.lost == 0


def test_what_a_full_disk_does_not_take_is_counted():
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        writer = LineWriter(stream)
        writer.put(LINES[:20])
        writer.close()
    assert (writer.lost, writer.why) == (20, "No space left on device")


def test_what_an_encoding_cannot_spell_is_escaped(pipe):
    file, stream = pipe
    with os.fdopen(os.dup(stream.fileno()), "w", encoding="latin-1") as latin:
        writer = LineWriter(latin)
        writer.put(["Blut ä", "血", "not UTF-8: \udcff"])
        writer.close()
    assert os.read(file, 1000) == b"Blut \xe4\n\\u8840\nnot UTF-8: \\udcff\n"
    assert writer.lost == 0


def test_a_stream_without_a_descriptor_and_none_at_all():
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.put(["one"])
    writer.close()
    writer.put(["too late"])
    assert (stream.getvalue(), writer.lost) == ("one\n", 1)
    nobody = LineWriter(None)
    nobody.put(LINES)
    nobody.close()
    assert nobody.lost == 0


class Late(io.StringIO):
    """A stream whose every write takes its time, and fails where it is full."""

    def __init__(self, seconds: float, *, full: bool = False) -> None:
        super().__init__()
        self._seconds, self._full = seconds, full

    def write(self, text: str) -> int:
        time.sleep(self._seconds)
        if self._full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_writer_that_is_late_is_waited_for_until_it_knows_what_is_lost():
    writer = LineWriter(Late(0.3, full=True))
    writer.put(["a line"])
    assert writer.lost == 0, "the control: at once it knows of nothing"
    writer.settle(5.0)
    assert (writer.lost, writer.why) == (1, "No space left on device")
    writer.put(["another"])
    writer.close()
    assert writer.lost == 2


@pytest.mark.parametrize(("hurry", "longest_s"), [(False, 1.5), (True, HURRIED_S + 0.5)])
def test_a_writer_that_hangs_is_not_waited_for_longer_than_said(hurry, longest_s):
    told = threading.Event()
    if hurry:
        told.set()
    writer = LineWriter(Late(3.0))
    writer.put(["a line"])
    began = time.monotonic()
    writer.settle(1.0, hurry=told)
    assert HURRIED_S - 0.1 < time.monotonic() - began < longest_s
    assert writer.lost == 0
