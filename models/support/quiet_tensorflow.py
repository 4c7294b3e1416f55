"""TensorFlow writes to the process's own streams, below Python, and buries what a person must read.

`silenced()` holds standard output and standard error back, at the level of file descriptors and of Python,
and gives them back whatever happens (a signal in the middle of an exchange included: edge/system/streams.py, once the
command unwinds). With LEUKOSCOPE_DEBUG=1 nothing is held back.
"""

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from edge.system.streams import STREAMS
from models.errors import MissingExtraError


class Silence:
    """The streams while they are held back; made by `silenced`."""

    def __init__(self, held: int | None = None) -> None:
        self._held = held
        self._real: dict[int, int] = {}
        self._python = sys.stdout, sys.stderr

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """The real streams for the length of a block, for a line of progress."""
        if self._held is None:
            yield
            return
        self.end()
        try:
            yield
        finally:
            self.begin()

    def begin(self) -> None:
        """Point both streams at the file that holds what is written."""
        if self._held is None:
            return
        self._python = sys.stdout, sys.stderr
        _flush()
        self._real = {stream: os.dup(stream) for stream in STREAMS}
        for stream in STREAMS:
            os.dup2(self._held, stream)
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(self._held, "w", closefd=False), write_through=True)

    def end(self) -> None:
        """Give the streams back."""
        _flush()
        sys.stdout, sys.stderr = self._python
        while self._real:  # interrupted between two, it goes on where it was
            stream, real = self._real.popitem()
            os.dup2(real, stream)
            os.close(real)


@contextlib.contextmanager
def silenced() -> Iterator[Silence]:
    """Hold back what TensorFlow prints. Not for two threads at once: the streams are the process's."""
    if os.environ.get("LEUKOSCOPE_DEBUG") == "1":
        yield Silence()
        return
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        silence = Silence(held.fileno())
        try:
            silence.begin()
            yield silence
        finally:
            silence.end()


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their greetings; one line when they are not installed.

    Raises:
        MissingExtraError: no TensorFlow here.
    """
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with silenced():
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"this needs TensorFlow ({error}); install it with: pip install leukoscope[convert]"
        ) from error
    # its logger was made for the stream that was held back, which is closed by now
    logger = logging.getLogger("tensorflow")
    logger.handlers.clear()
    logger.setLevel(logging.ERROR)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):  # closed, or a full pipe
            stream.flush()
