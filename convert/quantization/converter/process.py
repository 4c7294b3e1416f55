"""TensorFlow's converter in a process of its own, whose end ends nothing else.

The converter is native code that some networks crash (a loop over time steps inside an LSTM, TensorFlow 2.21) and
others send astray. One process serves a whole command: it is started while the command loads TensorFlow itself, given
one task after another, and started again only where it died. It works in a session of its own, so that Ctrl-C reaches
the command alone, which then ends it.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from convert.errors import ConverterCrashed, ConverterLimitError, QuantizationError
from convert.quantization.converter.worker import (
    CALIBRATING,
    CONVERTING,
    QUANTIZING,
    READING,
    Converted,
    Refused,
    Stage,
    Task,
    Tensor,
    WantedImage,
)

Image = Callable[[int], Tensor]
LONGEST_SILENCE_S = 1200.0  # between two signs of life: an image calibrated, a stage begun
SHARE_OF_MEMORY = 0.9  # of what is available when a task begins
TIME_VARIABLE, MEMORY_VARIABLE = "LEUKOSCOPE_CONVERTER_SECONDS", "LEUKOSCOPE_CONVERTER_MEMORY_MB"
_LOOK_EVERY_S = 0.25
_SAYS = {
    "": "it started",
    READING: "it read the exported network",
    CONVERTING: "it converted the graph",
    CALIBRATING: "it calibrated",
    QUANTIZING: "it quantized",
}


class ConverterProcess:
    """One converter process, started when it is first needed or by `start`.

    Args:
        longest_silence_s: seconds without a sign of life after which it is ended; None for the default, or what
            LEUKOSCOPE_CONVERTER_SECONDS says.
        memory_mb: resident MiB beyond which it is ended; None for 90 % of what is available when a task begins, or
            what LEUKOSCOPE_CONVERTER_MEMORY_MB says. Only Linux tells how much a process holds.
    """

    def __init__(self, longest_silence_s: float | None = None, memory_mb: float | None = None) -> None:
        self._silence_s, self._memory_mb = longest_silence_s, memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._said: IO[bytes] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to load TensorFlow over there; does nothing where it was begun already."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        ours, theirs = Pipe()
        said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"  # the same modules as here, wherever they came from
            f"from convert.quantization.converter.worker import main; main({theirs.fileno()})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._connection, self._said = ours, said

    def run(self, task: Task, image: Image | None = None, progress: Callable[[int], None] | None = None) -> bytes:
        """The file that a task leads to.

        Args:
            image: calibration image by its number, as the network is fed it.
            progress: called with the number of images asked for so far.

        Raises:
            QuantizationError: the converter refused it. Its subclasses: it crashed (ConverterCrashed), or it took more
                time or memory than it may (ConverterLimitError).
        """
        with self._lock:
            try:
                self.start()
                return self._served(task, image, progress)
            except BaseException:  # Ctrl-C too: what is under way over there is of no use any more
                self.close()
                raise

    def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        for stream in (self._connection, self._said):
            if stream is not None:
                stream.close()
        self._connection = self._said = None
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _served(self, task: Task, image: Image | None, progress: Callable[[int], None] | None) -> bytes:
        assert self._connection is not None
        stage = ""
        memory_mb = self._most_memory_mb()
        try:
            self._connection.send(task)
            while True:
                answer = self._answer(stage, memory_mb)
                if isinstance(answer, Converted):
                    return answer.model
                if isinstance(answer, Refused):
                    raise QuantizationError(answer.reason)
                if isinstance(answer, Stage):
                    stage = answer.name
                    if stage == QUANTIZING and progress is not None and task.images:
                        progress(task.images)
                if isinstance(answer, WantedImage):
                    assert image is not None
                    if progress is not None and answer.number:
                        progress(answer.number)
                    self._connection.send(image(answer.number))
        except (EOFError, ConnectionError):
            raise self._crash(stage) from None

    def _answer(self, stage: str, memory_mb: float) -> object:
        assert self._connection is not None and self._process is not None
        silence_s = self._silence_s or _number(TIME_VARIABLE) or LONGEST_SILENCE_S
        deadline = time.monotonic() + silence_s
        while not self._connection.poll(_LOOK_EVERY_S):
            if time.monotonic() > deadline:
                raise ConverterLimitError(
                    f"TensorFlow's converter gave no sign of life for {silence_s:g} s while {_SAYS[stage]}, and was"
                    f" ended; {TIME_VARIABLE} sets another limit"
                )
            held = _resident_mb(self._process.pid)
            if held > memory_mb:
                raise ConverterLimitError(
                    f"TensorFlow's converter held {held:.0f} MB of memory while {_SAYS[stage]}, more than the"
                    f" {memory_mb:.0f} MB it may, and was ended; use a machine with more, or set {MEMORY_VARIABLE}"
                )
        return self._connection.recv()

    def _crash(self, stage: str) -> QuantizationError:
        """What to say of a process that is gone."""
        assert self._process is not None and self._said is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        code = self._process.returncode
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read()[-4000:].decode("utf-8", "replace").splitlines()]
        last = next((line[:200] for line in reversed(lines) if line), "")
        if code == -signal.SIGKILL:
            return ConverterLimitError(
                f"TensorFlow's converter was killed while {_SAYS[stage]}, as the kernel does where memory runs out:"
                " use a machine with more, or a smaller network"
            )
        how = f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
        words = f" ({last})" if last and code is not None and code != -signal.SIGSEGV else ""
        return ConverterCrashed(f"TensorFlow's converter crashed ({how}) while {_SAYS[stage]}{words}", stage)

    def _most_memory_mb(self) -> float:
        return self._memory_mb or _number(MEMORY_VARIABLE) or SHARE_OF_MEMORY * _available_mb()


_shared = ConverterProcess()
atexit.register(_shared.close)


def shared_converter() -> ConverterProcess:
    """The one of this process."""
    return _shared


def _number(variable: str) -> float | None:
    """A positive number from the environment; None where there is none."""
    with contextlib.suppress(ValueError):
        value = float(os.environ.get(variable, ""))
        return value if value > 0 else None
    return None


def _resident_mb(process: int) -> float:
    """MiB that a process holds in memory; 0 where the system does not say."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _available_mb() -> float:
    """MiB of memory that can be had now; endless where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return float("inf")
