"""What the operating system's errors mean: the exit code of a command that one ends, the path it is about, the cure."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from edge.errors import MACHINE_LACKS, WRONG_REQUEST

# A name that was given and does not lead where it should. All others are the machine's, and may pass: a full or failing
# disk, a stick that was pulled, memory, handles, what a file system cannot do. A service is started again after those.
_OF_THE_REQUEST = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EXDEV,
}
CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # fsync(2) of what a file system cannot sync
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_CURES = {
    **dict.fromkeys(_NO_ROOM, "make room"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "end what holds so many files open"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "give access"),
    **dict.fromkeys((errno.EIO, errno.EREMOTEIO), "the medium fails or was pulled; see `dmesg`, and try another one"),
    **dict.fromkeys((errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE), "the medium is gone; put it back"),
    errno.ENOMEM: "free memory",
    **dict.fromkeys(CANNOT_SYNC, "its file system cannot do this; use another one, such as ext4"),
}


def exit_code(error: OSError) -> int:
    """`MACHINE_LACKS` (4) for what may pass without another request, `WRONG_REQUEST` (2) for a name that is wrong.

    >>> exit_code(OSError(errno.EIO, "Input/output error")), exit_code(FileNotFoundError(errno.ENOENT, "no such file"))
    (4, 2)
    """
    return WRONG_REQUEST if error.errno is None or error.errno in _OF_THE_REQUEST else MACHINE_LACKS


def cure(number: int | None) -> str:
    """What to do about an error of that number; "" where nothing general can be said.

    >>> cure(errno.ENOSPC)
    'make room'
    """
    return _CURES.get(number or 0, "")


def said(error: OSError) -> str:
    """`PATH: what the system says`, the path as far as it can be known.

    >>> said(OSError(errno.EIO, "Input/output error", "/media/usb/S-1"))
    '/media/usb/S-1: Input/output error'
    """
    path, text = path_of(error), error.strerror or str(error)
    return f"{path}: {text}" if path else text


def path_of(error: OSError) -> str:
    """The path that an error is about; "" where nothing tells.

    The system names no path when it reads, writes or syncs a file that is open. Then it is that of the only file or
    path at hand where the error arose.
    """
    if isinstance(error.filename, (str, bytes, Path)):
        return (
            error.filename.decode(errors="surrogateescape")
            if isinstance(error.filename, bytes)
            else str(error.filename)
        )
    frames: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    for frame in reversed(frames):
        at_hand = {str(path) for value in frame.tb_frame.f_locals.values() if (path := _named_by(value))}
        if len(at_hand) == 1:
            return at_hand.pop()
    return ""


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """An OSError that leaves the block names `path`, unless it names one.

    >>> with naming("/media/usb/S-1"):
    ...     raise OSError(errno.EIO, "Input/output error")
    Traceback (most recent call last):
    OSError: [Errno 5] Input/output error: '/media/usb/S-1'
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and not isinstance(error.filename, (str, bytes)):
            error.filename = str(path)
        raise


def _named_by(value: object) -> str | Path | None:
    if isinstance(value, Path):
        return value
    name = getattr(value, "name", None) if isinstance(value, io.IOBase) else None
    return name if isinstance(name, str) else None
