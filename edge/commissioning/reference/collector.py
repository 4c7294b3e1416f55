"""The collection of one slide: frames to stored reference fields, each of a piece of the slide that is new."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from edge.cameras.base import Camera, CameraSettings
from edge.cameras.supervised import CameraEvent, SupervisedCamera
from edge.commissioning.reference.quality import WARM_UP, FieldQuality
from edge.commissioning.reference.taker import Captured, FieldTaker, NotTaken, Whose, day_of
from edge.errors import EndOfFrames, StoreFull
from edge.record.entries import ReferenceBody
from edge.record.reader import Row
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.progress import Progress
from edge.system.wording import counted

_log = logging.getLogger(__name__)

SAY_EVERY_S, SAY_OTHER_S = 10.0, 3.0  # why nothing is stored: the same reason, another one
_NOT_OF_THE_CAMERA = ("truth", "notice")  # what the virtual microscope adds to a frame's metadata


@dataclass(frozen=True)
class Plan:
    """What is to be collected; names were checked.

    Attributes:
        slide, label: the slide and its class. fields: how many the slide is to have, those of earlier times counted.
        session: "" for `session_name`. operator: role or initials, "" where not said.
        patience_s: seconds without a new field after which the collection ends.
        software: name and version of what records.

    >>> Plan("S-0412", "healthy", 20, software="leukoscope 1").patience_s
    300.0
    """

    slide: str
    label: str
    fields: int
    software: str
    session: str = ""
    operator: str = ""
    patience_s: float = 300.0


@dataclass
class Collection:
    """How a collection went.

    Attributes:
        total: fields that the slide has now. stored: those of this time. refused: frames by why they were not taken.
        why: why it ended: "complete", "stopped", "no more frames" or "nothing new".
        blunt: stored fields that are less sharp than they would have to be by what was seen later.
    """

    total: int
    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    why: str = ""
    blunt: int = 0


class Collector:
    """Collects fields of one slide into an open reference record.

    Args:
        store: the reference record, open for writing.
        camera: constructed, not opened. warm_up: another of the same for a first look at its frames; None looks at
            those of `camera` first, which a live one can spare.
        quality: says which frames are fit.
        stop: when set, the collection ends after the frame in hand.
        on_stored: called after each stored field with its entry; what it raises ends the collection.

    Attributes:
        tally: all reference fields of the record, kept up to date.

    Raises:
        StoreError: an image of the slide is not the one that was recorded.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        camera: Camera,
        settings: CameraSettings,
        quality: FieldQuality,
        *,
        clock: Clock,
        stop: threading.Event,
        timeout_s: float = 2.0,
        warm_up: Camera | None = None,
        on_stored: Callable[[Row, ReferenceBody], None] = lambda row, body: None,
    ) -> None:
        self._store, self._plan, self._camera, self._settings = store, plan, camera, settings
        self._quality, self._clock, self._stop, self._timeout_s = quality, clock, stop, timeout_s
        self._warm_up, self._on_stored = warm_up, on_stored
        whose = Whose(plan.slide, plan.label, plan.software, plan.session, plan.operator)
        self._taker = FieldTaker(store, whose, camera, settings, quality)
        self.tally = self._taker.tally
        self._said: tuple[str, float] = ("", -SAY_EVERY_S)

    def collect(self) -> Collection:
        """Collect until the slide has its fields, the camera has no more frames, nothing new comes, or `stop` is set.

        Raises:
            StoreFull: no room for another field; those before are stored. CameraError: no camera.
        """
        plan = self._plan
        done = Collection(self.tally.of_slide(plan.slide))
        if done.total >= plan.fields:
            done.why = "complete"
            return done
        supervised = SupervisedCamera(
            self._camera, self._settings, on_event=_tell, timeout_s=self._timeout_s, stop=self._stop
        )
        try:
            supervised.start()
            if (now := self._clock.now()).synchronized is False:
                _log.warning(f"this machine's clock is not synchronized: see that today is {day_of(now)}")
            self._store.begin_collection(plan.slide, self._clock.now(), f"{plan.fields} fields of {plan.label}")
            self._look_first(supervised)
            with Progress(f"collecting fields of {plan.slide}", plan.fields) as progress:
                progress.advance(done.total)
                self._fill(supervised, done, progress)
        finally:
            supervised.close()
            with suppress(StoreFull):  # a collection that has no end in the record was cut short, and nothing is lost
                why = done.why or "failed"
                text = f"{why}: {done.stored} stored, the slide has {done.total}"
                self._store.end_collection(plan.slide, self._clock.now(), text)
        limit = self._quality.bluntest
        done.blunt = 0 if limit is None else sum(width > limit for width in self._taker.focus)
        return done

    def _fill(self, camera: SupervisedCamera, done: Collection, progress: Progress) -> None:
        new_at = monotonic()
        while done.total < self._plan.fields:
            if self._stop.is_set():
                done.why = "stopped"
                return
            if monotonic() - new_at > self._plan.patience_s:
                done.why = "nothing new"
                return
            try:
                frame = camera.capture()
            except EndOfFrames:
                done.why = "no more frames"
                return
            if frame is None:
                continue
            captured = Captured(frame.pixels, self._clock.now(), frame.sequence, frame.source, frame.metadata)
            taken = self._taker.take(captured, camera.mode.controls)
            if isinstance(taken, NotTaken):
                self._refuse(done, taken.reason, taken.detail)
                continue
            self._on_stored(*taken)
            done.total, done.stored = done.total + 1, done.stored + 1
            progress.advance()
            new_at = monotonic()
        done.why = "complete"

    def _look_first(self, camera: SupervisedCamera) -> None:
        """Find out how sharp fields of this camera are, where nothing says it; what is looked at is not stored."""
        if not self._quality.wants_a_first_look:
            return
        if self._warm_up is None:
            _log.info(f"looking at {WARM_UP} fields first, for how sharp they are: bring the cells into focus")
            self._look(camera)
            return
        again = SupervisedCamera(
            self._warm_up, self._settings, on_event=lambda event: None, timeout_s=self._timeout_s, stop=self._stop
        )
        try:
            again.start()
            self._look(again)
        finally:
            again.close()

    def _look(self, camera: SupervisedCamera) -> None:
        looked, began = 0, monotonic()
        with suppress(EndOfFrames):
            while looked < WARM_UP and not self._stop.is_set() and monotonic() - began < self._plan.patience_s:
                frame = camera.capture()
                if frame is not None:
                    looked += self._quality.judge(frame.pixels).reason in ("", "out_of_focus")

    def _refuse(self, done: Collection, reason: str, detail: str) -> None:
        done.refused[reason] += 1
        now = monotonic()
        if now - self._said[1] >= (SAY_EVERY_S if reason == self._said[0] else SAY_OTHER_S):
            self._said = reason, now
            _log.info(f"not stored: {detail}")


def summary(done: Collection, plan: Plan) -> str:
    """How a collection went, for a person."""
    text = (
        f"slide {plan.slide} ({plan.label}): {done.total} of {counted(plan.fields, 'field')}, {done.stored} of them now"
    )
    if done.why not in ("complete", ""):
        text += f"; {_ENDED[done.why]}; the same command goes on"
    if done.refused:
        text += "; not stored: " + ", ".join(f"{reason} {number}" for reason, number in sorted(done.refused.items()))
    if done.blunt:
        text += f"; {counted(done.blunt, 'field')} stored before a sharper one was seen: look at the focus"
    return text


_ENDED = {
    "stopped": "stopped",
    "no more frames": "the replay has no more frames",
    "nothing new": "nothing new came for a while: move the slide",
}


def _tell(event: CameraEvent) -> None:
    _log.info(f"{event.kind}: {event.detail}")
