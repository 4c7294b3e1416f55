"""A strip at the top of a drawn frame that says which frame it is and when it was exposed, for a machine to read.

Whoever finds a frame again, as a preview, in a browser or on a screenshot of one, can tell by it how old it is. The
strip has 3 rows of 32 squares, black for 0 and white for 1, high order first: 32 bits of frame number, 48 bits of
milliseconds since 1970, and CRC-16 (`binascii.crc_hqx`) of both. It survives shrinking to 160 pixels' width and JPEG.
"""

import binascii

import cv2
import numpy as np

from edge.inference.contract import Pixels

COLUMNS, ROWS = 32, 3
HEIGHT = 40  # a row is the 40th part of the frame's height
_FRAME_BITS, _TIME_BITS, _CHECK_BITS = 32, 48, 16


def draw(pixels: Pixels, frame: int, milliseconds: int) -> None:
    """Write the strip over the top of a frame.

    Args:
        pixels: uint8 (H, W, 3), at least 80 pixels high and 64 wide. frame: modulo 2^32. milliseconds: since 1970.

    >>> frame = np.full((96, 128, 3), 200, np.uint8)
    >>> draw(frame, 7, 1_795_770_902_250)
    >>> read(frame)
    (7, 1795770902250)
    """
    said = frame % (1 << _FRAME_BITS) << _TIME_BITS | milliseconds % (1 << _TIME_BITS)
    word = said << _CHECK_BITS | _check(said)
    bits = np.array([word >> k & 1 for k in reversed(range(COLUMNS * ROWS))], np.uint8).reshape(ROWS, COLUMNS)
    height, width = pixels.shape[:2]
    high = max(ROWS, round(height * ROWS / HEIGHT))
    strip = cv2.resize(bits * 255, (width, high), interpolation=cv2.INTER_NEAREST)
    pixels[:high] = strip[:, :, None]


def read(pixels: Pixels) -> tuple[int, int] | None:
    """(frame number, milliseconds since 1970) of a frame with a strip, of whatever size; None where there is none.

    Args:
        pixels: uint8 (H, W, 3) or (H, W), the whole frame and nothing else.
    """
    height, width = pixels.shape[:2]
    down = (np.arange(ROWS) + 0.5) * height / HEIGHT
    across = (np.arange(COLUMNS) + 0.5) * width / COLUMNS
    squares = pixels[np.ix_(down.astype(int), across.astype(int))]
    bits = (squares if squares.ndim == 2 else squares.mean(axis=2)) > 127
    word = 0
    for bit in bits.ravel():
        word = word << 1 | int(bit)
    said, check = word >> _CHECK_BITS, word & (1 << _CHECK_BITS) - 1
    if _check(said) != check or not said:
        return None
    return said >> _TIME_BITS, said & (1 << _TIME_BITS) - 1


def _check(said: int) -> int:
    return binascii.crc_hqx(said.to_bytes((_FRAME_BITS + _TIME_BITS) // 8, "big"), 0xFFFF)
