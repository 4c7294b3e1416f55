"""Log messages of the libraries, as a command shows them: one line each on standard error."""

import contextlib
import logging
import sys

_FLOORS = ("edge", "models", "convert", "docs", "__main__")  # `__main__`: a module run with `python -m`


class TerminalHandler(logging.Handler):
    """Prints each message on what `sys.stderr` is at that moment; "warning: " or "error: " goes before what is one.

    A standard error that is closed or full never ends the work.

    >>> handler = TerminalHandler()
    >>> handler.handle(logging.LogRecord("edge", logging.WARNING, "", 0, "the disk is slow", (), None))
    True
    """

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        with contextlib.suppress(OSError, ValueError):
            print(f"{prefix}{record.getMessage()}", file=sys.stderr, flush=True)


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
