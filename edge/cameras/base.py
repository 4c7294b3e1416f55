"""What every camera is to the rest of the project: one Protocol, and the frames it gives.

A camera is constructed without touching hardware, opened, configured, read frame by frame and closed. Every
wait is bounded; whatever a driver throws leaves as one of the `Camera...` errors of `edge.errors`, chained.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from edge.errors import CameraSettingsError
from edge.inference.contract import SMALLEST_FRAME, Pixels

LARGEST_SIDE = 8192
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class CameraSettings:
    """What is asked of a camera; `CameraMode` says what it does.

    Attributes:
        size: (width, height) of a frame, pixels. A camera may adjust it; replayed frames keep their own.
        frame_rate: frames a second asked for; None leaves it to the camera.
        exposure_us: exposure time, microseconds; None is automatic. gain: analogue gain, >= 1; None is
            automatic. Both or neither: with one alone the camera would change the other behind one's back.
        colour_gains: (red, blue) gains against green, 0..32; None is automatic white balance.
        white_balance_k: colour temperature that a UVC camera's white balance is locked at, kelvin; with colour_gains
            and None it is locked where it stands. Other cameras have none.
        region: (x, y, width, height) of the sensor, sensor pixels; None is all of it that has the frame's proportions.
        fourcc: pixel format asked of a UVC camera, four letters ("MJPG", "YUYV"); None leaves it.
        still: take recorded frames in the sensor's best mode (slower) where the camera has one.
        frozen_after_s: a live camera that gives the same bytes for this long counts as lost; 0 never.

    >>> CameraSettings(size=(640, 480), exposure_us=8000, gain=2.0).frame_rate is None
    True
    """

    size: tuple[int, int] = (1280, 960)
    frame_rate: float | None = None
    exposure_us: float | None = None
    gain: float | None = None
    colour_gains: tuple[float, float] | None = None
    white_balance_k: float | None = None
    region: Box | None = None
    fourcc: str | None = None
    still: bool = False
    frozen_after_s: float = 5.0

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(_whole(n) and SMALLEST_FRAME <= n <= LARGEST_SIDE for n in self.size):
            raise CameraSettingsError(
                f"size must be (width, height) in pixels, both {SMALLEST_FRAME}..{LARGEST_SIDE}; got {self.size!r}"
            )
        _within("frame_rate", self.frame_rate, 0.01, 1000)
        _within("exposure_us", self.exposure_us, 1, 10_000_000)
        _within("gain", self.gain, 1, 64)
        if (self.exposure_us is None) != (self.gain is None):
            raise CameraSettingsError(
                "exposure_us and gain must be set together, or neither (automatic); "
                f"got exposure_us {self.exposure_us}, gain {self.gain}"
            )
        if self.colour_gains is not None:
            if len(self.colour_gains) != 2:
                raise CameraSettingsError(f"colour_gains must be (red, blue); got {self.colour_gains!r}")
            for value in self.colour_gains:
                _within("colour_gains", value, 0.01, 32)
        _within("white_balance_k", self.white_balance_k, 1000, 20_000)
        if self.region is not None and (
            len(self.region) != 4
            or not all(_whole(n) and n >= 0 for n in self.region)
            or min(self.region[2:]) < SMALLEST_FRAME
        ):
            raise CameraSettingsError(
                f"region must be (x, y, width, height) in sensor pixels, sides >= {SMALLEST_FRAME}; got {self.region!r}"
            )
        if self.fourcc is not None and not (len(self.fourcc) == 4 and self.fourcc.isascii()):
            raise CameraSettingsError(f"fourcc must be four letters such as MJPG; got {self.fourcc!r}")
        _within("frozen_after_s", self.frozen_after_s, 0, 3600)

    @property
    def slowest_frame_s(self) -> float:
        """The longest time between two frames that these settings ask for, seconds; 0 where they leave it open."""
        exposure_s = 2e-6 * (self.exposure_us or 0)  # a camera may take twice the exposure (`controls_of`)
        return max(exposure_s, 1 / self.frame_rate if self.frame_rate else 0.0)


@dataclass(frozen=True)
class CameraMode:
    """What a configured camera really does, read back from it.

    Attributes:
        size: (width, height) of its frames; None where each frame has its own (a folder of images).
        pixel_format: the driver's name for what it delivers, before conversion to RGB.
        adjusted: one sentence for each thing the camera does otherwise than asked; empty when as asked.
        controls: values it confirmed, by the driver's names.
        field_of_view: which part of the sensor frames show, and at which scale; "" where the driver does not say.
    """

    size: tuple[int, int] | None
    pixel_format: str
    adjusted: tuple[str, ...] = ()
    controls: Mapping[str, Any] = field(default_factory=dict)
    field_of_view: str = ""


@dataclass(frozen=True)
class Frame:
    """One captured frame.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, 0..255; `into` itself where that was given and fits.
        sequence: counts the frames of this camera since it was opened, from 0; a gap is a frame the camera
            itself skipped.
        monotonic_ns: time.monotonic_ns() of the exposure where the driver says it, of arrival otherwise.
        metadata: what was really applied, by the driver's names (`ExposureTime` us, `AnalogueGain`,
            `ColourGains`, ...); JSON-serializable. The virtual microscope puts the truth under "truth".
        source: file (and frame) that was replayed; "" for a camera.
    """

    pixels: Pixels
    sequence: int
    monotonic_ns: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


Kind = Literal["picamera2", "uvc", "replay", "sim"]


class Camera(Protocol):
    """A camera. Use it from one thread; `close` may be called from any, more than once, and never raises.

    Attributes:
        uri: as it was asked for.
        kind: which implementation.
        live: frames are gone when not taken (True), or wait (False: replay).
        notice: "" for a real camera; otherwise a sentence that must be shown with every frame.
    """

    @property
    def uri(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def live(self) -> bool: ...
    @property
    def notice(self) -> str: ...

    def open(self) -> None:
        """Take the device.

        Raises:
            CameraNotFound: no such device; names those there are.
            CameraBusy: another process has it.
            CameraUnavailable: what the backend needs (a package, a permission) is missing; names the cure.
            CameraLost: it is there and does not answer.
        """

    def configure(self, settings: CameraSettings) -> CameraMode:
        """Set the camera up and start it.

        Raises:
            CameraSettingsError: it cannot do what was asked (an adjustment it makes is reported, not raised).
            CameraLost: it went away.
        """

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        """The next frame: the newest of a live camera, the next of a replay.

        Args:
            timeout_s: the longest to wait, seconds, > 0.
            into: uint8 (H, W, 3), C-contiguous, of the mode's size: filled instead of allocating.

        Raises:
            CameraTimeout: no frame in time. CameraLost: it went away. Both: close, open, configure.
            FrameCorrupt: this one frame cannot be read; the next may.
            EndOfFrames: a replay has ended.
        """

    def close(self) -> None:
        """Give the device back, within 2 s."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _within(name: str, value: float | None, lowest: float, highest: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise CameraSettingsError(f"{name} must be a number in {lowest:g}..{highest:g}; got {value!r}")
    if not lowest <= value <= highest:
        raise CameraSettingsError(f"{name} must be in {lowest:g}..{highest:g}; got {value}")
