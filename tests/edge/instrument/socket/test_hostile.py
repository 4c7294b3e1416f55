"""Clients that do what they may not, or nothing: the instrument goes on, and others notice nothing."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from edge.errors import InstrumentUnavailable
from edge.instrument.socket import connection, server
from edge.instrument.socket.blocking import BlockingClient
from edge.instrument.socket.messages import Event, Preview, Watch
from edge.instrument.socket.protocol import encode
from tests.edge.instrument.socket.conftest import Connect
from tests.edge.instrument.socket.fake import FakeInstrument

ALL = encode(Watch(events=True, previews=True))


@pytest.fixture(autouse=True)
def unharmed(monkeypatch: pytest.MonkeyPatch, instrument: FakeInstrument) -> Iterator[None]:
    """After each attack another client is served at once, and the attacker is gone or idle."""
    monkeypatch.setattr(server, "_TICK_S", 0.05)
    yield
    with BlockingClient(instrument.path) as client:
        began = time.monotonic()
        assert client.command("automatic", "anna", {"on": False}).ok
        assert time.monotonic() - began < 1


def rest(raw: socket.socket, seconds: float = 5.0) -> bytes:
    """All that comes until the instrument hangs up."""
    raw.settimeout(seconds)
    got = b""
    with suppress(ConnectionResetError):
        while data := raw.recv(1 << 16):
            got += data
    return got


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not plain JSON"),
        (b"\0" * 100 + b"\n", "not plain JSON"),
        (b'{"kind":"ready","more":1}\n', "unknown field"),
        (b'{"kind":"hello"}\n', "Invalid value 'hello'"),
        (b'{"kind":"watch","version":2}\n', "version must be 1"),
        (b"[" * 60000 + b"\n", "not plain JSON"),
        (b"x" * 70000, "at most 65536 bytes"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_garbage_is_hung_up_on_with_one_line(connect: Connect, sent: bytes, said: str) -> None:
    raw = connect()
    with suppress(BrokenPipeError, ConnectionResetError):
        raw.sendall(sent)
    assert said.encode() in rest(raw).splitlines()[-1]


def test_an_endless_line_is_not_read_to_its_end(connect: Connect, instrument: FakeInstrument) -> None:
    raw, sent, before = connect(), 0, peak_kb()
    raw.settimeout(5)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while sent < 1 << 30:
            sent += raw.send(b"x" * (1 << 16))
    assert sent < 2 << 20
    assert peak_kb() - before < 20_000


def test_half_a_line_and_nothing_more(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.1)
    raw = connect()
    raw.sendall(b'{"kind":')
    assert b"half a line" in rest(raw)


def test_a_client_that_wants_nothing_makes_room(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_S", 0.1)
    silent, watching = connect(), connect()
    watching.sendall(encode(Watch()))
    assert b"nothing was asked for" in rest(silent)
    watching.setblocking(False)
    assert b"bye" not in watching.recv(1 << 16)


def test_a_flood_of_lines_is_read_slowly_and_of_others_nothing_is_delayed(
    connect: Connect, instrument: FakeInstrument
) -> None:
    raw = connect()
    raw.setblocking(False)
    line = b'{"kind":"command","id":"%032x","name":"automatic","by":"x","arguments":{"on":true}}\n'
    sent = b"".join(line % number for number in range(5000))
    until, count = time.monotonic() + 0.7, 0
    with BlockingClient(instrument.path) as client:
        slowest = 0.0
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                count += raw.send(sent[count:])
            began = time.monotonic()
            assert client.command("automatic", "anna", {"on": True}).ok
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.05)
    assert slowest < 0.5
    flooded = [each for each in instrument.bench.commands if each.by == "x"]
    assert 8 <= len(flooded) < 400  # of 5000


def test_a_thousand_connections_leave_nothing(instrument: FakeInstrument) -> None:
    for number in range(1000):
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.connect(str(instrument.path))
        if number % 2:
            raw.sendall(ALL)
        raw.close()
    until = time.monotonic() + 5
    while instrument.server._clients and time.monotonic() < until:
        time.sleep(0.02)
    assert not instrument.server._clients
    assert not instrument.server.watched


def test_the_33rd_client_is_told_that_it_is_full(connect: Connect, instrument: FakeInstrument) -> None:
    held = [connect() for _ in range(server.MOST_CLIENTS)]
    assert all(raw.recv(10) for raw in held)
    assert b"there are 32 clients already" in rest(connect())
    for raw in held:
        raw.close()


def test_a_client_that_reads_nothing_is_dropped_and_another_misses_nothing(
    connect: Connect, instrument: FakeInstrument, caplog: pytest.LogCaptureFixture
) -> None:
    raw = connect()
    raw.sendall(ALL)
    with BlockingClient(instrument.path) as client:
        client.watch()
        told = 0
        for number in range(3000):
            instrument.bench.event("e", f"{number} " + "x" * 200)
            if number % 50 == 49:
                while told <= number:
                    told += isinstance(client.receive()[0], Event)
    assert told == 3000
    assert "messages wait to be read" in caplog.text
    assert len(rest(raw)) < 1 << 20


def test_a_client_that_reads_a_byte_at_a_time_harms_nobody(
    connect: Connect, instrument: FakeInstrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.7)
    raw = connect()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.sendall(ALL + b'{"kind":"ready"}\n')
    with BlockingClient(instrument.path) as client:
        client.watch(previews=True)
        previews, until = 0, time.monotonic() + 6
        client.ready()
        while time.monotonic() < until and len(instrument.server._clients) > 1:
            instrument.bench.event("e", "x" * 20000)
            with suppress(ConnectionResetError):
                raw.recv(1)
            with suppress(InstrumentUnavailable):
                while True:
                    if isinstance(client.receive(0.02)[0], Preview):
                        previews += 1
                        client.ready()
        assert len(instrument.server._clients) == 1
        assert previews >= 3


def test_a_client_that_leaves_in_the_middle_of_a_preview(connect: Connect, instrument: FakeInstrument) -> None:
    for _ in range(5):
        raw = connect()
        raw.sendall(ALL + b'{"kind":"ready"}\n')
        got = b""
        while b'"kind":"preview"' not in got:
            got += raw.recv(512)
        raw.close()
    with BlockingClient(instrument.path) as client:
        client.watch(events=False, previews=True)
        client.ready()
        message = client.receive()
        while not isinstance(message[0], Preview):
            message = client.receive()
        assert message[1][-2:] == b"\xff\xd9"  # a whole one


def test_a_client_for_whom_no_descriptor_is_left_is_served_later(
    instrument: FakeInstrument, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No descriptor is left for a client: it waits, and is served once there is one."""
    listener = instrument.server._listener
    assert listener is not None

    class Exhausted:
        tries = 0

        def __init__(self, real: socket.socket) -> None:
            self.real = real

        def fileno(self) -> int:
            return self.real.fileno()

        def close(self) -> None:
            self.real.close()

        def accept(self) -> tuple[socket.socket, object]:
            self.tries += 1
            if self.tries == 1:
                raise OSError(24, "Too many open files")
            return self.real.accept()

    real = listener.socket
    instrument.server._selector.unregister(real)
    listener.socket = exhausted = Exhausted(real)  # type: ignore[assignment]
    instrument.server._selector.register(listener.socket, 1)
    with BlockingClient(instrument.path) as client:
        assert client.hello.version == 1
    assert exhausted.tries >= 2
    assert "Too many open files" in caplog.text


def test_events_that_nobody_can_be_told_fast_enough(
    instrument: FakeInstrument, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "_MOST_UNSENT", 10)
    with BlockingClient(instrument.path) as client:
        client.watch()
        client.receive()
        instrument.server._call(lambda: time.sleep(0.3))  # the loop is held up
        for _ in range(50):
            instrument.bench.event("e", "")
        with pytest.raises(InstrumentUnavailable):
            while True:
                client.receive()
    assert "more happened than could be told" in caplog.text


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
