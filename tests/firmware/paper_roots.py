"""Root file systems of paper for the scripts of firmware_scripts/: what they read of a system, nothing that runs."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

SCRIPTS = ROOT / "firmware_scripts"
FILE_STEPS = "configuration,system,units"  # those that run no program of the root file system
PAGE_UID = 61002  # of the page's account, and of its group
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
SYSTEMD = {"bookworm": "252.39-1~deb12u2", "trixie": "257.13-1~deb13u1"}
STANZA = "Package: {}\nStatus: install ok installed\nArchitecture: {}\nVersion: {}\n\n"
FSTAB = "# a stock card\nPARTUUID=1-01\t/boot/firmware\tvfat\tdefaults\t0 2\nPARTUUID=1-02\t/\text4\tdefaults,rw\t0 1\n"


@dataclass(frozen=True)
class Told:
    """What a script said, and its exit code."""

    code: int
    out: str
    err: str


def run(script: str, *words: object, env: dict[str, str] | None = None) -> Told:
    """Run a script of firmware_scripts/ by its path there; standard input is empty."""
    command = [str(SCRIPTS / script), *map(str, words)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return Told(done.returncode, done.stdout, done.stderr)


def paper_root(
    folder: Path,
    release: str = "bookworm",
    architecture: str = "arm64",
    *,
    identity: str = "debian",
    python: str | None = None,
) -> Path:
    """A root file system that says what it is; the account is there, as if the first steps had been done."""
    for name in ("etc", "usr/bin", "var/lib/dpkg", "var/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/os-release").write_text(
        f'PRETTY_NAME="{identity} ({release})"\nID={identity}\nVERSION_CODENAME={release}\n'
    )
    packages = STANZA.format("dpkg", architecture, "1.22") + STANZA.format(
        "systemd", architecture, SYSTEMD.get(release, "255.4-1ubuntu8")
    )
    (folder / "var/lib/dpkg/status").write_text(packages)
    (folder / "usr/bin/python3").symlink_to(f"python{python or PYTHONS.get(release, '3.12')}")
    (folder / "etc/passwd").write_text(
        f"root:x:0:0::/root:/bin/sh\nleukoscope:x:{os.geteuid()}:{os.getegid()}::/:/bin/false\n"
        f"leukoscope-page:x:{PAGE_UID}:{PAGE_UID}::/:/bin/false\n"
    )
    (folder / "etc/group").write_text(
        f"root:x:0:\nleukoscope:x:{os.getegid()}:leukoscope-page\nvideo:x:44:leukoscope\nleukoscope-page:x:{PAGE_UID}:\n"
    )
    (folder / "etc/fstab").write_text(FSTAB)
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Every path below a folder with all that a change would change: kind, mode, time, content or target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        if path.is_symlink():
            what = str(path.readlink())
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        time = state.st_mtime_ns if path.is_file() else 0
        found[str(path.relative_to(folder))] = f"{oct(state.st_mode)} {time} {what}"
    return found


def as_nobody(script: str, *words: object) -> Told:
    """The same as somebody without rights; as ourselves where we have none."""
    prefix = [] if os.geteuid() else ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    readable = Path("/var/tmp") / f"firmware-{os.getpid()}"
    shutil.copytree(SCRIPTS, readable, dirs_exist_ok=True)
    try:
        done = subprocess.run(
            [*prefix, str(readable / script), *map(str, words)], capture_output=True, text=True, check=False
        )
    finally:
        shutil.rmtree(readable)
    return Told(done.returncode, done.stdout, done.stderr)
