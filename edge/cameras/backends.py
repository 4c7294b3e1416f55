"""The cameras behind the schemes of a URI: `picamera2:0`, `uvc:/dev/video0`, `replay:PATH`, `sim:`."""

import difflib
import importlib
from typing import cast

from edge.cameras.base import Camera
from edge.errors import CameraSettingsError

_BACKENDS = {
    "picamera2": ("edge.cameras.picamera2", "Picamera2Camera"),
    "uvc": ("edge.cameras.uvc", "UvcCamera"),
    "replay": ("edge.cameras.replay", "ReplayCamera"),
    "sim": ("edge.cameras.simulation.simulated", "SimulatedCamera"),
}
_EXAMPLES = "picamera2:0, uvc:/dev/video0, replay:FOLDER or sim:"


def open_camera(uri: str) -> Camera:
    """The camera that a URI names: constructed, not opened. Only its own backend is imported.

    Raises:
        CameraSettingsError: an unknown scheme (with the nearest right one), or a URI its backend cannot read.
    """
    scheme, colon, _ = uri.partition(":")
    if scheme not in _BACKENDS or not colon:
        near = difflib.get_close_matches(scheme, _BACKENDS, n=1)
        hint = f"did you mean {near[0]}:? " if near else ""
        raise CameraSettingsError(f"a camera is named like {_EXAMPLES}; got {uri!r} ({hint}there are no others)")
    module, name = _BACKENDS[scheme]
    return cast(Camera, getattr(importlib.import_module(module), name)(uri))
