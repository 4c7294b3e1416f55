"""Fields that were counted before, recognized by their picture: each place of a slide is counted once.

A field is compared with the newest counted ones by registration (`edge.commissioning.registration`), unturned: while
a slide is open it stays on the stage as it is. `docs/studies/slides/seen_fields.py` measures it on `sim:` slides.
"""

from collections import deque

from edge.commissioning.registration import FieldPrint
from edge.inference.contract import Pixels

NEWEST = 100  # counted fields that are remembered: 0.7 MB and about 0.3 ms a comparison each
LEAST_SCORE = 0.22  # more than two fields alone need: each new one is held against a hundred
LEAST_SHARE = 0.05  # of the field: a smaller piece in common does not make it one that was seen


class SeenFields:
    """The counted fields of the slide that is open. Not for several threads at once.

    Args:
        newest: how many are remembered; the oldest is forgotten for the next. It bounds memory, and time a frame.
        turned: the slide may have been put back turned by 180 degrees, as after a reopening: twice the time.

    >>> import numpy as np
    >>> slide = np.random.default_rng(0).integers(0, 255, (240, 640, 3), np.uint8)
    >>> fields = SeenFields()
    >>> fields.add(1, fields.picture(slide[:, :320]))
    >>> fields.seen(fields.picture(slide[:, 200:520])), fields.seen(fields.picture(slide[:, 320:]))
    (1, None)
    """

    def __init__(self, newest: int = NEWEST, *, turned: bool = False) -> None:
        if newest < 1:
            raise ValueError(f"newest must be >= 1; got {newest}")
        self._turned = turned
        self._fields: deque[tuple[int, FieldPrint]] = deque(maxlen=newest)

    def __len__(self) -> int:
        return len(self._fields)

    def clear(self) -> None:
        """Forget all: another slide is open, or the same was put on the stage again."""
        self._fields.clear()

    @staticmethod
    def picture(frame: Pixels) -> FieldPrint:
        """What is compared of a frame, uint8 (H, W, 3) RGB; make it once a frame, for `seen` and for `add`.

        Raises:
            ValueError: sides below 64 pixels, or more than three to one.
        """
        return FieldPrint(frame)

    def add(self, field: int, picture: FieldPrint) -> None:
        """Remember a field that was counted. One that a gate refused is better left out: sharp, it may be counted."""
        self._fields.append((field, picture.for_later()))

    def seen(self, picture: FieldPrint) -> int | None:
        """The number of the counted field that shows the largest piece of this one; None where none does.

        Fields of another shape cannot be compared, and are passed over.
        """
        best, most = None, LEAST_SHARE
        for field, before in self._fields:
            if before.shape != picture.shape:
                continue
            overlap = before.overlap(picture, turned=self._turned)
            if overlap is not None and overlap.score >= LEAST_SCORE and overlap.share >= most:
                best, most = field, overlap.share
        return best
