"""Device installs for machines other than this one: the lock's lines that apply there, pip's words, the wheel."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.markers import Marker

from tests.paths import ROOT

LOCK = ROOT / "requirements" / "device.lock"
# glibc 2.36 is Raspberry Pi OS bookworm's: every wheel tag up to it. pip expands none of them by itself.
_GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34")


def locked(python: str, machine: str, lock: Path = LOCK) -> str:
    """The lines of a lock that hold for a Python ("3.13") on a Linux machine ("aarch64"), hashes included.

    pip evaluates environment markers for the Python that runs it, whatever --python-version says, so a lock for
    another machine must be read for it first.
    """
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        requirement, *hashes = entry.split("\\\n")
        marker = requirement.partition(";")[2].strip()
        if not marker or Marker(marker).evaluate(environment):
            kept.append(" \\\n".join([requirement.partition(";")[0].strip(), *(line.strip() for line in hashes)]))
    return "\n".join(kept) + "\n"


def install_into(target: Path, requirements: Path, python: str, machine: str, *words: str) -> None:
    """Unpack wheels for another machine into a folder, with its hashes checked where the requirements have them.

    Raises:
        RuntimeError: pip could not; what it said.
    """
    platforms = [word for tag in _GLIBC for word in ("--platform", f"{tag}_{machine}")]
    pip = ["install", "--quiet", "--no-deps", "--only-binary=:all:", "--no-compile"]
    pip.append("--ignore-requires-python")  # pip compares with the Python that runs it, not with --python-version
    where = ["--target", str(target), "--implementation", "cp", "--python-version", python, *platforms]
    _pip(*pip, *where, "-r", str(requirements), *words)


def build_wheel(into: Path) -> Path:
    """The wheel of this checkout, built from a copy so that nothing is left beside the sources."""
    shutil.rmtree(into, ignore_errors=True)
    source = into / "source"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("edge", "models", "convert"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(into), str(source))
    shutil.rmtree(source)
    return next(into.glob("leukoscope-*.whl"))


def _pip(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip {words[0]} {words[-1]}: {done.stderr.strip()[-2000:]}")
