"""The folder that a site without network installs from, made by firmware_scripts/offline/collect.sh.

    python -m tests.pi.offline_folder trixie arm64   # into build/pi/offline

Made anew where the scripts, the lock or the packages of this checkout changed. For trixie on arm64 it holds a package
python3-picamera2 besides: Raspberry Pi's archive has the real one, Debian none. The one here is made of picamera2
itself and what it imports, from PyPI, and of Debian's libcamera.
"""

import hashlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.install.device_lock import install_into
from tests.paths import ROOT
from tests.pi.build_root import DEFAULT_FOLDER, MACHINE, PYTHON
from tests.pi.debian import CannotBuildError, need, once, run

HERE = Path(__file__).resolve().parent

PICAMERA2 = ("trixie", "arm64")  # where it can be had: Debian's bookworm has no libcamera for Python

# What collect.sh reads of a clone.
PARTS = ("pyproject.toml", "README.md", "LICENSE", "requirements", "firmware_scripts", "edge", "models", "convert")


@dataclass(frozen=True)
class Offline:
    """A collected folder and the digest that collect.sh printed last."""

    path: Path
    digest: str


def offline_folder(release: str, architecture: str) -> Offline:
    """Collected for a release and an architecture.

    Raises:
        CannotBuildError: a tool is missing, or apt or pip does not serve.
    """
    target = DEFAULT_FOLDER / "offline" / f"{release}-{architecture}"
    once(target, f"{release} {architecture} {of_checkout()}", lambda to: _collect(to, release, architecture))
    sums = (target / "SHA256SUMS").read_bytes()
    return Offline(target, hashlib.sha256(sums).hexdigest())


def of_checkout() -> str:
    """Digest over all that collect.sh reads here."""
    told = hashlib.sha256((HERE / "requirements.txt").read_bytes() + Path(__file__).read_bytes())
    for part in PARTS:
        files = sorted((ROOT / part).rglob("*")) if (ROOT / part).is_dir() else [ROOT / part]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                told.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()


def _collect(target: Path, release: str, architecture: str) -> None:
    need("apt-get", "dpkg-deb")
    more = []
    if (release, architecture) == PICAMERA2:
        more = ["--deb", str(_picamera2())]
    words = ["--release", release, "--arch", architecture, "--to", str(target), "--python", sys.executable]
    with tempfile.TemporaryDirectory() as name:  # of a copy: a script that is edited while bash reads it breaks
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, Path(name) / part)
        told = run("bash", f"{name}/firmware_scripts/offline/collect.sh", *words, *more)
    digest = hashlib.sha256((target / "SHA256SUMS").read_bytes()).hexdigest()
    if told.split()[-1] != digest:
        raise CannotBuildError(f"collect.sh did not end with the digest: {told[-300:]}")


def _picamera2() -> Path:
    """A Debian package of picamera2 and what it imports."""
    folder = DEFAULT_FOLDER / "picamera2"
    extra = HERE / "requirements.txt"
    once(folder, extra.read_text() + Path(__file__).read_text(), lambda to: _make_picamera2(to, extra))
    [deb] = folder.glob("*.deb")
    return deb


def _make_picamera2(target: Path, requirements: Path) -> None:
    target.mkdir()
    wanted = requirements.read_text().partition("# The cameras' own suite")[0]  # no pytest on a device
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        site = tree / "usr" / "lib" / "python3" / "dist-packages"
        site.mkdir(parents=True)
        (target / "wanted.txt").write_text(wanted)
        try:
            install_into(site, target / "wanted.txt", PYTHON, MACHINE)
        except RuntimeError as error:
            raise CannotBuildError(str(error)) from error
        shutil.rmtree(site / "bin", ignore_errors=True)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            "Package: python3-picamera2\nVersion: 0.3.38-1~testbed\nArchitecture: arm64\n"
            "Maintainer: The testbed of Leukoscope <nobody@localhost>\n"
            "Depends: python3, python3-libcamera, libcamera-ipa, python3-prctl, python3-numpy\n"
            "Description: picamera2 from PyPI, in the place of Raspberry Pi's own package\n"
        )
        run("dpkg-deb", "-Znone", "--root-owner-group", "--build", str(tree), str(target))


if __name__ == "__main__":
    print(offline_folder(sys.argv[1], sys.argv[2]))
