"""Lets this machine start programs of aarch64 by themselves, also in a changed root: binfmt_misc and qemu."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.pi.build_root import DEFAULT_FOLDER, EMULATOR, RELEASE, emulator_of_users
from tests.pi.debian import CannotBuildError, need, once

KERNEL = Path("/proc/sys/fs/binfmt_misc")
NAME = "leukoscope-aarch64"
# A 64-bit little-endian ELF file, executable or shared, for machine 0xb7.
_MAGIC = rb"\x7fELF\x02\x01\x01" + rb"\x00" * 9 + rb"\x02\x00\xb7\x00"
_MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00" + rb"\xff" * 8 + rb"\xfe\xff\xff\xff"


@contextmanager
def programs_of_aarch64() -> Iterator[None]:
    """While inside, the kernel hands such programs to qemu; afterwards it is as it was.

    The emulator is opened once, here (flag F), so that a root need not hold it; credentials are the program's (C), so
    that `sudo` and `su` work there.

    Raises:
        CannotBuildError: the kernel has no binfmt_misc, or it may not be told.
    """
    need("mount")
    if platform.machine() == "aarch64":
        yield
        return
    emulator = DEFAULT_FOLDER / "qemu"
    once(emulator, RELEASE, emulator_of_users)
    mounted = not (KERNEL / "register").exists()
    if mounted:
        told = subprocess.run(
            ["mount", "-t", "binfmt_misc", "binfmt_misc", str(KERNEL)], check=False, capture_output=True, text=True
        )
        if told.returncode:
            raise CannotBuildError(f"no binfmt_misc here: {told.stderr.strip()}")
    entry = KERNEL / NAME
    ours = not entry.exists()
    try:
        if ours:
            line = b":%s:M::%s:%s:%s:FPC" % (NAME.encode(), _MAGIC, _MASK, str(emulator / EMULATOR).encode())
            (KERNEL / "register").write_bytes(line)
        yield
    except OSError as error:
        raise CannotBuildError(f"binfmt_misc takes no entry: {error}") from error
    finally:
        if ours and entry.exists():
            entry.write_text("-1")
        if mounted:
            subprocess.run(["umount", str(KERNEL)], check=False, capture_output=True)
