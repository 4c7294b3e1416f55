"""What the testbed takes from Debian: where its archive is, single packages of a release, and folders made once."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

MIRROR_VARIABLE = "LEUKOSCOPE_DEBIAN_MIRROR"
PACKAGE_OF = {"mmdebstrap": "mmdebstrap", "dpkg": "dpkg", "apt-get": "apt", "systemd-nspawn": "systemd-container"}


class CannotBuildError(RuntimeError):
    """This machine cannot build or run the testbed; the message is the reason, fit for a skipped test."""


def need(*tools: str) -> None:
    """Look for what building takes before anything is begun.

    Raises:
        CannotBuildError: not root, or a tool is missing.
    """
    if os.geteuid() != 0:
        raise CannotBuildError("building the root needs root: mmdebstrap runs in root mode")
    for tool in tools:
        if shutil.which(tool) is None:
            raise CannotBuildError(f"building the root needs {tool} (apt install {PACKAGE_OF.get(tool, tool)})")


def run(*words: str, at: Path | None = None, timeout_s: float = 1800, more: Mapping[str, str] | None = None) -> str:
    """Standard output of a command.

    Args:
        words: program and words.
        at: folder to run it in.
        timeout_s: seconds until it is given up.
        more: added to the environment.

    Raises:
        CannotBuildError: it failed, is missing, or took too long; with the end of what it said.
    """
    environment = {**os.environ, **(more or {})}
    try:
        done = subprocess.run(
            words, cwd=at, capture_output=True, text=True, check=False, timeout=timeout_s, env=environment
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise CannotBuildError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise CannotBuildError(f"{words[0]} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def once(target: Path, recipe: str, make: Callable[[Path], None]) -> None:
    """Make a folder unless it was made by the same recipe; a half-made one never carries the mark."""
    mark = target.with_suffix(".recipe")
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == digest and target.is_dir():
        return
    mark.unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    make(target)
    mark.write_text(digest)
    print(f"{target.name}: made in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def mirror() -> str:
    """Where this machine's apt finds Debian, read from apt itself; LEUKOSCOPE_DEBIAN_MIRROR says otherwise.

    Raises:
        CannotBuildError: apt serves no Debian here.
    """
    if named := os.environ.get(MIRROR_VARIABLE):
        return named
    wanted = "$(LABEL)|$(COMPONENT)|$(REPO_URI)"
    listed = run("apt-get", "indextargets", "--format", wanted, "Created-By: Packages")
    for line in listed.splitlines():
        label, component, uri = line.split("|", 2)
        if (label, component) == ("Debian", "main"):
            return uri
    raise CannotBuildError(f"apt lists no Debian archive here (apt-get update?); {MIRROR_VARIABLE} names one")


class Archive:
    """The archive of one release and architecture by lists of its own: this machine's apt stays as it is."""

    def __init__(self, folder: Path, release: str, architecture: str = "") -> None:
        """Read the lists into `folder`; the architecture is this machine's when left out."""
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb {mirror()} {release} main\n")
        options = {
            "Dir::Etc::sourcelist": str(folder / "sources.list"),
            "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": str(folder / "lists"),
            "Dir::State::status": str(folder / "status"),
            "Dir::Cache": str(folder / "cache"),
            "APT::Sandbox::User": "root",
        }
        if architecture:
            options |= {"APT::Architecture": architecture, "APT::Architectures": architecture}
        self._options = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        run("apt-get", *self._options, "update")

    def depends(self, package: str) -> list[str]:
        """Names that a package depends on directly."""
        told = run("apt-cache", *self._options, "depends", package)
        return [line.split()[-1] for line in told.splitlines() if line.strip().startswith("Depends:")]

    def unpack(self, package: str, to: Path) -> Path:
        """One package's files, without its dependencies and without its scripts."""
        run("apt-get", *self._options, "download", package, at=self._folder)
        [deb] = self._folder.glob(f"{package}_*.deb")
        to.mkdir(parents=True, exist_ok=True)
        run("dpkg", "-x", str(deb), str(to))
        deb.unlink()
        return to
