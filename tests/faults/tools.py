"""Faults to order: sticks that fail, syncs that are slow or lie, clocks that are wrong, outputs that nobody reads.

What is in C is compiled by the system's compiler, once a session.
"""

import errno
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
Output = Literal["read", "full", "closed", "terminal gone", "unread"]
OUTPUTS: tuple[Output, ...] = ("read", "full", "closed", "terminal gone", "unread")


class NotHere(Exception):  # noqa: N818  (no error: the test is skipped)
    """What a fault needs is not on this machine."""


def compiled(source: str, folder: Path) -> Path:
    """The program `stick`, or the library `shim`, made in `folder` from the source beside this file."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotHere("no C compiler")
    library = source == "shim"
    made = folder / (f"{source}.so" if library else source)
    if not made.exists():
        kind = ["-shared", "-fPIC"] if library else []
        subprocess.run([compiler, *kind, "-O1", "-o", made, HERE / f"{source}.c"], check=True)
    return made


class Faults:
    """A folder of switches, which `shim.c` and `stick.c` look at again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def set(self, name: str, value: int | str = "") -> None:
        """Switch a fault on; how much of it, where it takes a number."""
        staging = self.folder / f".{name}"
        staging.write_text(str(value))
        staging.rename(self.folder / name)

    def clear(self, *names: str) -> None:
        """Switch faults off, all of them where none is named."""
        for path in list(self.folder.iterdir()):
            if not names or path.name in names:
                path.unlink(missing_ok=True)

    def environment(self, shim: Path) -> dict[str, str]:
        """For a process whose syncs and clock they are."""
        return {**os.environ, "LD_PRELOAD": str(shim), "FAULTS": str(self.folder)}


class Stick:
    """A mounted stick (`stick.c`).

    Attributes:
        path: where it is mounted. faults: its switches.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.path, self._live, self._platter = (folder / name for name in ("mnt", "live", "platter"))
        for each in (self.path, self._live, self._platter):
            each.mkdir(parents=True)
        self.faults = Faults(folder / "faults")
        self._process: subprocess.Popen[str] | None = None
        self.mount()

    def mount(self) -> None:
        """Plug it in."""
        words = [self._program, self._live, self.path, self.faults.folder, self._platter]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline() != "mounted\n":
            raise NotHere(f"no stick can be mounted: {process.stderr.read().strip()}")
        self._process = process

    def cut(self) -> None:
        """The power goes, and comes back: what was not synced is lost, names are not."""
        self.remove()
        shutil.rmtree(self._live)
        shutil.copytree(self._platter, self._live)
        self.mount()

    def remove(self) -> None:
        """Take it out at once, whatever goes on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
            subprocess.run(["umount", "-l", self.path], check=False, capture_output=True)  # it may be ejected
            self._process = None


@contextmanager
def output(kind: Output) -> Iterator[tuple[int, int | None]]:
    """(descriptor for a process to write to, one to read from what it wrote or None)."""
    if kind == "full":
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            yield full, None
        finally:
            os.close(full)
        return
    reading, writing = pty.openpty() if kind == "terminal gone" else os.pipe()
    if kind in ("closed", "terminal gone"):
        os.close(reading)
    try:
        yield writing, reading if kind == "read" else None
    finally:
        for descriptor in (writing, reading):
            with suppress(OSError):
                os.close(descriptor)


def only_tells_truth(code: int, said: str, *, medium_gone: bool = False) -> bool:
    """Whether a command ended as one may, faults or not: an exit code that means something, and no traceback.

    Args:
        medium_gone: of the record. SQLite maps the index of its log into memory, and the kernel ends a process with
            SIGBUS that touches a page which cannot be read; as after a kill, nothing recorded is lost.
    """
    ends = (0, 1, 2, 4, 130, -signal.SIGKILL, *([-signal.SIGBUS] if medium_gone else []))
    return code in ends and "Traceback" not in said


def is_gone(path: Path) -> bool:
    """Whether a stick's mount point answers no more."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.EIO)
    return False


def reported(environment: Mapping[str, str], words: list[str]) -> str:
    """What a small process says under some faults."""
    return subprocess.run(words, env=dict(environment), capture_output=True, text=True, check=True).stdout
