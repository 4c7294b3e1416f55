"""What the header of an image file says, and what is refused for what it says."""

import struct
from dataclasses import dataclass
from typing import NoReturn

from edge.errors import ImageFileError
from edge.inference.contract import SMALLEST_FRAME

LARGEST_PIXELS = 2**26  # 8192 x 8192, the largest frame a camera may have: 201 MB as RGB


@dataclass(frozen=True)
class Header:
    """An image that can be read.

    Attributes:
        form: "JPEG", "PNG", "BMP" or "TIFF".
        width, height: pixels, as stored.
        alpha: the file has an alpha channel, or may have one; what it holds shows only in the pixels.
        orientation: EXIF's or TIFF's, 1..8; 1 is upright.

    >>> Header("PNG", 640, 480).orientation
    1
    """

    form: str
    width: int
    height: int
    alpha: bool = False
    orientation: int = 1

    def __post_init__(self) -> None:
        pixels = self.width * self.height
        if pixels > LARGEST_PIXELS:
            refuse("too_large", f"{self.width}x{self.height} pixels, more than {LARGEST_PIXELS}")
        if min(self.width, self.height) < SMALLEST_FRAME:
            refuse("tiny", f"{self.width}x{self.height} pixels, fewer than {SMALLEST_FRAME} a side")


class Fields:
    """A file's bytes, read by position; what lies past the end is damage.

    >>> Fields(bytes([0, 1, 2, 3])).read(">H", 1)
    (258,)
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, layout: str, at: int) -> tuple[int, ...]:
        """Whole numbers of a `struct` layout at a position."""
        try:
            return struct.unpack_from(layout, self.data, at)
        except struct.error:
            cut_short()

    def bytes(self, at: int, count: int) -> bytes:
        """`count` bytes at a position."""
        if at < 0 or count < 0 or at + count > len(self.data):
            cut_short()
        return self.data[at : at + count]


def refuse(reason: str, text: str) -> NoReturn:
    """ImageFileError with a reason of `edge.inference.images.REASONS`."""
    raise ImageFileError(text, reason)


def damaged(text: str) -> NoReturn:
    """ImageFileError for a file that is not as it was written."""
    refuse("damaged_image", f"damaged: {text}")


def cut_short() -> NoReturn:
    """ImageFileError for a file that ends before its image does."""
    damaged("the file ends before the image does")
