"""A provisioned arm64 root booted by qemu-system: an arm64 kernel of Debian's, no part of it this machine's.

    python -m tests.pi.cards.virtual_board           # boots the root of `provisioned.py` and prints what it reports

Slow, since every instruction is emulated; but mount namespaces, cgroups, device rules and seccomp are a real arm64
kernel's, and so is the camera's driver: `vivid`, V4L2's own test device. What is asked of it is a script that runs when
the machine is up, writes lines to the console, and switches it off.
"""

import contextlib
import json
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.pi.binfmt import programs_of_aarch64
from tests.pi.build_root import DEFAULT_FOLDER, EMULATOR, RELEASE
from tests.pi.debian import Archive, CannotBuildError, mirror, need, once, run
from tests.pi.machine import over
from tests.pi.provisioned import provisioned

HERE = Path(__file__).resolve().parent
MARK = "REPORT "
BOOT_S = 580.0
DISK_BYTES = 4 << 30
# What the kernel needs to read its disk, in this order; everything else it loads from there.
MODULES = (
    "crypto/crc32c_generic",
    "lib/crc16",
    "fs/mbcache",
    "fs/jbd2/jbd2",
    "fs/ext4/ext4",
    "drivers/block/virtio_blk",
)
SERVICE = "leukoscope.service"
# A second of a board's is a quarter of a minute here.
PATIENCE = "[Service]\nTimeoutStartSec=900\nWatchdogSec=450\n"
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*.ko; do /bin/busybox insmod $module; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""
UNIT = """[Unit]
Description=Report to the console
After=multi-user.target leukoscope.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /opt/report.py
ExecStopPost=/usr/bin/systemctl poweroff --no-block
StandardOutput=tty
TTYPath=/dev/ttyAMA0
TimeoutStartSec=infinity
"""


def report(script: Path, lines: Sequence[str] = ()) -> tuple[dict[str, Any], str]:
    """Boot the provisioned arm64 root and wait until it switched itself off.

    Args:
        script: Python, run by root in the booted machine; prints `REPORT` and a JSON object a line.
        lines: of the profile, in the place of the camera's.

    Returns:
        The objects merged, and all that was on the console.

    Raises:
        CannotBuildError: the emulator, the kernel or the root cannot be had.
    """
    need("mke2fs")
    installed = provisioned("trixie", "arm64")
    board = DEFAULT_FOLDER / "board"
    once(board, f"{RELEASE} {Path(__file__).read_text()}", _parts)
    with tempfile.TemporaryDirectory(dir=DEFAULT_FOLDER) as name:
        disk = Path(name) / "disk.img"
        with programs_of_aarch64(), over([board / "modules", *installed.lower], Path(name) / "layer") as root:
            [version] = [p.name for p in (root.path / "usr/lib/modules").iterdir()]
            root.run("depmod", "-a", version)
            (root.path / "opt/report.py").write_text(script.read_text())
            (root.path / "etc/systemd/system/report.service").write_text(UNIT)
            wants = root.path / "etc/systemd/system/multi-user.target.wants/report.service"
            wants.symlink_to("/etc/systemd/system/report.service")
            (root.path / "etc/modules-load.d/board.conf").write_text("vivid\ni6300esb\n")
            (root.path / "etc/modprobe.d/board.conf").write_text("options vivid n_devs=1 node_types=0x1\n")
            patience = root.path / f"etc/systemd/system/{SERVICE}.d/board.conf"
            patience.parent.mkdir(exist_ok=True)
            patience.write_text(PATIENCE)
            profile = root.path / "etc/leukoscope/edge.toml"
            text = profile.read_text()
            for line in lines:
                key = line.partition(" ")[0]
                text = "\n".join(line if old.startswith(f"{key} =") else old for old in text.splitlines()) + "\n"
            profile.write_text(text)
            with disk.open("wb") as image:
                image.truncate(DISK_BYTES)
            run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", str(root.path), str(disk))
        console = _boot(board, disk)
    found: dict[str, Any] = {}
    for line in console.splitlines():
        if line.startswith(MARK):
            with contextlib.suppress(json.JSONDecodeError):
                found |= json.loads(line[len(MARK) :])
    return found, console


def _boot(board: Path, disk: Path) -> str:
    libraries = board / "qemu/usr/lib/x86_64-linux-gnu"  # the newer release's own: its loader is asked to run it
    start = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    start += [str(board / "qemu/usr/bin/qemu-system-aarch64"), "-L", str(board / "qemu/usr/share/qemu")]
    start += ["-M", "virt", "-cpu", "cortex-a76", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "2048"]
    start += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-net", "none"]
    start += ["-kernel", str(board / "vmlinuz"), "-initrd", str(board / "initrd")]
    start += ["-drive", f"if=none,file={disk},format=raw,id=disk", "-device", "virtio-blk-pci,drive=disk"]
    start += ["-device", "i6300esb", "-append", "console=ttyAMA0 root=/dev/vda rw panic=-1 systemd.show_status=0"]
    try:
        done = subprocess.run(start, capture_output=True, timeout=BOOT_S, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        raise AssertionError(f"the board did not switch itself off within {BOOT_S:g} s: {said[-2000:]}") from error
    return done.stdout.decode(errors="replace").replace("\r", "")


def _parts(target: Path) -> None:
    """Emulator, kernel, its modules and the little system that mounts the disk."""
    need("mmdebstrap", "apt-get", "dpkg")
    target.mkdir(parents=True)
    words = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"]
    words += ["--components=main", "--include=qemu-system-arm", '--aptopt=APT::Install-Recommends "false"']
    run(*words, RELEASE, str(target / "qemu"), mirror())
    archive = Archive(target / "apt", RELEASE, "arm64")
    [package] = [name for name in archive.depends("linux-image-arm64") if name.startswith("linux-image-")]
    kernel = archive.unpack(package, target / "kernel")
    busybox = archive.unpack("busybox-static", target / "busybox")
    shutil.rmtree(target / "apt")
    shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), target / "vmlinuz")
    _initrd(target, busybox, next((kernel / "usr/lib/modules").iterdir()) / "kernel")
    (target / "modules/usr").mkdir(parents=True)
    (kernel / "usr/lib").rename(target / "modules/usr/lib")
    shutil.rmtree(kernel)


def _initrd(target: Path, busybox: Path, modules: Path) -> None:
    tree = target / "initrd.tree"
    for name in ("bin", "dev", "root", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox / "usr/bin/busybox", tree / "bin")
    for number, name in enumerate(MODULES):
        (tree / f"modules/{number}.ko").write_bytes(lzma.decompress((modules / f"{name}.ko.xz").read_bytes()))
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    pack = [str(DEFAULT_FOLDER / "qemu" / EMULATOR), str(tree / "bin/busybox"), "cpio", "-o", "-H", "newc"]
    done = subprocess.run(pack, cwd=tree, input=names.encode(), capture_output=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"busybox cpio: {done.stderr.decode()[-300:]}")
    (target / "initrd").write_bytes(done.stdout)


if __name__ == "__main__":
    told, said = report(HERE / "board_report.py")
    print(said[-3000:] if not told else json.dumps(told, indent=1))
