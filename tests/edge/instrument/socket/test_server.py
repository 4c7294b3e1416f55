"""What a well-behaved client of the server gets: greeting, events, answers, and a farewell."""

import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeVar

import pytest

from edge.errors import InstrumentUnavailable
from edge.instrument.socket import server, workers
from edge.instrument.socket.blocking import BlockingClient
from edge.instrument.socket.messages import Command, Event, Meters, SlideAct, State, Verdict, Watching
from tests.edge.instrument.socket.fake import FakeInstrument
from tests.edge.instrument.socket.samples import ID
from tests.paths import ROOT

T = TypeVar("T")


def kinds(client: BlockingClient, seconds: float) -> list[type]:
    """Kinds of all messages that come within some time."""
    until, got = time.monotonic() + seconds, []
    while (left := until - time.monotonic()) > 0:
        try:
            got.append(type(client.receive(left)[0]))
        except InstrumentUnavailable:
            break
    return got


def next_of(client: BlockingClient, kind: type[T], seconds: float = 5.0) -> T:
    """The next message of a kind; others before it are passed over."""
    until = time.monotonic() + seconds
    while True:
        message = client.receive(until - time.monotonic())[0]
        if isinstance(message, kind):
            return message


def test_a_client_that_asks_for_nothing_gets_nothing_but_its_greeting(instrument: FakeInstrument) -> None:
    with BlockingClient(instrument.path) as client:
        assert client.hello.instrument == instrument.bench.instrument
        assert client.state.mode == "none"
        instrument.bench.event("camera_lost", "no frame")
        assert kinds(client, 0.5) == []
        assert not instrument.server.watched


def test_watching_is_answered_then_a_state_then_all_that_happens(instrument: FakeInstrument) -> None:
    with BlockingClient(instrument.path) as client:
        instrument.bench.entry = 41
        client.watch()
        first, second = [client.receive()[0] for _ in range(2)]
        assert first == Watching(previews=False, events=True)
        assert isinstance(second, State | Meters)
        instrument.bench.event("camera_lost", "no frame")
        got = kinds(client, 1.1)
        assert got.count(Event) == 1
        assert 1 <= got.count(State) <= 2  # each second
        assert 4 <= got.count(Meters) <= 13  # of 50 frames a second: 10
        client.watch(events=False)
        assert next_of(client, Watching) == Watching(previews=False, events=False)
        assert kinds(client, 1.1) == []


def test_a_slow_command_stops_no_event_and_its_id_is_done_once(instrument: FakeInstrument) -> None:
    instrument.bench.slow_s = 0.5
    with BlockingClient(instrument.path) as gives, BlockingClient(instrument.path) as looks:
        looks.watch()
        gives.send(Command(id=ID, name="open", by="anna", arguments={"slide": "s1"}))
        gives.send(Command(id=ID, name="open", by="anna", arguments={"slide": "s1"}))
        began = time.monotonic()
        assert kinds(looks, 0.4).count(Meters) >= 3
        assert gives.receive()[0] == gives.receive()[0]
        assert 0.4 < time.monotonic() - began < 2
        assert SlideAct in kinds(looks, 0.2)
    assert len(instrument.bench.slides) == 1
    assert len(instrument.bench.commands) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("open", {"slide": "../x"}, "malformed"),
        ("open", {}, "malformed"),
        ("judge", {"slide": "s1", "more": 1}, "malformed"),
        ("judge", {}, "no_slide"),
        ("reopen", {"slide": "s1"}, "unknown_slide"),
    ],
)
def test_what_is_not_done_is_answered_with_why(
    instrument: FakeInstrument, name: str, arguments: dict[str, object], error: str
) -> None:
    with BlockingClient(instrument.path) as client:
        answer = client.command(name, "anna", arguments)
        assert (answer.ok, answer.error) == (False, error)
        assert answer.detail


def test_an_id_of_another_command_is_refused(instrument: FakeInstrument) -> None:
    with BlockingClient(instrument.path) as client:
        assert client.command("open", "anna", {"slide": "s1"}, id=ID).ok
        assert client.command("open", "anna", {"slide": "s2"}, id=ID).error == "id_reused"
        assert client.command("pause", "anna", id=ID).error == "id_reused"
        assert client.command("open", "anna", {"slide": "s1"}, id=ID).ok


def test_a_command_that_fails_inside_is_answered_and_may_be_given_again(
    instrument: FakeInstrument, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]
    real = instrument.bench.command

    def command(given: Command) -> object:
        if broken:
            raise ZeroDivisionError(broken.pop())
        return real(given)

    monkeypatch.setattr(instrument.bench, "command", command)
    with BlockingClient(instrument.path) as client:
        answer = client.command("open", "anna", {"slide": "s1"}, id=ID)
        assert (answer.error, answer.detail) == ("failed", "ZeroDivisionError; see the log")
        assert "command open failed" in caplog.text
        assert client.command("open", "anna", {"slide": "s1"}, id=ID).ok


def test_too_many_commands_at_once_are_answered_busy(instrument: FakeInstrument) -> None:
    instrument.bench.slow_s = 0.05
    with BlockingClient(instrument.path) as client:
        for _ in range(20):
            client.send(Command(id=secrets.token_hex(16), name="automatic", by="anna", arguments={"on": True}))
        answers = [client.receive()[0] for _ in range(20)]
        errors = [getattr(answer, "error", "?") for answer in answers]
        assert errors.count("busy") == 12
        assert errors.count("") == 8


def test_answers_are_forgotten_before_they_fill_the_memory(instrument: FakeInstrument) -> None:
    worker = workers.CommandWorker(instrument.bench)
    for number in range(workers._REMEMBERED + 10):
        worker._answer(Command(id=f"{number:032x}", name="automatic", by="anna", arguments={"on": True}))
    assert len(worker._done) == workers._REMEMBERED


def test_ending_answers_what_is_being_done_and_says_farewell(tmp_path: Path) -> None:
    instrument = FakeInstrument(tmp_path / "s")
    instrument.start()
    instrument.bench.slow_s = 0.3
    with BlockingClient(instrument.path) as client:
        for name, slide in (("open", "s1"), ("close", "s1")):
            client.send(Command(id=secrets.token_hex(16), name=name, by="anna", arguments={"slide": slide}))  # type: ignore[arg-type]
        while not (instrument.bench.commands and instrument.server._worker._given.qsize()):
            time.sleep(0.01)
        instrument.close()
        done, ended = client.receive()[0], client.receive()[0]
        assert getattr(done, "ok", None) is True
        assert getattr(ended, "error", None) == "ended"
        with pytest.raises(InstrumentUnavailable, match="ended: the instrument was ended"):
            client.receive()
    assert not instrument.path.exists()
    with pytest.raises(InstrumentUnavailable, match="No such file"):
        BlockingClient(instrument.path)


def test_what_cannot_be_told_stops_nothing(instrument: FakeInstrument, caplog: pytest.LogCaptureFixture) -> None:
    with BlockingClient(instrument.path) as client:
        client.watch()
        next_of(client, Watching)
        instrument.bench.event("e", "x" * (1 << 20))  # longer than a line may be
        instrument.bench.event("path", "a\udc80b")
        message = next_of(client, Event)
        assert (message.event, message.detail) == ("path", "a\\x80b")
    assert "could not tell something" in caplog.text


def test_who_publishes_is_not_kept_waiting(instrument: FakeInstrument) -> None:
    """Also with a client that reads nothing; 20 us each is far more than it takes."""
    with BlockingClient(instrument.path) as client:
        client.watch()
        next_of(client, Watching)
        event = Event(id=1, event="e", detail="x" * 200, utc="")
        began = time.perf_counter()
        for _ in range(2000):
            instrument.server.publish(event)
        assert time.perf_counter() - began < 1.0
    began = time.perf_counter()
    while instrument.server.watched:
        assert time.perf_counter() - began < 5
        time.sleep(0.01)
    began = time.perf_counter()
    for _ in range(10000):
        instrument.server.publish(event)
    assert (time.perf_counter() - began) / 10000 < 5e-6  # nobody looks: nothing


def test_a_verdict_is_told_with_every_name(instrument: FakeInstrument) -> None:
    with BlockingClient(instrument.path) as client:
        client.watch()
        client.command("open", "anna", {"slide": "s1"})
        client.command("judge", "anna")
        message = next_of(client, Verdict)
        assert message == instrument.bench.verdicts[0]
        assert message.asked_by == "anna"


def test_limits_are_those_of_the_reference_page() -> None:
    page = (ROOT / "docs" / "reference" / "instrument-socket.md").read_text(encoding="utf-8")
    assert f"| clients | {server.MOST_CLIENTS} |" in page
    assert "| messages that wait for a client | 256, 4 MiB; none of them longer than 10 s |" in page
    assert "| lines of a client | 50 a second, 100 at once; a faster one is read more slowly |" in page
    assert "| commands of a client that wait | 8; another one is answered `busy` |" in page


@pytest.mark.parametrize(("module", "needs"), [("server", False), ("client", True)])
def test_the_instrument_carries_no_event_loop(module: str, needs: bool) -> None:
    """asyncio takes 3 MB; the page's side has it."""
    code = f"import sys, edge.instrument.socket.{module}; print('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{needs}\n"
