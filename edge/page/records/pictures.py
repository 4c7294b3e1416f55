"""Images of fields: as they were kept, or smaller, and a bounded memory of the smaller ones."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from edge.errors import StoreError
from edge.page.http.answers import not_found
from edge.page.problems import Problem
from edge.page.records.fields import require_verdict
from edge.record.entry_parts import Image
from edge.record.reader import Reader

NARROWEST, WIDEST = 16, 4096  # pixels
LARGEST_BYTES = 64 * 2**20  # a file that is read at all
_QUALITY = 85
_MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg"}


@dataclass(frozen=True)
class Picture:
    """An image file.

    >>> Picture(b"...", "image/png").media_type
    'image/png'
    """

    data: bytes
    media_type: str


class Pictures:
    """Images that were made smaller, kept by what they show (the file's sha256) and width, `most` bytes of them.

    >>> Pictures(1000).held
    0
    """

    def __init__(self, most: int) -> None:
        self._most, self.held = most, 0
        self._kept: OrderedDict[tuple[str, int], Picture] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, store: Reader, image: Image, width: int | None) -> Picture:
        """The file of an image, or a JPEG of it that is at most `width` pixels wide.

        Raises:
            Problem: 404: the file is gone; 409: it is not the one that was recorded, or no image.
        """
        if width is None:
            return Picture(_read(store, image), media_type(image))
        with self._guard:
            known = self._kept.get((image.sha256, width))
            if known is not None:
                self._kept.move_to_end((image.sha256, width))
                return known
        made = _smaller(_read(store, image), width)
        self._keep((image.sha256, width), made)
        return made

    def _keep(self, key: tuple[str, int], picture: Picture) -> None:
        with self._guard:
            if key in self._kept or len(picture.data) > self._most:
                return
            self._kept[key] = picture
            self.held += len(picture.data)
            while self.held > self._most:
                _, dropped = self._kept.popitem(last=False)
                self.held -= len(dropped.data)


def image_of(store: Reader, slide: str, field: int) -> Image:
    """The image that the record names for a field; Problem 404 where it has none."""
    _, body = require_verdict(store, slide, field)
    if body.image is None:
        raise not_found("no-image", f"no image was kept of field {field} of slide {slide}")
    return body.image


def tag(image: Image, width: int | None) -> str:
    """The entity tag of an image, or of a smaller one of it."""
    return f'"{image.sha256}"' if width is None else f'"{image.sha256}-{width}"'


def media_type(image: Image) -> str:
    """Of the file, by its suffix."""
    return _MEDIA_TYPES.get(image.path.rpartition(".")[2], "application/octet-stream")


def _read(store: Reader, image: Image) -> bytes:
    if image.bytes > LARGEST_BYTES:
        raise Problem(409, "image-too-large", f"{image.path} holds {image.bytes} bytes, more than the page reads")
    try:
        data = store.images.read(image)
    except (OSError, StoreError) as error:
        raise not_found("image-gone", f"{image.path} cannot be read: {error}") from error
    if data is None:
        raise Problem(409, "image-altered", f"{image.path} is not the file that was recorded: `edge verify` says more")
    return data


def _smaller(data: bytes, width: int) -> Picture:
    import cv2
    import numpy as np
    import simplejpeg

    cv2.setNumThreads(1)  # the processor is the instrument's
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise Problem(409, "image-unreadable", "the file that was recorded is no image that can be made smaller")
    height_before, width_before = pixels.shape[:2]
    if width < width_before:
        size = (width, max(1, round(height_before * width / width_before)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return Picture(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, "BGR"), "image/jpeg")
