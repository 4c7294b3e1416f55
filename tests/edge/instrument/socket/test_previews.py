"""Previews: small, made once for all, at most 10 a second, and not at all while nobody waits for one."""

import contextlib
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from edge.diagnostics.benchmark.timing import drawn_frame
from edge.instrument.socket import previews
from edge.instrument.socket.blocking import BlockingClient
from edge.instrument.socket.messages import Preview
from edge.instrument.socket.previews import EVERY_S, Previews, shrunk_size
from edge.system.clock import Instant
from tests.edge.instrument.socket.fake import FakeInstrument, framed

AT = Instant(1_795_770_902_250_000_000, 5, None)
NEVER = 1e-6  # frames a second: a picture of its own would take the turn of one that is counted


class Looks:
    """Who waits for previews; `wants` says whether, and each one that comes takes the wish away."""

    def __init__(self, *, again: bool = False) -> None:
        self.wants, self.again = True, again
        self.got: list[tuple[Preview, bytes]] = []
        self.came = threading.Event()
        self.made = Previews(lambda: self.wants, self.take)

    def take(self, preview: Preview, jpeg: bytes) -> None:
        self.wants = self.again
        self.got.append((preview, jpeg))
        self.came.set()

    def next(self) -> tuple[Preview, bytes]:
        assert self.came.wait(5)
        self.came.clear()
        return self.got[-1]


@pytest.mark.parametrize("size", [(1280, 960), (640, 480), (801, 601), (2028, 1520), (64, 48)])
def test_a_preview_is_the_frame_shrunk_by_a_whole_factor(size: tuple[int, int]) -> None:
    looks = Looks()
    frame = cv2.resize(drawn_frame(), size, interpolation=cv2.INTER_AREA)
    looks.made.offer(frame, 7, AT)
    frame_before = frame.copy()
    frame[:] = 0  # the camera goes on with its buffer
    preview, jpeg = looks.next()
    width, height, factor = shrunk_size(*size)
    assert preview == Preview(
        bytes=len(jpeg), width=width, height=height, size=size, sequence=7, utc_ns=AT.utc_ns, monotonic_ns=5
    )
    assert width <= 800
    cropped = frame_before[: height * factor, : width * factor]
    wanted = cropped if factor == 1 else cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)
    shown = simplejpeg.decode_jpeg(jpeg, "RGB")
    away, swapped = (np.abs(each.astype(int) - wanted).mean() for each in (shown, shown[:, :, ::-1]))
    assert away < 7
    assert swapped > 2 * away  # negative control: red and blue
    looks.made.close()


def test_nothing_is_made_while_nobody_waits() -> None:
    looks = Looks()
    looks.wants = False
    looks.made.offer(drawn_frame(), 1, AT)
    assert looks.made._thread is None
    assert looks.made._waiting is None
    began = time.perf_counter()
    for _ in range(10000):
        looks.made.wanted()
    assert (time.perf_counter() - began) / 10000 < 5e-6


def test_at_most_ten_a_second_and_always_the_newest() -> None:
    looks = Looks(again=True)
    frame, offered = np.full((96, 128, 3), 99, np.uint8), 0
    until = time.monotonic() + 1.05
    while time.monotonic() < until:
        looks.made.offer(frame, offered, AT)
        offered += 1
        time.sleep(0.004)
    looks.made.close()
    assert 8 <= len(looks.got) <= 12
    sequences = [preview.sequence for preview, _ in looks.got]
    assert sequences == sorted(sequences)
    assert offered > 100


def test_of_frames_that_wait_for_the_encoder_the_newest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "EVERY_S", 0.0)
    looks, held, go = Looks(again=True), threading.Event(), threading.Event()
    real = simplejpeg.encode_jpeg

    def slow(*words: object, **more: object) -> object:
        held.set()
        assert go.wait(5)
        return real(*words, **more)

    monkeypatch.setattr(simplejpeg, "encode_jpeg", slow)
    frame = np.zeros((96, 128, 3), np.uint8)
    looks.made.offer(frame, 0, AT)
    assert held.wait(5)
    began = time.perf_counter()
    for number in range(1, 50):
        looks.made.offer(frame, number, AT)
    assert time.perf_counter() - began < 0.5  # the pipeline does not wait for the encoder
    go.set()
    until = time.monotonic() + 5
    while len(looks.got) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    assert [preview.sequence for preview, _ in looks.got] == [0, 49]
    assert len(looks.made._spare) <= 2
    looks.made.close()


def test_a_frame_that_waited_is_not_shown_to_who_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "EVERY_S", 0.0)
    looks, held, go = Looks(), threading.Event(), threading.Event()
    real = simplejpeg.encode_jpeg

    def slow(*words: object, **more: object) -> object:
        held.set()
        assert go.wait(5)
        return real(*words, **more)

    monkeypatch.setattr(simplejpeg, "encode_jpeg", slow)
    frame = np.zeros((96, 128, 3), np.uint8)
    looks.made.offer(frame, 0, AT)
    assert held.wait(5)
    looks.made.offer(frame, 1, AT)
    go.set()
    looks.next()
    time.sleep(0.1)
    looks.wants = True
    time.sleep(0.1)
    assert [preview.sequence for preview, _ in looks.got] == [0]
    looks.made.offer(frame, 2, AT)
    assert looks.next()[0].sequence == 2
    looks.made.close()


def test_a_preview_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(previews, "EVERY_S", 0.0)
    looks, real, fails = Looks(), simplejpeg.encode_jpeg, [True]

    def failing(*words: object, **more: object) -> object:
        if fails.pop() if fails else False:
            raise ValueError("no room")
        return real(*words, **more)

    monkeypatch.setattr(simplejpeg, "encode_jpeg", failing)
    looks.made.offer(np.zeros((96, 128, 3), np.uint8), 3, AT)
    until = time.monotonic() + 5
    while "no preview of frame 3: no room" not in caplog.text and time.monotonic() < until:
        time.sleep(0.01)
    looks.made.offer(np.zeros((96, 128, 3), np.uint8), 4, AT)
    assert looks.next()[0].sequence == 4
    looks.made.close()


def test_one_frame_is_encoded_once_for_all_who_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = simplejpeg.encode_jpeg, []

    def counted(*words: object, **more: object) -> object:
        made.append(real(*words, **more))
        return made[-1]

    monkeypatch.setattr(simplejpeg, "encode_jpeg", counted)
    with FakeInstrument(tmp_path / "s") as instrument:
        clients = [BlockingClient(instrument.path) for _ in range(10)]
        for client in clients:
            client.watch(events=False, previews=True)
            client.receive()
        instrument.server._call(lambda: [setattr(each, "credit", True) for each in instrument.server._clients.values()])  # type: ignore[func-returns-value]
        instrument.server._call(instrument.server._count)  # at once, however the clients' turns fall
        got = [client.receive() for client in clients]
        assert all(isinstance(message, Preview) for message, _ in got)
        assert {jpeg for _, jpeg in got} == {made[0]}
        time.sleep(0.3)
        assert len(made) == 1
        for client in clients:
            client.close()


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [2_000, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_previews_to_ten_watchers_do_not_grow(rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "EVERY_S", 0.0)
    monkeypatch.setattr(previews, "_NICE", 0)  # on a busy machine it would hardly have a turn
    field = drawn_frame()[:480, :800]
    frames = [framed(field, number)[:120, :160].copy() for number in range(100)]
    sizes = []
    with FakeInstrument(tmp_path / "s", fps=NEVER) as instrument, contextlib.ExitStack() as held:
        clients = [held.enter_context(BlockingClient(instrument.path)) for _ in range(10)]
        for client in clients:
            client.watch(events=False, previews=True)
            client.receive()
        for number in range(rounds):
            for client in clients:
                client.ready()
            eventually(lambda: instrument.server._waiting == len(clients))
            instrument.server.preview(frames[number % len(frames)], number, AT)
            for client in clients:
                message, jpeg = client.receive()
                assert isinstance(message, Preview)
                assert len(jpeg) == message.bytes
            if number % (rounds // 10) == rounds // 10 - 1:
                gc.collect()
                sizes.append(resident_kb())
    assert max(sizes[1:]) - sizes[0] < 2048, sizes


def eventually(true: Callable[[], bool], within_s: float = 60) -> None:
    """Wait; not in a loop that holds the interpreter's lock, which the server needs."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, f"not within {within_s:g} s"
        time.sleep(1e-5)


def resident_kb() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_ten_a_second_is_what_the_reference_says() -> None:
    assert EVERY_S == 0.1
