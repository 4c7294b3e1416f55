"""The fields of a slide that were counted, for finding which of them a view shows again."""

import logging
from collections import deque

from msgspec import UNSET

from edge.commissioning.registration import FieldPrint
from edge.errors import ImageFileError
from edge.inference.contract import Pixels
from edge.inference.images import decode_image
from edge.record.entries import VerdictBody
from edge.record.entry_parts import Image
from edge.record.slide_queries import verdicts
from edge.record.store import Store
from edge.slides.seen import SeenFields

_log = logging.getLogger(__name__)

RECENT = 60  # counted fields of a slide that is opened again whose images are read: 40 ms each


class FieldMemory:
    """The counted fields of one slide, by number: the newest of them, so that memory and time are bounded.

    Args:
        turned: the slide may have been put back turned by 180 degrees.
    """

    def __init__(self, *, turned: bool = False) -> None:
        self._fields = SeenFields(turned=turned)

    def __len__(self) -> int:
        return len(self._fields)

    def print_of(self, frame: Pixels) -> FieldPrint | None:
        """What is kept of a frame, uint8 (H, W, 3) RGB; None of one that cannot be compared."""
        try:
            return FieldPrint(frame)
        except ValueError:
            return None

    def find(self, shown: FieldPrint | None) -> int | None:
        """The counted field that a view shows again."""
        return None if shown is None else self._fields.seen(shown)

    def add(self, number: int, shown: FieldPrint | None) -> None:
        """One more counted field."""
        if shown is not None:
            self._fields.add(number, shown)

    @classmethod
    def of(cls, store: Store, slide: str) -> "FieldMemory":
        """The newest fields that were counted of a slide, by their images in the record."""
        memory, newest = cls(turned=True), deque[tuple[int, Image]](maxlen=RECENT)
        for _, body in verdicts(store, slide):
            if _counted(body) and body.image is not None:
                newest.append((body.field, body.image))
        for number, image in newest:
            try:
                data = store.images.read(image)
                frame = None if data is None else decode_image(data, image.path)
            except (OSError, ImageFileError) as error:
                _log.warning(f"field {number} of slide {slide} will not be known again: {error}")
                continue
            if frame is not None:
                memory.add(number, memory.print_of(frame))
        return memory


def _counted(body: VerdictBody) -> bool:
    """Whether a field is one that others may show again: the gates let it pass, and it was new."""
    return body.probabilities is not None and body.seen is UNSET
