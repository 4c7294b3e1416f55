"""A camera under its set-up: what is locked is confirmed before the first frame, the flat field leaves every frame."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeGuard

import msgspec
from msgspec import UNSET

from edge.cameras.backends import open_camera
from edge.cameras.base import Camera, CameraMode, CameraSettings, Frame, Kind
from edge.cameras.setup.camera_setup import FLAT_FIELD_FILE, SETUP_FILE, CameraSetup
from edge.cameras.setup.flat_field import FlatField, read_flat_field
from edge.errors import CameraLost, CameraSettingsError, CameraSetupError
from edge.inference.contract import Pixels
from edge.system.files import read_at_most
from edge.system.strict_json import read_object

# Relative tolerance and steps of the controls that are confirmed, by the drivers' names. A sensor has lines and gain
# codes, UVC steps of 100 us; the same value asked for again gives the same step.
CONFIRMED: Mapping[str, tuple[float, float]] = {
    "ExposureTime": (0.02, 100.0),
    "AnalogueGain": (0.03, 0.0),
    "ColourGains": (0.02, 0.0),
    "gain": (0.0, 0.0),
    "WhiteBalanceTemperature": (0.0, 50.0),
}
_LARGEST_BYTES = 2**20
_AGAIN = "set the camera up again (`edge setup-camera`)"


class SetUpCamera:
    """A camera that a set-up belongs to; what it does beside that is the camera's own.

    `configure` raises unless the settings are those of the set-up and the camera confirms them; `capture` loses a
    camera whose frames say that they were taken otherwise, so that it is opened and configured again.

    Args:
        camera: not opened. setup: made with it. flat_field: the set-up's.
    """

    def __init__(self, camera: Camera, setup: CameraSetup, flat_field: FlatField) -> None:
        self._camera, self.setup, self._flat_field = camera, setup, flat_field

    @property
    def uri(self) -> str:
        """As the camera's, like those below."""
        return self._camera.uri

    @property
    def kind(self) -> Kind:
        return self._camera.kind

    @property
    def live(self) -> bool:
        return self._camera.live

    @property
    def notice(self) -> str:
        return self._camera.notice

    def open(self) -> None:
        """See `Camera.open`."""
        self._camera.open()

    def configure(self, settings: CameraSettings) -> CameraMode:
        """See `Camera.configure`.

        Raises:
            CameraSettingsError: the settings are not those of the set-up.
            CameraSetupError: the camera does not confirm what is locked, or gives frames of another size.
        """
        require_same(settings, self.setup)
        mode = self._camera.configure(settings)
        if mode.size != self.setup.size:
            raise CameraSetupError(
                f"{self.uri}: set up with frames of {_by(self.setup.size)}; it gives {_by(mode.size)}: {_AGAIN}"
            )
        if wrong := unconfirmed(self.setup.controls, mode.controls):
            raise CameraSetupError(f"{self.uri} does not confirm its set-up: {'; '.join(wrong)}: {_AGAIN}")
        return mode

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        """See `Camera.capture`; the flat field is divided out of the frame."""
        frame = self._camera.capture(timeout_s, into)
        said = {name: frame.metadata[name] for name in self.setup.controls if name in frame.metadata}
        if said and (wrong := unconfirmed({name: self.setup.controls[name] for name in said}, said)):
            raise CameraLost(f"{self.uri}: a frame was not taken as it was set up: {'; '.join(wrong)}")
        if frame.pixels.shape == self._flat_field.table.shape:  # another size is dealt with by who supervises
            self._flat_field.apply(frame.pixels)
        return frame

    def close(self) -> None:
        """See `Camera.close`."""
        self._camera.close()

    def __enter__(self) -> Self:
        self._camera.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._camera.__exit__(kind, error, trace)


def open_set_up(uri: str, folder: Path | None) -> Camera:
    """The camera that a URI names, under the set-up in `folder`; constructed, not opened.

    Args:
        folder: `[camera] setup` of the profile; None is a camera without a set-up. A set-up is of one camera: any
            other, and a replay, whose frames are what they were, is given as it is.

    Raises:
        CameraSettingsError: as `open_camera`. CameraSetupError: the set-up cannot be read.
    """
    camera = open_camera(uri)
    if folder is None:
        return camera
    setup = read_setup(folder)
    if not same_camera(uri, setup.camera):
        return camera
    flat = read_flat_field(folder / FLAT_FIELD_FILE, setup.flat_field.shift, setup.flat_field.sha256)
    return SetUpCamera(camera, setup, flat)


def is_set_up(camera: Camera) -> TypeGuard[SetUpCamera]:
    """Whether it runs under a set-up."""
    return isinstance(camera, SetUpCamera)


def setup_digest(camera: Camera) -> str:
    """Digest of the set-up that a camera runs under; "" where there is none."""
    return camera.setup.digest if is_set_up(camera) else ""


def read_setup(folder: Path) -> CameraSetup:
    """The set-up in a folder that `edge setup-camera` wrote.

    Raises:
        CameraSetupError: naming the file: missing, not a set-up, a value out of range.
    """
    path = folder / SETUP_FILE
    data = read_at_most(path, _LARGEST_BYTES, CameraSetupError)
    try:
        setup = msgspec.convert(read_object(data, str(path), CameraSetupError), CameraSetup)
        locked_settings(setup)
    except (msgspec.ValidationError, CameraSettingsError) as error:
        raise CameraSetupError(f"{path}: {error}; {_AGAIN}") from error
    return setup


def locked_settings(setup: CameraSetup) -> CameraSettings:
    """What a set-up locks, range-checked as a profile is; CameraSettingsError names what is out of range."""
    gains = None if setup.colour_gains is UNSET else setup.colour_gains
    region = None if setup.region is UNSET else setup.region
    kelvin = None if setup.white_balance_k is UNSET else setup.white_balance_k
    return CameraSettings(
        size=setup.size,
        exposure_us=setup.exposure_us,
        gain=setup.gain,
        colour_gains=gains,
        white_balance_k=kelvin,
        region=region,
        still=setup.still,
    )


def same_camera(uri: str, other: str) -> bool:
    """Whether two URIs name one camera. The virtual microscope is one, whatever lies on it; a laboratory has its own.

    >>> same_camera("sim:Pre?seed=3", "sim:"), same_camera("uvc:0", "uvc:1"), same_camera("sim:?site=1", "sim:?site=2")
    (True, False, False)
    """
    return _instrument(uri) == _instrument(other)


def _instrument(uri: str) -> object:
    if not uri.startswith("sim:"):
        return uri
    words = (word.partition("=") for word in uri.partition("?")[2].split("&"))
    return {name: value for name, _, value in words if name in ("site", "camera_no")}


def require_same(settings: CameraSettings, setup: CameraSetup) -> None:
    """Raise CameraSettingsError unless a profile asks for what was set up, naming key and values."""
    locked = locked_settings(setup)
    for name in ("exposure_us", "gain", "colour_gains", "white_balance_k", "region", "still"):
        asked, made = getattr(settings, name), getattr(locked, name)
        if asked != made:
            raise CameraSettingsError(
                f"{name} of [camera] must be as in the camera's set-up, {made}; got {asked}: put it back, or {_AGAIN}"
            )


def unconfirmed(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """A sentence for each control that was confirmed at the set-up and is not now.

    >>> unconfirmed({"ExposureTime": 8000.0}, {"ExposureTime": 12000})
    ['ExposureTime must be 8000; the camera says 12000']
    """
    return [
        f"{name} must be {_shown(value)}; the camera says {_shown(found[name]) if name in found else 'nothing of it'}"
        for name, value in wanted.items()
        if name in CONFIRMED and not _close(found.get(name), value, *CONFIRMED[name])
    ]


def _close(found: Any, wanted: Any, relative: float, step: float) -> bool:
    if isinstance(wanted, (tuple, list)):
        same = isinstance(found, (tuple, list)) and len(found) == len(wanted)
        return same and all(_close(f, w, relative, step) for f, w in zip(found, wanted, strict=True))
    return isinstance(found, (int, float)) and abs(found - wanted) <= max(relative * abs(wanted), step)


def _shown(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(_shown(each) for each in value)
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _by(size: tuple[int, int] | None) -> str:
    return "other sizes" if size is None else f"{size[0]}x{size[1]}"
