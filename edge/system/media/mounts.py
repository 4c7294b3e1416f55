"""What a path is stored on: the drive or card, the type of its file system, where that is mounted."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Mount:
    """A mounted file system, as proc_pid_mountinfo(5) has it.

    Attributes:
        device: "major:minor". point: where. kind: "vfat", "ext4". source: "/dev/sda1".

    >>> Mount("8:1", Path("/media/usb"), "vfat", "/dev/sda1").point
    PosixPath('/media/usb')
    """

    device: str
    point: Path
    kind: str
    source: str


def mounted(mounts: Path = MOUNTS) -> list[Mount]:
    """All that is mounted, in the order of mounting; none where that is not known."""
    try:
        lines = mounts.read_bytes().decode(errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        words, behind = before.split(), after.split()
        if len(words) > 4 and len(behind) > 1:
            found.append(Mount(words[2], Path(_plain(words[4])), behind[0], _plain(behind[1])))
    return found


def mount_of(path: Path, mounts: Path = MOUNTS) -> Mount | None:
    """What `path` is mounted by: of the mount points above it the nearest; None where that is not known."""
    real = path.resolve()
    above = [mount for mount in mounted(mounts) if real.is_relative_to(mount.point)]
    return max(enumerate(above), key=lambda found: (len(found[1].point.parts), found[0]))[1] if above else None


def medium(path: Path, blocks: Path = Path("/sys/dev/block")) -> str:
    """What `path` is stored on: the whole drive or card, whichever of its partitions; a device number elsewhere."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    if not (blocks / number).exists():
        return number
    block = (blocks / number).resolve()
    return str(block.parent if (block / "partition").exists() else block)


def file_system(device: int, mounts: Path = MOUNTS) -> str:
    """The type of the file system with that device number; "" where it is not known."""
    number = f"{os.major(device)}:{os.minor(device)}"
    return next((mount.kind for mount in mounted(mounts) if mount.device == number), "")


def _plain(text: str) -> str:
    """A name without the octal escapes of the kernel (a blank is \\040)."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
