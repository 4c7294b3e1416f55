"""The folder of an export: where it may be, and how it is written whole or not at all."""

import errno
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edge.errors import UsageError
from edge.system.durable import sync_path, sync_stream
from edge.system.media import mounts
from edge.system.media.os_errors import naming

_log = logging.getLogger(__name__)

SUMS, IMAGES = "SHA256SUMS", "images"
_CANNOT_REPLACE = (errno.EEXIST, errno.ENOTEMPTY, errno.EPERM, errno.EINVAL)
_IN_MEMORY = ("tmpfs", "ramfs", "overlay")  # overlay: the root of a Pi whose card is protected by overlayroot


def check_target(folder: Path, to: Path) -> None:
    """Raise UsageError unless `to` can become an export of the record `folder`."""
    if os.path.lexists(to) and (to.is_symlink() or not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"--to must name a new or an empty folder; {to} is neither")
    if to.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"--to must be outside the record; {to} is in {folder}")
    if not to.parent.is_dir():  # never made here: that of a drive which is not mounted would be on the card
        raise UsageError(f"--to must be in a folder that exists; {to.parent} does not: mount the drive, or make it")


def drive_of(folder: Path, to: Path) -> mounts.Mount:
    """The drive that an export to `to` goes to; UsageError where it is none that could be taken out."""
    mount = mounts.mount_of(to.parent)
    if mount is None or mount.point == Path("/") or mounts.medium(folder) == mounts.medium(to.parent):
        where = "a file system that is not known" if mount is None else f"{mount.point} ({mount.source})"
        raise UsageError(
            f"--eject needs --to on a drive of its own, not the one that holds the record; {to} is on {where}"
        )
    return mount


def warn_of_target(folder: Path, to: Path) -> None:
    """Warn where an export would be lost with the record's card, or with the power."""
    kind = mounts.file_system(to.parent.stat().st_dev)
    if mounts.medium(folder) == mounts.medium(to.parent):
        _log.warning(f"{to.parent} is on the same medium as the record: no copy that survives it; is a drive missing?")
    elif kind in _IN_MEMORY:
        _log.warning(
            f"{to.parent} is on {kind}, in memory perhaps: no copy that survives a restart; is a drive missing?"
        )


class Sums:
    """A folder being filled, every file hashed as it is written and synced; SHA256SUMS comes last.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Sums(Path(folder)) as sums:
    ...         sums.write("images/000/000001.png", b"...")
    ...     (Path(folder) / SUMS).read_text()[64:]
    '  images/000/000001.png\\n'
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders: set[Path] = set()  # made in it

    def __enter__(self) -> "Sums":
        self._list = (self._folder / SUMS).open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with naming(self._folder / SUMS), self._list:
            sync_stream(self._list)
        if kind is None:
            made = {above for folder in self._folders for above in (folder, folder.parent)}
            for folder in sorted({*made, self._folder} - {self._folder.parent}, reverse=True):  # those within first
                sync_path(folder)

    @contextmanager
    def text(self, name: str) -> Iterator[IO[str]]:
        """A text file in it; what UTF-8 has no form for (file names of other encodings) is escaped."""
        path = self._folder / name
        with naming(path), path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
            sync_stream(stream)
        with naming(path), path.open("rb") as written:
            self._list.write(f"{hashlib.file_digest(written, 'sha256').hexdigest()}  {name}\n")

    def write(self, name: str, data: bytes) -> None:
        """A file in it that is not there yet."""
        path = self._folder / name
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        with naming(path), path.open("xb") as stream:
            stream.write(data)
            sync_stream(stream)
        self._list.write(f"{hashlib.sha256(data).hexdigest()}  {name}\n")


@contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """A hidden folder beside `to` that takes its name at the end, and goes without a trace after any failure."""
    staging = to.parent / f".{to.name}.{secrets.token_hex(6)}.partial"
    try:
        staging.mkdir()
        yield staging
        _take_name(staging, to)
        sync_path(to.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _take_name(staging: Path, to: Path) -> None:
    try:
        staging.rename(to)  # replaces an empty folder, and fails on any other (rename(2))
    except OSError as error:
        if error.errno not in _CANNOT_REPLACE or not to.is_dir():
            raise
        to.rmdir()  # where nothing is replaced: some FUSE and network file systems. It fails unless empty
        staging.rename(to)
