"""Reading a file whole, up to a size."""

from pathlib import Path

from edge.errors import LeukoscopeError


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
