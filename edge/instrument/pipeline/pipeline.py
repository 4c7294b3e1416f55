"""Capture, gate, classify, record: one thread a stage, a bounded hand-over between two.

```
camera -> [newest wins] -> gate -> [newest wins] -> classify -> [waits] -> record -> store
                             `------- refused frames --------------^
```
With `every` (replay, stage scans) all hand-overs wait, and every frame gets its verdict. Frames live in a few
buffers that are used again; nothing of a frame's size is allocated once the first frames are through.

With a selector the gate stage passes over the frames that it does not choose, and those it chooses wait for each other.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter, sleep
from typing import Protocol

import numpy as np

from edge.cameras.base import CameraMode, Frame
from edge.errors import EndOfFrames
from edge.inference.answer import answer, cut
from edge.inference.classifier import Verdict
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.base import GateReport, Gates, Reading
from edge.inference.licence import UNBOUND, Licence
from edge.inference.shrinking import Scratch
from edge.instrument.pipeline.counters import Counter, Counts
from edge.instrument.pipeline.frame_buffers import FrameJob, buffer_pool, prepared_pool
from edge.instrument.pipeline.recorder import Recorder
from edge.instrument.pipeline.selection import Look, Selector
from edge.instrument.pipeline.stage_activity import StageActivity
from edge.record.entries import Entry
from edge.record.image_sampling import ImageSampler, encode_png
from edge.system.clock import Clock
from edge.system.queues import Handover

_TICK_S = 0.2  # how often a waiting stage looks whether the run is over
_FRAMES = 3  # buffers for frames: being captured, waiting, at the gate; and one more where frames are kept
_PREPARED = 4  # at the gate, waiting, at the model, and one to spare
_LAST_COMMIT_S = 10.0  # for the record stage to store what it holds when another stage has failed
_MOST_JUDGED = 64  # verdicts that wait to be recorded


class Judge(Protocol):
    """What the pipeline needs of `edge.inference.classifier.Classifier`."""

    @property
    def contract(self) -> InputContract: ...
    def classify_prepared(self, pixels: Pixels) -> Verdict: ...


class Source(Protocol):
    """What the pipeline needs of `edge.cameras.supervised.SupervisedCamera`."""

    @property
    def mode(self) -> CameraMode: ...
    def capture(self, into: Pixels | None = None) -> Frame | None: ...


class Pipeline:
    """One run from a started camera to a store.

    Args:
        camera: started; capture stops at its end, at `frames`, or when told to.
        every: every frame is judged, however long it takes; otherwise the newest wins.
        frames: end after so many judged frames; None runs until stopped.
        sampler: which frames are kept as images.
        recorder: stores what was judged; only this pipeline's record stage calls it, but for events.
        licence: what may be answered.
        between: called by the classify stage between two frames, and while it waits for one; the judge is its own
            meanwhile. What it raises ends the run.
        withheld: asked for every frame: why none may be answered now, as a gate that comes before all others; the
            network is not asked then, and the gates are, for their values.
        gated: called by the gate stage with each prepared frame, the name of the gate that refused it or "", and when
            it was taken, nanoseconds of the monotonic clock.
        selector: chooses the frames that are judged; every one is, and kept as an image by the sampler, without one.

    Attributes:
        licence: as above; another one holds for the frames that are recorded from then on.
    """

    def __init__(
        self,
        camera: Source,
        gates: Gates,
        judge: Judge,
        recorder: Recorder,
        *,
        sampler: ImageSampler,
        clock: Clock,
        every: bool = False,
        frames: int | None = None,
        licence: Licence = UNBOUND,
        between: Callable[[], None] = lambda: None,
        withheld: Callable[[], Reading | None] = lambda: None,
        gated: Callable[[Pixels, str, int], None] = lambda pixels, refused_by, at_ns: None,
        selector: Selector | None = None,
    ) -> None:
        self._camera, self._gates, self._judge, self._recorder = camera, gates, judge, recorder
        self._sampler, self._clock, self._every, self._frames = sampler, clock, every, frames
        self._between, self.licence, self._withheld, self._gated = between, licence, withheld, gated
        self._selector = selector
        self._counter, self.activity = Counter(), StageActivity()
        keeps = sampler.active or selector is not None
        self._frame_pool, self._prepared_pool = buffer_pool(_FRAMES + keeps), prepared_pool(_PREPARED)
        self._captured: Handover[FrameJob] = Handover(1, newest_wins=not every)
        self._passed: Handover[FrameJob] = Handover(1, newest_wins=not every and selector is None)
        self._judged: Handover[FrameJob] = Handover(_MOST_JUDGED)
        self._capturing = threading.Event()  # set while frames are wanted
        self._capturing.set()
        self._failure: BaseException | None = None
        self.finished = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def counts(self) -> Counts:
        """Frames by outcome so far."""
        return self._counter.now()

    def start(self) -> None:
        """Start the stages; `finished` is set when all is recorded."""
        self._threads = [
            threading.Thread(target=self._guarded, args=(stage,), name=stage.__name__.strip("_"), daemon=True)
            for stage in (self._capture, self._gate, self._classify, self._record)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No further frame; what is on its way is judged and stored. From any thread, more than once."""
        self._capturing.clear()
        self._captured.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came in time.

        Raises:
            What ended a stage, if something did.
        """
        ended = self.finished.wait(timeout_s)
        if self._failure is None:
            return ended
        self.finished.wait(_LAST_COMMIT_S)
        for thread in self._threads:
            thread.join(_TICK_S)
        counts = self.counts
        left = counts.captured - counts.dropped - counts.passed_over - counts.judged  # left where it was
        self._counter.add(dropped=left)
        raise self._failure

    @property
    def recording_ended(self) -> bool:
        """Whether the record stage touches the recorder and its store no more: it has ended, or never began."""
        return self.finished.is_set() or not self._threads

    def wait_ended(self, timeout_s: float) -> bool:
        """Wait until no stage runs any more, after `finished` and with the camera closed; whether they ended in time.

        A thread that is inside OpenCV or the interpreter while Python ends would take the process down with it
        (`terminate called without an active exception`), and the exit code of a run that went well.
        """
        deadline = perf_counter() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:  # an interrupt may come between two starts
                thread.join(max(0.0, deadline - perf_counter()))
        return not any(thread.is_alive() for thread in self._threads)

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:
            self._failure = self._failure or error
            self.stop()
            # What leads to this stage is taken by nobody now; the stages after it finish what they have.
            through = [self._capture, self._gate, self._classify, self._record].index(stage) + 1
            for handover in (self._captured, self._passed, self._judged)[:through]:
                handover.close()
            self._frame_pool.close()
            self._prepared_pool.close()
        finally:
            if stage == self._record:
                self.finished.set()

    # --- the stages -----------------------------------------------------------------------------------------

    def _capture(self) -> None:
        taken = 0
        while self._capturing.is_set() and not (self._every and taken == self._frames):
            buffer = self._frame_pool.get(_TICK_S)
            if buffer is None:
                continue
            start = perf_counter()
            size = self._camera.mode.size
            try:
                with self.activity.at_work("capture"):
                    frame = self._camera.capture(None if size is None else buffer.of(size))
            except EndOfFrames:
                break
            if frame is None:  # told to stop while the camera was away
                break
            taken += 1
            self._counter.add(captured=1)
            job = FrameJob(self._clock.now(), frame.sequence, frame.source, buffer, frame.pixels)
            job.exposed_ns, job.metadata = frame.monotonic_ns, frame.metadata
            job.latency_ms["capture"] = _since(start)
            self._drop(self._captured.put(job))
        self._captured.close()

    def _gate(self) -> None:
        contract, scratch = self._judge.contract, Scratch()
        while (job := self._captured.get()) is not None:
            assert job.pixels is not None
            job.prepared = self._prepared_pool.get()
            if job.prepared is None:  # another stage has failed
                return
            with self.activity.at_work("gate"):
                start = perf_counter()
                prepared = job.prepared.whole(contract)
                np.copyto(prepared, contract.prepare(job.pixels, scratch))
                job.latency_ms["prepare"] = _since(start)
                kept = self._selector is not None or self._sampler.wants(job.at.monotonic_ns)
                if not kept and contract.tiles is None:
                    self._give_back_frame(job)
                start = perf_counter()
                job.report = self._gates.check(prepared)
                refusal = job.report.refusal
                self._gated(prepared, "" if refusal is None else refusal.gate, job.at.monotonic_ns)
                if (held := self._withheld()) is not None:
                    job.report = GateReport((held, *job.report.readings))
                job.latency_ms["gate"] = _since(start)
                if self._selector is not None and not self._chosen(self._selector, job, prepared):
                    continue
                if contract.tiles is not None:
                    if job.report.refusal is None:
                        start = perf_counter()
                        job.report, _ = cut(contract, job.pixels, job.report, scratch, job.prepared.views(contract))
                        job.latency_ms["prepare"] += _since(start)
                    if not kept:
                        self._give_back_frame(job)
            self._drop(self._passed.put(job) if job.report.refusal is None else self._to_record(job))
        self._passed.close()

    def _classify(self) -> None:
        contract = self._judge.contract
        while not self._passed.finished:
            job = self._passed.get(_TICK_S)
            if job is not None:
                assert job.prepared is not None
                with self.activity.at_work("classify"):
                    job.verdict = self._judge.classify_prepared(job.prepared.views(contract))
                job.latency_ms["classify"] = job.verdict.latency_ms
                self._drop(self._to_record(job))
            with self.activity.at_work("classify"):
                self._between()
        self._judged.close()  # the gate is through too: it closed `_passed`

    def _record(self) -> None:
        recorder, inbox = self._recorder, self._judged
        while not (inbox.finished and recorder.waiting == 0):
            due = recorder.due_in()
            wait = _TICK_S if due is None else min(due, _TICK_S)
            if recorder.has_room:
                job = inbox.get(wait)
                if job is not None:
                    with self.activity.at_work("record"):
                        self._take(job)
            elif recorder.full:  # nothing is taken in, so the stages before wait or drop frames
                sleep(wait)
            if recorder.due_in() == 0 or (inbox.finished and not recorder.full):
                self._commit()
            if recorder.full and not self._capturing.is_set() and not self._commit():
                self._give_up()
                return
        self._commit()  # events that came last

    # --- between the stages ---------------------------------------------------------------------------------

    def _chosen(self, selector: Selector, job: FrameJob, prepared: Pixels) -> bool:
        """Whether a frame is to be judged; one that is not goes no further."""
        assert job.pixels is not None and job.report is not None
        look = Look(job.pixels, prepared, job.report, job.at, job.sequence, job.exposed_ns, job.source, job.metadata)
        job.choice = selector.choose(look)
        if job.choice is None:
            self._give_back_frame(job)
            self._give_back_prepared(job)
            self._counter.add(passed_over=1)
        return job.choice is not None

    def _to_record(self, job: FrameJob) -> FrameJob | None:
        """Pass on a judged frame; what could not be passed."""
        self._give_back_prepared(job)
        return self._judged.put(job)

    def _take(self, job: FrameJob) -> None:
        """A judged frame becomes an entry."""
        if not self._every and self._frames is not None and self._counter.now().judged >= self._frames:
            self._drop(job)
            return
        assert job.report is not None
        given = answer(job.report, job.verdict, self.licence)
        image = None if job.pixels is None else encode_png(job.pixels)
        self._give_back_frame(job)
        self._counter.add(**{"refused" if given.label is None else "classified": 1})
        entry = Entry.of(given, job.at, job.sequence, job.source, job.latency_ms, image)
        if job.choice is not None:
            entry = replace(entry, seen=job.choice.seen, asked_by=job.choice.asked_by)
        self._recorder.add(entry)
        if not self._every and self._counter.now().judged == self._frames:
            self.stop()

    def _commit(self) -> bool:
        before = self._recorder.stored
        try:
            with self.activity.at_work("record"):
                return self._recorder.commit()
        finally:
            self._counter.add(stored=self._recorder.stored - before)

    def _give_up(self) -> None:
        """The run ends and there is still no room: what waits was never announced, and is counted."""
        self._counter.add(unstored=self._recorder.abandon())
        while not self._judged.finished:
            self._drop(self._judged.get(_TICK_S))

    def _drop(self, job: FrameJob | None) -> None:
        """Count a frame that nobody takes, None for no such frame, and give its buffers back."""
        if job is not None:
            self._give_back_frame(job)
            self._give_back_prepared(job)
            self._counter.add(dropped=1)
            if self._selector is not None and job.choice is not None:
                self._selector.given_up(job.at.monotonic_ns)

    def _give_back_frame(self, job: FrameJob) -> None:
        buffer, job.buffer, job.pixels = job.buffer, None, None
        if buffer is not None:
            self._frame_pool.put(buffer)

    def _give_back_prepared(self, job: FrameJob) -> None:
        buffer, job.prepared = job.prepared, None
        if buffer is not None:
            self._prepared_pool.put(buffer)


def _since(start: float) -> float:
    return (perf_counter() - start) * 1e3
