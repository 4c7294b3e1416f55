"""Work in a forked child process, which may crash or hang there."""

import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_KILL_WAIT_S = 1.0


def ends_the_process(work: Callable[[], object], timeout_s: float) -> str:
    """Why `work` must not be done in this process: it crashes, or does not end; "" where it may.

    It is done in a forked child first. What it raises there says nothing: it will be raised here as well.

    >>> ends_the_process(lambda: 1 / 0, 5)
    ''
    """
    with tempfile.TemporaryFile() as said:
        answer = in_a_child(lambda: [bool(work())], timeout_s, said.fileno())
    harmless = not isinstance(answer, str) or not answer.startswith(("it crashed", "no answer"))
    return "" if harmless else str(answer)


def in_a_child(work: Callable[[], Any], timeout_s: float, stderr: int) -> Any:
    """`work()` done in a forked child, through JSON; a str says why there is no answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work_and_leave(work, writing, stderr)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", buffering=0) as stream:
            data = _read_until(stream.fileno(), time.monotonic() + timeout_s)
    finally:
        status = _reaped(child)
    if data is None:
        return f"no answer in {timeout_s:g} s"
    if not data:
        crash = status is not None and os.WIFSIGNALED(status)
        return (
            f"it crashed: {signal.Signals(os.WTERMSIG(status)).name}" if crash and status else "it ended without a word"
        )
    return json.loads(data)


def _work_and_leave(work: Callable[[], Any], writing: int, stderr: int) -> None:
    """The child: its own process group, nothing on the terminal, and out without the parent's exit handlers."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(stderr, 2)
        _close_all_but(writing)
        try:
            answer = json.dumps(work())
        except BaseException as error:  # whatever a package throws at import, SystemExit included
            answer = json.dumps(f"{type(error).__name__}: {' '.join(str(error).split())}")
        data = answer.encode()
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _close_all_but(descriptor: int) -> None:
    """Of what was inherited: a probe that nothing can end must not hold open what somebody reads to its end."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))


def _read_until(descriptor: int, deadline: float) -> bytes | None:
    """Everything up to the other end's close; None when that does not come in time."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        part = os.read(descriptor, 65536)
        if not part:
            return data
        data += part


def _reaped(child: int) -> int | None:
    """Exit status of the child, which is killed with all it started unless it has ended; None if it will not end."""
    for attempt in range(int(_KILL_WAIT_S / 0.01)):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if attempt == 5:  # it closed the pipe, so it is about to leave, or it hangs
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)
    return None
