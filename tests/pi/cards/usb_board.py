"""A provisioned amd64 root under Debian's kernel for PCs, which has a USB host and device in one (dummy_hcd).

    python -m tests.pi.cards.usb_board               # boots it, and prints what it found

The kernel of this machine need not have that, and a container has no kernel of its own. The instrument's service is not
started there: what is asked is what its sandbox would let it do (`coral.py`).
"""

import json
import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.pi.build_root import DEFAULT_FOLDER, RELEASE
from tests.pi.cards.card import tool
from tests.pi.cards.emulated import BOOT_S, Kernel, switched_on
from tests.pi.cards.virtual_board import INIT
from tests.pi.debian import Archive, need, once, run
from tests.pi.machine import over
from tests.pi.provisioned import provisioned

HERE = Path(__file__).resolve().parent
DISK_BYTES = 3 << 30
# What the kernel needs to read its disk, in this order, where it is no part of it.
MODULES = (
    "crypto/crc32c_generic",
    "lib/crc16",
    "fs/mbcache",
    "fs/jbd2/jbd2",
    "fs/ext4/ext4",
    "drivers/block/virtio_blk",
)
UNIT = """[Unit]
Description=Report to a file
After=basic.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /opt/coral.py
ExecStopPost=/usr/bin/systemctl poweroff --no-block
StandardOutput=file:/opt/report.json
TimeoutStartSec=infinity
"""


def report() -> dict[str, Any]:
    """What `coral.py` printed.

    Raises:
        CannotBuildError: the emulator, the kernel or the root cannot be had.
        AssertionError: it did not end, or said nothing.
    """
    need("mke2fs", "debugfs")
    installed = provisioned("trixie", "amd64")
    board = DEFAULT_FOLDER / "usb-board"
    once(board, f"{RELEASE} {Path(__file__).read_text()}", _parts)
    with tempfile.TemporaryDirectory(dir=DEFAULT_FOLDER) as name:
        disk = Path(name) / "disk.img"
        with over([board / "modules", *installed.lower], Path(name) / "layer") as root:
            [version] = [p.name for p in (root.path / "usr/lib/modules").iterdir()]
            root.run("depmod", "-a", version)
            shutil.copy(HERE / "coral.py", root.path / "opt/coral.py")
            units = root.path / "etc/systemd/system"
            (units / "report.service").write_text(UNIT)
            (units / "multi-user.target.wants/report.service").symlink_to("/etc/systemd/system/report.service")
            (units / "multi-user.target.wants/leukoscope.target").unlink()
            with disk.open("wb") as image:
                image.truncate(DISK_BYTES)
            run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", str(root.path), str(disk))
        kernel = Kernel(board / "vmlinuz", board / "initrd", "root=/dev/vda rw systemd.show_status=0")
        with switched_on("amd64", kernel, disk, Path(name)) as machine:
            try:
                machine.process.wait(BOOT_S)
            except subprocess.TimeoutExpired as error:
                raise AssertionError(f"not off within {BOOT_S:g} s: {machine.console[-2000:]}") from error
            said = machine.console
        text = tool("debugfs", "-R", "cat /opt/report.json", disk)
    assert text, said[-3000:]
    told: dict[str, Any] = json.loads(text)
    return told


def _parts(target: Path) -> None:
    """Kernel, its modules, libusb, and the little system that mounts the disk."""
    need("apt-get", "dpkg")
    target.mkdir(parents=True)
    archive = Archive(target / "apt", RELEASE, "amd64")
    [package] = [name for name in archive.depends("linux-image-amd64") if name.startswith("linux-image-")]
    kernel = archive.unpack(package, target / "kernel")
    busybox = archive.unpack("busybox-static", target / "busybox") / "usr/bin/busybox"
    shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), target / "vmlinuz")
    _initrd(target, busybox, next((kernel / "usr/lib/modules").iterdir()) / "kernel")
    (target / "modules/usr").mkdir(parents=True)
    (kernel / "usr/lib").rename(target / "modules/usr/lib")
    archive.unpack("libusb-1.0-0", target / "modules")  # what libedgetpu looks for devices with
    shutil.rmtree(kernel)
    shutil.rmtree(target / "apt")


def _initrd(target: Path, busybox: Path, modules: Path) -> None:
    tree = target / "initrd.tree"
    for name in ("bin", "dev", "root", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin")
    for number, name in enumerate(MODULES):
        module = modules / f"{name}.ko.xz"
        if module.exists():
            (tree / f"modules/{number}.ko").write_bytes(lzma.decompress(module.read_bytes()))
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    pack = [str(tree / "bin/busybox"), "cpio", "-o", "-H", "newc"]
    done = subprocess.run(pack, cwd=tree, input=names.encode(), capture_output=True, check=True)
    (target / "initrd").write_bytes(done.stdout)


if __name__ == "__main__":
    json.dump(report(), sys.stdout, indent=1)
