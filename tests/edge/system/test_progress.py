"""Progress of long work: silent when short, with the time left when long, one at a time."""

import io
import logging
import os
from collections.abc import Iterator

import pytest

from edge.commands.terminal.log import TerminalHandler
from edge.system import progress
from edge.system.progress import Progress, tracked


class Stream(io.StringIO):
    """Standard error that is a terminal or not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((60, 24)))
    return clock


def standard_error(monkeypatch: pytest.MonkeyPatch, terminal: bool = False) -> Stream:
    """Put in place in the test itself: pytest puts its own there after the fixtures."""
    stream = Stream(terminal)
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def taken(clock: Clock, count: int, seconds: float) -> list[int]:
    """Items of which each takes its time."""

    def slow() -> Iterator[int]:
        for item in range(count):
            clock.now += seconds
            yield item

    return list(tracked(slow(), "drawing fields", count))


def test_short_work_says_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = standard_error(monkeypatch)
    assert taken(clock, 4, 0.4) == [0, 1, 2, 3]
    assert plain.getvalue() == ""


def test_long_work_says_how_long_it_will_take_and_how_long_it_took(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = standard_error(monkeypatch)
    taken(clock, 100, 0.5)
    lines = plain.getvalue().splitlines()
    assert lines[0] == "drawing fields: 4 of 100, about 48 s left"
    assert lines[1] == "drawing fields: 24 of 100, about 38 s left", "a line every ten seconds, not one an item"
    assert lines[-1] == "drawing fields: 100 of 100 in 50 s" and len(lines) == 6
    assert "\r" not in plain.getvalue()


def test_a_terminal_shows_a_bar_that_its_line_holds_and_a_message_erases(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = standard_error(monkeypatch, terminal=True)
    with Progress("drawing fields", 100) as bar:
        for _ in range(50):
            clock.now += 2
            bar.advance()
        drawn = terminal.getvalue()
        assert drawn.endswith("drawing fields [############............] 50 of 100, about "), "cut at 60 columns"
        TerminalHandler().handle(logging.LogRecord("edge", logging.INFO, "", 0, "a message", (), None))
        assert terminal.getvalue() == f"{drawn}\r\x1b[Ka message\n"
        bar.advance(50)
    assert terminal.getvalue().endswith("\r\x1b[Kdrawing fields: 100 of 100 in 1 min 40 s\n")


def test_work_within_work_shows_nothing_of_its_own(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = standard_error(monkeypatch)
    with Progress("rounds", 2) as bar:
        taken(clock, 100, 0.5)
        assert plain.getvalue() == ""
        bar.advance()
    assert plain.getvalue().splitlines() == [
        "rounds: 1 of 2",
        "rounds: 1 of 2 in 50 s",
    ]
    taken(clock, 100, 0.5)
    assert "drawing fields" in plain.getvalue(), "the next one has the line again"


def test_a_closed_standard_error_does_not_end_the_work(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = standard_error(monkeypatch)
    plain.close()
    assert taken(clock, 10, 5) == list(range(10))


def test_a_length_is_needed_where_items_have_none() -> None:
    with pytest.raises(TypeError, match="total is needed"):
        list(tracked(iter("ab"), "letters"))
