"""Camera settings as libcamera's controls, and frame metadata as the proof that they were taken."""

import math
import time
from collections.abc import Mapping
from typing import Any

from edge.cameras.base import Box, CameraSettings
from edge.errors import CameraSettingsError

_VIDEO_FRAME_US = 33_333  # picamera2's own choice for video
CONFIRMED = ("ExposureTime", "AnalogueGain", "ColourGains", "ScalerCrop", "FrameDuration")


def controls_of(settings: CameraSettings) -> dict[str, Any]:
    """Settings as libcamera's controls. Exposure time or gain 0 is automatic."""
    frame_us = round(1e6 / settings.frame_rate) if settings.frame_rate else None
    exposure = settings.exposure_us or 0
    if frame_us is not None and exposure > frame_us:
        raise CameraSettingsError(
            f"exposure_us must fit into a frame of frame_rate {settings.frame_rate:g}, {frame_us} us; got {exposure}"
        )
    controls: dict[str, Any] = {"AeEnable": settings.exposure_us is None, "AwbEnable": settings.colour_gains is None}
    controls |= {"ExposureTime": exposure, "AnalogueGain": settings.gain or 0.0}
    if settings.colour_gains is not None:
        controls["ColourGains"] = settings.colour_gains
    if frame_us is not None:
        controls["FrameDurationLimits"] = (frame_us, frame_us)
    elif exposure > _VIDEO_FRAME_US:  # picamera2's video limits would cut it to 1/30 s
        controls["FrameDurationLimits"] = (_VIDEO_FRAME_US, 2 * exposure)
    if settings.region is not None:
        controls["ScalerCrop"] = settings.region
        controls["ScalerCrops"] = [settings.region]  # the Pi 5's, which picamera2 sets itself and which wins there
    return controls


def differing(settings: CameraSettings, metadata: Mapping[str, Any]) -> list[str]:
    """A sentence for every locked value that a frame's metadata do not confirm."""
    return [
        f"{setting}: asked {plain(value)}, the camera does {plain(metadata.get(name, 'not say'))}"
        + (" (FrameDuration, us)" if name == "FrameDuration" else "")
        for name, (setting, value, tolerance) in _locked(settings).items()
        if not _close(metadata.get(name), value, tolerance)
    ]


def _locked(settings: CameraSettings) -> dict[str, tuple[str, Any, float]]:
    """Metadata name -> our name, locked value, relative tolerance: sensors have steps of lines and gain codes."""
    locked: dict[str, tuple[str, Any, float]] = {}
    if settings.exposure_us is not None:
        locked["ExposureTime"] = ("exposure_us", settings.exposure_us, 0.02 + 30 / settings.exposure_us)
        locked["AnalogueGain"] = ("gain", settings.gain, 0.05)
    if settings.colour_gains is not None:
        locked["ColourGains"] = ("colour_gains", settings.colour_gains, 0.02)
    if settings.region is not None:
        locked["ScalerCrop"] = ("region", settings.region, 0.02)
    if settings.frame_rate is not None:
        locked["FrameDuration"] = ("frame_rate", round(1e6 / settings.frame_rate), 0.03)
    return locked


def _close(found: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, (tuple, list)):
        largest = max(wanted)  # a region's corner may be 0: its tolerance is that of its sides
        same = isinstance(found, (tuple, list)) and len(found) == len(wanted)
        return same and all(abs(f - w) <= tolerance * largest for f, w in zip(found, wanted, strict=True))
    return isinstance(found, (int, float)) and abs(found - wanted) <= tolerance * wanted


def inside(region: Box, limits: Box) -> bool:
    x, y, width, height = region
    left, top, across, down = limits
    return left <= x and top <= y and x + width <= left + across and y + height <= top + down


def monotonic_ns(sensor_timestamp: object) -> int:
    """`SensorTimestamp` on the scale of `time.monotonic_ns()`; now where there is none.

    libcamera documents CLOCK_BOOTTIME, its V4L2 pipelines pass on CLOCK_MONOTONIC (bugs.libcamera.org 254).
    They differ by the time the machine was suspended: a stamp that would lie ahead is of the former.
    """
    now = time.monotonic_ns()
    if not isinstance(sensor_timestamp, int) or sensor_timestamp <= 0:
        return now
    if sensor_timestamp > now:
        sensor_timestamp -= time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now
    return min(sensor_timestamp, now)


def plain(value: object) -> Any:
    """A metadata value as JSON has it: numbers, text, lists; anything else by its name."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)
