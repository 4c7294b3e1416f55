"""Root file systems as a card has them after flashing: Debian with systemd, nothing of the instrument in it.

    python -m tests.pi.stock_root trixie arm64      # into build/pi/stock

Raspberry Pi OS Lite is Debian with a kernel and a few packages of its own. Its archive is not reached from a Debian
mirror, so these are Debian's own packages; python3-picamera2, which is in that archive alone, is stood in for by
`offline_folder.py`. Kept between sessions. An arm64 root runs its packages' scripts under emulation: minutes.
"""

import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

from tests.pi.binfmt import programs_of_aarch64
from tests.pi.build_root import DEFAULT_FOLDER
from tests.pi.debian import mirror, need, once, run

RELEASES = {"bookworm": "3.11", "trixie": "3.13"}  # and their Python
# What every Raspberry Pi OS Lite has and a minimal Debian has not. No python3-venv: to bring it is install.sh's part.
PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-timesyncd", "dbus", "udev", "kmod", "sudo", "procps", "iproute2"),
    *("python3", "ca-certificates"),
)


def stock(release: str, architecture: str, *more: str) -> Path:
    """The root file system of a release ("trixie") for an architecture ("arm64"), made where it is missing.

    With further packages it is another one, named by the first of them.

    It is shared: look at it, and lay something over it (`machine.py`) before anything writes.

    Raises:
        CannotBuildError: not root, a tool is missing, or the archive does not serve.
    """
    target = DEFAULT_FOLDER / "stock" / "-".join([release, architecture, *more[:1]])
    packages = (*PACKAGES, *more)
    foreign = programs_of_aarch64() if architecture == "arm64" else nullcontext()
    with foreign:
        once(target, f"{release} {architecture} {packages}", lambda to: _make(to, release, architecture, packages))
    return target


def _make(target: Path, release: str, architecture: str, packages: tuple[str, ...]) -> None:
    need("mmdebstrap", "dpkg", "apt-get", "unshare")
    made = target.with_name(target.name + ".making")
    shutil.rmtree(made, ignore_errors=True)
    # In a mount namespace of its own: a mount that a package's script leaves behind goes with it.
    words = ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    words += [f"--arch={architecture}", "--skip=check/qemu", "--components=main", f"--include={','.join(packages)}"]
    words += ['--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-unsafe-io"]
    run(*words, release, str(made), mirror())
    # A card is flashed, not installed: its identity is made at the first boot (an empty file; firstboot asks nobody).
    (made / "etc" / "machine-id").write_text("")
    (made / "etc" / "resolv.conf").unlink(missing_ok=True)
    (made / "etc" / "hostname").write_text("microscope\n")
    (made / "etc" / "fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    made.rename(target)


if __name__ == "__main__":
    print(stock(sys.argv[1], sys.argv[2]))
