"""The process's standard output and standard error, given back whatever was interrupted while they were held back.

TensorFlow and the TFLite runtimes write to file descriptors below Python, so some blocks here point those elsewhere
for a while. Ctrl-C may land between any two steps of doing so, where no `finally` of the block itself can help; the
line that then says "interrupted" must still reach the person at the terminal.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

STREAMS = (1, 2)


@contextlib.contextmanager
def given_back() -> Iterator[None]:
    """After the block the streams are those that were there before it, for Python and below it."""
    python = sys.stdout, sys.stderr
    real = {}
    for stream in STREAMS:
        with contextlib.suppress(OSError):  # closed from the start: there is nothing to give back
            real[stream] = os.dup(stream)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = python
        for stream, kept in real.items():
            os.dup2(kept, stream)
            os.close(kept)
