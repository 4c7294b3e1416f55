"""The slide that is open: its runs, its counts, and what happens to it."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from edge.instrument.bench.modes import AT_START, Refused, Standing
from edge.instrument.bench.seen import FieldMemory
from edge.instrument.bench.selector import FieldSelector
from edge.instrument.bench.telling import act as told
from edge.instrument.session import Session
from edge.instrument.socket.messages import Message
from edge.record.entries import Stored
from edge.record.entry_parts import moment
from edge.record.slide_entries import Act, CorrectionBody, SlideBody
from edge.record.slide_queries import automatic_set, newest_act, open_slide
from edge.slides.finding import SlideFinding, finding_of
from edge.slides.settings import SlideSettings
from edge.slides.tally import Tally

_log = logging.getLogger(__name__)

_DRAINS_S = 10.0  # for the fields on their way to be stored


class OpenSlide:
    """The one slide of a session that may be open.

    Every method but `stored` and `counted` is called by one thread at a time.

    Args:
        publish: takes what is to be told at the socket.

    Attributes:
        standing: how it stands. newest: the newest entry of the record that is known here.
    """

    def __init__(
        self, session: Session, selector: FieldSelector, settings: SlideSettings, publish: Callable[[Message], None]
    ) -> None:
        self._session, self._selector, self._settings, self._publish = session, selector, settings, publish
        self.standing = Standing()
        self.newest = session.store.head().id
        self._counting = threading.Lock()
        self._tally: Tally | None = None

    # --- what is counted --------------------------------------------------------------------------------------

    def stored(self, stored: list[Stored]) -> None:
        """Verdicts of the slide are in the record."""
        with self._counting:
            for each in stored:
                self.newest = max(self.newest, each.id)
                if self._tally is not None:
                    self._tally.add(each.entry)

    def corrected(self, number: int, body: CorrectionBody) -> None:
        """A correction, of any slide, is in the record."""
        with self._counting:
            self.newest = max(self.newest, number)
            if self._tally is not None and body.slide == self.standing.slide:
                self._tally.correct(body)

    def counted(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Tally and finding so far, as their records; None without a slide."""
        with self._counting:
            if self._tally is None:
                return None, None
            return self._tally.as_record(), self._finding(self._tally).as_record()

    def counters(self) -> dict[str, int]:
        """Frames of the run by outcome; of all since the start where none is open."""
        counts = self._session.pipeline.counts
        return (counts if self._session.runs.number is None else self._session.runs.counts(counts)).as_dict()

    def _finding(self, tally: Tally) -> SlideFinding:
        served = self._session.served
        accepted = served.bundle.acceptance if served.licence.accepted else None
        fewest = min((each.fields for each in accepted.slides), default=0) if accepted else 0
        return finding_of(tally, self._settings, served.licence, fewest)

    # --- what happens -----------------------------------------------------------------------------------------

    def act(
        self, act: Act, slide: str = "", *, by: str = "", command: str = "", why: str = ""
    ) -> tuple[int, SlideBody]:
        """Let that happen to the slide, durably; its entry's number, and the entry.

        Raises:
            Refused: fields are on their way to a record that takes none. StoreFull, StoreError: of the record.
        """
        session, slide = self._session, slide or self.standing.slide
        body = SlideBody(
            run=session.runs.number,
            slide=slide,
            **moment(session.clock.now()),
            act=act,
            by=by,
            command=command,
            why=why,
        )
        if session.runs.number is None:
            number, body = self._begin(body)
        elif act == "closed":
            number, body = self._close(body)
        elif act == "paused":
            number = self._pause(body)
        else:
            number = session.store.append_slide(body).id
            self._selector.go_on()
        self.standing = self.standing.after(act, slide, why)
        if act == "closed":
            with self._counting:
                self._tally = None
        self.newest = max(self.newest, number)
        _log.info(f"slide {slide} was {act}" + (f" by {by}" if by else "") + (f": {why}" if why else ""))
        self._publish(told(number, body))
        return number, body

    def take_up(self, slide: str) -> None:
        """At the start: the slide that was open before, paused; else the one that is named, "" for none."""
        before = open_slide(self._session.store)
        if before is not None:
            if slide and slide != before[1].slide:
                _log.warning(f"slide {before[1].slide} is still open, so {slide} is not opened")
            if (automatic := automatic_set(self._session.store, before[1].slide)) is not None:
                self._selector.automatic = automatic
            self.act("paused", before[1].slide, why=AT_START)
            return
        if not slide:
            return
        known = newest_act(self._session.store, slide)
        if known is not None:
            _log.warning(f"slide {slide} was {known[1].act} before; open it again at the bench")
            return
        self.act("opened", slide)

    def expire(self, why: str) -> None:
        """Go on under what the bundle may say now that its acceptance has expired: a slide in another run, paused.

        Raises:
            Refused, StoreFull: not now; nothing has changed.
        """
        session, slide = self._session, self.standing.slide
        if not slide:
            session.event("acceptance_expired", f"{why}; benign is not answered")
            session.expire()
            return
        self._hold()
        session.tell_light()
        session.runs.end(session.pipeline.counts, why)
        session.expire()
        self.act("paused", slide, why=f"{why}; benign is not answered")

    def _begin(self, body: SlideBody) -> tuple[int, SlideBody]:
        session, slide = self._session, body.slide
        tally = Tally.from_record(session.store, slide, session.served.bundle.contract.benign_labels)
        memory = FieldMemory.of(session.store, slide)
        run = session.runs.begin(session.info(slide), session.pipeline.counts, body)
        session.note_standing()
        with self._counting:
            self._tally = tally
        self._selector.judge_slide(memory, judging=body.act != "paused")
        found = newest_act(session.store, slide)
        assert found is not None and found[0] == run + 1
        return found

    def _pause(self, body: SlideBody) -> int:
        self._hold()
        try:
            return self._session.store.append_slide(body).id
        except BaseException:
            self._selector.go_on()
            raise

    def _close(self, body: SlideBody) -> tuple[int, SlideBody]:
        session, was = self._session, self.standing.mode
        self._hold()
        try:
            with self._counting:
                assert self._tally is not None
                finding = self._finding(self._tally).as_record()
            session.tell_light()
            session.runs.end(session.pipeline.counts, "closed", replace(body, finding=finding))
        except BaseException:
            if was == "open":
                self._selector.go_on()
            raise
        self._selector.judge_slide(FieldMemory(), judging=False)
        found = newest_act(session.store, body.slide)
        assert found is not None and found[1].act == "closed"
        return found

    def _hold(self) -> None:
        """Choose no further field, and wait for those on their way to be stored."""
        if not self._selector.hold(_DRAINS_S):
            why = self._session.recorder.why_full or f"fields were not stored within {_DRAINS_S:g} s"
            raise Refused("unavailable", why)
