"""The whole pipeline with every verdict stored, in turns with the bare interpreter."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.cameras.base import CameraMode, Frame
from edge.diagnostics.benchmark.record import PipelineRates
from edge.diagnostics.benchmark.timing import raw_interpreter
from edge.errors import StoreError
from edge.inference.contract import Pixels
from edge.inference.gates.base import GateReport, Gates
from edge.inference.tiles import Tiling
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.record.entries import Entry, Event, RunInfo, Stored
from edge.record.image_sampling import ImageSampler
from edge.record.store import Store
from edge.serving.serve import Served
from edge.system.clock import Clock

SLICES = 12  # of each; which of the two comes first alternates
_LONGEST_SLICE_S = 600.0
_STAGES_END_S = 10.0


@dataclass
class Rates:
    """What the slices gave.

    Attributes:
        pipeline_fps, invoke_fps: frames a second, one a slice, in order.
        store_ms: milliseconds a stored verdict, one a commit: the commit's time over its verdicts.

    >>> Rates(pipeline_fps=[90.0, 99.0], invoke_fps=[100.0, 100.0]).record().ratio
    0.945
    """

    pipeline_fps: list[float] = field(default_factory=list)
    invoke_fps: list[float] = field(default_factory=list)
    store_ms: list[float] = field(default_factory=list)

    def record(self) -> PipelineRates:
        """For the bench's details; `ratio` is the median over neighbouring slices."""
        ratios = [ours / bare for ours, bare in zip(self.pipeline_fps, self.invoke_fps, strict=True)]
        return PipelineRates(
            [round(fps, 1) for fps in self.pipeline_fps],
            [round(fps, 1) for fps in self.invoke_fps],
            *(round(figure, 4) for figure in (statistics.median(ratios), min(ratios), max(ratios))),
        )


def pipeline_rate(served: Served, frame: Pixels, frames: int, folder: Path) -> Rates:
    """Frames a second of the pipeline and of bare `invoke()`, in alternate slices of `frames` frames.

    The pipeline judges every frame, from pixels in memory, and stores every verdict durably below `folder`, which
    is left as it was.

    Raises:
        StoreError: no room, or a frame was not stored, so that there is no rate to speak of.
    """
    rates = Rates()
    engine = raw_interpreter(served.classifier.interpreter)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=folder) as place, Store.open(Path(place)) as store:
        turns: list[tuple[Callable[[], float], list[float]]] = [
            (lambda: pipeline_fps(served, Memory(frame), frames, store, rates), rates.pipeline_fps),
            (lambda: _invoke_fps(engine, frames), rates.invoke_fps),
        ]
        for number in range(-1, SLICES):  # the first of each warms up
            for run, values in turns:
                fps = run()
                if number >= 0:
                    values.append(fps)
            turns.reverse()
    return rates


def _invoke_fps(engine: Any, frames: int) -> float:
    start = time.perf_counter()
    for _ in range(frames):
        engine.invoke()
    return frames / (time.perf_counter() - start)


def pipeline_fps(
    served: Served,
    camera: "Memory",
    frames: int,
    store: Store,
    rates: Rates,
    on_stored: Callable[[Sequence[Stored]], None] | None = None,
) -> float:
    """Frames a second of the whole pipeline over `frames` frames of a camera, every verdict stored and told.

    Raises:
        StoreError: a frame was not stored.
    """
    clock = Clock()
    run = store.begin(_info(served), clock.now())
    timed = _Timed(store, rates)
    recorder = Recorder(timed, run, clock=clock, on_stored=on_stored or _silent, on_state=_silent)
    pipeline = Pipeline(
        camera,
        _Asked(served.gates),
        served.classifier,
        recorder,
        sampler=ImageSampler("none"),
        clock=clock,
        every=True,
        frames=frames,
    )
    start = time.perf_counter()
    try:
        pipeline.start()
        ended = pipeline.join(_LONGEST_SLICE_S)
        elapsed = time.perf_counter() - start
    finally:  # a stage inside OpenCV or the interpreter while Python ends would abort the process
        pipeline.stop()
        pipeline.wait_ended(_STAGES_END_S)
    counts = pipeline.counts
    if ended:
        store.end(run, clock.now(), counts.as_dict(), "complete")
    if not ended or timed.asked != frames or counts.stored != frames:
        raise StoreError(
            f"the pipeline must ask the model about {frames} frames and store them; it asked about {timed.asked}, and "
            f"came to {counts}"
        )
    return frames / elapsed


class Memory:
    """A camera whose next frame is always there, at the cost of a copy, as a driver's is."""

    def __init__(self, frame: Pixels) -> None:
        self._frame, self._sequence = frame, 0
        self.mode = CameraMode((frame.shape[1], frame.shape[0]), "RGB")

    def capture(self, into: Pixels | None = None) -> Frame:
        pixels = np.empty_like(self._frame) if into is None else into
        np.copyto(pixels, self._frame)
        self._sequence += 1
        return Frame(pixels, self._sequence - 1, time.monotonic_ns())


class _Asked(Gates):
    """Gates that are asked and refuse nothing: a drawn field costs them what a frame does, and fits no model's own."""

    def __init__(self, gates: Gates) -> None:
        super().__init__(())
        self._asked = gates

    def check(self, pixels: Pixels) -> GateReport:
        return GateReport(tuple(replace(each, refused=False) for each in self._asked.check(pixels).readings))


class _Timed:
    """A store whose commits are timed.

    Attributes:
        asked: verdicts of the model, also those that abstain, among what was stored.
    """

    def __init__(self, store: Store, rates: Rates) -> None:
        self._store, self._rates, self.asked = store, rates, 0

    def write(self, run: int, entries: Sequence[Entry], events: Sequence[Event] = ()) -> list[Stored]:
        start = time.perf_counter()
        stored = self._store.write(run, entries, events)
        if entries:
            self._rates.store_ms.append((time.perf_counter() - start) * 1e3 / len(entries))
        self.asked += sum(entry.probabilities is not None for entry in entries)
        return stored


def _info(served: Served) -> RunInfo:
    interpreter = served.classifier.interpreter
    return RunInfo(
        slide="bench",
        camera="memory",
        simulated=True,
        bundle=served.bundle.name,
        bundle_digest=served.bundle.digest,
        certified=served.bundle.certified,
        synthetic_certificate=served.bundle.synthetic,
        ungated=served.provenance.ungated,
        runtime=interpreter.runtime,
        runtime_version=interpreter.version,
        kind=interpreter.kind,
        labels=served.bundle.contract.labels,
        tiling=Tiling.of(served.bundle.contract),
        software="edge bench",
        settings="{}",
    )


def _silent(_: object) -> None:
    """Nobody listens to a benchmark's verdicts: they are of a drawn field."""
