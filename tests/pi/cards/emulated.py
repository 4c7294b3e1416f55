"""Machines of qemu-system: a disk, a kernel, a console that is read, and an end in order or by a pulled plug.

Nothing of it is this machine's: emulator and firmware come from Debian's trixie, unpacked, and every instruction is
emulated (TCG), so that what is seen does not hang on virtualization by the host.
"""

import base64
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pi.build_root import DEFAULT_FOLDER, RELEASE
from tests.pi.debian import mirror, need, once, run

BOOT_S = 580.0
PACKAGES = "qemu-system-arm,qemu-system-x86,seabios,ipxe-qemu"
# x86-64-v2 is the least that numpy's wheels need; more would only have to be emulated.
# On a busy host the kernel would take a timer that is late for a broken one.
KINDS = {
    "amd64": ("x86_64", "q35", "Nehalem", "console=ttyS0 no_timer_check panic=-1"),
    "arm64": ("aarch64", "virt", "cortex-a76", "console=ttyAMA0 panic=-1"),
}
# A second of a board's is a quarter of a minute here.
PATIENCE = "[Service]\nTimeoutStartSec=900\nWatchdogSec=450\n"


@dataclass(frozen=True)
class Kernel:
    """What a board's firmware would load."""

    image: Path
    initrd: Path
    command_line: str


@dataclass
class Emulated:
    """A machine that is on."""

    process: "subprocess.Popen[bytes]"
    log: Path
    monitor: Path

    @property
    def console(self) -> str:
        """All that it said so far."""
        return self.log.read_text(errors="replace").replace("\r", "")

    def wait_for(self, true: Callable[[str], object], what: str, timeout_s: float = BOOT_S) -> None:
        """Until it holds of the console.

        Raises:
            AssertionError: not in time, or the machine is off.
        """
        end = time.monotonic() + timeout_s
        while not true(self.console):
            assert self.process.poll() is None, f"it is off before {what}:\n{self.console[-3000:]}"
            assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}:\n{self.console[-3000:]}"
            time.sleep(1)

    def press_power(self, timeout_s: float = 180) -> None:
        """Switch it off in order, as by its button."""
        self._tell("system_powerdown")
        self.process.wait(timeout_s)

    def pull_the_plug(self) -> None:
        """No more instructions, nothing is written any more."""
        self.process.kill()
        self.process.wait()

    def _tell(self, command: str) -> None:
        import socket

        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.monitor))
            monitor.recv(4096)
            monitor.sendall(f"{command}\n".encode())
            time.sleep(0.5)


def emulators() -> Path:
    """Where qemu-system of the newer release is unpacked.

    Raises:
        CannotBuildError: not root, no mmdebstrap, or apt does not serve.
    """
    target = DEFAULT_FOLDER / "qemu-system"
    once(target, f"{RELEASE} {PACKAGES}", _unpack)
    return target


def _unpack(target: Path) -> None:
    need("mmdebstrap", "unshare")
    words = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"]
    words += ["--components=main", f"--include={PACKAGES}", '--aptopt=APT::Install-Recommends "false"']
    run(*words, RELEASE, str(target), mirror())


def drop_ins(units: Mapping[str, str]) -> str:
    """Words for a kernel's command line that give units further lines, without a change to the disk (systemd 256)."""
    return " ".join(
        f"systemd.set_credential_binary=systemd.unit-dropin.{unit}:{base64.b64encode(lines.encode()).decode()}"
        for unit, lines in units.items()
    )


@contextmanager
def switched_on(
    kind: str, kernel: Kernel, disk: Path, folder: Path, *, memory_mb: int = 1536, more: Sequence[str] = ()
) -> Iterator[Emulated]:
    """A machine of "amd64" or "arm64" with one disk, off at the end whatever happened.

    Args:
        kind: of the table above.
        kernel: what it starts.
        disk: a raw image; written through to the file, so that a pulled plug leaves what a card would hold.
        folder: for console and monitor.
        memory_mb: its memory.
        more: further words for qemu.
    """
    place = emulators()
    machine, board, processor, more_line = KINDS[kind]
    libraries = place / "usr/lib/x86_64-linux-gnu"  # the newer release's own: its loader is asked to run it
    words = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    words += [str(place / f"usr/bin/qemu-system-{machine}"), "-L", str(place / "usr/share/qemu")]
    words += ["-L", str(place / "usr/share/seabios"), "-M", board, "-cpu", processor, "-accel", "tcg,thread=multi"]
    words += ["-smp", "2", "-m", str(memory_mb), "-nodefaults", "-display", "none", "-no-reboot", "-net", "none"]
    words += ["-device", "virtio-rng-pci", "-drive", f"if=none,file={disk},format=raw,id=disk,cache=writethrough"]
    words += ["-device", "virtio-blk-pci,drive=disk", "-kernel", str(kernel.image), "-initrd", str(kernel.initrd)]
    log, monitor = folder / "console.log", folder / "monitor"
    monitor.unlink(missing_ok=True)
    words += ["-serial", "stdio", "-monitor", f"unix:{monitor},server,nowait", *more]
    words += ["-append", f"{kernel.command_line} {more_line}"]
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        yield Emulated(process, log, monitor)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
