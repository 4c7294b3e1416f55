"""Findings, the machine they are about, and the bound that no probe can escape."""

import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

State = Literal["ok", "warning", "missing", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what was looked at.
        state: "ok"; "warning": it works, not well or not for long; "missing": something needed is not there;
            "unknown": it could not be found out, `found` says why.
        found: what is there, in one line.
        cure: what to do about it; "" where nothing is to be done.
    """

    name: str
    state: State
    found: str
    cure: str = ""


@dataclass(frozen=True)
class Machine:
    """The machine looked at. Everything read from /sys, /proc, /dev, /etc and /usr is read below `root`.

    Attributes:
        root: "/" but in tests.
        store: folder of the record; it need not exist yet.
        camera: URI of the camera that the settings name; "" for none.
        bundle: folder of the bundle that the interpreters are tried with; None for the shipped one.
        keys: folder of the trusted keys that the settings name; None for the default one.
        gates_off: names of gates that they turn off. ungated: they turn all off.
        camera_setup: folder of the camera's set-up that they name; None for none.
        control_demanded: they demand controls. control_slides, control_hours: of which slides, and how long one holds.
        site: name of the laboratory, "" for none; study: what it did not accept runs all the same.
        edgetpu: the Edge TPU that the settings ask for; "" for none. fallback: the CPU may do its work.
        bench_socket: that the instrument offers the bench at; None for none. page_certificate: of the page's TLS, PEM;
            None for none. page_user: the account that the page runs as.
        architecture: as `platform.machine()` says it. bits: of this Python.
        user: name; uid, gids: numbers of this process.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     (Path(root) / "etc").mkdir()
    ...     _ = (Path(root) / "etc/model").write_bytes(b"Raspberry Pi 5" + bytes(1))
    ...     Machine(Path(root)).text("etc/model")
    'Raspberry Pi 5'
    """

    root: Path = Path("/")
    store: Path = Path()
    camera: str = ""
    camera_setup: Path | None = None
    bundle: Path | None = None
    keys: Path | None = None
    gates_off: tuple[str, ...] = ()
    ungated: bool = False
    control_demanded: bool = False
    control_slides: tuple[str, ...] = ()
    control_hours: float = 24.0
    site: str = ""
    study: bool = False
    edgetpu: str = ""
    fallback: bool = False
    bench_socket: Path | None = None
    page_certificate: Path | None = None
    page_user: str = "leukoscope-page"
    architecture: str = field(default_factory=platform.machine)
    bits: int = 64 if sys.maxsize > 2**32 else 32
    user: str = field(default_factory=lambda: os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER")
    uid: int = field(default_factory=os.getuid)
    gids: frozenset[int] = field(default_factory=lambda: frozenset({os.getgid(), *os.getgroups()}))

    def text(self, path: str) -> str | None:
        """What a file of /sys or /proc says, without blanks and NULs at its ends; None where it cannot be read."""
        try:
            return (self.root / path).read_bytes().decode("utf-8", "replace").strip(" \n\t\0")
        except OSError:
            return None

    def number(self, path: str, base: int = 10) -> int | None:
        """The whole number a file holds; None where it holds none."""
        try:
            return int(self.text(path) or "", base)
        except ValueError:
            return None

    def folders(self, path: str) -> list[Path]:
        """The entries of a folder, sorted by name, numbers by value; none where it cannot be read."""
        try:
            return sorted((self.root / path).iterdir(), key=lambda p: (len(p.name), p.name))
        except OSError:
            return []

    def may_use(self, path: Path) -> bool:
        """The mode bits of `path` let this process read and write it."""
        status = path.stat()
        if self.uid == 0:
            return True
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid in self.gids else 0
        return (status.st_mode >> shift) & 0o6 == 0o6


Probe = Callable[[Machine], Sequence[Finding]]
