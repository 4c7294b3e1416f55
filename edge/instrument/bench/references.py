"""Reference fields at the bench: one field of the open slide, as `edge collect` takes them."""

import threading
from time import monotonic

from edge.cameras.base import Camera, CameraSettings
from edge.cameras.supervised import SupervisedCamera
from edge.commissioning.patient_names import operator_hint
from edge.commissioning.reference.quality import WARM_UP, RelativeQuality, sharpest_known
from edge.commissioning.reference.record import collected, has_references, reference_folder, references
from edge.commissioning.reference.taker import Captured, FieldTaker, NotTaken, Whose
from edge.commissioning.reference.tally import Tally
from edge.errors import StoreBusy
from edge.instrument.bench.modes import Refused
from edge.instrument.pipeline.selection import Look
from edge.record.entries import ReferenceBody
from edge.record.entry_parts import SLIDE
from edge.record.reader import Row
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.queues import Handover

_PATIENCE_S = 2.0  # for a fit field, before the reason why none is is given
_FRAME_S = 5.0  # for a frame


class References:
    """Takes reference fields into the reference record beside a device's.

    Args:
        store: the device's. camera: that frames come from, supervised. settings: asked of it. software: name and
            version.
    """

    def __init__(
        self,
        store: Store,
        camera: Camera,
        supervised: SupervisedCamera,
        settings: CameraSettings,
        clock: Clock,
        software: str,
    ) -> None:
        self._store, self._camera, self._settings, self._clock = store, camera, settings, clock
        self._supervised, self._software = supervised, software
        self._wanted = threading.Event()
        self._frames: Handover[Captured] = Handover(1, newest_wins=True)
        self._sharpest: float | None = None  # of this camera, as far as this process has seen

    def offer(self, look: Look) -> None:
        """A frame, by the gate stage; copied while one is wanted."""
        if self._wanted.is_set():
            self._frames.put(Captured(look.pixels.copy(), look.at, look.sequence, look.source, look.metadata))

    def taken_for(self, command: str) -> tuple[Row, ReferenceBody] | None:
        """The field that a command has taken before; None where it has taken none."""
        if not has_references(self._store.folder):
            return None
        with Store.open(reference_folder(self._store.folder), read_only=True) as record:
            return next((each for each in references(record) if each[1].reference.command == command), None)

    def take(self, slide: str, label: str, by: str, command: str) -> tuple[Row, ReferenceBody]:
        """Take the next fit field of a slide; durable on return.

        Raises:
            Refused: no fit field came, with the gate's reason; the slide or class cannot be; `edge collect` is at work.
            StoreFull, StoreError: of the reference record.
        """
        if not SLIDE.fullmatch(label):
            raise Refused("malformed", f"label must be 1 to 64 of A-Z a-z 0-9 . _ -; got {label!r}")
        before = collected(self._store.folder)
        tally = Tally.of(before)
        if (known := tally.labels.get(slide, label)) != label:
            raise Refused("wrong_state", f"slide {slide} has reference fields of {known}, and a slide has one class")
        for name, others in ((slide, tally.labels), (label, tally.classes)):
            near = next((each for each in others if each != name and each.casefold() == name.casefold()), None)
            if near is not None:
                raise Refused("wrong_state", f"{name} differs from {near}, which was used before, in capitals only")
        operator = "" if operator_hint(by) else by
        whose = Whose(slide, label, self._software, operator=operator, command=command)
        quality = RelativeQuality(
            min(filter(None, (sharpest_known(self._camera, before), self._sharpest)), default=None)
        )
        try:
            with Store.open(reference_folder(self._store.folder)) as record:
                return self._take(record, whose, quality)
        except StoreBusy as error:
            raise Refused("unavailable", f"reference fields are being collected by another process: {error}") from error
        finally:
            self._wanted.clear()
            self._sharpest = quality.sharpest

    def _take(self, record: Store, whose: Whose, quality: RelativeQuality) -> tuple[Row, ReferenceBody]:
        taker = FieldTaker(record, whose, self._camera, self._settings, quality)
        self._frames.get(0)
        self._wanted.set()
        looked = 0
        while quality.wants_a_first_look or (0 < looked < WARM_UP):  # how sharp can a field of this camera be?
            quality.judge(self._next().pixels)
            looked += 1
            if looked >= WARM_UP:
                break
        record.begin_collection(whose.slide, self._clock.now(), f"a field of {whose.label}, asked for at the bench")
        stored, deadline = 0, monotonic() + _PATIENCE_S
        try:
            while True:
                taken = taker.take(self._next(), self._supervised.mode.controls)
                if not isinstance(taken, NotTaken):
                    stored = 1
                    return taken
                if monotonic() >= deadline:
                    raise Refused("unavailable", f"no field was taken: {taken.detail}")
        finally:
            record.end_collection(whose.slide, self._clock.now(), f"{stored} stored")

    def _next(self) -> Captured:
        frame = self._frames.get(_FRAME_S)
        if frame is None:
            raise Refused("unavailable", f"no frame came within {_FRAME_S:g} s")
        return frame
