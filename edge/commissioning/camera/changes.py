"""Whether a camera's set-up is another than at the run before."""

from msgspec import UNSET

from edge.cameras.base import Camera
from edge.cameras.setup.set_up_camera import same_camera, setup_digest
from edge.record.entries import RunInfo


def setup_change(camera: Camera, before: RunInfo | None) -> str:
    """A sentence for the record when this camera ran under another set-up, or under none, the last time; else "".

    Args:
        before: what began the last run of this record; None for the first.
    """
    if before is None or not same_camera(camera.uri, before.camera):
        return ""
    then = "" if before.camera_setup is UNSET else before.camera_setup
    now = setup_digest(camera)
    if then == now:
        return ""
    return f"{camera.uri}: set-up {_shown(now)}; {_shown(then)} at the run before"


def _shown(digest: str) -> str:
    return digest[:12] or "none"
