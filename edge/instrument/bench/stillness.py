"""Whether the view stands still: each frame against the one at which the stand began.

Of a prepared frame a grey image of 56 x 56 is kept. Two views differ by the root mean square of the differences of
their images, without the mean, so that a lamp that dims moves nothing. On `sim:` (1280x960 and 640x480) successive
frames of one view differ by at most 0.44 grey levels at its usual noise and 2.5 at fifteen times that, frames that the
stage moves between by 9 and more. A shift by a thousandth of the field's width makes 0.6 to 1.2, by a hundredth at
least 7 (`docs/studies/slides/stillness.py`, `docs/reference/stillness.json`). A view that creeps is told from one that
stands as soon as it has crept that far.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels

SIDE = 56
MOST_DIFFERENCE = 3.0  # grey levels
REFUSED_AFTER_S = 1.0  # that a view must have stood still before what the gates refuse is recorded


class Stillness:
    """Told of every frame; about 0.05 ms a frame.

    Attributes:
        stand: number of the stand that the last frame belongs to, from 1. since_ns: when its first frame was taken.

    >>> stillness, grey = Stillness(), np.full((224, 224, 3), 99, np.uint8)
    >>> stillness.see(grey, 0), stillness.see(grey, 500_000_000), stillness.stand
    (0.0, 0.5, 1)
    """

    def __init__(self) -> None:
        self.stand, self.since_ns = 0, 0
        self._first: npt.NDArray[np.float32] | None = None

    def see(self, prepared: Pixels, at_ns: int) -> float:
        """Seconds for which the view has stood still.

        Args:
            prepared: uint8 (H, W, 3) RGB. at_ns: when the frame was taken, monotonic nanoseconds.
        """
        view = small(prepared)
        if self._first is None or difference(view, self._first) > MOST_DIFFERENCE:
            self._first, self.since_ns = view, at_ns
            self.stand += 1
        return (at_ns - self.since_ns) / 1e9


def small(prepared: Pixels) -> npt.NDArray[np.float32]:
    """float32 (SIDE, SIDE): what is kept of a prepared frame."""
    grey = cv2.resize(cv2.cvtColor(prepared, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.float32)


def difference(view: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """How much two views differ, grey levels."""
    return float((view - other).std())
