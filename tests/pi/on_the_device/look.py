"""Look through picamera2 itself, by way of our camera: run in the root by `emulator.py`, prints one JSON object."""

import json
import sys
import time
from typing import Any

import picamera2

from edge.cameras.base import CameraSettings
from edge.cameras.picamera2 import Picamera2Camera
from edge.errors import CameraError

PATIENCE_S = 60.0  # an emulated frame takes a tenth of a second, the first one longer


def look(uri: str, frames: int) -> dict[str, Any]:
    """What one camera does at 1280x960: mode, frames, and how long closing takes, seconds."""
    camera = Picamera2Camera(uri)
    camera.open()
    mode = camera.configure(CameraSettings(size=(1280, 960), exposure_us=20_000, gain=2.0))
    taken = [camera.capture(PATIENCE_S) for _ in range(frames)]
    start = time.monotonic()
    camera.close()
    ages = [time.monotonic_ns() - frame.monotonic_ns for frame in taken]
    last = taken[-1].pixels
    return {
        "size": mode.size,
        "pixel_format": mode.pixel_format,
        "adjusted": mode.adjusted,
        "sequences": [frame.sequence for frame in taken],
        "metadata": [frame.metadata for frame in taken],
        "oldest_s": max(ages) / 1e9,
        "youngest_s": min(ages) / 1e9,
        "colours": sorted({tuple(int(c) // 128 for c in p) for p in last[last.shape[0] // 3, 20::40]}),
        "mean": last.reshape(-1, 3).mean(axis=0).tolist(),
        "closed_in_s": time.monotonic() - start,
    }


def refused(uri: str) -> str:
    """What is said of a camera that cannot be opened."""
    try:
        Picamera2Camera(uri).open()
    except CameraError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def busy(uri: str) -> str:
    """What is said of a camera that is open already."""
    with Picamera2Camera(uri) as first:
        first.open()
        return refused(uri)


if __name__ == "__main__":
    record = {
        "picamera2": picamera2.__file__,
        "slide": look("picamera2:0", 6),
        "bars": look("picamera2:Virtual0", 2),
        "missing": refused("picamera2:7"),
        "busy": busy("picamera2:0"),
    }
    json.dump(record, sys.stdout)
