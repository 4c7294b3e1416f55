"""Build the root of a Raspberry Pi's software: Debian trixie for aarch64, Python 3.13, libcamera and picamera2.

    python -m tests.pi.build_root [FOLDER]          # build/pi when left out; needs root, apt and pip

Cached: what is there and was made by the same recipe is kept; only the project's own wheel is built each time.

    FOLDER/root/     the system, from apt            FOLDER/site/    what the device extra brings, and picamera2
    FOLDER/qemu/     the emulator, from apt          FOLDER/app/     the installed wheel of this checkout

Run by a Python that has the project's development environment: the fields a camera sees there are drawn here.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.install.device_lock import build_wheel, install_into, locked
from tests.paths import ROOT
from tests.pi.debian import Archive, CannotBuildError, mirror, need, once, run

HERE = Path(__file__).resolve().parent
DEFAULT_FOLDER = ROOT / "build" / "pi"
RELEASE, PYTHON, MACHINE, DEBIAN_MACHINE = "trixie", "3.13", "aarch64", "arm64"
PACKAGES = ("base-files", "python3", "python3-libcamera", "libcamera-ipa", "python3-prctl")
EMULATOR = f"qemu-{MACHINE}"


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
    once(folder / "root", system, _system)
    once(folder / "qemu", RELEASE, emulator_of_users)
    once(folder / "site", lines + extra.read_text(), lambda to: _site(to, lines, extra))
    synthetic_smear(folder / "root")
    once(folder / "app", str(time.time_ns()), _app)
    return folder


def _system(target: Path) -> None:
    need("mmdebstrap", "dpkg", "apt-get")
    mode = ["--mode=root", "--variant=extract", f"--arch={DEBIAN_MACHINE}", "--format=directory", "--components=main"]
    what = [f"--include={','.join(PACKAGES)}", '--aptopt=APT::Install-Recommends "false"']
    run("mmdebstrap", *mode, *what, RELEASE, str(target), mirror())


def emulator_of_users(target: Path) -> None:
    """qemu of the newer release, unpacked, not installed: bookworm's 7.2 crashes in XNNPACK."""
    private = target / "apt"
    unpacked = Archive(private, RELEASE).unpack("qemu-user", private / "unpacked")
    shutil.copy2(unpacked / "usr" / "bin" / EMULATOR, target)  # one static binary of many
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


def synthetic_smear(root: Path) -> None:
    """What libcamera's virtual pipeline looks at: three drawn fields.

    It hands on a JPEG's full-range YUV as if it were the limited range that was asked for (0.4.0), so the fields
    are squeezed into that range here and come out as they were drawn.
    """
    import cv2

    from edge.cameras.synthetic.smear import SyntheticSmear

    pipeline, frames = root / "usr/share/libcamera/pipeline/virtual", root / "opt/frames"
    for folder in (pipeline, frames):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "virtual.yaml", pipeline)
    for seed, recipe in enumerate(("Benign", "Early", "Pre")):
        field = SyntheticSmear(seed, recipe).field(0, 0, (640, 480)).frame
        limited = cv2.convertScaleAbs(field, alpha=219 / 255, beta=16)
        cv2.imwrite(str(frames / f"{seed}.jpg"), cv2.cvtColor(limited, cv2.COLOR_RGB2BGR))


def _app(target: Path) -> None:
    """This checkout as an installed wheel. Pure Python, so this machine's pip unpacks it for the other as well."""
    try:
        wheel = build_wheel(target.with_name("wheel"))
    except RuntimeError as error:
        raise CannotBuildError(str(error)) from error
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    run(*pip, "--target", str(target), "--python-version", PYTHON, "--only-binary=:all:", str(wheel))


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
