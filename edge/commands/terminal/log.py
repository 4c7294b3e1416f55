"""Log messages of the libraries, as a command shows them: one line each on standard error."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from edge.system.line_writer import LineWriter
from edge.system.progress import clear_bar
from edge.system.streams import one_line

_FLOORS = ("edge", "models", "convert", "docs", "__main__")  # `__main__`: a module run with `python -m`


class TerminalHandler(logging.Handler):
    """Prints each message as one line on what `sys.stderr` is then; "warning: " or "error: " goes before what is one.

    A standard error that is closed or full never ends the work. One that nobody reads holds up whoever has a message,
    unless a `LineWriter` takes them (`messages_through`).

    >>> handler = TerminalHandler()
    >>> handler.handle(logging.LogRecord("edge", logging.WARNING, "", 0, "the disk is slow", (), None))
    True
    """

    def __init__(self) -> None:
        super().__init__()
        self.writer: LineWriter | None = None

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        text = f"{prefix}{one_line(record.getMessage())}"
        if self.writer is not None:
            self.writer.put([text])
            return
        clear_bar()
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)


def show_log() -> None:
    """Show what the project's own loggers say, from INFO on. Other packages' loggers stay as they are.

    The messages stop there: TensorFlow gives the root logger a handler of its own, which would print them again.
    """
    for name in _FLOORS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not any(isinstance(handler, TerminalHandler) for handler in logger.handlers):
            logger.addHandler(TerminalHandler())


@contextlib.contextmanager
def messages_through(writer: LineWriter) -> Iterator[None]:
    """Within the block `writer` takes the messages, so that no thread waits for whoever reads standard error."""
    handlers = [
        handler
        for name in _FLOORS
        for handler in logging.getLogger(name).handlers
        if isinstance(handler, TerminalHandler)
    ]
    for handler in handlers:
        handler.writer = writer
    try:
        yield
    finally:
        for handler in handlers:
            handler.writer = None
