"""A bundle as one zip file, for a USB stick or a download: written the same everywhere, read without trusting it.

What may be in it is known beforehand, so it is read strictly: the names of a bundle's files and no others, each once,
at most one folder around them, stored or deflated, nothing encrypted, no links; and no more is unpacked of any file
than a bundle takes, whatever the archive says of its size.
"""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping

from edge.bundle.archives.zip_directory import check_directory
from edge.bundle.statement import BUNDLE_NAME
from edge.errors import BundleError

_DOS_EPOCH = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # general purpose bits: encrypted, strongly, its directory too (4.4.4)
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_zip(data: bytes, shown: str, limits: Mapping[str, int]) -> tuple[str, dict[str, bytes]]:
    """Every file of a zipped bundle by name, and the name of the folder they lie in, "" for none.

    Args:
        data: the archive, whose size the caller has bounded.
        shown: what messages call it: a path or a URL.
        limits: the names a file may have, and the most bytes each may unpack to (`edge.bundle.files.FILE_LIMITS`).

    Raises:
        BundleError: beginning with `shown`: no zip file, damaged, or anything in it that a bundle does not have.
    """
    check_directory(data, shown)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = dict(_members(archive, shown, limits))
            if not members:
                raise BundleError(f"{shown}: holds no file")
            folders = {folder for folder, _ in members}
            if len(folders) != 1:
                raise BundleError(f"{shown}: its files lie in several folders: {', '.join(map(repr, sorted(folders)))}")
            files = {
                name: _unpacked(archive, entry, limits[name], f"{shown}: {name}")
                for (_, name), entry in members.items()
            }
            return folders.pop(), files
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{shown}: not a readable zip file ({error})") from error


def zip_bytes(folder: str, files: Mapping[str, bytes]) -> bytes:
    """The archive of `files` in a folder of that name. Nothing is compressed: equal files give equal bytes anywhere."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _DOS_EPOCH)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()


def _members(
    archive: zipfile.ZipFile, shown: str, limits: Mapping[str, int]
) -> Iterator[tuple[tuple[str, str], zipfile.ZipInfo]]:
    """((folder, name), entry) of every file, checked; the folder's own entry is passed over."""
    seen: set[str] = set()
    for entry in archive.infolist():
        path = entry.filename
        if path != entry.orig_filename or path in seen:
            raise BundleError(f"{shown}: holds {entry.orig_filename!r:.80} twice, or under two names")
        seen.add(path)
        mode = stat.S_IFMT(entry.external_attr >> 16)
        if path.endswith("/") and BUNDLE_NAME.fullmatch(path[:-1]) and mode in (0, stat.S_IFDIR):
            continue  # what it may hold is never read
        folder, _, name = path.rpartition("/")
        if name not in limits or not (path == name or BUNDLE_NAME.fullmatch(folder)):
            raise BundleError(f"{shown}: holds {path!r:.80}, which is no file of a bundle")
        if mode not in (0, stat.S_IFREG):
            raise BundleError(f"{shown}: {path} is a link, or no regular file")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _PLAIN:
            raise BundleError(f"{shown}: {path} is encrypted, or packed otherwise than stored or deflated")
        if entry.file_size > limits[name]:
            raise BundleError(f"{shown}: {path} unpacks to more than {limits[name]} bytes")
        yield (folder, name), entry


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int, shown: str) -> bytes:
    """The bytes of a member, its checksum compared; the sizes in a zip are claims."""
    with archive.open(entry) as stream:
        data = stream.read(min(entry.file_size, limit) + 1)
    if len(data) != entry.file_size:
        raise BundleError(f"{shown}: is not the size that the archive says")
    return data
