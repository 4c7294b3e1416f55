"""What a path is stored on: the drive or card, the type of its file system, where that is mounted."""

import os
from pathlib import Path


def medium(path: Path, blocks: Path = Path("/sys/dev/block")) -> str:
    """What `path` is stored on: the whole drive or card, whichever of its partitions; a device number elsewhere."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    if not (blocks / number).exists():
        return number
    block = (blocks / number).resolve()
    return str(block.parent if (block / "partition").exists() else block)


def file_system(device: int, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system with that device number (proc_pid_mountinfo(5)); "" where it is not known."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == number), "")
