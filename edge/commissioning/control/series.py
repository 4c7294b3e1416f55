"""Which series a control belongs to, and which controls are of the instrument that a run looks through."""

from edge.record.entries import RunInfo
from edge.record.entry_parts import ControlSeries

_OF_THE_INSTRUMENT = ("site", "camera_no")  # keys of `sim:`; the others say what lies on it


def series_of(info: RunInfo, *, lot: str = "", expected: str = "") -> ControlSeries:
    """The series of a control whose run begins like this."""
    return ControlSeries(
        slide=info.slide,
        bundle=info.bundle,
        bundle_digest=info.bundle_digest,
        camera=instrument(info.camera),
        camera_setup=info.camera_setup or "",
        lot=lot,
        expected=expected,
    )


def of_instrument(bundle: str, bundle_digest: str, camera: str, camera_setup: str) -> ControlSeries:
    """What controls of an instrument have in common, as `same_instrument` compares it.

    Args:
        bundle, bundle_digest: name, and sha256 of the manifest. camera: its URI. camera_setup: digest, or "".
    """
    return ControlSeries("", bundle, bundle_digest, instrument(camera), camera_setup)


def instrument(uri: str) -> str:
    """The camera that a URI names, without what lies under it: of `sim:` the laboratory, of `replay:` nothing.

    >>> instrument("sim:Pre?seed=3"), instrument("sim:?site=2&slide=7"), instrument("picamera2:0")
    ('sim:', 'sim:?site=2', 'picamera2:0')
    """
    scheme, _, rest = uri.partition(":")
    if scheme == "replay":
        return "replay:"
    if scheme != "sim":
        return uri
    kept = [word for word in rest.partition("?")[2].split("&") if word.partition("=")[0] in _OF_THE_INSTRUMENT]
    return "sim:" + ("?" + "&".join(sorted(kept)) if kept else "")


def same_instrument(one: ControlSeries, other: ControlSeries) -> bool:
    """Whether both are of the same bundle, camera and set-up; slide, lot and label are free."""
    return (one.bundle_digest, one.camera, one.camera_setup) == (other.bundle_digest, other.camera, other.camera_setup)
