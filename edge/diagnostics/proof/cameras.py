"""Cameras for a board's proof: their modes, and how steadily their frames come."""

import re
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from msgspec.structs import replace

from edge.cameras.backends import open_camera
from edge.cameras.base import Camera, CameraSettings
from edge.diagnostics.proof.record import CameraProof, SensorModeFound
from edge.errors import CameraError, CameraTimeout, FrameCorrupt
from edge.system.machine import Finding

_TIMEOUT_S = 5.0
_MOST_UNUSABLE = 30


def listed(findings: Sequence[Finding], profile: str) -> list[str]:
    """URIs of the cameras there are, from what `edge doctor` found; the profile's first, where it is a real one."""
    found = [uri for each in findings for uri in re.findall(r"(?:picamera2:\d+|uvc:/dev/video\d+)(?= )", each.found)]
    named = [profile] if profile.startswith(("picamera2:", "uvc:")) else []
    return list(dict.fromkeys([*named, *found]))


def prove(
    uri: str,
    settings: CameraSettings,
    seconds: float,
    *,
    make: Callable[[str], Camera] = open_camera,
    now: Callable[[], float] = time.monotonic,
) -> CameraProof:
    """Open a camera, and take every frame that it gives for some seconds. What goes wrong is its `error`."""
    try:
        with make(uri) as camera:
            camera.open()
            mode = camera.configure(settings)
            about = CameraProof(
                uri=uri,
                asked=settings.size,
                modes=_modes(camera),
                size=mode.size,
                pixel_format=mode.pixel_format,
                field_of_view=mode.field_of_view,
                adjusted=mode.adjusted,
            )
            return _watched(camera, about, seconds, max(_TIMEOUT_S, 3 * settings.slowest_frame_s), now)
    except CameraError as error:
        return CameraProof(uri=uri, asked=settings.size, error=str(error))


def _modes(camera: Camera) -> tuple[SensorModeFound, ...]:
    modes = getattr(camera, "modes", ())  # of picamera2's alone
    return tuple(SensorModeFound(mode.size, mode.bit_depth, mode.crop, mode.fps) for mode in modes)


def _watched(
    camera: Camera, about: CameraProof, seconds: float, timeout_s: float, now: Callable[[], float]
) -> CameraProof:
    arrived: list[int] = []
    numbers: list[int] = []
    unusable, error, end = 0, "", now() + seconds
    while now() < end and unusable < _MOST_UNUSABLE:
        try:
            frame = camera.capture(timeout_s)
        except FrameCorrupt as problem:
            unusable, error = unusable + 1, str(problem)
        except CameraTimeout as problem:
            error = str(problem)
            break
        else:
            arrived.append(frame.monotonic_ns)
            numbers.append(frame.sequence)
    between = sorted((b - a) / 1e6 for a, b in pairwise(arrived))
    span = (arrived[-1] - arrived[0]) / 1e9 if len(arrived) > 1 else 0.0
    return replace(
        about,
        seconds=round(span, 3),
        frames=len(arrived),
        skipped=max(0, numbers[-1] - numbers[0] + 1 - len(numbers) - unusable) if numbers else 0,
        unusable=unusable,
        fps=round((len(arrived) - 1) / span, 3) if span > 0 else None,
        interval_ms=(_at(between, 0.5), _at(between, 0.95), round(between[-1], 3)) if between else None,
        error=error if unusable >= _MOST_UNUSABLE or not arrived or "no frame" in error else "",
    )


def _at(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
