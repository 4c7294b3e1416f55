"""Which judged frames are kept as images, and in which form."""

from typing import Literal

import cv2

from edge.errors import FrameError
from edge.inference.contract import Pixels

Keep = Literal["every", "second", "none"]
KEEP = ("every", "second", "none")
_SECOND_NS = 1_000_000_000
_FASTEST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class Keeper:
    """Decides which frames are kept: every one, at most one a second, or none."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._last: int | None = None

    @property
    def keeps(self) -> bool:
        """Whether any frame is."""
        return self._keep != "none"

    def wants(self, monotonic_ns: int) -> bool:
        """Whether the frame captured then is kept; to be asked once a frame."""
        if self._keep != "second":
            return self._keep == "every"
        if self._last is not None and monotonic_ns - self._last < _SECOND_NS:
            return False
        self._last = monotonic_ns
        return True


def encode_png(frame: Pixels) -> bytes:
    """A frame uint8 (H, W, 3) RGB as PNG: lossless, so that it can be judged again to the same bytes."""
    done, data = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), _FASTEST)
    if not done:
        raise FrameError(f"frame {frame.shape} cannot be written as PNG")
    return data.tobytes()
