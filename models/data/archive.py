"""The files in a person's download, whatever its form, read without trusting it.

Nothing is unpacked: content is offered piece by piece, of bounded size, under names that are only reported.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from models.errors import FetchError

MOST_FILES = 200_000
MOST_BYTES = 8 * 2**30  # of a tar file, unpacked: ten times any set this is meant for
LARGEST_READ = 64 * 2**20  # bytes in one piece
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
    IndexError,
    NotImplementedError,
)
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


@dataclass(frozen=True)
class Entry:
    """One regular file of a download.

    Attributes:
        name: its path inside the download, forward slashes; to be reported, never to be used as a path.
        size: the bytes it says it has.
        read: its content, or None when it is damaged, unreadable, not of `size` bytes, or above LARGEST_READ.
            Valid until the next entry is asked for.
    """

    name: str
    size: int
    read: Callable[[], bytes | None]


def entries(source: Path) -> Iterator[Entry]:
    """The regular files of a folder, a zip or a tar (plain, gz, bz2, xz), one after the other.

    Raises:
        FetchError: no such source, another kind of file, encrypted, damaged, or implausibly large.
    """
    if source.is_dir():
        return _counted(_of_folder(source))
    try:
        if not source.is_file():
            raise FetchError(f"from must be an archive or a folder; {source} does not exist")
        with source.open("rb") as file:
            head = file.read(6)
    except OSError as error:
        raise FetchError(f"from must be readable; {source}: {error.strerror}") from error
    if zipfile.is_zipfile(source):
        return _counted(_guarded(source, _of_zip(source)))
    opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)
    if opener is not None or tarfile.is_tarfile(source):
        return _counted(_guarded(source, _of_tar(source, opener)))
    raise FetchError(f"from must be a zip or tar archive or a folder; {source} is neither")


def _counted(found: Iterator[Entry]) -> Iterator[Entry]:
    for count, entry in enumerate(found, 1):
        if count > MOST_FILES:
            raise FetchError(f"from must hold at most {MOST_FILES} files")
        yield entry


def _guarded(source: Path, found: Iterator[Entry]) -> Iterator[Entry]:
    """What archive readers throw, in one line."""
    try:
        yield from found
    except FetchError:
        raise
    except (*_BROKEN, OSError) as error:
        raise FetchError(f"{source} is damaged or cut short: {error}") from error


def _of_folder(source: Path) -> Iterator[Entry]:
    """Links to folders are not followed, so no loop can catch it; links to files are."""
    for folder, inside, files in os.walk(source):
        inside.sort()
        for file in sorted(files):
            path = Path(folder, file)
            try:
                status = path.stat()
            except OSError:  # a dangling link, or a loop of them
                continue
            if stat.S_ISREG(status.st_mode):
                opener = cast(Callable[[], AbstractContextManager[IO[bytes]]], lambda path=path: path.open("rb"))
                yield _entry(path.relative_to(source).as_posix(), status.st_size, opener)


def _of_zip(source: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir() or stat.S_ISLNK(mode):
                continue
            if info.flag_bits & 1:
                raise FetchError(f"{source} is encrypted: unpack it first and give the folder")
            opener = cast(Callable[[], AbstractContextManager[IO[bytes]]], lambda info=info: archive.open(info))
            yield _entry(info.filename, info.file_size, opener)


def _of_tar(source: Path, opener: Callable[[Path], Any] | None) -> Iterator[Entry]:
    total = 0
    with (
        opener(source) if opener else source.open("rb") as raw,
        tarfile.open(fileobj=cast(IO[bytes], _Bounded(raw)), mode="r:") as archive,
    ):
        for count, member in enumerate(archive, 1):
            total += member.size
            if total > MOST_BYTES or count > MOST_FILES:
                raise FetchError(f"{source} unpacks to more than {MOST_BYTES >> 30} GiB or {MOST_FILES} files")
            if member.isreg() and not member.issparse():
                file = cast(AbstractContextManager[IO[bytes]], archive.extractfile(member))
                yield _entry(member.name, member.size, lambda file=file: file)  # type: ignore[misc]


def _entry(name: str, size: int, opener: Callable[[], AbstractContextManager[IO[bytes]]]) -> Entry:
    def read() -> bytes | None:
        if size > LARGEST_READ:
            return None
        try:
            with opener() as file:
                data = file.read(size + 1)  # one more than promised: a liar shows itself
        except (*_BROKEN, OSError):
            return None
        return data if len(data) == size else None

    return Entry(name.replace("\\", "/"), size, read)


class _Bounded(io.RawIOBase):
    """A file that refuses to hand out more than LARGEST_READ at once: tarfile reads long headers whole."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return bytes(self._raw.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._raw.seek(offset, whence))

    def tell(self) -> int:
        return int(self._raw.tell())
