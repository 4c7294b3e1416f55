"""A card as image/build.sh makes it, seen from outside: its partitions, its kernel, the record on it.

    python -m tests.pi.cards.card trixie arm64      # collect and build, into build/pi/cards

Nothing is mounted: partitions are cut out of the file and read by e2fsprogs and mtools.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT
from tests.pi.binfmt import programs_of_aarch64
from tests.pi.build_root import DEFAULT_FOLDER
from tests.pi.cards.emulated import Kernel
from tests.pi.debian import need, once, run
from tests.pi.offline_folder import PARTS, of_checkout

SECTOR, MIB = 512, 1 << 20
TOOLS = ("mmdebstrap", "mkfs.vfat", "mkfs.ext4", "mcopy", "sfdisk", "debugfs", "e2fsck", "unshare")


@dataclass(frozen=True)
class Card:
    """An image of a card, in a file.

    Attributes:
        path: the file.
        kind: "amd64" or "arm64".
    """

    path: Path
    kind: str

    def partition(self, number: int, to: Path) -> Path:
        """One of the three, as a file of its own: 1 the firmware's, 2 the root, 3 the record's."""
        table = json.loads(tool("sfdisk", "-J", self.path))["partitiontable"]["partitions"][number - 1]
        start, size = (int(table[name]) * SECTOR for name in ("start", "size"))
        words = (
            "bs=1M",
            f"skip={start}",
            f"count={size}",
            "iflag=skip_bytes,count_bytes",
            "conv=sparse",
            "status=none",
        )
        tool("dd", f"if={self.path}", f"of={to}", *words)
        return to

    def kernel(self, folder: Path, *words: str) -> Kernel:
        """What the firmware loads: on arm64 as config.txt and cmdline.txt say; amd64 has no firmware of its own.

        Args:
            folder: for the files.
            words: added to the command line.
        """
        if self.kind == "arm64":
            boot = self.partition(1, folder / "boot.part")
            for name in ("config.txt", "cmdline.txt"):
                tool("mcopy", "-n", "-i", boot, f"::/{name}", folder / name)
            lines = (folder / "config.txt").read_text().split("\n")
            image = next(line.partition("=")[2] for line in lines if line.startswith("kernel="))
            initrd = next(line.split()[1] for line in lines if line.startswith("initramfs "))
            for name in (image, initrd):
                tool("mcopy", "-n", "-i", boot, f"::/{name}", folder / name)
            line = (folder / "cmdline.txt").read_text().strip()
        else:
            root = self.partition(2, folder / "root.part")
            names = tool("debugfs", "-R", "ls -p /boot", root).split("/")
            image = next(name for name in names if name.startswith("vmlinuz-"))
            initrd = next(name for name in names if name.startswith("initrd.img-"))
            for name in (image, initrd):
                tool("debugfs", "-R", f"dump /boot/{name} {folder / name}", root)
            root.unlink()
            line = "root=LABEL=root rw fsck.repair=yes net.ifnames=0 rootwait"  # as raspi-firmware's
        return Kernel(folder / image, folder / initrd, " ".join([line, *words]))

    def record(self, folder: Path) -> Path:
        """The record, after the check of its file system that a start makes; a copy."""
        data = self.partition(3, folder / "data.part")
        done = subprocess.run(["e2fsck", "-p", str(data)], capture_output=True, text=True, check=False, env=_paths())
        assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: the journal was replayed
        tool("e2fsck", "-fn", data)
        target = folder / "data"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        tool("debugfs", "-R", f"rdump / {target}", data)
        data.unlink()
        return target / "record"


def card(release: str, kind: str, *words: str) -> Card:
    """Collected and built where the checkout changed; shared, so copy it before it is booted.

    Args:
        release: such as "trixie".
        kind: "amd64" or "arm64".
        words: for image/build.sh.

    Raises:
        CannotBuildError: not root, a tool is missing, or apt or pip does not serve.
    """
    need()
    target = DEFAULT_FOLDER / "cards" / f"{release}-{kind}"
    foreign = programs_of_aarch64() if kind == "arm64" else nullcontext()
    with foreign:
        once(target, f"{release} {kind} {words} {of_checkout()}", lambda to: _build(to, release, kind, words))
    return Card(target / "card.img", kind)


def _build(target: Path, release: str, kind: str, words: tuple[str, ...]) -> None:
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:  # of a copy: a script that is edited while bash reads it breaks
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, Path(name) / part)
        scripts, folder = Path(name) / "firmware_scripts", target / "collected"
        which = ["--release", release, "--arch", kind, "--for-image"]
        run("bash", f"{scripts}/offline/collect.sh", *which, "--to", str(folder), "--python", sys.executable)
        build = ["bash", f"{scripts}/image/build.sh", "--offline", str(folder), "--to", str(target / "card.img")]
        told = run("unshare", "--net", "--mount", *build, *words)
    (target / "said.txt").write_text(told)
    shutil.rmtree(folder)


def tool(*words: object) -> str:
    """Standard output of one of e2fsprogs', mtools' or fdisk's programs, which must succeed."""
    return run(*(str(word) for word in words), more=_paths())


def _paths() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


if __name__ == "__main__":
    print(card(sys.argv[1], sys.argv[2], "--read-only-root").path)
