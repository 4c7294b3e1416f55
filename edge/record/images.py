"""The record's images: `images/SLIDE/NNN/NNNNNN.png`, durable before the entry that names them is written.

A slide's folder is opened once without following links, and files in it are named relative to that handle, so
that nothing is ever written, moved or deleted outside the record's folder.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from edge.errors import StoreError
from edge.record.entries import require_slide
from edge.record.entry_parts import SLIDE, Image
from edge.system.durable import sync, sync_path
from edge.system.media.os_errors import naming

IMAGES = "images"
LEFT_OVER = "left-over"
A_FOLDER = 1000  # fields whose images share a folder
NAME = re.compile(r"(\d{6,18})(\.[a-z0-9]{1,5})")
_THOUSAND = re.compile(r"\d{3,15}")
_PARTIAL = ".partial"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO must not hold us
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(NamedTuple):
    """Where an image is below `images/`: slide, folder of a thousand fields ("" in older records), file name.

    >>> Place.of("images/s1/001/001042.png").name
    '001042.png'
    """

    slide: str
    thousand: str
    name: str

    @classmethod
    def of(cls, path: str) -> "Place":
        """That of an image's path in the record; StoreError where it is none."""
        top, slide, *below = path.split("/")
        place = cls(slide, below[0] if len(below) == 2 else "", below[-1]) if below else cls("", "", "")
        match = NAME.fullmatch(place.name)
        if (
            len(below) > 2
            or top != IMAGES
            or match is None
            or not SLIDE.fullmatch(slide)
            or place.thousand not in ("", thousand(int(match[1])))
        ):
            raise StoreError(f"{path!r} names no image of a record")
        return place

    @property
    def exported(self) -> str:
        """Where the image is in an export of its slide, whatever the record's age."""
        match = NAME.fullmatch(self.name)
        assert match is not None
        return f"{IMAGES}/{thousand(int(match[1]))}/{self.name}"


def thousand(field: int) -> str:
    """The folder that a field's image lies in: FAT32 has room for 65,536 short names in a folder, and fewer long ones.

    >>> thousand(999), thousand(1000)
    ('000', '001')
    """
    return f"{field // A_FOLDER:03d}"


def image_path(slide: str, field: int, suffix: str) -> str:
    """Where the image of a field is, relative to the record's folder."""
    return f"{IMAGES}/{slide}/{thousand(field)}/{field:06d}{suffix}"


def older_path(slide: str, field: int, suffix: str) -> str:
    """Where it was in records before there were folders of a thousand."""
    return f"{IMAGES}/{slide}/{field:06d}{suffix}"


def is_partial(name: str) -> bool:
    """Whether a file of that name is one that was never finished."""
    return name.startswith(".") and name.endswith(_PARTIAL)


class ImageFolder:
    """The images of the record in `root`. Every OSError leaves as it is; the caller narrows it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [image] = ImageFolder(Path(folder)).save("s1", [(1, ".png", b"...")])
    >>> image.path, image.bytes
    ('images/s1/000/000001.png', 3)
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def save(self, slide: str, images: Sequence[tuple[int, str, bytes]]) -> list[Image]:
        """Write images (field, suffix, bytes), all or none, so that a power cut after the return loses none."""
        require_slide(slide)
        saved: list[Image] = []
        try:
            for folder, some in groupby(images, key=lambda image: thousand(image[0])):
                saved += self._save_in(slide, folder, list(some))
        except BaseException:
            with suppress(OSError):
                self.delete([image.path for image in saved])
            raise
        return saved

    def _save_in(self, slide: str, thousand: str, images: Sequence[tuple[int, str, bytes]]) -> list[Image]:
        saved: list[Image] = []
        with self._opened(slide, thousand, create=True) as folder:
            staged: list[str] = []
            try:
                for field, suffix, data in images:
                    staged.append(f".{field:06d}{suffix}.{secrets.token_hex(6)}{_PARTIAL}")
                    _write(folder, staged[-1], data)
                    saved.append(Image(image_path(slide, field, suffix), hashlib.sha256(data).hexdigest(), len(data)))
                for partial in staged:  # after all are written: one journal commit of the file system serves many
                    sync_path(partial, within=folder)
                for partial, image in zip(staged, saved, strict=True):
                    os.rename(partial, Place.of(image.path).name, src_dir_fd=folder, dst_dir_fd=folder)
                sync(folder)
            except BaseException:
                for name in [*staged, *(Place.of(image.path).name for image in saved)]:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=folder)
                raise
        return saved

    def delete(self, paths: Sequence[str]) -> None:
        """Delete images by their path in the record, durably; what is gone already is fine.

        Raises:
            StoreError: a path that names no image of a record; nothing is deleted then.
        """
        names: dict[tuple[str, str], list[str]] = {}
        for path in paths:
            place = Place.of(path)
            names.setdefault((place.slide, place.thousand), []).append(place.name)
        for (slide, thousand), doomed in names.items():
            with suppress(FileNotFoundError), self._opened(slide, thousand) as folder:
                for name in doomed:
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
                sync(folder)
            with suppress(OSError):  # not empty: others are left
                (self._root / IMAGES / slide / thousand).rmdir()
                (self._root / IMAGES / slide).rmdir()

    def digest(self, path: str) -> tuple[str, int]:
        """(sha256 in hex, bytes) of an image by its path in the record, read in small pieces.

        Raises:
            OSError: missing, a link, not readable. StoreError: no path of an image.
        """
        with self._reading(path) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return digest, stream.tell()

    def read(self, image: Image) -> bytes | None:
        """The bytes of an image; None where the file is not the one that was recorded.

        Raises:
            OSError: missing, a link, not readable. StoreError: no path of an image.
        """
        with self._reading(image.path) as stream:
            if os.fstat(stream.fileno()).st_size != image.bytes:
                return None
            data = stream.read(image.bytes)
        return data if hashlib.sha256(data).hexdigest() == image.sha256 else None

    def sweep(self, slide: str, last_field: int) -> int:
        """Clear away what an interrupted write left: unfinished files are deleted, images beyond the last field
        of the slide, which no entry names, are moved to `left-over/`; how many were moved."""
        try:
            with self._opened(slide) as folder:
                names = os.listdir(folder)  # noqa: PTH208  (of the folder opened, whatever the path names now)
        except FileNotFoundError:  # no image of that slide was ever kept
            return 0
        written = [name for name in names if _THOUSAND.fullmatch(name) and int(name) >= last_field // A_FOLDER]
        return sum(self._sweep_in(slide, thousand, last_field) for thousand in ["", *written])

    def _sweep_in(self, slide: str, thousand: str, last_field: int) -> int:
        moved = 0
        with suppress(NotADirectoryError), self._opened(slide, thousand) as folder:
            for name in os.listdir(folder):  # noqa: PTH208
                match = NAME.fullmatch(name)
                if is_partial(name):
                    os.unlink(name, dir_fd=folder)
                elif match and int(match[1]) > last_field:
                    self._move_aside(folder, slide, name)
                    moved += 1
        return moved

    def _move_aside(self, folder: int, slide: str, name: str) -> None:
        aside = self._root / LEFT_OVER
        if not aside.is_dir():
            aside.mkdir()
            sync_path(self._root)
        os.rename(name, aside / f"{slide}.{secrets.token_hex(4)}.{name}", src_dir_fd=folder)

    @contextmanager
    def _reading(self, path: str) -> Iterator[BufferedReader]:
        place = Place.of(path)
        with (
            naming(self._root / path),
            self._opened(place.slide, place.thousand) as folder,
            os.fdopen(os.open(place.name, _READ, dir_fd=folder), "rb") as stream,
        ):
            yield stream

    @contextmanager
    def _opened(self, slide: str, thousand: str = "", *, create: bool = False) -> Iterator[int]:
        """A handle of the slide's folder, or of a thousand fields of it."""
        top = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for name in (IMAGES, slide, thousand) if thousand else (IMAGES, slide):
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=top)
                        sync(top)
                below = os.open(name, _FOLDER, dir_fd=top)
                os.close(top)
                top = below
            yield top
        finally:
            os.close(top)


def _write(folder: int, name: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "wb") as stream:
        stream.write(data)
