"""A session of the instrument: what lives as long as its process, whatever runs begin and end meanwhile."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC, UNGATED
from edge.cameras.base import Camera
from edge.cameras.setup.set_up_camera import is_set_up, setup_digest
from edge.cameras.supervised import CameraEvent, SupervisedCamera
from edge.commissioning.camera.changes import setup_change
from edge.commissioning.camera.light_watch import LIGHT, LightWatch, said
from edge.commissioning.control.camera_lease import CameraLease
from edge.commissioning.control.control_record import ControlRecord, control_folder
from edge.commissioning.control.expiry import UNREADABLE
from edge.commissioning.control.series import of_instrument
from edge.commissioning.control.watch import ControlWatch, lost_end
from edge.errors import CameraError, LeukoscopeError, StoreFull
from edge.instrument.hooks import Hooks
from edge.instrument.pipeline.counters import Counts
from edge.instrument.pipeline.housekeeping import Housekeeping
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.instrument.pipeline.sd_notify import Notifier
from edge.instrument.pipeline.selection import Selector
from edge.instrument.pipeline.watchdog import Watchdog
from edge.instrument.run import Runs
from edge.record.entries import Event, RunInfo, Stored
from edge.record.image_sampling import ImageSampler
from edge.record.store import Store
from edge.serving.boot import Start
from edge.serving.bundle_watch import BundleWatch
from edge.serving.run_info import run_info
from edge.serving.selftest import SelfTester
from edge.serving.selftest_schedule import DailySelfTest
from edge.serving.serve import Served
from edge.serving.slot_watch import SlotWatch
from edge.serving.trust_watch import TrustWatch
from edge.settings.profile import Settings
from edge.system.clock import Clock

_log = logging.getLogger(__name__)

_TICK_S = 0.25
_LOOK_AT_BUNDLE_EVERY, _TELL_LIGHT_EVERY = 8, 14_400  # ticks; the latter an hour
_STOP_GRACE_S = 1.0  # after which a camera that still blocks is closed under its thread
_STAGES_END_S = 2.0  # for stages to end that have nothing left to do; a capture that hangs is not waited for longer


@dataclass(frozen=True)
class Plan:
    """What a session is to do.

    Attributes:
        slide: whose run lasts as long as the session; None at the bench, where slides come and go.
        frames: end after so many judged frames; None is until stopped. every: judge each frame, however long it takes.
        allow_unsigned: as the bundle was opened.

    >>> Plan(Settings(), slide="s1").frames is None
    True
    """

    settings: Settings
    slide: str | None
    frames: int | None = None
    every: bool = False
    allow_unsigned: bool = False


class Session:
    """Camera, pipeline, model and record, and what is looked after beside them.

    Args:
        camera: constructed, not opened. store: open for writing. stop: ends the session when set.
        hooks: may be given again before `serve`. selector: of the frames that are judged; None judges each.

    Attributes:
        served: the bundle, under the licence that holds now. runs: of this session. counts: after `serve`.
    """

    def __init__(
        self,
        plan: Plan,
        started: Start,
        slots: SlotWatch,
        camera: Camera,
        store: Store,
        stop: threading.Event,
        notifier: Notifier,
        *,
        hooks: Hooks | None = None,
        selector: Selector | None = None,
    ) -> None:
        self.hooks = hooks or Hooks()
        served = started.served
        settings, self.clock = plan.settings, Clock()
        self.control = _control_watch(served, camera, store.folder, settings, self.clock)
        if camera.kind != "replay":  # its files were taken elsewhere
            gone = UNREADABLE if lost_end(store, control_folder(store.folder)) else ""
            served = served.under(setup_digest(camera) or "").changed(self.control.expired or gone)
        self.plan, self.served, self.camera, self.store = plan, served, camera, store
        self._slots, self.stop, self._notifier = slots, stop, notifier
        before = store.last_run()
        self.runs = Runs(store, self.clock)
        if plan.slide is not None:
            self.runs.begin(self.info(plan.slide))
        self.housekeeping = Housekeeping(store, settings.retention, self.clock)
        self.recorder = Recorder(
            self.runs,
            0,
            clock=self.clock,
            count=settings.record.commit_count,
            wait_s=0 if selector else settings.record.commit_ms / 1e3,  # what was chosen is stored at once
            on_stored=self._stored,
            on_state=_log.info,
            housekeeping=self.housekeeping,
        )
        for kind, detail in started.events:
            self.recorder.event(kind, detail)
        if plan.slide is not None:
            self.note_standing()
        if change := setup_change(camera, before):
            self.event("camera_setup_changed", change)
        elif settings.camera_setup is not None and not is_set_up(camera):
            _log.info(f"{camera.uri} runs without a set-up: the profile's is of another camera")
        self._expired = ""
        self._look_at_controls()
        self.supervised = SupervisedCamera(
            camera,
            settings.camera,
            on_event=self._camera_event,
            timeout_s=settings.timeout_s,
            stop=stop,
            lent=CameraLease(control_folder(store.folder)).wanted,
        )
        self._selftest = DailySelfTest(
            SelfTester(store.folder), served, self.event, every_s=3600 * settings.selftest.every_hours
        )
        every = plan.every or not camera.live
        keep = settings.record.keep or ("none" if camera.kind == "replay" else "every" if every else "second")
        self._light = LightWatch(camera)
        self.pipeline = Pipeline(
            self.supervised,
            served.gates,
            served.classifier,
            self.recorder,
            sampler=ImageSampler(keep),
            clock=self.clock,
            every=every,
            frames=plan.frames,
            licence=served.licence,
            between=self._selftest,
            withheld=self.control.withheld,
            gated=self._light,
            selector=selector,
        )
        self._watchdog = Watchdog(
            notifier,
            self.pipeline,
            self.supervised,
            self.recorder,
            on_hang=lambda hang: self.event("hang", hang),
            timeout_s=self.supervised.timeout_s,
            says=self._status,
        )
        self.counts = Counts()

    def info(self, slide: str) -> RunInfo:
        """What a run of `slide` that begins now is recorded with."""
        return run_info(self.served, self.camera, slide, self.plan.settings)

    def event(self, kind: str, detail: str) -> None:
        """Something that happened: said, and recorded with the next commit. From any thread."""
        _log.info(f"{kind}: {detail}")
        self.recorder.event(kind, detail)
        self.hooks.happened(kind, detail)

    def note_standing(self) -> None:
        """Record what is to be known of every verdict of the run that has begun."""
        for kind, detail in _standing(self.served, self.plan.allow_unsigned):
            self.event(kind, detail)

    def expire(self) -> None:
        """Go on with what the bundle may say now that the controls expired its acceptance; while nothing is judged."""
        self.served = self.served.changed(self.control.expired)
        self.pipeline.licence = self.served.licence

    def tell_light(self) -> None:
        """Store what was measured of the light since the last time, in the run that is open; durable on return.

        Raises:
            StoreFull, StoreError: as `Store.write`.
        """
        if measures := self._light.taken():
            self.runs.write(0, [], [Event(self.clock.now(), LIGHT, said(measures), measures)])

    def serve(self) -> str:
        """Judge until the frames are judged, a replay ends, or `stop` is set; why it ended.

        Raises:
            GoldenMismatchError: a self-test failed. LeukoscopeError: no camera or store; what was stored is safe.
        """
        why = "failed"
        try:
            self._selftest.at_start()
            self.supervised.start()
            self.hooks.begins()
            self.pipeline.start()
            self._notifier.ready(f"{self.served.bundle.name} serves")
            why = self._watch()
        except CameraError as error:
            why = f"camera: {error}"
            raise
        except LeukoscopeError as error:
            why = str(error)
            raise
        finally:
            self._notifier.stopping(why)
            self.hooks.ending(why)
            self.pipeline.stop()
            self.supervised.close()
            self.pipeline.wait_ended(_STAGES_END_S)
            self.counts = self._close_run(why)
        return why

    def _close_run(self, why: str) -> Counts:
        """Store the last events and the counts, which it returns; where that cannot be, the run shows as not ended.

        While the record stage may still be in a commit, nothing is stored from here: it would be stored twice.
        """
        if not self.pipeline.recording_ended:
            _log.warning("the last commit has not come back; the run shows as not ended, and nothing recorded is lost")
            return self.pipeline.counts
        if lost := self.hooks.lost():
            self.event("output_lost", lost)
        self._tell_light()
        try:
            if self.recorder.commit() and self.runs.number is not None:
                return self.runs.end(self.pipeline.counts, why)
        except StoreFull as error:
            _log.warning(f"the end of the run is not recorded: {error}")
        return self.pipeline.counts

    def _watch(self) -> str:
        """Wait for the end, with an eye on clock and bundle; why it ended."""
        bundle, trust, ticks = BundleWatch(self.served.bundle), self._trust_watch(), 0
        told, withdrawn = False, ""
        while not self.pipeline.join(_TICK_S):
            ticks += 1
            self._watchdog.look(stopping=told)
            self.hooks.tick()
            jump = self.clock.jumped()
            if jump is not None:
                self.event("clock_jump", f"the clock moved by {jump:+.1f} s")
            if ticks % _LOOK_AT_BUNDLE_EVERY == 0:
                if change := bundle.change():
                    self.event("bundle_changed", change)
                self._look_at_slots()
                self._look_at_controls()
                if not withdrawn and (withdrawn := trust.withdrawn()):
                    self.event("bundle_withdrawn", f"{withdrawn}; the run ends")
                    self.stop.set()
            if ticks % _TELL_LIGHT_EVERY == 0:
                self._tell_light()
            if self.stop.is_set() and not told:
                told = True
                self.pipeline.stop()
                if not self.pipeline.join(_STOP_GRACE_S):
                    self.supervised.close()
        return withdrawn or self._expired or self._slots.switched or ("stopped" if told else "complete")

    def _trust_watch(self) -> TrustWatch:
        bundle, plan = self.served.bundle, self.plan
        keys, allowed = plan.settings.trust.keys, plan.allow_unsigned
        return TrustWatch(bundle.path, bundle.manifest, bundle.signature, keys, allow_unsigned=allowed)

    def _look_at_slots(self) -> None:
        """Confirm a bundle on trial; end in order once another one is to serve."""
        for kind, detail in self._slots.look(self.pipeline.counts.classified):
            self.event(kind, detail)
        if self._slots.switched:
            self.stop.set()

    def _look_at_controls(self) -> None:
        """Say how the demanded control stands; end in order where the controls say that an acceptance has expired."""
        for kind, detail in self.control.look():
            self.event(kind, detail)
        if not (self.control.expired and self.served.licence.accepted and self.camera.kind != "replay"):
            return
        if self.hooks.expired(f"acceptance expired: {self.control.expired}"):
            return
        self._expired = f"acceptance expired: {self.control.expired}"
        self.event("acceptance_expired", f"{self.control.expired}; the run ends, and the next one goes by it")
        self.stop.set()

    def _tell_light(self) -> None:
        """Store how bright and sharp the camera has seen since the last time; it counts for a run's set-up."""
        if self.runs.number is None:
            return
        if measures := self._light.taken():
            self.recorder.event(LIGHT, said(measures), measures)
        for warning in self._light.warnings(measures):
            _log.warning(warning)

    # Hooks are looked up when they are called: others may be given before `serve`.

    def _stored(self, stored: list[Stored]) -> None:
        self.hooks.stored(stored)

    def _status(self) -> str:
        return self.hooks.status()

    def _camera_event(self, event: CameraEvent) -> None:
        self.event(event.kind, event.detail)


def _standing(served: Served, allow_unsigned: bool) -> Iterator[tuple[str, str]]:
    """Kind and detail of what is to be known of every verdict."""
    bundle = served.bundle
    if bundle.signed is None and allow_unsigned:
        yield "unsigned", f"--allow-unsigned: no trusted key signed {bundle.name}"
    if bundle.synthetic:
        yield "synthetic_certificate", f"{bundle.name} was {ON_SYNTHETIC}"
    if bundle.lax_policy:
        yield "lax_policy", f"{bundle.name} was {BY_LAXER_POLICY}: {bundle.lax_policy}"
    if served.instead:
        yield "edgetpu_unavailable", f"the CPU does its work: {served.instead}"
    if served.ungated:
        yield "ungated", f"{bundle.name} runs {UNGATED}"
    if served.licence.expired:
        yield "acceptance_expired", served.licence.expired
    for gate in served.gates_off:
        yield "gate_off", f"the profile turns the gate {gate} off"


def _control_watch(served: Served, camera: Camera, folder: Path, settings: Settings, clock: Clock) -> ControlWatch:
    bundle = served.bundle
    under = of_instrument(bundle.name, bundle.digest, camera.uri, setup_digest(camera) or "")
    record = ControlRecord(control_folder(folder))
    return ControlWatch(record, settings.control, under, clock, accepted=served.licence.accepted)
