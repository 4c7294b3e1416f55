"""One run of the instrument: a camera's frames to stored verdicts, until a signal ends it."""

import logging
import signal
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC, UNGATED
from edge.bundle.trusted import TrustedKeys
from edge.cameras.base import Camera
from edge.cameras.setup.set_up_camera import is_set_up, open_set_up, setup_digest
from edge.cameras.supervised import CameraEvent, SupervisedCamera
from edge.commands.command_line import Outcome
from edge.commands.run_output import VerdictOutput, printing
from edge.commands.terminal.log import messages_through
from edge.commissioning.camera.changes import setup_change
from edge.commissioning.camera.light_watch import LIGHT, LightWatch, said
from edge.commissioning.control.camera_lease import CameraLease
from edge.commissioning.control.control_record import ControlRecord, control_folder
from edge.commissioning.control.expiry import UNREADABLE
from edge.commissioning.control.series import of_instrument
from edge.commissioning.control.watch import ControlWatch, lost_end
from edge.errors import (
    ANSWER_IS_NO,
    DONE,
    MACHINE_LACKS,
    CameraError,
    GoldenMismatchError,
    LeukoscopeError,
    ModelFileError,
    StoreFull,
    UpdateError,
)
from edge.inference.licence import RULE
from edge.instrument.pipeline.counters import Counts
from edge.instrument.pipeline.housekeeping import Housekeeping
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.instrument.pipeline.sd_notify import Notifier
from edge.instrument.pipeline.tuning import tune_process
from edge.instrument.pipeline.watchdog import Watchdog
from edge.record.image_sampling import ImageSampler
from edge.record.store import Store
from edge.serving.boot import Start, start
from edge.serving.bundle_watch import BundleWatch
from edge.serving.run_info import run_info
from edge.serving.selftest import SelfTester
from edge.serving.selftest_schedule import DailySelfTest, record_failure
from edge.serving.serve import RESEARCH_USE, Served, serve
from edge.serving.slot_watch import SlotWatch
from edge.serving.trust_watch import TrustWatch
from edge.serving.update.slots import Slots, default_slots
from edge.settings.profile import Settings
from edge.system.clock import Clock
from edge.system.interrupts import stop_on
from edge.system.line_writer import LineWriter
from edge.system.wording import counted

_log = logging.getLogger(__name__)

_TICK_S = 0.25
_LOOK_AT_BUNDLE_EVERY, _TELL_LIGHT_EVERY = 8, 14_400  # ticks; the latter an hour
_STOP_GRACE_S = 1.0  # after which a camera that still blocks is closed under its thread
_STAGES_END_S = 2.0  # for stages to end that have nothing left to do; a capture that hangs is not waited for longer


@dataclass(frozen=True)
class RunRequest:
    """One run. `frames` None is until stopped; `every` judges each frame, however long it takes."""

    settings: Settings
    slide: str
    frames: int | None
    every: bool
    json: bool
    allow_uncertified: bool
    allow_unsigned: bool = False

    def execute(self) -> Outcome:
        """Run until the frames are judged, a replay ends, or SIGINT or SIGTERM comes.

        Returns:
            Code 0 and the counts; 1 when a replay held nothing that could be read; 4 when the disk had no room for the
            last verdicts.

        Raises:
            GoldenMismatchError: a self-test failed, at the start or later; the record says so, and it exits with 1.
            LeukoscopeError: no bundle, camera or store; what was stored before is safe.
        """
        notes = LineWriter(sys.stderr)
        with messages_through(notes):
            try:
                return self._execute()
            finally:
                notes.close()

    def _execute(self) -> Outcome:
        tune_process()
        _log.info(RESEARCH_USE)
        folder, notifier = self.settings.store, Notifier.from_environment()
        slots = Slots(default_slots())
        try:
            started = self._start(slots)
        except (GoldenMismatchError, ModelFileError, UpdateError) as error:
            notifier.stopping(f"the self-test failed: {error}")
            SelfTester(folder).failed(str(self.settings.model.bundle or "the shipped bundle"), error)
            record_failure(folder, str(error))
            raise
        watch = SlotWatch(slots, started, named=self.settings.model.bundle is not None)
        with watch.serving():
            camera = open_set_up(self.settings.camera_uri, self.settings.camera_setup)
            if camera.notice:
                _log.warning(camera.notice)
            with (
                stop_on(signal.SIGINT, signal.SIGTERM) as stop,
                printing(stop) as output,
                Store.open(folder) as store,  # closed before a reader that is slow is waited for
            ):
                return _Run(self, started, watch, camera, store, stop, notifier, output).outcome()

    def _start(self, slots: Slots) -> Start:
        """The bundle that is named; else a slot's, the other one's where the current fails; else the shipped one."""
        named = self.settings.model.bundle
        if named is None and slots.populated:
            return start(slots, lambda place: self._serve(slots.path(place)))
        return Start(self._serve(named))

    def _serve(self, bundle: Path | None) -> Served:
        return serve(
            replace(self.settings.model, bundle=bundle),
            trust=TrustedKeys.load(self.settings.trust.keys),
            allow_uncertified=self.allow_uncertified,
            allow_unsigned=self.allow_unsigned,
            gates_off=self.settings.gates_off,
            site=self.settings.site,
        )


class _Run:
    """What lives as long as one run: the pipeline, its recorder, and what is looked after beside them."""

    def __init__(
        self,
        request: RunRequest,
        started: Start,
        slots: SlotWatch,
        camera: Camera,
        store: Store,
        stop: threading.Event,
        notifier: Notifier,
        output: LineWriter,
    ) -> None:
        served = started.served
        settings, self._clock = request.settings, Clock()
        self._control = _control_watch(served, camera, store.folder, settings, self._clock)
        if camera.kind != "replay":  # its files were taken elsewhere
            gone = UNREADABLE if lost_end(store, control_folder(store.folder)) else ""
            served = served.under(setup_digest(camera) or "").changed(self._control.expired or gone)
        self._request, self._served, self._slots, self._camera = request, served, slots, camera
        self._store, self._stop, self._notifier = store, stop, notifier
        self._output = output
        self._verdicts = VerdictOutput(
            output,
            as_json=request.json,
            labels=served.bundle.contract.labels,
            provenance=served.provenance,
            simulated=bool(camera.notice),
            camera_setup=setup_digest(camera),
        )
        before = store.last_run()
        info = run_info(served, camera, request.slide, settings)
        self._run = store.begin(info, self._clock.now())
        self._housekeeping = Housekeeping(store, settings.retention, self._clock)
        self._recorder = Recorder(
            store,
            self._run,
            clock=self._clock,
            count=settings.record.commit_count,
            wait_s=settings.record.commit_ms / 1e3,
            on_stored=self._verdicts.announce,
            on_state=_log.info,
            housekeeping=self._housekeeping,
        )
        for kind, detail in started.events:
            self._recorder.event(kind, detail)
        if served.bundle.signed is None and request.allow_unsigned:
            self._event("unsigned", f"--allow-unsigned: no trusted key signed {served.bundle.name}")
        if served.bundle.synthetic:
            self._event("synthetic_certificate", f"{served.bundle.name} was {ON_SYNTHETIC}")
        if served.bundle.lax_policy:
            self._event("lax_policy", f"{served.bundle.name} was {BY_LAXER_POLICY}: {served.bundle.lax_policy}")
        if served.instead:
            self._event("edgetpu_unavailable", f"the CPU does its work: {served.instead}")
        if served.ungated:
            self._event("ungated", f"{served.bundle.name} runs {UNGATED}")
        if served.licence.expired:
            self._event("acceptance_expired", served.licence.expired)
        for gate in served.gates_off:
            self._event("gate_off", f"the profile turns the gate {gate} off")
        if change := setup_change(camera, before):
            self._event("camera_setup_changed", change)
        elif settings.camera_setup is not None and not is_set_up(camera):
            _log.info(f"{camera.uri} runs without a set-up: the profile's is of another camera")
        self._expired = ""
        self._look_at_controls()
        self._supervised = SupervisedCamera(
            camera,
            settings.camera,
            on_event=self._camera_event,
            timeout_s=settings.timeout_s,
            stop=stop,
            lent=CameraLease(control_folder(store.folder)).wanted,
        )
        self._selftest = DailySelfTest(
            SelfTester(store.folder), served, self._event, every_s=3600 * settings.selftest.every_hours
        )
        every = request.every or not camera.live
        keep = settings.record.keep or ("none" if camera.kind == "replay" else "every" if every else "second")
        self._light = LightWatch(camera)
        self._pipeline = Pipeline(
            self._supervised,
            served.gates,
            served.classifier,
            self._recorder,
            sampler=ImageSampler(keep),
            clock=self._clock,
            every=every,
            frames=request.frames,
            licence=served.licence,
            between=self._selftest,
            withheld=self._control.withheld,
            gated=self._light,
        )
        self._watchdog = Watchdog(
            notifier,
            self._pipeline,
            self._supervised,
            self._recorder,
            on_hang=lambda hang: self._event("hang", hang),
            timeout_s=self._supervised.timeout_s,
        )

    def outcome(self) -> Outcome:
        why = "failed"
        try:
            self._selftest.at_start()
            self._supervised.start()
            self._verdicts.begin()
            self._pipeline.start()
            self._notifier.ready(f"{self._served.bundle.name} serves")
            why = self._watch()
        except CameraError as error:
            why = f"camera: {error}"
            raise
        except LeukoscopeError as error:
            why = str(error)
            raise
        finally:
            self._notifier.stopping(why)
            self._pipeline.stop()
            self._supervised.close()
            self._pipeline.wait_ended(_STAGES_END_S)
            counts = self._close_run(why)
        text = f"{counts.stored} stored of {counts.captured} captured ({counts.dropped} dropped for newer ones); "
        text += self._verdicts.summary()
        accepted = self._served.bundle.acceptance if self._served.licence.accepted else None
        fewest = min((slide.fields for slide in accepted.slides), default=1) if accepted else 1
        finding = self._verdicts.finding(self._served.bundle.contract.benign_labels, fewest)
        if accepted and finding is not None:
            text += f"; slide {self._request.slide}: {finding} by the rule {RULE}"
        if self._housekeeping.held_back:
            text += f"; retention: {self._housekeeping.held_back}"
        if counts.unstored:
            _log.error(f"no room for the last verdicts ({counts.unstored}); they were not announced")
        code = MACHINE_LACKS if counts.unstored else DONE
        if self._camera.kind == "replay" and why == "complete" and not counts.captured:
            _log.error("no frame of the replay could be read; the record's events say why")
            code = ANSWER_IS_NO
        if self._request.json:  # standard output carries verdicts only
            _log.info(text)
        else:
            self._output.put([text])
        return Outcome(code, record=[])

    def _close_run(self, why: str) -> Counts:
        """Store the last events and the counts, which it returns; where that cannot be, the run shows as not ended.

        While the record stage may still be in a commit, nothing is stored from here: it would be stored twice.
        """
        if not self._pipeline.recording_ended:
            _log.warning("the last commit has not come back; the run shows as not ended, and nothing recorded is lost")
            return self._pipeline.counts
        if self._output.lost:
            self._event(
                "output_lost", f"{counted(self._output.lost, 'line')} could not be printed ({self._output.why})"
            )
        self._tell_light()
        try:
            if self._recorder.commit():
                counts = self._pipeline.counts.with_stored(self._store.stored(self._run))
                self._store.end(self._run, self._clock.now(), counts.as_dict(), why)
                return counts
        except StoreFull as error:
            _log.warning(f"the end of the run is not recorded: {error}")
        return self._pipeline.counts

    def _watch(self) -> str:
        """Wait for the end, with an eye on clock and bundle; why it ended."""
        bundle, trust, ticks = BundleWatch(self._served.bundle), self._trust_watch(), 0
        told, withdrawn = False, ""
        while not self._pipeline.join(_TICK_S):
            ticks += 1
            self._watchdog.look(stopping=told)
            jump = self._clock.jumped()
            if jump is not None:
                self._event("clock_jump", f"the clock moved by {jump:+.1f} s")
            if ticks % _LOOK_AT_BUNDLE_EVERY == 0:
                if change := bundle.change():
                    self._event("bundle_changed", change)
                self._look_at_slots()
                self._look_at_controls()
                if not withdrawn and (withdrawn := trust.withdrawn()):
                    self._event("bundle_withdrawn", f"{withdrawn}; the run ends")
                    self._stop.set()
            if ticks % _TELL_LIGHT_EVERY == 0:
                self._tell_light()
            if self._stop.is_set() and not told:
                told = True
                self._pipeline.stop()
                if not self._pipeline.join(_STOP_GRACE_S):
                    self._supervised.close()
        return withdrawn or self._expired or self._slots.switched or ("stopped" if told else "complete")

    def _trust_watch(self) -> TrustWatch:
        bundle, request = self._served.bundle, self._request
        keys, allowed = request.settings.trust.keys, request.allow_unsigned
        return TrustWatch(bundle.path, bundle.manifest, bundle.signature, keys, allow_unsigned=allowed)

    def _look_at_slots(self) -> None:
        """Confirm a bundle on trial; end in order once another one is to serve."""
        for kind, detail in self._slots.look(self._pipeline.counts.classified):
            self._event(kind, detail)
        if self._slots.switched:
            self._stop.set()

    def _look_at_controls(self) -> None:
        """Say how the demanded control stands; end in order where the controls say that an acceptance has expired."""
        for kind, detail in self._control.look():
            self._event(kind, detail)
        if self._control.expired and self._served.licence.accepted and self._camera.kind != "replay":
            self._expired = f"acceptance expired: {self._control.expired}"
            self._event("acceptance_expired", f"{self._control.expired}; the run ends, and the next one goes by it")
            self._stop.set()

    def _tell_light(self) -> None:
        """Store how bright and sharp the camera has seen since the last time."""
        if measures := self._light.taken():
            self._recorder.event(LIGHT, said(measures), measures)
        for warning in self._light.warnings(measures):
            _log.warning(warning)

    def _camera_event(self, event: CameraEvent) -> None:
        self._event(event.kind, event.detail)

    def _event(self, kind: str, detail: str) -> None:
        _log.info(f"{kind}: {detail}")
        self._recorder.event(kind, detail)


def _control_watch(served: Served, camera: Camera, folder: Path, settings: Settings, clock: Clock) -> ControlWatch:
    bundle = served.bundle
    under = of_instrument(bundle.name, bundle.digest, camera.uri, setup_digest(camera) or "")
    record = ControlRecord(control_folder(folder))
    return ControlWatch(record, settings.control, under, clock, accepted=served.licence.accepted)
