"""Probes in a child process, ended after a time limit."""

import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from edge.system.machine import Finding, Machine, Probe

_KILL_WAIT_S = 1.0


def examine(name: str, probe: Probe, machine: Machine, timeout_s: float) -> list[Finding]:
    """What a probe finds, or one finding "unknown" saying why it found nothing. Never raises, never waits longer.

    The probe runs in a forked child: one that hangs in a driver is left behind, one that crashes (a runtime built
    for another processor) takes nothing with it, and what it imported is gone afterwards.

    Args:
        name: of the finding where the probe gives none.
        timeout_s: seconds, > 0.
    """
    try:
        with tempfile.TemporaryFile() as said:
            answer = _in_a_child(lambda: [asdict(f) for f in probe(machine)], timeout_s, said.fileno())
            said.seek(0)
            lines = said.read()[-2000:].decode("utf-8", "replace").split("\n")
        if isinstance(answer, str):
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            return [Finding(name, "unknown", f"{answer}{f' ({last})' if last else ''}")]
        return [Finding(**record) for record in answer]
    except (OSError, ValueError, TypeError) as error:
        return [Finding(name, "unknown", f"the probe could not run: {error}")]


def _in_a_child(work: Callable[[], Any], timeout_s: float, stderr: int) -> Any:
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
