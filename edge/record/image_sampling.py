"""The choice of judged frames that are stored as images, and their encoding."""

from typing import Literal

import cv2

from edge.errors import FrameError
from edge.inference.contract import Pixels

Keep = Literal["every", "second", "none"]
KEEP = ("every", "second", "none")
_SECOND_NS = 1_000_000_000
_FASTEST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class ImageSampler:
    """Chooses the frames that are stored as images: every one, at most one a second, or none.

    >>> sampler = ImageSampler("second")
    >>> [sampler.wants(second * 10**9) for second in (0, 0.5, 1)]
    [True, False, True]
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._last: int | None = None

    @property
    def active(self) -> bool:
        """Whether any frame is chosen."""
        return self._keep != "none"

    def wants(self, monotonic_ns: int) -> bool:
        """Whether to store the frame captured at that time; call it once a frame."""
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
