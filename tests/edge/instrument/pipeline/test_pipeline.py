"""The four stages: every frame counts once, and the counts add up."""

import threading
import time
from typing import Any

import pytest

from edge.errors import CameraLost, ModelFileError
from edge.inference.gates.base import Gates, Reading
from edge.inference.images import decode_image
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.record.image_sampling import ImageSampler
from edge.system.clock import Clock
from tests.edge.instrument.pipeline.parts import CONTRACT, CountingCamera, EveryThird, ListStore, NumberJudge, no_gates


def pipeline(
    camera: Any, judge: Any, store: ListStore, *, gates: Gates | None = None, keep: str = "none", **more: Any
) -> Pipeline:
    clock = Clock()
    recorder = Recorder(
        store, 1, clock=clock, count=8, wait_s=0.02, on_stored=lambda stored: None, on_state=lambda text: None
    )
    return Pipeline(camera, gates or no_gates(), judge, recorder, sampler=ImageSampler(keep), clock=clock, **more)  # type: ignore[arg-type]


def finished(running: Pipeline) -> Pipeline:
    running.start()
    assert running.join(30), "it must come to an end by itself"
    return running


def test_with_every_each_frame_gets_its_verdict_in_order():
    store, judge = ListStore(), NumberJudge(pace_s=0.0005)
    counts = finished(pipeline(CountingCamera(300), judge, store, every=True)).counts
    assert judge.seen == list(range(300))
    assert [stored.entry.sequence for stored in store.stored] == list(range(300))
    assert [stored.entry.label for stored in store.stored] == [CONTRACT.labels[n % 4] for n in range(300)]
    assert (counts.captured, counts.dropped, counts.classified, counts.stored) == (300, 0, 300, 300)
    assert counts.add_up()
    assert max(store.batches) > 1, "verdicts are stored together"


def test_refused_frames_are_recorded_with_their_reason_and_never_reach_the_model():
    store, judge = ListStore(), NumberJudge()
    counts = finished(pipeline(CountingCamera(90), judge, store, gates=Gates([EveryThird()]), every=True)).counts
    assert (counts.refused, counts.classified, counts.stored) == (30, 60, 90)
    assert not [number for number in judge.seen if number % 3 == 0]
    refused = [stored.entry for stored in store.stored if stored.entry.label is None]
    assert {entry.reason for entry in refused} == {"every_third"}
    assert {entry.detail for entry in refused} == {f"frame {n} divides by 3" for n in range(0, 90, 3)}
    assert all(entry.gates["every_third"] == entry.sequence for entry in refused)
    assert all(entry.probabilities is None for entry in refused)


def test_what_withholds_answers_comes_before_every_gate_and_the_model_is_not_asked():
    store, judge, frames = ListStore(), NumberJudge(), iter(range(90))

    def withheld() -> Reading | None:
        if next(frames) < 30:
            return None
        return Reading("control_overdue", 25.0, 24.0, "hours", True, "control overdue: 25.0 h ago, at most 24 h")

    gates = Gates([EveryThird()])
    finished(pipeline(CountingCamera(90), judge, store, gates=gates, every=True, withheld=withheld))
    assert judge.seen == [number for number in range(30) if number % 3]
    held = [stored.entry for stored in store.stored if stored.entry.sequence >= 30]
    assert {entry.reason for entry in held} == {"control_overdue"} and len(held) == 60
    assert all(entry.probabilities is None for entry in held)
    assert all(entry.gates == {"control_overdue": 25.0, "every_third": entry.sequence} for entry in held)


def test_the_newest_frame_wins_when_the_model_is_slower():
    store, judge = ListStore(), NumberJudge(pace_s=0.02)
    counts = finished(pipeline(CountingCamera(200, pace_s=0.002), judge, store)).counts
    assert counts.captured == 200 and counts.dropped > 100
    assert counts.add_up() and counts.stored == len(judge.seen)
    assert judge.seen == sorted(judge.seen), "never an older frame after a newer one"
    assert judge.seen[-1] == 199, "the last frame is the newest"
    waits = [later - sooner for sooner, later in zip(judge.seen, judge.seen[1:], strict=False)]
    assert sum(waits) / len(waits) > 3, "frames between are dropped, not queued"


@pytest.mark.parametrize("every", [True, False])
def test_it_ends_after_so_many_judged_frames(every):
    store = ListStore()
    counts = finished(pipeline(CountingCamera(), NumberJudge(), store, every=every, frames=25)).counts
    assert len(store.stored) == counts.stored == counts.judged == 25
    assert counts.add_up()


def test_a_stop_stores_what_was_judged_and_ends():
    store, judge = ListStore(), NumberJudge(pace_s=0.005)
    running = pipeline(CountingCamera(pace_s=0.001), judge, store)
    running.start()
    while len(judge.seen) < 10:
        time.sleep(0.005)
    running.stop()
    assert running.join(2), "a clean stop takes two seconds at most"
    assert [stored.entry.sequence for stored in store.stored] == judge.seen
    assert running.counts.add_up()


def test_a_stop_does_not_wait_for_a_camera_that_hangs():
    class Hanging(CountingCamera):
        hang = threading.Event()

        def capture(self, into=None):
            if self._next == 5:
                self.hang.wait(20)
            return super().capture(into)

    store = ListStore()
    running = pipeline(Hanging(), NumberJudge(), store, every=True)
    running.start()
    while len(store.stored) < 5:
        time.sleep(0.005)
    running.stop()
    assert running.join(2)
    assert running.counts.stored == 5
    Hanging.hang.set()


def test_once_settled_no_stage_runs_and_a_capture_that_hangs_is_not_waited_for():
    """A thread inside a library while Python ends would end the process with an abort."""

    class Slow(CountingCamera):
        """In the middle of a capture when the last frame that is wanted is stored."""

        inside, hang = threading.Event(), threading.Event()

        def capture(self, into=None):
            if self._next == 3:
                self.inside.set()
                self.hang.wait(20)
            else:
                while len(judge.seen) < self._next:  # no frame takes another's place
                    time.sleep(0.001)
            return super().capture(into)

    class Waits(NumberJudge):
        def classify_prepared(self, pixels):
            if len(self.seen) == 2:
                Slow.inside.wait(20)
            return super().classify_prepared(pixels)

    judge = Waits()
    never = pipeline(CountingCamera(), NumberJudge(), ListStore())
    assert never.wait_ended(0)  # not even started
    running = finished(pipeline(Slow(), judge, ListStore(), frames=3))
    began = time.monotonic()
    assert not running.wait_ended(0.1) and time.monotonic() - began < 2
    threading.Timer(0.2, Slow.hang.set).start()
    assert running.wait_ended(10) and not any(thread.is_alive() for thread in running._threads)


def test_a_full_disk_stops_recording_and_loses_nothing_stored():
    store, said = ListStore(), []
    clock = Clock()
    recorder = Recorder(store, 1, clock=clock, count=8, wait_s=0.01, on_stored=lambda s: None, on_state=said.append)
    judge = NumberJudge(pace_s=0.001)
    running = Pipeline(
        CountingCamera(pace_s=0.001), no_gates(), judge, recorder, sampler=ImageSampler("none"), clock=clock, every=True
    )
    running.start()
    while len(store.stored) < 20:
        time.sleep(0.005)
    store.full.set()
    while not said:
        time.sleep(0.005)
    before = list(store.stored)
    time.sleep(0.3)
    assert store.stored == before
    assert running.counts.judged - running.counts.stored <= 8, "what waits is bounded"
    store.full.clear()
    while len(store.stored) < len(before) + 100:
        time.sleep(0.005)
    running.stop()
    assert running.join(5)
    assert [s.entry.sequence for s in store.stored] == list(range(len(store.stored))), "no frame is missing"
    assert said[0].startswith("not recording: no space left") and said[-1] == "recording goes on"
    assert [event.kind for event in store.events] == ["not_recording", "recording"]
    assert running.wait_ended(5), "a frame that came as the run stopped is counted by its own stage"
    assert running.counts.add_up()


def test_a_disk_still_full_at_the_end_is_counted_and_does_not_hang():
    store = ListStore()
    store.full.set()
    running = pipeline(CountingCamera(pace_s=0.001), NumberJudge(), store)
    running.start()
    time.sleep(0.3)
    running.stop()
    assert running.join(2)
    counts = running.counts
    assert counts.stored == 0 and counts.unstored > 0 and counts.add_up()


@pytest.mark.parametrize("where", ["camera", "model"])
def test_what_breaks_a_stage_ends_the_run_and_is_raised(where):
    class LostCamera(CountingCamera):
        def capture(self, into=None):
            if self._next == 20:
                raise CameraLost("the camera went away")
            return super().capture(into)

    class BrokenModel(NumberJudge):
        def classify_prepared(self, pixels):
            if len(self.seen) == 20:
                raise ModelFileError("the model cannot run")
            return super().classify_prepared(pixels)

    camera, judge = (LostCamera(), NumberJudge()) if where == "camera" else (CountingCamera(), BrokenModel())
    store = ListStore()
    running = pipeline(camera, judge, store, every=True)
    running.start()
    with pytest.raises((CameraLost, ModelFileError)):
        running.join(10)
    assert len(store.stored) == 20, "what was judged before is stored"
    assert running.counts.add_up()


def test_recording_has_not_ended_while_a_commit_has_not_come_back():
    class Stuck(ListStore):
        inside, back = threading.Event(), threading.Event()

        def write(self, run, entries, events=()):
            self.inside.set()
            self.back.wait(30)
            return super().write(run, entries, events)

    store = Stuck()
    running = pipeline(CountingCamera(20), NumberJudge(), store, every=True)
    assert running.recording_ended  # nothing has begun
    running.start()
    assert store.inside.wait(10)
    running.stop()
    assert not running.wait_ended(0.1) and not running.recording_ended
    store.back.set()
    assert running.join(10) and running.recording_ended
    assert len(store.stored) == running.counts.stored == running.counts.judged > 0


def test_what_is_stored_is_counted_before_anybody_hears_of_it():
    store, clock = ListStore(), Clock()

    def broken(stored: object) -> None:
        raise OSError("no reader")

    recorder = Recorder(store, 1, clock=clock, count=8, wait_s=0.02, on_stored=broken, on_state=lambda text: None)
    running = Pipeline(
        CountingCamera(20), no_gates(), NumberJudge(), recorder, sampler=ImageSampler("none"), clock=clock, every=True
    )
    running.start()
    with pytest.raises(OSError, match="no reader"):
        running.join(10)
    assert running.counts.stored == len(store.stored) > 0
    assert recorder.waiting + len(store.stored) == running.counts.judged, "and waits for no second commit"


def test_images_are_kept_whole_with_the_verdict_they_belong_to():
    store = ListStore()
    finished(pipeline(CountingCamera(40), NumberJudge(), store, every=True, keep="every"))
    for stored in store.stored:
        assert stored.entry.image is not None
        frame = decode_image(stored.entry.image, "image")
        assert tuple(frame[0, 0]) == (stored.entry.sequence % 256, 0, 0)


def test_keeping_one_a_second_keeps_the_first_and_then_few():
    store = ListStore()
    finished(pipeline(CountingCamera(100), NumberJudge(), store, every=True, keep="second"))
    kept = [stored.entry.sequence for stored in store.stored if stored.entry.image]
    assert kept[0] == 0 and len(kept) < 10


def test_frames_live_in_a_few_buffers_that_are_used_again():
    camera = CountingCamera(500)
    finished(pipeline(camera, NumberJudge(), ListStore(), every=True))
    assert len(camera.buffers) <= 6
