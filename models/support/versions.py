"""The versions of what a figure depends on."""

import platform
from importlib import metadata

_PACKAGES = (
    "leukoscope",
    "numpy",
    "opencv-python-headless",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "ai-edge-litert",
)


def versions() -> dict[str, str]:
    """Python and the installed packages that can change a number; absent ones are left out."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
