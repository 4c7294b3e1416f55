"""What image files say of themselves: camera and day, from EXIF.

Read with Pillow, which `leukoscope[models]` installs: it reads EXIF of JPEG, PNG and TIFF, and only the header of a
file. The day is `DateTimeOriginal`, else `DateTimeDigitized`; `DateTime` is of the last change, often by a program.
"""

import datetime
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

_MAKE, _MODEL, _SERIAL = 0x010F, 0x0110, 0xA431
_EXIF = 0x8769
_TAKEN = (0x9003, 0x9004)
_LONGEST = 100


class ImageFacts(Struct, frozen=True):
    """What EXIF says of one image: camera (make, model, serial number) and day (ISO 8601); "" where it does not.

    >>> ImageFacts().camera
    ''
    """

    camera: str = ""
    date: str = ""


def image_facts(path: Path) -> ImageFacts:
    """The facts of an image file; nothing of a file without EXIF, or whose EXIF cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            tags = image.getexif()
            inner = tags.get_ifd(_EXIF)
    except Exception:  # Pillow raises nearly anything on damaged EXIF, which is no reason to refuse an image
        return ImageFacts()
    make, model, serial = _text(tags.get(_MAKE)), _text(tags.get(_MODEL)), _text(inner.get(_SERIAL))
    named = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return ImageFacts(
        " ".join(f"{named} {serial}".split())[:_LONGEST], _day(*(_text(inner.get(tag)) for tag in _TAKEN))
    )


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in value).split()) if isinstance(value, str) else ""


def _day(*stamps: str) -> str:
    """The first that is a date: EXIF writes 2026:11:30 12:34:56, and 0000:00:00 where the clock was not set."""
    for stamp in stamps:
        with suppress(ValueError):
            return datetime.date(*(int(part) for part in stamp[:10].replace("-", ":").split(":"))).isoformat()
    return ""
