"""The demonstration's instrument: `edge run` in a child process, with a socket that only its user reaches."""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from edge.errors import InstrumentUnavailable

PROGRAM = (sys.executable, "-m", "edge.cli", "run")
READY_S = 120.0  # until the socket answers: a slow board replays its golden images first
STOP_S = 15.0  # for the end in order; then it is killed
_KEPT_LINES = 50
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_log = logging.getLogger(__name__)


class Instrument:
    """The instrument of a demonstration. It ends with its parent, whatever ends that.

    Args:
        socket: where it will offer the bench; in a folder that nobody else may enter.
        words: of `edge run`, but for the socket. program: that is run with them; tests name another.

    >>> Instrument(Path("/run/user/1000/i.sock"), ["--camera", "sim:"]).command[-4:]
    ('--socket', '/run/user/1000/i.sock', '--camera', 'sim:')
    """

    def __init__(self, socket: Path, words: Sequence[str], program: Sequence[str] = PROGRAM) -> None:
        self.socket = socket
        self.command = (*program, "--socket", str(socket), *words)
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        # Not in the terminal's process group: Ctrl-C is for the page, which then ends the instrument in order.
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent(os.getpid()),  # noqa: PLW1509  (no other thread runs yet)
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the child."""
        assert self._process is not None
        return self._process.pid

    def wait_until_ready(self, timeout_s: float = READY_S) -> None:
        """Return once somebody answers at the socket.

        Raises:
            InstrumentUnavailable: it ended, with its own reason; or nobody answers in time.
        """
        end = time.monotonic() + timeout_s
        while not self._answers():
            if self.ended():
                raise InstrumentUnavailable(self.why())
            if time.monotonic() > end:
                raise InstrumentUnavailable(
                    f"the instrument does not answer within {timeout_s:g} s; it said: {self._last()}"
                )
            time.sleep(0.05)

    def ended(self) -> bool:
        """Whether the child is no more."""
        assert self._process is not None
        return self._process.poll() is not None

    def wait(self) -> None:
        """Return when it has ended."""
        assert self._process is not None
        self._process.wait()

    def why(self) -> str:
        """Why it ended, in one line, by its exit code and its own last words."""
        assert self._process is not None
        code = self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2.0)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"the instrument {how}: {self._last()}"

    def stop(self) -> None:
        """End it in order: what it judged is stored first. After `STOP_S` it is killed."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                _log.warning(f"the instrument did not end within {STOP_S:g} s, and is killed")
                process.kill()
                process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2.0)

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(os.fspath(self.socket))
            return True
        return False

    def _last(self) -> str:
        errors = [line for line in self._said if line.startswith("error: ")]
        return (errors or [line for line in self._said if line] or ["nothing"])[-1].removeprefix("error: ")

    def _read(self, stream: IO[str]) -> None:
        with suppress(ValueError):
            for line in stream:
                self._said.append(line.rstrip())
                _log.debug(f"instrument: {line.rstrip()}")


def _end_with_parent(parent: int) -> Callable[[], None]:
    """What the child does before it begins: it asks the kernel for SIGTERM when its parent ends, even by SIGKILL."""
    library = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended meanwhile
            os._exit(1)

    return ask
