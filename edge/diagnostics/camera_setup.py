"""The camera's set-up: whether there is one, whether it can be used, and where light and focus have gone since."""

from collections.abc import Sequence

from edge.cameras.setup.camera_setup import FLAT_FIELD_FILE, CameraSetup
from edge.cameras.setup.flat_field import read_flat_field
from edge.cameras.setup.set_up_camera import read_setup, same_camera
from edge.commissioning.camera.history import light_points
from edge.commissioning.camera.trend import trends
from edge.errors import CameraSetupError
from edge.record.schema import DATABASE
from edge.record.store import Store
from edge.system.machine import Finding, Machine

SETUP, TREND = "camera set-up", "camera trend"
_CURE = "set the camera up (`edge setup-camera`): docs/how-to/set-up-the-camera.md"


def setup_and_trend(machine: Machine) -> Sequence[Finding]:
    """The set-up that the profile names, and what runs under it measured against it."""
    if machine.camera_setup is None:
        if machine.camera.partition(":")[0] in ("picamera2", "uvc"):
            found = "none: exposure, gain and white balance are the camera's own choice, other ones on every slide"
            return [Finding(SETUP, "warning", found, _CURE)]
        return [Finding(SETUP, "ok", "none, and this camera needs none")]
    try:
        setup = read_setup(machine.camera_setup)
        read_flat_field(machine.camera_setup / FLAT_FIELD_FILE, setup.flat_field.shift, setup.flat_field.sha256)
    except CameraSetupError as error:
        return [Finding(SETUP, "missing", str(error), _CURE)]
    found = f"{setup.digest[:12]} of {setup.camera}, {setup.at[:10]}"
    if not same_camera(machine.camera, setup.camera):
        return [
            Finding(SETUP, "warning", f"{found}; the profile's camera is {machine.camera}, and runs without", _CURE)
        ]
    return [Finding(SETUP, "ok", found), *_trend(machine, setup)]


def _trend(machine: Machine, setup: CameraSetup) -> list[Finding]:
    if not (machine.store / DATABASE).exists():
        return []
    with Store.open(machine.store, read_only=True) as store:
        points = light_points(store, setup.digest)
    if not points:
        return [Finding(TREND, "unknown", "no run under this set-up has measured it yet")]
    found = trends(points, setup.reference)
    text = "; ".join(map(str, found))
    if not any(trend.warns for trend in found):
        return [Finding(TREND, "ok", text)]
    cure = "clean lamp and optics, or change the lamp, before a gate or control trips; then set the camera up again "
    return [Finding(TREND, "warning", text, f"{cure}(`edge setup-camera`)")]
