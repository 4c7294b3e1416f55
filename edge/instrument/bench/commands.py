"""The commands of the bench, each done once, durably, and with who gave it in the record."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from edge.instrument.bench.done import done_before, result_of
from edge.instrument.bench.exposure import AS_IT_WAS, ExposureLock
from edge.instrument.bench.modes import Refused, act_of
from edge.instrument.bench.references import References
from edge.instrument.bench.selector import Ask, FieldSelector
from edge.instrument.bench.slide import OpenSlide
from edge.instrument.bench.telling import correction, judged
from edge.instrument.session import Session
from edge.instrument.socket.commands import arguments
from edge.instrument.socket.messages import Command, Message
from edge.record.entry_parts import moment
from edge.record.slide_entries import CommandBody, CorrectionBody
from edge.record.slide_queries import newest_act

FRAME_S = 5.0  # within which a field that is asked for must be taken
STORED_S = 20.0  # within which it must be stored
_WRONG = {"corrects": "unknown_field", "label": "unknown_label"}  # by the argument that a correction's error names


class Commands:
    """Does commands; `do` is called by one thread at a time.

    Args:
        newest: metadata of the newest frame. publish: takes what is to be told at the socket.
    """

    def __init__(
        self,
        session: Session,
        selector: FieldSelector,
        slide: OpenSlide,
        exposure: ExposureLock,
        references: References,
        newest: Callable[[], Mapping[str, Any]],
        publish: Callable[[Message], None],
    ) -> None:
        self._session, self._selector, self._slide = session, selector, slide
        self._exposure, self._references, self._newest, self._publish = exposure, references, newest, publish
        self._given_up = threading.Event()
        self._waiting: dict[str, Ask] = {}  # fields that were taken, and not stored when their command was answered

    def give_up(self) -> None:
        """Wait for no further frame."""
        self._given_up.set()

    def do(self, command: Command) -> dict[str, Any]:
        """Do a command; its result, now or from when it was done.

        Raises:
            Refused: it is not done. StoreFull, StoreError, CameraError: it cannot be done now.
        """
        given: Any = arguments(command)
        before = done_before(self._session.store, command)
        if before is not None:
            return self._with_reference(command, before) if command.name == "reference" else before
        if full := self._session.recorder.why_full:
            raise Refused("unavailable", full)
        if (act := act_of(command.name)) is not None:
            self._slide.standing.require(command.name, given.slide or "")
            if command.name in ("open", "reopen"):
                self._require_known(command.name, given.slide)
            number, body = self._slide.act(act, given.slide or "", by=command.by, command=command.id)
            return result_of(self._session.store, number, body)
        return {
            "judge": self._judge,
            "automatic": self._automatic,
            "exposure": self._lock_exposure,
            "reference": self._reference,
            "correct": self._correct,
        }[command.name](command, given)

    def body(self, name: str, command: str, by: str, given: Mapping[str, Any], refused: str = "") -> CommandBody:
        """What is recorded of a command that is about no slide's state."""
        return CommandBody(
            run=self._session.runs.number,
            slide=self._slide.standing.slide or None,
            **moment(self._session.clock.now()),
            command=command,
            name=name,
            by=by,
            arguments=dict(given),
            refused=refused,
        )

    def _require_known(self, name: str, slide: str) -> None:
        known = newest_act(self._session.store, slide)
        if name == "open" and known is not None:
            raise Refused("wrong_state", f"slide {slide} was {known[1].act} before; reopen it")
        if name == "reopen" and known is None:
            raise Refused("unknown_slide", f"slide {slide} was never opened")

    def _judge(self, command: Command, given: Any) -> dict[str, Any]:
        self._slide.standing.require("judge", given.slide or "")
        asked = self._waiting.get(command.id) or self._selector.ask(command.by, command.id, command.arguments)
        found = self._selector.wait_for(asked, FRAME_S, STORED_S, self._given_up)
        if found is not None:
            self._waiting.pop(command.id, None)
            return judged(found.id, found)
        if self._given_up.is_set():
            raise Refused("ended", "the instrument ends")
        if asked.answered.cancelled():
            self._refused(command, f"no frame came within {FRAME_S:g} s")
        self._waiting[command.id] = asked
        full = self._session.recorder.why_full or f"the record took more than {STORED_S:g} s"
        raise Refused("unavailable", f"the field was taken, and is not stored yet: {full}")

    def _automatic(self, command: Command, given: Any) -> dict[str, Any]:
        result = self._recorded(command)
        self._selector.automatic = given.on
        return result

    def _lock_exposure(self, command: Command, given: Any) -> dict[str, Any]:
        try:
            detail = self._exposure.lock(given.locked, self._newest())
        except Refused as refused:
            self._refused(command, refused.detail)
        result = self._recorded(command)
        if detail != AS_IT_WAS:
            self._session.event("exposure_locked" if given.locked else "exposure_automatic", detail)
        return result

    def _reference(self, command: Command, given: Any) -> dict[str, Any]:
        if self._references.taken_for(command.id) is None:  # else it was killed before it could say so
            self._slide.standing.require("reference")
            try:
                self._references.take(self._slide.standing.slide, given.label, command.by, command.id)
            except Refused as refused:
                if refused.problem != "unavailable":
                    raise
                self._refused(command, refused.detail)
        return self._with_reference(command, self._recorded(command))

    def _with_reference(self, command: Command, result: dict[str, Any]) -> dict[str, Any]:
        taken = self._references.taken_for(command.id)
        return result if taken is None else {**result, "slide": taken[1].slide, "field": taken[1].field}

    def _correct(self, command: Command, given: Any) -> dict[str, Any]:
        body = CorrectionBody(
            slide=given.slide,
            **moment(self._session.clock.now()),
            corrects=given.field,
            verdict=0,  # filled in
            by=command.by,
            label=given.label,
            agrees=given.agrees,
            note=given.note,
            command=command.id,
        )
        try:
            row, body = self._session.store.append_correction(body)
        except ValueError as error:
            problem = _WRONG.get(str(error).partition(" ")[0], "malformed")
            raise Refused(problem, str(error)) from None
        self._slide.corrected(row.id, body)
        self._publish(correction(row.id, body))
        return result_of(self._session.store, row.id, body)

    def _recorded(self, command: Command) -> dict[str, Any]:
        body = self.body(command.name, command.id, command.by, command.arguments)
        row = self._session.store.append_command(body)
        self._slide.newest = max(self._slide.newest, row.id)
        return result_of(self._session.store, row.id, body)

    def _refused(self, command: Command, why: str) -> NoReturn:
        """Record that a command was tried and could not be done, and say so."""
        self._session.store.append_command(self.body(command.name, command.id, command.by, command.arguments, why))
        raise Refused("unavailable", why)
