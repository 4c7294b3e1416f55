"""The folder of the record: where it is, how it is made, and the lock of the one process that writes to it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from edge.errors import StoreBusy, StoreError, UsageError
from edge.record.images import IMAGES
from edge.record.schema import DATABASE
from edge.system.durable import sync_path

LOCK = "record.lock"


def default_store() -> Path:
    """The record's folder below systemd's state folder, or the user's (XDG base directories)."""
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if state:
        return Path(state) / "record"
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local/state") / "leukoscope" / "record"


def store_folder(text: str) -> Path:
    """The folder that --store names, or the default one."""
    return Path(text) if text else default_store()


def holds_record(folder: Path) -> bool:
    """Whether something of a record is in `folder`; whether it is sound is another question."""
    return folder.is_dir() and any(os.path.lexists(folder / name) for name in (DATABASE, IMAGES))


def require_record(folder: Path) -> None:
    """Raise UsageError unless something of a record is in `folder`; whether it is sound is another question."""
    if not holds_record(folder):
        raise UsageError(f"{folder}: no record here; name its folder with --store")


def make_folder(folder: Path) -> None:
    """Make the folder where there is none, so that it stays there."""
    if not folder.is_dir():
        if folder.exists():
            raise UsageError(f"--store must be a folder; {folder} is a file")
        folder.mkdir(parents=True)
        sync_path(folder.parent)


def require_new(folder: Path) -> None:
    """A record is only made where there is none: images without their database are a record that lost it."""
    if (folder / IMAGES).is_dir() and any((folder / IMAGES).iterdir()):
        raise StoreError(f"{folder / DATABASE}: is missing, while images are there; restore it, or name another folder")


def locked(folder: Path) -> int:
    """A handle that holds the record's lock; it goes with the process, however that ends."""
    path = folder / LOCK
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        raise StoreBusy(
            f"{folder}: process {holder or '?'} writes to this record; end it, or name another folder"
        ) from error
    with suppress(OSError):  # only for the message above; on a full disk it goes without
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file there; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
