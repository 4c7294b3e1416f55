"""picamera2 without a Pi: what 0.3.38 does, as far as a camera of ours sees it, and a record of what was done to it.

It obeys the real rules: formats and sizes are adjusted without a word, the default stream has four channels,
rows are padded to 64 bytes, controls that are not advertised are refused and the others come some frames late,
`capture_request(wait=None)` waits for ever when the camera stalls, `stop` queues behind a stuck job, and errors
say what picamera2's say. Give a `FakeLibrary` where the module `picamera2` is expected.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from edge.cameras.field_of_view import largest_inside

STRIDE = 64  # bytes a row is a multiple of
PADDING = 0xA5
LATE = 3  # frames until a control shows in the metadata
DEFAULTS = {"ExposureTime": 9_000, "AnalogueGain": 1.5, "ColourGains": (1.9, 1.4), "FrameDuration": 33_333}
SENSOR = (3280, 2464)
SMALL_MODE = (680, 692, 1920, 1080)  # what the mode that picamera2 chooses for small frames sees of the sensor
MODES = tuple(  # of an IMX219, as `rpicam-hello --list-cameras` prints them
    {"size": size, "bit_depth": 10, "crop_limits": crop, "fps": fps}
    for size, crop, fps in (
        ((640, 480), (1000, 752, 1280, 960), 103.33),
        ((1640, 1232), (0, 0, 3280, 2464), 41.85),
        ((1920, 1080), SMALL_MODE, 47.57),
        ((3280, 2464), (0, 0, 3280, 2464), 21.19),
    )
)
CONTROLS = ("AeEnable", "AwbEnable", "ExposureTime", "AnalogueGain", "ColourGains", "FrameDurationLimits", "ScalerCrop")


@dataclass
class FakeLibrary:
    """The module, and the machine behind it.

    Attributes:
        cameras: Id and Model of each, in picamera2's order. busy: held by another process.
        formats: what the pipeline can deliver; anything else becomes the first. largest: of a frame.
        ignored: metadata names that stay as they are whatever is set. controls: advertised.
        modes: of the sensor; none for a USB camera. unmapped: formats that MappedArray knows nothing of, as NV12 up to
            picamera2 0.3.36.
        scene: (width, height) -> RGB uint8 (H, W, 3).
        stalled: no frame comes any more. stuck: what a driver that hangs makes `stop` and `close` wait for.
        calls: what was done, in order.
    """

    cameras: Sequence[Mapping[str, Any]] = ({"Id": "/base/i2c/imx219@10", "Model": "imx219", "Num": 0},)
    busy: bool = False
    formats: tuple[str, ...] = ("XBGR8888", "BGR888", "RGB888", "YUV420", "NV12")
    largest: tuple[int, int] = SENSOR
    ignored: frozenset[str] = frozenset()
    controls: tuple[str, ...] = CONTROLS
    modes: Sequence[Mapping[str, Any]] = MODES
    cropped: tuple[int, int, int, int] | None = None  # whatever is set
    unmapped: tuple[str, ...] = ()
    scene: Callable[[int, int], np.ndarray] | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    skipped: int = 0
    opened: int = 0
    closed: int = 0

    def __post_init__(self) -> None:
        self.stalled, self.stuck = threading.Event(), threading.Event()
        self.libcamera = SimpleNamespace(ColorSpace=SimpleNamespace(Smpte170m=lambda: "SMPTE170M"))
        self.MappedArray = _MappedArray
        self.waits: list[float | None] = []
        library = self

        class Picamera2(_Picamera2):
            def __init__(self, camera_num: int = 0) -> None:
                super().__init__(library, camera_num)

            @staticmethod
            def global_camera_info() -> list[dict[str, Any]]:
                return [dict(camera) for camera in library.cameras]

        self.Picamera2 = Picamera2

    def done(self, name: str) -> list[Any]:
        """The arguments of every call of that name."""
        return [argument for call, argument in self.calls if call == name]


class _Picamera2:
    def __init__(self, library: FakeLibrary, number: int) -> None:
        if number >= len(library.cameras):
            raise RuntimeError(f'No camera number {number} found - use "rpicam-hello --list-cameras" to check')
        if library.busy:
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError as error:
                raise RuntimeError("Camera __init__ sequence did not complete.") from error
        library.opened += 1
        self.library = library
        self.started = False
        self.sensor_resolution = SENSOR
        self._configuration: dict[str, Any] = {}
        self._controls: dict[str, Any] = {}
        self._frames = 0
        self._jobs: list[Future[Any]] = []
        self._shown: dict[str, Any] = dict(DEFAULTS)

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        limits = dict.fromkeys(self.library.controls, (0, 1, None))
        if "ScalerCrop" in limits:
            limits["ScalerCrop"] = ((0, 0, 64, 64), self._crop_limits(), self._crop_limits())
        return limits

    @property
    def sensor_modes(self) -> list[dict[str, Any]]:
        assert not self.started, "reading the modes configures the camera"
        return [dict(mode) for mode in self.library.modes] or [{"format": "YUYV"}]

    def _crop_limits(self) -> tuple[int, int, int, int]:
        asked = self._configuration.get("sensor", {}).get("output_size")
        if asked == SENSOR:
            return (0, 0, *SENSOR)
        return next((mode["crop_limits"] for mode in self.library.modes if mode["size"] == asked), SMALL_MODE)

    def create_video_configuration(
        self, main: Mapping[str, Any] | None = None, raw: Any = (), sensor: Any = None, **more: Any
    ) -> dict[str, Any]:
        defaults = {"format": "XBGR8888", "size": (1280, 720)}
        return {"use_case": "video", "main": {**defaults, **(main or {})}, "raw": raw, "sensor": sensor or {}, **more}

    def create_still_configuration(self, **more: Any) -> dict[str, Any]:
        return self.create_video_configuration(**more) | {"use_case": "still"}

    def configure(self, configuration: dict[str, Any]) -> None:
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        main = dict(configuration["main"])
        main["format"] = main["format"] if main["format"] in self.library.formats else self.library.formats[0]
        main["size"] = tuple(min(n - n % 2, most) for n, most in zip(main["size"], self.library.largest, strict=True))
        bytes_a_pixel = {"BGR888": 3, "RGB888": 3, "XBGR8888": 4, "XRGB8888": 4, "YUYV": 2}.get(main["format"], 1)
        main["stride"] = -(-main["size"][0] * bytes_a_pixel // STRIDE) * STRIDE
        self._configuration = {"colour_space": "sYCC", **configuration, "main": main}
        self._controls, self._shown = {}, dict(DEFAULTS)
        self.library.calls.append(("configure", self._configuration))

    def camera_configuration(self) -> dict[str, Any]:
        return self._configuration

    def set_controls(self, controls: Mapping[str, Any]) -> None:
        for name in controls:
            if name not in self.library.controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        self._controls |= controls
        self.library.calls.append(("set_controls", dict(controls)))

    def start(self) -> None:
        self.started, self._frames = True, 0
        self.library.calls.append(("start", None))

    def stop(self) -> None:
        if self.started and self.library.stuck.is_set():
            threading.Event().wait()  # for ever: behind the stuck job
        self.started = False
        self.library.calls.append(("stop", None))

    def cancel_all_and_flush(self) -> None:
        self.library.calls.append(("cancel_all_and_flush", None))
        for job in self._jobs:
            job.set_exception(CancelledError())
        self._jobs = []

    def close(self) -> None:
        self.library.calls.append(("close", None))
        if self.library.stuck.is_set():
            threading.Event().wait()
        self.library.closed += 1
        self.started = False

    def capture_request(self, wait: float | None = None) -> "_Request":
        self.library.waits.append(wait)
        job: Future[_Request] = Future()
        if self.library.stalled.is_set() or self._jobs:  # jobs queue behind one that waits
            self._jobs.append(job)
        else:
            self._frames += 1
            job.set_result(_Request(self, self._frames + self.library.skipped))
        return job.result(wait)

    def shown(self, frame: int) -> dict[str, Any]:
        """The metadata of a frame: controls take `LATE` frames."""
        if "ScalerCrop" in self.library.controls and self.library.modes:
            seen = self.library.cropped or largest_inside(self._crop_limits(), self._configuration["main"]["size"])
            self._shown.setdefault("ScalerCrop", seen)
        if frame > LATE:
            asked = {name: value for name, value in self._controls.items() if name not in self.library.ignored}
            limits = asked.get("FrameDurationLimits", (33_333, 33_333))
            if asked.get("ExposureTime"):
                self._shown["ExposureTime"] = min(asked["ExposureTime"] - 3, limits[1])  # whole lines
            if asked.get("AnalogueGain"):
                self._shown["AnalogueGain"] = asked["AnalogueGain"] * 1.01
            if asked.get("AwbEnable") is False:
                self._shown["ColourGains"] = asked["ColourGains"]
            if "ScalerCrop" in asked:
                self._shown["ScalerCrop"] = asked["ScalerCrop"]
            self._shown["FrameDuration"] = max(limits[0], self._shown["ExposureTime"])
        stamp = time.monotonic_ns() - 20_000_000
        return {**self._shown, "SensorTimestamp": stamp, "Lux": float("nan"), "AfState": _Enum()}


class _Enum:
    def __str__(self) -> str:
        return "AfStateEnum.Idle"


class _Request:
    def __init__(self, camera: _Picamera2, number: int) -> None:
        self.camera, self.released = camera, 0
        self._metadata = camera.shown(number)
        buffer = SimpleNamespace(metadata=SimpleNamespace(sequence=number + 40))
        self.request = SimpleNamespace(buffers={"main": buffer})
        camera.library.calls.append(("request", self))

    def get_metadata(self) -> dict[str, Any]:
        return dict(self._metadata)

    def release(self) -> None:
        self.released += 1
        if self.released > 1:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")


class _MappedArray:
    """A view of the padded buffer, shaped as picamera2 shapes it; gone when the block ends."""

    def __init__(self, request: _Request, stream: str, reshape: bool = True, write: bool = True) -> None:
        main = request.camera.camera_configuration()[stream]
        if main["format"] in request.camera.library.unmapped:
            raise RuntimeError(f"Format {main['format']} not supported")
        width, height = main["size"]
        scene = request.camera.library.scene or red_left
        self._array = encoded(scene(width, height), main["format"], main["stride"])

    def __enter__(self) -> "_MappedArray":
        self.array = self._array
        return self

    def __exit__(self, *_: object) -> None:
        self._array[...] = 0  # the buffer goes back to the driver, which writes into it
        del self.array


def red_left(width: int, height: int) -> np.ndarray:
    """RGB: pure red on the left, dark green on the right."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, : width // 2] = 255, 0, 0
    frame[:, width // 2 :] = 0, 90, 0
    return frame


def encoded(frame: np.ndarray, name: str, stride: int) -> np.ndarray:
    """RGB (H, W, 3) as picamera2 shapes a buffer of that format and stride."""
    height, width = frame.shape[:2]
    if name in ("YUV420", "NV12"):
        planar = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).reshape(-1)
        luma, chroma = planar[: width * height].reshape(height, width), planar[width * height :]
        u, v = chroma.reshape(2, height // 2, width // 2)
        buffer = np.full((height * 3 // 2, stride), PADDING, np.uint8)
        buffer[:height, :width] = luma
        if name == "NV12":
            buffer[height:, :width] = np.stack([u, v], axis=-1).reshape(height // 2, width)
            return buffer[:, :width]
        planes = buffer[height:].reshape(2, height // 2, stride // 2)
        planes[0, :, : width // 2], planes[1, :, : width // 2] = u, v
        return buffer
    if name == "YUYV":
        buffer = np.full((height, stride // 2, 2), PADDING, np.uint8)
        buffer[:, :width] = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_YUYV)
        return buffer
    four = {"XBGR8888": cv2.COLOR_RGB2RGBA, "XRGB8888": cv2.COLOR_RGB2BGRA}
    pixels = cv2.cvtColor(frame, four[name]) if name in four else frame[..., ::-1] if name == "RGB888" else frame
    channels = pixels.shape[2]
    buffer = np.full((height, stride), PADDING, np.uint8)
    buffer[:, : width * channels] = pixels.reshape(height, -1)
    return buffer[:, : width * channels].reshape(height, width, channels)
