"""The self-test of a new bundle, in a process of its own: a crash or a hang of native code ends that process alone."""

import os
import pwd
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import DONE, MACHINE_LACKS, InterpreterUnavailable, UpdateError

LONGEST_S = 300.0  # some hundred inferences on the slowest board that is supported, and its imports
_SAID_BYTES = 4096


@dataclass(frozen=True)
class Proof:
    """How bundles are proven: `edge selftest` with the settings that the service has.

    Attributes:
        config: profile; None for the machine's own. trusted: folder of trusted keys; None for the profile's.
        runtime, threads: of the interpreter; None for the first that is installed.
        allow_unsigned, allow_uncertified: said by whoever updates.
        timeout_s: seconds the child may take.

    >>> Proof(threads=2).command_line(Path("/srv/tiny-int8"))[3:]
    ['selftest', '--bundle', '/srv/tiny-int8', '--store', '/dev/null', '--threads', '2']
    """

    config: Path | None = None
    trusted: Path | None = None
    runtime: str | None = None
    threads: int = 1
    allow_unsigned: bool = False
    allow_uncertified: bool = False
    timeout_s: float = LONGEST_S

    def __call__(self, bundle: Path) -> None:
        """Prove the bundle in a folder.

        Raises:
            UpdateError: it answers otherwise than certified, crashed, or took too long.
            InterpreterUnavailable: this machine has none.
        """
        try:
            done = subprocess.run(
                self.command_line(bundle),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self.timeout_s,
                check=False,
                cwd="/",
                **_owner(bundle),
            )
        except subprocess.TimeoutExpired as error:
            raise UpdateError(f"the self-test did not end within {self.timeout_s:g} s") from error
        if done.returncode == DONE:
            return
        if done.returncode == MACHINE_LACKS:
            raise InterpreterUnavailable(_last_line(done.stderr))
        if done.returncode < 0:
            raise UpdateError(f"the self-test crashed ({_signal(-done.returncode)})")
        raise UpdateError(f"the self-test failed: {_last_line(done.stderr)}")

    def command_line(self, bundle: Path) -> list[str]:
        """The command line of the child."""
        words = [sys.executable, "-m", "edge.cli", "selftest", "--bundle", str(bundle)]
        words += ["--store", os.devnull]  # the outcome is kept nowhere: `edge doctor` tells of what serves
        words += [] if self.config is None else ["--config", str(self.config)]
        words += [] if self.trusted is None else ["--trusted", str(self.trusted)]
        words += [] if self.runtime is None else ["--runtime", self.runtime]
        words += ["--threads", str(self.threads)]
        words += ["--allow-unsigned"] if self.allow_unsigned else []
        return words + (["--allow-uncertified"] if self.allow_uncertified else [])


def _owner(bundle: Path) -> dict[str, Any]:
    """Root's child becomes the owner of the slots, with the groups that the service has: no model runs as root."""
    status = bundle.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return {}
    groups = [status.st_gid]
    with suppress(KeyError):  # a user without a name has no further groups
        groups = os.getgrouplist(pwd.getpwuid(status.st_uid).pw_name, status.st_gid)
    return {"user": status.st_uid, "group": status.st_gid, "extra_groups": groups}


def _last_line(said: bytes) -> str:
    lines = said[-_SAID_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
