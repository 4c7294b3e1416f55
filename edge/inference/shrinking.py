"""Resizing whose bytes are the same on every machine, and the buffers it works in; asked by the contract only."""

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
_MOST_BUFFERS = 16


class Scratch:
    """Buffers `InputContract.prepare` works in, kept from frame to frame. Use one a thread.

    >>> scratch = Scratch()
    >>> scratch.buffer("resize", 32, 24) is scratch.buffer("resize", 32, 24)
    True
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, int, int], Pixels] = {}

    def buffer(self, step: str, width: int, height: int) -> Pixels:
        """uint8 (height, width, 3), C-contiguous, the same one for the same step and size."""
        key = (step, width, height)
        if key not in self._buffers:
            if len(self._buffers) >= _MOST_BUFFERS:  # a folder of images of many sizes
                self._buffers.clear()
            self._buffers[key] = np.empty((height, width, 3), np.uint8)
        return self._buffers[key]


def shrink(frame: Pixels, width: int, height: int, scratch: Scratch) -> Pixels:
    """uint8 (height, width, 3) of a frame uint8 (H, W, 3), in `scratch` or the frame itself.

    Halves while a side is at least twice the target (exact, cheaper than one step), then interpolates.
    """
    while True:
        rows, columns = frame.shape[:2]
        by_x = 2 if columns >= 2 * width else 1
        by_y = 2 if rows >= 2 * height else 1
        if by_x == by_y == 1:
            break
        frame = _centre_crop(frame, columns - columns % by_x, rows - rows % by_y)
        smaller = scratch.buffer("area", columns // by_x, rows // by_y)
        frame = cv2.resize(frame, (columns // by_x, rows // by_y), dst=smaller, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if frame.shape[:2] != (height, width):
        final = scratch.buffer("linear", width, height)
        frame = cv2.resize(frame, (width, height), dst=final, interpolation=cv2.INTER_LINEAR_EXACT)  # type: ignore[assignment]
    return np.ascontiguousarray(frame)


def centre(frame: Pixels, width: int, height: int) -> Pixels:
    """The largest centred part of `frame` with the proportions width : height (whole pixels)."""
    rows, columns = frame.shape[:2]
    if columns * height > rows * width:
        return _centre_crop(frame, max(1, rows * width // height), rows)
    return _centre_crop(frame, columns, max(1, columns * height // width))


def _centre_crop(frame: Pixels, width: int, height: int) -> Pixels:
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]
