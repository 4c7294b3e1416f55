"""The bench as the socket asks it: commands to entries of the record, and how the instrument stands."""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any, cast

from edge.cameras.setup.set_up_camera import setup_digest
from edge.errors import CameraError, LeukoscopeError, StoreError, StoreFull
from edge.instrument.bench.commands import Commands
from edge.instrument.bench.exposure import ExposureLock
from edge.instrument.bench.modes import Refused
from edge.instrument.bench.references import References
from edge.instrument.bench.selector import FieldSelector, Seen
from edge.instrument.bench.slide import OpenSlide
from edge.instrument.bench.telling import limits, meters, verdict
from edge.instrument.hooks import Hooks
from edge.instrument.pipeline.selection import Look
from edge.instrument.session import Session
from edge.instrument.socket.messages import Answer, Bundle, Command, Event, Hello, Message, Problem, Rule, State
from edge.instrument.socket.server import SocketServer
from edge.record.entries import Entry, Stored
from edge.record.slide_entries import CommandBody
from edge.slides.rules import rule_named
from edge.system.clock import boot_id

_log = logging.getLogger(__name__)

_METERS_EVERY_S = 0.1
_RATE_OVER_S = 3.0  # of frames a second
_ENDS_S = 5.0  # for the command that is being done
_AWAY = ("stall", "lost", "lent", "frozen")  # events of a camera that gives no frames


class Desk(Hooks):
    """A session's bench: `edge.instrument.socket.workers.Bench` to the socket, `Hooks` to the session.

    Args:
        session: that runs no slide by itself, with the selector. socket: where to listen. then: what else is to be done
            with what the session tells.

    Raises:
        SettingsError: the profile names no rule for a slide's finding.
    """

    def __init__(self, session: Session, selector: FieldSelector, socket: Path, then: Hooks) -> None:
        self._settings, self._session, self.selector, self._then = session.plan.settings, session, selector, then
        self._rule = rule_named(self._settings.slide.rule)
        self._instrument = secrets.token_hex(16)
        self._software = f"leukoscope {metadata.version('leukoscope')}"
        self._one = threading.Lock()  # command after command, and an acceptance that expires between two
        self._ended = ""
        self._camera_wrong = ""
        self._metadata: Mapping[str, Any] = {}
        self._meters_due = 0.0
        self._frames: deque[tuple[float, int]] = deque()
        self._shown: tuple[object, ...] = ()
        self._server = SocketServer(socket, self, group=self._settings.bench.group or "")
        camera, asked = session.camera, self._settings.camera
        self._exposure = ExposureLock(camera, session.supervised, asked)
        self._references = References(session.store, camera, session.supervised, asked, session.clock, self._software)
        self._open = OpenSlide(session, selector, self._settings.slide, self._publish)
        self._commands = Commands(
            session, selector, self._open, self._exposure, self._references, lambda: self._metadata, self._publish
        )
        session.hooks, session.runs.asked, selector.looked = self, self._asked, self._looked
        selector.automatic = self._settings.bench.automatic

    def take_up(self, slide: str) -> None:
        """At the start: go on with the slide that was open, paused; else open the one that is named, "" for none."""
        self._open.take_up(slide)

    # --- as the socket asks -----------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """Who the instrument is."""
        settings, served, camera = self._settings, self._session.served, self._session.camera
        of, contract, rule = served.provenance, served.bundle.contract, self._rule
        return Hello(
            software=self._software,
            instrument=self._instrument,
            boot=boot_id(),
            bundle=Bundle(
                name=served.bundle.name,
                digest=served.bundle.digest,
                version=of.version,
                signed_by=of.signed_by,
                certified=served.bundle.certified,
                acceptance=served.licence.acceptance,
                synthetic=served.bundle.synthetic,
            ),
            labels=contract.labels,
            benign=tuple(contract.benign_labels),
            camera=camera.uri,
            simulated=bool(camera.notice),
            camera_setup=setup_digest(camera),
            site=settings.site.name,
            study=settings.site.study,
            rule=Rule(name=rule.name, words=rule.words, fields=settings.slide.fields, width=settings.slide.width),
            gates=limits(served.gates),
            size=self._session.supervised.mode.size,
        )

    def state(self) -> State:
        """How the instrument is now."""
        session, standing = self._session, self._open.standing
        at, held = session.clock.now(), session.control.withheld()
        tally, finding = self._open.counted()
        return State(
            mode=standing.mode,
            slide=standing.slide or None,
            why=standing.why,
            automatic=self.selector.automatic,
            exposure_locked=self._exposure.locked,
            camera=(self._camera_wrong or "away") if session.supervised.away else "ok",
            record=session.recorder.why_full or "ok",
            withheld=held.detail if held is not None else session.served.licence.why,
            counters=self._open.counters(),
            fps=round(self._rate(), 1),
            tally=tally,
            finding=finding,
            entry=self._open.newest,
            utc_ns=at.utc_ns,
            monotonic_ns=at.monotonic_ns,
        )

    def command(self, command: Command) -> Answer:
        """Do a command, durably; one that was done before is answered alike."""
        with self._one:
            try:
                if self._ended:
                    raise Refused("ended", self._ended)
                result = self._commands.do(command)
            except Refused as refused:
                return Answer(
                    id=command.id, ok=False, error=cast(Problem, refused.problem), detail=_one_line(refused.detail)
                )
            except (StoreFull, StoreError, CameraError) as error:
                _log.warning(f"command {command.name} was not done: {error}")
                return Answer(id=command.id, ok=False, error="unavailable", detail=_one_line(str(error)))
            except LeukoscopeError as error:
                return Answer(id=command.id, ok=False, error="failed", detail=_one_line(str(error)))
        self._publish(self.state())
        return Answer(id=command.id, ok=True, result=result)

    # --- as the session tells ---------------------------------------------------------------------------------

    def begins(self) -> None:
        self._server.start()
        self._then.begins()

    def stored(self, stored: list[Stored]) -> None:
        self._open.stored(stored)
        self.selector.stored(stored)
        self._then.stored(stored)
        labels = self._session.served.bundle.contract.labels
        for each in stored:
            self._publish(verdict(each, labels))
        self._publish(self.state())

    def happened(self, kind: str, detail: str) -> None:
        if kind in _AWAY:
            self._camera_wrong = detail
        self._publish(Event(id=None, event=kind, detail=_one_line(detail), utc=self._session.clock.now().utc))
        self._then.happened(kind, detail)

    def tick(self) -> None:
        now, captured = monotonic(), self._session.pipeline.counts.captured
        self._frames.append((now, captured))
        while self._frames[0][0] < now - _RATE_OVER_S:
            self._frames.popleft()
        state = self.state()
        shown = (state.mode, state.slide, state.camera, state.record, state.withheld, state.exposure_locked)
        if shown != self._shown:
            self._shown = shown
            self._publish(state)
        self._then.tick()

    def expired(self, why: str) -> bool:
        if self._one.acquire(blocking=False):  # else at the next look: a command is being done
            try:
                self._open.expire(why)
                self._then.expired(why)
            except (Refused, StoreFull) as error:
                _log.warning(f"{why}; the run cannot be ended now: {error}")
            finally:
                self._one.release()
        return True

    def ending(self, why: str) -> None:
        self._ended = f"the instrument ends: {why}"
        self._commands.give_up()
        if self._one.acquire(timeout=_ENDS_S):
            self._one.release()
        self._server.close(self._ended)
        self._then.ending(why)

    def status(self) -> str:
        standing = self._open.standing
        return f"slide {standing.slide} is {standing.mode}" if standing.slide else "no slide is open"

    def lost(self) -> str:
        return self._then.lost()

    # --- inside -----------------------------------------------------------------------------------------------

    def _looked(self, look: Look, seen: Seen) -> None:
        """Every frame, by the gate stage; nothing is measured or shown while nobody looks."""
        self._metadata = look.metadata
        self._references.offer(look)
        server = self._server
        if server.wants_preview():
            server.preview(look.pixels, look.sequence, look.at)
        if server.watched and monotonic() >= self._meters_due:
            self._meters_due = monotonic() + _METERS_EVERY_S
            server.publish(meters(look, seen, self._session.served.gates))

    def _asked(self, entry: Entry) -> CommandBody | None:
        asked = self.selector.asked_for(entry.captured.monotonic_ns)
        return None if asked is None else self._commands.body("judge", asked.command, asked.by, asked.arguments)

    def _publish(self, message: Message) -> None:
        self._server.publish(cast(Any, message))

    def _rate(self) -> float:
        frames = list(self._frames)
        if len(frames) < 2 or frames[-1][0] <= frames[0][0]:
            return 0.0
        return (frames[-1][1] - frames[0][1]) / (frames[-1][0] - frames[0][0])


def _one_line(text: str) -> str:
    return " ".join(text.split())
