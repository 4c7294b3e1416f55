"""A stick made ready to be pulled: everything written, and unmounted where that needs no other rights."""

import ctypes
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge.system.media.mounts import Mount
from edge.system.media.os_errors import naming

_UNMOUNT_S = 120.0  # a slow stick writes what it still holds


@dataclass(frozen=True)
class Ejection:
    """What came of it.

    Attributes:
        done: it is unmounted. text: one line for a person, which says what is left to do.

    >>> Ejection(True, "/media/usb is unmounted: it may be pulled").done
    True
    """

    done: bool
    text: str


def eject(mount: Mount) -> Ejection:
    """Write out everything that the file system still holds, then unmount it, as far as this user may.

    By udisks, where it runs (desktops; any user at the machine may), else by umount (root, and what /etc/fstab gives
    to users) or fusermount. Nothing is forced: a mount that is in use stays.

    Raises:
        OSError: naming the mount point: what it holds cannot be written.
    """
    _write_out(mount.point)
    why = ""
    for words in _ways(mount):
        done = _ran(words)
        if done is None:
            return Ejection(True, f"{mount.point} is unmounted: it may be pulled")
        why = why or done
    cure = f"sudo umount {shlex.quote(str(mount.point))}"
    return Ejection(
        False, f"{mount.point}: all is written, and it is still mounted ({why}); before it is pulled: {cure}"
    )


def _write_out(point: Path) -> None:
    folder = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(point):
            if ctypes.CDLL(None, use_errno=True).syncfs(folder) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    finally:
        os.close(folder)


def _ways(mount: Mount) -> list[list[str]]:
    """Commands that unmount, the gentlest first."""
    ways = []
    if mount.source.startswith("/dev/") and shutil.which("udisksctl"):
        ways.append(["udisksctl", "unmount", "--no-user-interaction", "-b", mount.source])
    ways.append(["umount", str(mount.point)])
    helper = shutil.which("fusermount3") or shutil.which("fusermount")
    if mount.kind.startswith("fuse") and helper:
        ways.append([helper, "-u", str(mount.point)])
    return ways


def _ran(words: list[str]) -> str | None:
    """None where the command did it, else what it says, on one line."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=False, timeout=_UNMOUNT_S, cwd="/"
        )
    except subprocess.TimeoutExpired:
        return f"{words[0]} takes longer than {_UNMOUNT_S:.0f} s"
    except OSError as error:
        return f"{words[0]}: {error.strerror}"
    return None if done.returncode == 0 else " ".join((done.stderr or done.stdout).split()) or f"{words[0]} failed"
