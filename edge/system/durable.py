"""Durable file operations: what survives a power cut, and a test that can end the process at each of their steps.

A power cut leaves what was synced: a file's bytes after fsync of the file, a name after fsync of its folder. So
every method of `Durable` syncs what it did before it returns, and the order of calls is the order on the disk.
"""

import ctypes
import errno
import logging
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from edge.system.media.os_errors import CANNOT_SYNC, naming

_log = logging.getLogger(__name__)

_libc = ctypes.CDLL(None, use_errno=True)
_cannot_sync_folders: set[int] = set()  # device numbers
_OPENED = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO must not hold us
Watch = Callable[[str, str], None]  # (step, "before" or "after")


def _nobody(step: str, when: str) -> None:
    """The watch of a device: none."""


def sync(descriptor: int) -> None:
    """Make what was written to an open file, or the names in an open folder, durable.

    Some file systems (FUSE, network) cannot sync a folder: then all of the file system is synced, and once it is said.

    Raises:
        OSError: naming the path, where the system still knows one.
    """
    with naming(_path_of(descriptor)):
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in CANNOT_SYNC or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise
            _sync_file_system(descriptor)


def sync_stream(stream: IO[Any]) -> None:
    """The same for a stream, with what it still holds in its buffer."""
    with naming(_path_of(stream.fileno())):
        stream.flush()
    sync(stream.fileno())


def sync_path(path: str | Path, *, within: int | None = None) -> None:
    """The same for a file or a folder by its path; or by its name in the open folder `within`, where it is no link."""
    descriptor = os.open(path, _OPENED if within is None else _OPENED | os.O_NOFOLLOW, dir_fd=within)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a new file with these permissions, less the umask; what cannot be finished is removed.

    Raises:
        OSError: naming `path`: it exists already, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with naming(path), os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            sync_stream(stream)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def own_as_parent(path: Path) -> None:
    """Give what root made to the owner of its folder: the service, which runs without privileges, must replace it."""
    if os.geteuid() == 0:
        parent = path.parent.stat()
        os.chown(path, parent.st_uid, parent.st_gid, follow_symlinks=False)


def _sync_file_system(descriptor: int) -> None:
    """syncfs(2), which syncs what it can, and a word that it may not be all; the first time on each file system."""
    device = os.fstat(descriptor).st_dev
    if device not in _cannot_sync_folders:
        _cannot_sync_folders.add(device)
        _log.warning(
            f"{_path_of(descriptor)}: its file system cannot sync a folder: a power cut, or a stick that is pulled "
            "without unmounting, may lose what was written last"
        )
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _path_of(descriptor: int) -> str:
    """The path that was opened (proc_pid_fd(5)); "" where the system no longer tells."""
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""


class Durable:
    """Durable file operations.

    Args:
        watch: called before and after each step with its name; tests end the process there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Durable().replace_file("state", Path(folder) / "state.json", b"{}")
    ...     (Path(folder) / "state.json").read_bytes()
    b'{}'
    """

    def __init__(self, watch: Watch = _nobody) -> None:
        self._watch = watch

    def make_folder(self, step: str, path: Path) -> None:
        """Make a folder; its parents exist."""
        self._watch(step, "before")
        self._mkdir(path)
        self._sync_folder(path.parent)
        self._watch(step, "after")

    def write_file(self, step: str, path: Path, data: bytes) -> None:
        """Write a new file. Its name is durable after the next `sync_folder` or `rename`."""
        self._watch(step, "before")
        self._create(path, data)
        self._watch(step, "after")

    def replace_file(self, step: str, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, in place of one that may stand there."""
        self._watch(step, "before")
        staging = path.with_name(f".{path.name}.partial")
        self._unlink(staging)
        self._create(staging, data)
        self._watch(step, "within")
        self._rename(staging, path)
        self._sync_folder(path.parent)
        self._watch(step, "after")

    def append(self, step: str, path: Path, data: bytes) -> None:
        """Append to a file, made when missing."""
        self._watch(step, "before")
        self._append(path, data)
        self._sync_folder(path.parent)
        self._watch(step, "after")

    def sync_folder(self, step: str, path: Path) -> None:
        """Make the names in a folder durable."""
        self._watch(step, "before")
        self._sync_folder(path)
        self._watch(step, "after")

    def rename(self, step: str, source: Path, target: Path) -> None:
        """Give a folder its name; nothing stands at `target`, and both are in one folder."""
        self._watch(step, "before")
        if os.path.lexists(target):  # rename(2) would replace an empty folder
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        self._rename(source, target)
        self._sync_folder(target.parent)
        self._watch(step, "after")

    def point(self, step: str, link: Path, target: str) -> None:
        """Make a symbolic link lead to `target`, in place of one that may stand there; never a moment without."""
        self._watch(step, "before")
        staging = link.with_name(f".{link.name}.partial")
        self._unlink(staging)
        self._symlink(target, staging)
        self._watch(step, "within")
        self._rename(staging, link)
        self._sync_folder(link.parent)
        self._watch(step, "after")

    def remove(self, step: str, path: Path) -> None:
        """Remove a folder that no name the device reads leads to; a missing one is fine."""
        self._watch(step, "before")
        self._remove_tree(path)
        self._watch(step, "after")

    # --- what the file system is asked for; a test that loses unsynced writes stands in here ------------------

    def _mkdir(self, path: Path) -> None:
        path.mkdir(mode=0o755)
        own_as_parent(path)

    def _create(self, path: Path, data: bytes) -> None:
        write_new(path, data, 0o644)
        own_as_parent(path)

    def _append(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with naming(path), os.fdopen(descriptor, "ab") as stream:
            stream.write(data)
            sync_stream(stream)
        own_as_parent(path)

    def _rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def _symlink(self, target: str, link: Path) -> None:
        link.symlink_to(target)
        own_as_parent(link)

    def _unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _remove_tree(self, path: Path) -> None:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)

    def _sync_folder(self, path: Path) -> None:
        sync_path(path)
