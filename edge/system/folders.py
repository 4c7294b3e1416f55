"""Folders that exist whole or not at all, and folders read without trusting what is in them."""

import ctypes
import errno
import glob
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import BundleError, LeukoscopeError
from edge.system.durable import sync_path, write_new

_STALE_SECONDS = 3600.0  # no folder takes an hour to write
_RENAME_EXCHANGE = 2  # linux/fs.h
_AT_FDCWD = -100


class OpenFolder:
    """A folder being read: it was listed once, and files are read of the folder that was opened, whatever its path
    names meanwhile.

    Attributes:
        names: sorted.
    """

    def __init__(self, descriptor: int, path: Path, limits: Mapping[str, int]) -> None:
        self.names = sorted(os.listdir(descriptor))
        self._descriptor, self._path, self._limits = descriptor, path, limits
        unknown = [name for name in self.names if name not in limits]
        if unknown:
            raise BundleError(f"{path}: holds {unknown[0]!r}, which is no file of a bundle")

    def read(self, name: str, expected: int | None = None) -> bytes:
        """A file; BundleError for a link, no regular file, one over its limit or over the `expected` bytes.

        Nothing over either is read.
        """
        limit, shown = self._limits[name], self._path / name
        if expected is None or not 0 <= expected < limit:
            return _read_file(self._descriptor, name, limit, shown)
        data = _read_file(self._descriptor, name, limit, shown, most=expected + 1)
        if len(data) > expected:
            raise BundleError(f"{shown}: altered: larger than the manifest says")
        return data


@contextmanager
def open_folder(path: Path, limits: Mapping[str, int]) -> Iterator[OpenFolder]:
    """Open a folder to read files of it.

    Args:
        path: a folder, or a link to one.
        limits: the names a file may have, and the most bytes each may hold.

    Raises:
        BundleError: no folder, or it holds something unnamed in `limits`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    try:
        yield OpenFolder(descriptor, path, limits)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def read_folder(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Every file of a folder by name, each read once; arguments and BundleError as in `open_folder`, and further for a
    link, a subfolder, a device, or a file over its limit."""
    with open_folder(path, limits) as folder:
        return {name: folder.read(name) for name in folder.names}


def read_named(folder: Path, name: str, limit: int, error: type[LeukoscopeError]) -> bytes:
    """One file of a folder, `limit` bytes at most.

    Raises:
        error: naming the file: a link, no regular file, larger, or not readable.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as problem:
        raise error(f"{folder}: {problem.strerror}") from problem
    try:
        return _read_file(descriptor, name, limit, folder / name, error)
    finally:
        os.close(descriptor)


def write_folder(path: Path, files: Mapping[str, bytes], replaceable: frozenset[str]) -> None:
    """Make `path` a folder of exactly `files`, in one step seen from outside.

    The files are written and synced to a hidden folder beside `path`, which then takes its name. A folder
    already there is exchanged for the new one and removed afterwards. After any failure, Ctrl-C and a full
    disk included, `path` is what it was before or, if the exchange was done, the new folder; never a part.

    Args:
        path: its parent is created when missing.
        replaceable: an existing folder is replaced only if every name in it is one of these.

    Raises:
        BundleError: `path` is a file, a link, or a folder with anything else in it.
        OSError: the disk is full, the parent cannot be written, and so on.
    """
    _check_replaceable(path, replaceable)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    staging = path.parent / f".{path.name}.{secrets.token_hex(6)}.partial"
    try:
        staging.mkdir()
        for name, data in files.items():
            write_new(staging / name, data)
        sync_path(staging)
        _take_name(staging, path)
        sync_path(path.parent)
    finally:  # holds the unfinished folder, the one replaced, or nothing
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(path: Path) -> None:
    """Remove what a killed process left unfinished; a living one's is younger."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _read_file(
    folder: int,
    name: str,
    limit: int,
    shown: Path,
    error: type[LeukoscopeError] = BundleError,
    most: int | None = None,
) -> bytes:
    """A file of `limit` bytes at most, or `error`; of one with more than `most` bytes, the first `most`."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO must not hold us
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as problem:
        reason = "is a link" if problem.errno == errno.ELOOP else problem.strerror
        raise error(f"{shown}: {reason}") from problem
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise error(f"{shown}: is no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        ask = min(status.st_size, limit) + 1  # read() sets aside all it is asked for
        data = stream.read(ask if most is None else min(ask, most))
    if len(data) > limit:
        raise error(f"{shown}: larger than {limit} bytes")
    return data


def _check_replaceable(path: Path, replaceable: frozenset[str]) -> None:
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise BundleError(f"{path}: exists and is no folder; nothing was replaced")
    for entry in os.scandir(path):
        if entry.name not in replaceable or not entry.is_file(follow_symlinks=False):
            raise BundleError(f"{path}: holds {entry.name!r}, which is no file of a bundle; nothing was replaced")


def _take_name(staging: Path, path: Path) -> None:
    """Give `staging` the name `path`; afterwards `staging` is what stood there, or nothing."""
    if not os.path.lexists(path):
        staging.rename(path)
        return
    try:
        _exchange(staging, path)
    except OSError as error:
        if error.errno == errno.EXDEV:  # an overlay's lower layer: its folders cannot be renamed, only emptied
            (path / "manifest.json").unlink(missing_ok=True)  # first: without it no bundle stands here
            shutil.rmtree(path)
            staging.rename(path)
        elif error.errno in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            _exchange_in_two_steps(staging, path)
        else:
            raise


def _exchange(one: Path, other: Path) -> None:
    """Swap two names atomically: renameat2(2), Linux >= 3.15, glibc >= 2.28."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError) as error:
        raise OSError(errno.ENOSYS, "renameat2 is not available") from error
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))


def _exchange_in_two_steps(staging: Path, path: Path) -> None:
    """Without an atomic exchange there is a moment with no folder of that name, but never a partial one."""
    aside = staging.with_suffix(".old")
    try:
        path.rename(aside)
        staging.rename(path)
    except BaseException:
        if aside.exists() and not path.exists():
            aside.rename(path)
        raise
    aside.rename(staging)
