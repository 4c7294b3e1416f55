"""Build the root of a Raspberry Pi's software: Debian trixie for aarch64, Python 3.13, libcamera and picamera2.

    python tests/pi/build_root.py [FOLDER]          # build/pi when left out; needs root, apt and pip

Cached: what is there and was made by the same recipe is kept; only the project's own wheel is built each time.

    FOLDER/root/     the system, from apt            FOLDER/site/    what the device extra brings, and picamera2
    FOLDER/qemu/     the emulator, from apt          FOLDER/app/     the installed wheel of this checkout

Run by a Python that has the project's development environment: the fields a camera sees there are drawn here.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from device_lock import ROOT, build_wheel, install_into, locked  # noqa: E402  (a script's neighbour is not on its path)

DEFAULT_FOLDER = ROOT / "build" / "pi"
RELEASE, PYTHON, MACHINE, DEBIAN_MACHINE = "trixie", "3.13", "aarch64", "arm64"
PACKAGES = ("base-files", "python3", "python3-libcamera", "libcamera-ipa", "python3-prctl")
EMULATOR = f"qemu-{MACHINE}"
TOOLS = {"mmdebstrap": "mmdebstrap", "dpkg": "dpkg", "apt-get": "apt"}  # program -> package
MIRROR_VARIABLE = "LEUKOSCOPE_DEBIAN_MIRROR"


class CannotBuildError(RuntimeError):
    """This machine cannot build the root; the message is the reason, fit for a skipped test."""


def build(folder: Path = DEFAULT_FOLDER) -> Path:
    """Build what is missing.

    Returns:
        The folder.

    Raises:
        CannotBuildError: not root, no apt, a tool missing, or apt or pip does not serve.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    system = f"{RELEASE} {DEBIAN_MACHINE} {' '.join(PACKAGES)}"
    lines = locked(PYTHON, MACHINE)
    extra = HERE / "requirements.txt"
    _once(folder / "root", system, _system)
    _once(folder / "qemu", RELEASE, _emulator)
    _once(folder / "site", lines + extra.read_text(), lambda to: _site(to, lines, extra))
    _virtual_slide(folder / "root")
    _once(folder / "app", str(time.time_ns()), _app)
    return folder


def _once(target: Path, recipe: str, make: Callable[[Path], None]) -> None:
    """Make a folder unless it was made by the same recipe; a half-made one never carries the mark."""
    mark = target.with_suffix(".recipe")
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == digest and target.is_dir():
        return
    mark.unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    start = time.monotonic()
    make(target)
    mark.write_text(digest)
    print(f"{target.name}: made in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _system(target: Path) -> None:
    if os.geteuid() != 0:
        raise CannotBuildError("building the root needs root: mmdebstrap runs in root mode")
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise CannotBuildError(f"building the root needs {tool} (apt install {package})")
    mode = ["--mode=root", "--variant=extract", f"--arch={DEBIAN_MACHINE}", "--format=directory", "--components=main"]
    what = [f"--include={','.join(PACKAGES)}", '--aptopt=APT::Install-Recommends "false"']
    _run("mmdebstrap", *mode, *what, RELEASE, str(target), mirror())


def _emulator(target: Path) -> None:
    """qemu of the newer release, unpacked, not installed: bookworm's 7.2 crashes in XNNPACK."""
    private = target / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "etc"):
        (private / folder).mkdir(parents=True)
    (private / "status").touch()
    (private / "etc" / "sources.list").write_text(f"deb {mirror()} {RELEASE} main\n")
    options = {
        "Dir::Etc::sourcelist": private / "etc" / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": private / "lists",
        "Dir::State::status": private / "status",
        "Dir::Cache": private / "cache",
        "APT::Sandbox::User": "root",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _run("apt-get", *words, "update")
    _run("apt-get", *words, "download", "qemu-user", at=target)
    _run("dpkg", "-x", str(next(target.glob("qemu-user_*.deb"))), str(private / "unpacked"))
    shutil.copy2(private / "unpacked" / "usr" / "bin" / EMULATOR, target)  # one static binary of many
    shutil.rmtree(private)


def _site(target: Path, lines: str, extra: Path) -> None:
    """The device's locked dependencies with their hashes, then what the testbed adds."""
    listed = target.with_name("device.txt")
    listed.write_text(lines)
    try:
        install_into(target, listed, PYTHON, MACHINE, "--require-hashes")
        install_into(target, extra, PYTHON, MACHINE, "--upgrade")
    except RuntimeError as error:
        raise CannotBuildError(str(error)) from error


def _virtual_slide(root: Path) -> None:
    """What libcamera's virtual pipeline looks at: three drawn fields.

    It hands on a JPEG's full-range YUV as if it were the limited range that was asked for (0.4.0), so the fields
    are squeezed into that range here and come out as they were drawn.
    """
    import cv2

    from edge.virtual_slide import VirtualSlide

    pipeline, frames = root / "usr/share/libcamera/pipeline/virtual", root / "opt/frames"
    for folder in (pipeline, frames):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "virtual.yaml", pipeline)
    for seed, recipe in enumerate(("Benign", "Early", "Pre")):
        field = VirtualSlide(seed, recipe).field(0, 0, (640, 480)).frame
        limited = cv2.convertScaleAbs(field, alpha=219 / 255, beta=16)
        cv2.imwrite(str(frames / f"{seed}.jpg"), cv2.cvtColor(limited, cv2.COLOR_RGB2BGR))


def _app(target: Path) -> None:
    """This checkout as an installed wheel. Pure Python, so this machine's pip unpacks it for the other as well."""
    try:
        wheel = build_wheel(target.with_name("wheel"))
    except RuntimeError as error:
        raise CannotBuildError(str(error)) from error
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    _run(*pip, "--target", str(target), "--python-version", PYTHON, "--only-binary=:all:", str(wheel))


def mirror() -> str:
    """Where this machine's apt finds Debian, read from apt itself; LEUKOSCOPE_DEBIAN_MIRROR says otherwise.

    Raises:
        CannotBuildError: apt serves no Debian here.
    """
    if named := os.environ.get(MIRROR_VARIABLE):
        return named
    wanted = "$(LABEL)|$(COMPONENT)|$(REPO_URI)"
    listed = _run("apt-get", "indextargets", "--format", wanted, "Created-By: Packages")
    for line in listed.splitlines():
        label, component, uri = line.split("|", 2)
        if (label, component) == ("Debian", "main"):
            return uri
    raise CannotBuildError(f"apt lists no Debian archive here (apt-get update?); {MIRROR_VARIABLE} names one")


def _run(*words: str, at: Path | None = None) -> str:
    try:
        done = subprocess.run(words, cwd=at, capture_output=True, text=True, check=False, timeout=900)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise CannotBuildError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise CannotBuildError(f"{words[0]} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def main(words: Sequence[str]) -> int:
    """Build into the folder named, or the default one."""
    start = time.monotonic()
    try:
        folder = build(Path(words[0]) if words else DEFAULT_FOLDER)
    except CannotBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print(f"{folder} ready after {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
