"""One run of the instrument: a camera's frames to stored verdicts, until a signal ends it."""

import logging
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from edge.bundle.trusted import TrustedKeys
from edge.cameras.setup.set_up_camera import open_set_up, setup_digest
from edge.commands.command_line import Outcome
from edge.commands.run_output import VerdictOutput, lines_lost, printing
from edge.commands.terminal.log import messages_through
from edge.errors import (
    ANSWER_IS_NO,
    DONE,
    MACHINE_LACKS,
    GoldenMismatchError,
    ModelFileError,
    UpdateError,
)
from edge.inference.licence import RULE
from edge.instrument.bench.desk import Desk
from edge.instrument.bench.selector import FieldSelector
from edge.instrument.hooks import Hooks
from edge.instrument.pipeline.sd_notify import Notifier
from edge.instrument.pipeline.tuning import tune_process
from edge.instrument.session import Plan, Session
from edge.record.entries import Stored
from edge.record.store import Store
from edge.serving.boot import Start, start
from edge.serving.selftest import SelfTester
from edge.serving.selftest_schedule import record_failure
from edge.serving.serve import RESEARCH_USE, Served, serve
from edge.serving.slot_watch import SlotWatch
from edge.serving.update.slots import Slots, default_slots
from edge.settings.profile import Settings
from edge.system.interrupts import stop_on
from edge.system.line_writer import LineWriter

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRequest:
    """One run. `frames` None is until stopped; `every` judges each frame, however long it takes. With a `socket` it is
    the bench, at which commands open slides: `slide` is opened at once, "" for none."""

    settings: Settings
    slide: str
    frames: int | None
    every: bool
    json: bool
    allow_uncertified: bool
    allow_unsigned: bool = False
    socket: Path | None = None

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
                slide = self.slide if self.socket is None else None
                plan = Plan(self.settings, slide, self.frames, self.every, self.allow_unsigned)
                selector = None if self.socket is None else FieldSelector(self.settings.bench.still_s)
                session = Session(plan, started, watch, camera, store, stop, notifier, selector=selector)
                session.hooks = printed = _Printed(session, output, as_json=self.json)
                if self.socket is not None and selector is not None:
                    Desk(session, selector, self.socket, printed).take_up(self.slide)
                return printed.outcome(session.serve())

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


class _Printed(Hooks):
    """A line a verdict on standard output, and at the end what the run came to."""

    def __init__(self, session: Session, output: LineWriter, *, as_json: bool) -> None:
        self._session, self._output, self._json = session, output, as_json
        served, camera = session.served, session.camera
        self._verdicts = VerdictOutput(
            output,
            as_json=as_json,
            labels=served.bundle.contract.labels,
            provenance=served.provenance,
            simulated=bool(camera.notice),
            camera_setup=setup_digest(camera),
        )

    def begins(self) -> None:
        self._verdicts.begin()

    def stored(self, stored: list[Stored]) -> None:
        self._verdicts.announce(stored)

    def expired(self, why: str) -> bool:
        self._verdicts.under(self._session.served.provenance)
        return False

    def lost(self) -> str:
        return lines_lost(self._output, self._session.stop)

    def outcome(self, why: str) -> Outcome:
        """What the session came to, once it has ended."""
        session, slide = self._session, self._session.plan.slide
        counts = session.counts if slide is not None else session.pipeline.counts
        text = f"{counts.stored} stored of {counts.captured} captured ({counts.dropped} dropped for newer ones); "
        text += self._verdicts.summary()
        if counts.passed_over:
            text = f"{counts.stored} stored; " + self._verdicts.summary()
        bundle = session.served.bundle
        accepted = bundle.acceptance if session.served.licence.accepted else None
        fewest = min((each.fields for each in accepted.slides), default=1) if accepted else 1
        finding = self._verdicts.finding(bundle.contract.benign_labels, fewest)
        if accepted and finding is not None and slide is not None:
            text += f"; slide {slide}: {finding} by the rule {RULE}"
        if session.housekeeping.held_back:
            text += f"; retention: {session.housekeeping.held_back}"
        if counts.unstored:
            _log.error(f"no room for the last verdicts ({counts.unstored}); they were not announced")
        code = MACHINE_LACKS if counts.unstored else DONE
        if session.camera.kind == "replay" and why == "complete" and not counts.captured:
            _log.error("no frame of the replay could be read; the record's events say why")
            code = ANSWER_IS_NO
        if self._json:  # standard output carries verdicts only
            _log.info(text)
        else:
            self._output.put([text])
        return Outcome(code, record=[])
