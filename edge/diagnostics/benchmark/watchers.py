"""What the instrument's socket costs the pipeline: alone, with a socket that nobody watches, and with watchers."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.cameras.base import Frame
from edge.diagnostics.benchmark.pipeline import Memory, Rates, pipeline_fps
from edge.diagnostics.benchmark.record import WatchersRecord
from edge.errors import InstrumentUnavailable
from edge.inference.contract import Pixels
from edge.instrument.socket.messages import Answer, Bundle, Command, Hello, Meters, Rule, State, Verdict
from edge.instrument.socket.server import SocketServer
from edge.record.entries import Stored
from edge.record.store import Store
from edge.serving.serve import Served
from edge.system.clock import Clock
from edge.system.interleaved_timing import compare, median, shuffled, turns

ROUNDS = 12
_COMES_S = 20.0  # for the watchers' process
_KINDS = ("alone", "unwatched", "watched")


def watchers_cost(served: Served, frame: Pixels, frames: int, folder: Path, watchers: int) -> WatchersRecord:
    """Frames a second of the whole pipeline in alternate slices of `frames` frames: without a socket, with one that
    nobody watches, and with `watchers` clients, who get every verdict, meters, and ten previews a second each.

    The clients are a process of their own on this machine, which takes its share of the processor as the page would.

    Raises:
        StoreError: a frame was not stored. InstrumentUnavailable: the watchers got no preview, so that nothing was
            measured.
    """
    rates: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    memory: dict[str, float] = dict.fromkeys(_KINDS, 0.0)
    cpu: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    got = {"messages": 0, "previews": 0}
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=folder) as place, Store.open(Path(place)) as store:
        for kind, number in turns(_KINDS, ROUNDS, warm_up=1, reorder=shuffled()):
            with _socket(kind, watchers, got, counted=number >= 0) as server:
                shown = _Shown(server)
                before = _processor_s()
                fps = pipeline_fps(served, _Camera(frame, shown), frames, store, Rates(), shown.stored)
                used = (_processor_s() - before) / frames
            if number >= 0:
                rates[kind].append(fps)
                cpu[kind].append(used * 1e3)
                memory[kind] = max(memory[kind], _resident_mb())
    if watchers and not got["previews"]:
        raise InstrumentUnavailable(f"{watchers} watchers got {got['messages']} messages and no preview")
    return WatchersRecord(
        watchers=watchers,
        alone_fps=_rounded(rates["alone"]),
        unwatched_fps=_rounded(rates["unwatched"]),
        watched_fps=_rounded(rates["watched"]),
        unwatched=compare(rates["unwatched"], rates["alone"]),
        watched=compare(rates["watched"], rates["alone"]),
        processor_ms={kind: round(median(cpu[kind]), 4) for kind in _KINDS},
        memory_mb={kind: round(memory[kind], 1) for kind in _KINDS},
        messages=got["messages"],
        previews=got["previews"],
    )


class _Shown:
    """The instrument's hooks, as the bench has them: what they do where there is no server is nothing."""

    def __init__(self, server: SocketServer | None) -> None:
        self._server, self._clock = server, Clock()

    def captured(self, frame: Frame) -> None:
        """Preview and meters of a frame."""
        if self._server is None:
            return
        if self._server.wants_preview():
            self._server.preview(frame.pixels, frame.sequence, self._clock.now())
        if self._server.watched:
            at = self._clock.now()
            self._server.publish(
                Meters(
                    sequence=frame.sequence,
                    gates={"focus": 31.2, "exposure": 181.0},
                    refused="",
                    still=True,
                    seen=None,
                    brightness=181.0,
                    sharpness=31.2,
                    utc_ns=at.utc_ns,
                    monotonic_ns=at.monotonic_ns,
                )
            )

    def stored(self, stored: Sequence[Stored]) -> None:
        """Every verdict."""
        for each in stored if self._server is not None and self._server.watched else ():
            entry = each.entry
            self._server.publish(  # type: ignore[union-attr]
                Verdict(
                    id=each.id,
                    slide=each.slide,
                    field=each.field,
                    sequence=entry.sequence,
                    label=entry.label,
                    reason=entry.reason,
                    detail=entry.detail,
                    probabilities={str(k): p for k, p in enumerate(entry.probabilities or ())},
                    gates=dict(entry.gates),
                    seen=None,
                    asked_by="",
                    utc=entry.captured.utc,
                    image=False,
                )
            )


class _Camera(Memory):
    """The benchmark's camera, whose frames are shown as they are captured."""

    def __init__(self, frame: Pixels, shown: _Shown) -> None:
        super().__init__(frame)
        self._shown = shown

    def capture(self, into: Pixels | None = None) -> Frame:
        frame = super().capture(into)
        self._shown.captured(frame)
        return frame


class _Bench:
    """An instrument that has nothing to say of itself."""

    def hello(self) -> Hello:
        return Hello(
            software="edge bench",
            instrument="0" * 32,
            boot="",
            bundle=Bundle(
                name="", digest="", version=None, signed_by="", certified=False, acceptance="", synthetic=None
            ),
            labels=(),
            benign=(),
            camera="memory",
            simulated=True,
            camera_setup="",
            site="",
            study=True,
            rule=Rule(name="", words="", fields=0, width=0.0),
            gates={},
        )

    def state(self) -> State:
        now = Clock().now()
        return State(
            mode="none",
            slide=None,
            automatic=True,
            exposure_locked=False,
            camera="ok",
            withheld="",
            counters={},
            fps=0.0,
            tally=None,
            finding=None,
            entry=0,
            utc_ns=now.utc_ns,
            monotonic_ns=now.monotonic_ns,
        )

    def command(self, command: Command) -> Answer:
        return Answer(id=command.id, ok=False, error="unavailable", detail="this is a benchmark")


@contextmanager
def _socket(kind: str, watchers: int, got: dict[str, int], *, counted: bool) -> Iterator[SocketServer | None]:
    """The server of a slice, None for none; with watchers what they got is added to `got`."""
    if kind == "alone":
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, SocketServer(Path(folder) / "s", _Bench()) as server:
        if kind == "unwatched":
            yield server
            return
        words = [sys.executable, "-m", "edge.diagnostics.benchmark.looking", str(server.path), str(watchers)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        late = threading.Timer(_COMES_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise InstrumentUnavailable("the watchers did not come")
            late.cancel()
            until = time.monotonic() + _COMES_S
            while watchers and not server.wants_preview() and time.monotonic() < until:
                time.sleep(0.01)
            yield server
            server.close()
            said = json.loads(process.stdout.read())
            for name in got if counted else ():
                got[name] += said[name]
        finally:
            late.cancel()
            process.kill()
            process.wait()


def _rounded(rates: list[float]) -> list[float]:
    return [round(fps, 1) for fps in rates]


def _processor_s() -> float:
    """Of this process alone, its threads included, not of the watchers."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
