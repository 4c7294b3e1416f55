"""Run a command of the installed wheel, or a script, in the root that build_root.py made, under emulation.

    python -m tests.pi.emulator edge doctor
    python -m tests.pi.emulator edge run --camera picamera2:Virtual0 --frames 20
    python -m tests.pi.emulator tests/pi/on_the_device/digests.py build/pi/fields

picamera2's camera is libcamera's virtual pipeline, looking at the images in build/pi/root/opt/frames.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.pi.build_root import DEFAULT_FOLDER, EMULATOR, PYTHON

HERE = Path(__file__).resolve().parent


def command(
    words: Sequence[str], folder: Path = DEFAULT_FOLDER, *, camera: bool = True
) -> tuple[list[str], dict[str, str]]:
    """What to execute and its environment, for `subprocess`.

    Args:
        words: a console script that was installed there ("edge", "pytest") or a path, and its words.
        folder: what `build_root.build` returned.
        camera: lend picamera2 a virtual camera, which imports picamera2 first; False runs the words as they are.
    """
    root = folder / "root"
    programs = (folder / place / "bin" / words[0] for place in ("app", "site"))
    script = next((program for program in programs if program.exists()), Path(words[0]))
    runner = [str(HERE / "shim" / "virtual_camera.py")] if camera else []
    paths = [HERE / "shim", folder / "app", folder / "site", root / "usr" / "lib" / "python3" / "dist-packages"]
    environment = {
        "HOME": os.environ.get("HOME", "/tmp"),
        "PATH": os.environ["PATH"],
        "QEMU_LD_PREFIX": str(root),
        "QEMU_CPU": "cortex-a76",  # the Pi 5's
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LIBCAMERA_LOG_LEVELS": "*:ERROR",
    }
    python = [str(folder / "qemu" / EMULATOR), str(root / "usr" / "bin" / f"python{PYTHON}")]
    return [*python, *runner, str(script), *words[1:]], environment


def run(
    *words: str, folder: Path = DEFAULT_FOLDER, camera: bool = True, timeout_s: float = 600
) -> "subprocess.CompletedProcess[str]":
    """Run it and wait."""
    argv, environment = command(words, folder, camera=camera)
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)


if __name__ == "__main__":
    argv, environment = command(sys.argv[1:])
    os.execve(argv[0], argv, environment)
