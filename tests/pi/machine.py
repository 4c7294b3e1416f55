"""A machine made of a root file system, without a board: its programs run there, or it is booted with systemd.

systemd-nspawn gives it a process tree, a network and devices of its own; systemd inside is the release's own, with our
units, watchdog and hardening. What is written lies in a layer over the root, which stays as it was.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pi.debian import CannotBuildError, need

BOOT_S, HALT_S = 180.0, 60.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of the host nothing but this is seen inside; without --private-network there would be its network.
NSPAWN = (
    *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off"),
    *("--timezone=off", "--link-journal=no"),
)
# cgroups of the new kind inside, on a host that still has the old kind as well. (Both names: older and newer nspawn.)
HOST = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_SECCOMP": os.environ.get("SYSTEMD_SECCOMP", "1")}
NSPAWN_ITSELF = "/run/systemd/nspawn/propagate/"  # what it says of its own folder where no machined runs
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Root:
    """A root file system, laid over others: what is written comes to `path` alone."""

    path: Path
    layer: Path

    def run(self, *words: str, binds: Sequence[str] = (), code: int | None = 0, timeout_s: float = 1800) -> Done:
        """Run a command in it, without network and without systemd.

        Args:
            words: program and words, as seen inside.
            binds: folders of this machine to show inside, read-only, "HERE:THERE".
            code: exit code that is expected; None for any.
        """
        shown = [f"--bind-ro={bind}" for bind in binds]
        start = [*NSPAWN, f"--directory={self.path}", "--pipe", "--as-pid2", *shown, f"--setenv=PATH={PATH}", "--"]
        done = subprocess.run(
            [*start, *words], capture_output=True, text=True, check=False, timeout=timeout_s, env={**os.environ, **HOST}
        )
        own = [line for line in done.stderr.splitlines(keepends=True) if NSPAWN_ITSELF not in line]
        return expect(Done(done.args, done.returncode, done.stdout, "".join(own)), code)

    @contextmanager
    def booted(self, binds: Sequence[str] = (), words: Sequence[str] = ()) -> Iterator["Booted"]:
        """Boot it, and stop it in order at the end.

        Args:
            binds: as of `run`.
            words: further ones for systemd-nspawn.

        Raises:
            CannotBuildError: nspawn cannot start systemd here, with what was said.
        """
        need("systemd-nspawn", "nsenter")
        shown = [f"--bind-ro={bind}" for bind in binds]
        log = self.layer / "console.log"
        start = [*NSPAWN, f"--directory={self.path}", "--console=pipe", *shown, *words, "--boot"]
        with log.open("w") as console:
            process = subprocess.Popen(
                [*start, "systemd.log_target=journal"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, **HOST},
            )
        machine = Booted(process)
        try:
            if not machine.came_up():
                raise CannotBuildError(f"systemd does not come up under systemd-nspawn: {log.read_text()[-600:]}")
            yield machine
        finally:
            machine.stop()


class Booted:
    """A machine that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def came_up(self) -> bool:
        """Wait until systemd is done with the boot, well or badly."""
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end and self._process.poll() is None:
            if self._leader() and self.run("systemctl", "is-system-running", code=None).stdout.strip() in (
                "running",
                "degraded",
            ):
                return True
            time.sleep(0.5)
        return False

    def _leader(self) -> str:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return children[0] if children else ""

    def run(self, *words: str, code: int | None = 0, timeout_s: float = 600) -> Done:
        """Run a command in it, as root."""
        enter = ["nsenter", "--target", self._leader(), "--all", "env", "-i", f"PATH={PATH}", "HOME=/root"]
        done = subprocess.run(
            [*enter, "LANG=C.UTF-8", *words], capture_output=True, text=True, check=False, timeout=timeout_s
        )
        return expect(done, code)

    def told(self, *words: str) -> str:
        """What a command says on standard output, which must succeed."""
        return self.run(*words).stdout.strip()

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit, such as "ActiveState"."""
        return self.told("systemctl", "show", "--value", f"--property={name}", unit)

    def journal(self, unit: str) -> str:
        """What a unit said in this boot."""
        return self.told("journalctl", "--boot", "--no-pager", "--output=cat", f"--unit={unit}")

    def stop(self) -> None:
        """Shut down in order; what does not end is killed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(HALT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def over(lower: Sequence[Path], layer: Path) -> Iterator[Root]:
    """Lay a new layer over root file systems, the topmost first.

    Raises:
        CannotBuildError: the kernel has no overlayfs, or not over this file system.
    """
    need("mount", "umount")
    for name in ("upper", "work", "root"):
        (layer / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={layer / 'upper'},workdir={layer / 'work'}"
    options += ",redirect_dir=on"  # or a folder from below could not be renamed, as it can on a card
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(layer / "root")]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"no layer can be laid over a root here: {done.stderr.strip()}")
    try:
        yield Root(layer / "root", layer)
    finally:
        subprocess.run(["umount", "--lazy", str(layer / "root")], check=False, capture_output=True)
        shutil.rmtree(layer / "work", ignore_errors=True)


def expect(done: Done, code: int | None) -> Done:
    """The command's outcome, which must have the exit code."""
    assert code is None or done.returncode == code, (
        f"{done.args[-6:]} ended with {done.returncode}, expected {code}:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    )
    return done


def wait_until(true: Callable[[], Any], timeout_s: float = 90.0) -> Any:
    """The first truthy answer; fails after the time."""
    end = time.monotonic() + timeout_s
    while True:
        if answer := true():
            return answer
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {getattr(true, '__name__', true)}"
        time.sleep(0.5)
