"""Image files to frames: the one reader of every floor, with one list of what is an image and one answer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.errors import ImageFileError, UsageError
from edge.inference.contract import Pixels, check_frame
from edge.inference.image_files import jpeg, tiff
from edge.inference.image_files.formats import NAMED_LIKE_IMAGES, read_header
from edge.inference.image_files.header import Header, damaged, refuse
from edge.system.files import read_at_most

IMAGE_SUFFIXES = NAMED_LIKE_IMAGES
LARGEST_IMAGE_BYTES = 256 * 2**20
REASONS = {
    "unreadable": "no permission, missing, not a regular file, or too many bytes",
    "empty": "a file of 0 bytes",
    "not_an_image": "none of JPEG, PNG, BMP and TIFF, whatever its name says",
    "damaged_image": "not as it was written: cut short, a wrong checksum, or a decoder that had to guess",
    "too_large": "more pixels than a camera may have",
    "tiny": "too few pixels to show a cell",
    "cmyk": "its colours depend on a profile that decoders ignore",
    "16-bit": "decoders keep the upper byte: 10- and 12-bit cameras come out almost black",
    "animated": "several images in one file: which one is meant?",
    "transparent": "pixels that let a background through have no colour of their own",
    "unsupported": "an image of a kind that is not read here",
}


def read_image(path: Path) -> Pixels:
    """The frame stored in an image file.

    Args:
        path: JPEG, PNG, BMP or TIFF of 8 bits a channel, grey or RGB; the content decides, not the suffix. An
            orientation in EXIF data or TIFF is ignored: a smear has no upright, pixels stay as the sensor had them. An
            alpha channel is dropped where it is opaque everywhere.

    Returns:
        uint8 (H, W, 3), RGB, 0..255.

    Raises:
        ImageFileError: its `reason` is a key of `REASONS`.
    """
    return read_image_file(path)[0]


def read_image_file(path: Path) -> tuple[Pixels, Header]:
    """As `read_image`, with what the file's header says."""
    return _decoded_of(read_at_most(path, LARGEST_IMAGE_BYTES, ImageFileError), str(path))


def decode_image(data: bytes, name: str) -> Pixels:
    """As `read_image`, from the file's bytes; `name` is used in messages."""
    return _decoded_of(data, name)[0]


def read_image_header(data: bytes) -> Header:
    """Size and kind of an image from a file's bytes, no pixel decoded; ImageFileError, which names no file."""
    if not data:
        refuse("empty", "the file is empty")
    return read_header(data)


def image_files_in(folder: Path) -> list[Path]:
    """Files in a folder and its sub-folders named like an image, sorted; hidden ones (`._x.jpg`) are none."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def images_in(paths: Sequence[Path]) -> Iterator[Path]:
    """Named files as they are (whatever their suffix), folders as the images in them; UsageError where none is."""
    for path in paths:
        if path.is_dir():
            inside = image_files_in(path)
            if not inside:
                raise UsageError(f"{path}: no images in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise UsageError(f"{path}: no such image or folder")


def _decoded_of(data: bytes, name: str) -> tuple[Pixels, Header]:
    try:
        header = read_image_header(data)
        return _decoded(data, header), header
    except ImageFileError as error:
        raise ImageFileError(f"{name}: {error}", error.reason) from error


def _decoded(data: bytes, header: Header) -> Pixels:
    if header.form == "JPEG":
        frame = jpeg.decode(data)
    else:
        if header.form == "TIFF" and header.orientation != 1:
            data = tiff.upright(data)
        colour = cv2.IMREAD_UNCHANGED if header.alpha else cv2.IMREAD_COLOR
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), colour | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:
            raise ImageFileError(f"damaged: {error.err}", "damaged_image") from error
        if image is None:
            damaged("it cannot be decoded")
        frame = _rgb(image, header)
    if frame.shape[:2] != (header.height, header.width):
        damaged(f"{header.width}x{header.height} pixels in its header, {frame.shape[1]}x{frame.shape[0]} in its data")
    check_frame(frame)
    return frame


def _rgb(image: Any, header: Header) -> Pixels:
    """OpenCV's picture as RGB, in place where that can be."""
    if not header.alpha:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)
    if image.ndim != 3 or image.shape[2] != 4:  # a transparent colour, which OpenCV does not say the pixels of
        refuse("transparent", "it has a transparent colour: save it without")
    if image[..., 3].min() < 255:
        refuse("transparent", "it has transparent pixels: save it on an opaque background, without an alpha channel")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGB), np.uint8)
