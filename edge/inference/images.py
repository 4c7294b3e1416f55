"""Image files to frames, one decoder for every floor of the project."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.errors import FrameError, ImageFileError, UsageError
from edge.inference.contract import Pixels, check_frame
from edge.system.files import read_at_most

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
LARGEST_IMAGE_BYTES = 256 * 2**20


def read_image(path: Path) -> Pixels:
    """The frame stored in an image file.

    Args:
        path: JPEG, PNG, BMP, TIFF or WebP; EXIF orientation is ignored (a microscope has none), alpha is
            dropped.

    Returns:
        uint8 (H, W, 3), RGB, 0..255.

    Raises:
        ImageFileError: missing, empty, oversized, not an image, truncated beyond decoding, or too small.
    """
    return decode_image(read_at_most(path, LARGEST_IMAGE_BYTES, ImageFileError), str(path))


def decode_image(data: bytes, name: str) -> Pixels:
    """As `read_image`, from the file's bytes; `name` is used in messages."""
    if not data:
        raise ImageFileError(f"{name}: the file is empty")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:  # a header that promises an absurd size
        raise ImageFileError(f"{name}: not a readable image ({error.err})") from error
    if image is None:
        raise ImageFileError(f"{name}: not a readable image")
    frame = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    try:
        check_frame(frame)
    except FrameError as error:
        raise ImageFileError(f"{name}: {error}") from error
    return frame  # type: ignore[return-value]


def images_in(paths: Sequence[Path]) -> Iterator[Path]:
    """Named files as they are (whatever their suffix), folders as the images in them; UsageError where none is."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
            if not inside:
                raise UsageError(f"{path}: no images in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise UsageError(f"{path}: no such image or folder")
