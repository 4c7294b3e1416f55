"""Files read whole, up to a size, and written whole or not at all."""

import errno
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from edge.errors import LeukoscopeError
from edge.system.durable import sync_stream, write_new


def read_at_most(path: Path, limit: int, error: type[LeukoscopeError]) -> bytes:
    """The bytes of a file of `limit` bytes at most; `error`, naming the path, where that fails.

    Args:
        path: the file; a folder fails, and what is missing or may not be read.
        limit: bytes, a multiple of 1 MiB.
        error: the class to raise, chained where the system gave the reason.
    """
    try:
        if path.is_dir():
            raise error(f"{path}: a folder, not a file")
        if path.stat().st_size > limit:
            raise error(f"{path}: larger than {limit >> 20} MiB")
        return path.read_bytes()
    except OSError as problem:
        raise error(f"{path}: {problem.strerror}") from problem


def write_whole(path: Path, data: bytes | str, *, staging_folder: Path | None = None) -> None:
    """Write a file whole or not at all, replacing one that stands there; text becomes UTF-8.

    Args:
        staging_folder: where the unfinished file lies, on the same file system; the folder of `path` when None.

    Raises:
        OSError: naming `path`: it cannot be written; what stood there before still does.
    """
    folder = path.parent if staging_folder is None else staging_folder
    staging = folder / f".{path.name}.{secrets.token_hex(6)}.partial"
    try:
        write_new(staging, data.encode() if isinstance(data, str) else data)
        staging.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


def require_writable(folder: Path, option: str) -> None:
    """Find out before an hour's work, not after it, that nothing can be written to `folder`; make it when missing.

    Args:
        folder: where results will go.
        option: what named it, for the message: "--out".

    Raises:
        OSError: naming folder and option.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
            probe.write(b"\0" * 4096)
            sync_stream(probe)
    except OSError as error:
        said = f"{error.strerror}; {option} must be in a folder that can be written"
        raise OSError(error.errno, said, str(folder)) from error


def require_file(path: Path, option: str) -> None:
    """As `require_writable`, for a file that will be written."""
    require_writable(path.parent, option)
    if path.is_dir():
        raise OSError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}; {option} must name a file", str(path))
