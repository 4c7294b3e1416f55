"""A Raspberry Pi's camera through picamera2: `picamera2:0`, `picamera2:N` or `picamera2:ID`.

picamera2 adjusts formats and sizes without a word, sets controls some frames late or not at all, and waits
for ever when a camera stalls (0.3.38, read and run). So here everything is read back, controls count as set
when the metadata of a frame say so, and no call waits without end: those that might hang run in a thread of
their own, which is left behind when it does.
"""

import errno
import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge.cameras.base import CameraMode, CameraSettings, Frame, Kind
from edge.cameras.bounded import bounded
from edge.cameras.field_of_view import SensorMode, best_mode, field_of_view, sensor_modes
from edge.cameras.libcamera_controls import CONFIRMED, controls_of, differing, inside, monotonic_ns, plain
from edge.cameras.pixel_formats import FORMATS, YUV_FORMATS, ToRGB
from edge.errors import (
    CameraBusy,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraSettingsError,
    CameraTimeout,
    CameraUnavailable,
)
from edge.inference.contract import Pixels

# R, G, B in memory; then what a camera without an RGB output has. NV12 last: picamera2 reads it from 0.3.37 on.
WANTED = ("BGR888", "YUV420", "YUYV", "NV12")
OPEN_S, CONFIGURE_S, CLOSE_S = 10.0, 15.0, 1.5  # longest waits; libcamera itself takes about one second, modes more
BUFFERS = 4  # one being converted, one kept as the newest, two with the driver
SETTLE_FRAMES, SETTLE_S = 30, 10.0  # a sensor applies controls two or three frames late; 30 is "not at all"
_INSTALL = "apt install python3-picamera2, and make the virtual environment with --system-site-packages"


class Picamera2Camera:
    """A camera behind picamera2. `still` takes frames in the sensor's full mode with the ISP's slower noise
    reduction and no limit on the frame duration (picamera2's still configuration); frames keep the size
    that was asked for and come more slowly, through the same `capture`.

    Args:
        uri: `picamera2:N`, N counting as `Picamera2.global_camera_info()` lists, or `picamera2:ID` with
            libcamera's id.
        library: the module to use; picamera2, imported by `open`, when not given.

    Raises:
        CameraSettingsError: the URI names no camera.
    """

    kind: Kind = "picamera2"
    live = True
    notice = ""

    def __init__(self, uri: str, *, library: Any = None) -> None:
        scheme, _, self._name = uri.partition(":")
        if scheme != "picamera2" or not self._name:
            raise CameraSettingsError(f"camera must be picamera2:N or picamera2:ID, such as picamera2:0; got {uri!r}")
        self.uri = uri
        self._library = library
        self._camera: Any = None
        self._to_rgb: ToRGB | None = None
        self.modes: list[SensorMode] = []  # of the sensor, once it was configured
        self._unreadable: dict[str, str] = {}  # formats that this picamera2 delivers and cannot read, and why
        self._sequence = self._driver_sequence = -1

    def open(self) -> None:
        """Take the camera (see `Camera`)."""
        self.close()
        if self._library is None:
            self._library = _import()
        library = self._library

        def take() -> Any:
            return library.Picamera2(_index(self._name, library.Picamera2.global_camera_info()))

        try:
            self._camera = bounded(take, OPEN_S, f"{self.uri} to open", too_late=_shut)
        except CameraError:
            raise
        except Exception as error:
            raise _open_error(self.uri, error) from error
        self._sequence = self._driver_sequence = -1

    def configure(self, settings: CameraSettings) -> CameraMode:
        """Set up, start, and wait until frames show that it does what was set (see `Camera`)."""
        camera = self._opened()
        asked = controls_of(settings)
        self._to_rgb = None
        while True:
            try:
                stream = bounded(lambda: self._start(camera, settings, asked), CONFIGURE_S, f"{self.uri} to start")
                metadata, adjusted = self._settle(camera, settings, stream)
                break
            except _UnreadableFormat as error:  # the next format, until there is none
                self._unreadable[error.format] = str(error)
            except CameraError:
                raise
            except Exception as error:
                raise _configure_error(self.uri, error) from error
        self._to_rgb = ToRGB(stream.format, stream.size)
        controls = {name: plain(metadata[name]) for name in CONFIRMED if name in metadata}
        view = field_of_view(metadata.get("ScalerCrop"), stream.size, stream.modes, stream.mode)
        if view is None:
            return CameraMode(stream.size, stream.format, (*stream.adjusted, *adjusted), controls)
        adjusted = [*stream.adjusted, *adjusted, *view.adjusted(settings.region)]
        return CameraMode(stream.size, stream.format, tuple(adjusted), controls, str(view))

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        """The newest frame (see `Camera`)."""
        camera, to_rgb = self._opened(), self._to_rgb
        if to_rgb is None:
            raise CameraLost(f"{self.uri} is not configured")
        width, height = to_rgb.size
        fits = into is not None and into.shape == (height, width, 3) and into.flags.c_contiguous
        pixels = into if into is not None and fits else np.empty((height, width, 3), np.uint8)
        request = self._request(camera, timeout_s)
        try:
            with self._library.MappedArray(request, "main", write=False) as mapped:
                to_rgb(mapped.array, pixels)
            metadata = request.get_metadata()
            self._count(request)
        except Exception as error:
            raise CameraLost(f"{self.uri}: a frame could not be read: {_told(error)}") from error
        finally:
            _release(request)
        stamp = monotonic_ns(metadata.get("SensorTimestamp"))
        return Frame(pixels, self._sequence, stamp, {name: plain(value) for name, value in metadata.items()})

    def close(self) -> None:
        """Give the camera back. One that hangs is left to a thread that may yet end; it stays busy until then."""
        camera, self._camera, self._to_rgb = self._camera, None, None
        if camera is not None:
            try:
                bounded(lambda: _shut(camera), CLOSE_S, f"{self.uri} to close")
            except Exception:  # the driver's state is beyond repair from here; the next open says what is wrong
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> Any:
        if self._camera is None:
            raise CameraLost(f"{self.uri} is not open")
        return self._camera

    def _start(self, camera: Any, settings: CameraSettings, asked: Mapping[str, Any]) -> "_Stream":
        camera.cancel_all_and_flush()  # or stop() queues behind a job that never ends
        camera.stop()
        stream = self._stream(camera, settings)
        camera.set_controls({name: value for name, value in asked.items() if name in camera.camera_controls})
        camera.start()
        return stream

    def _stream(self, camera: Any, settings: CameraSettings) -> "_Stream":
        """Configure the sensor's mode for the field of view; where picamera2 lists no modes, its full one for a region
        that lies outside the one it chose."""
        modes = self.modes = _modes(camera)
        mode = best_mode(modes, settings.size, settings.region)
        full = {"output_size": camera.sensor_resolution}
        chosen = {} if mode is None else {"output_size": mode.size, "bit_depth": mode.bit_depth}
        for sensor in (full,) if settings.still else (chosen, full):
            stream = self._configured(camera, settings, sensor, modes)
            if settings.region is None:
                return stream
            if "ScalerCrop" not in camera.camera_controls:
                raise CameraSettingsError(f"{self.uri} cannot crop: region must be left out; got {settings.region}")
            limits = camera.camera_controls["ScalerCrop"][1]
            if inside(settings.region, limits):
                return stream
        raise CameraSettingsError(f"region must lie inside the sensor's {tuple(limits)}; got {settings.region}")

    def _configured(
        self, camera: Any, settings: CameraSettings, sensor: dict[str, Any], modes: list[SensorMode]
    ) -> "_Stream":
        make = camera.create_still_configuration if settings.still else camera.create_video_configuration
        for name in [each for each in WANTED if each not in self._unreadable]:
            more = {"colour_space": self._library.libcamera.ColorSpace.Smpte170m()} if name in YUV_FORMATS else {}
            main = {"format": name, "size": settings.size}
            # No raw stream: nothing reads it, and it holds a full sensor frame a buffer.
            camera.configure(make(main=main, raw=None, sensor=dict(sensor), buffer_count=BUFFERS, queue=True, **more))
            found = camera.camera_configuration()
            if found["main"]["format"] == name:
                break
        got, size = found["main"]["format"], tuple(found["main"]["size"])
        if got in self._unreadable:
            raise CameraSettingsError(
                f"{self.uri} offers {got} only, which this picamera2 cannot read ({self._unreadable[got]}): "
                "update python3-picamera2, or use the camera as uvc:/dev/videoN"
            )
        if got not in FORMATS:
            raise CameraSettingsError(f"{self.uri} must offer one of {', '.join(sorted(FORMATS))}; it offers {got}")
        adjusted = [f"pixel_format: asked {WANTED[0]}, the camera does {got}"] if got != WANTED[0] else []
        if settings.white_balance_k is not None:
            adjusted.append("white_balance_k: only a UVC camera has one; colour_gains lock this one's white balance")
        if size != settings.size:
            adjusted.append(f"size: asked {_by(settings.size)}, the camera does {_by(size)}")
        if got in YUV_FORMATS and "SMPTE170M" not in str(found["colour_space"]):
            adjusted.append(f"colour space: read as SMPTE170M, the camera says {found['colour_space']}")
        running = (found.get("sensor") or {}).get("output_size") or sensor.get("output_size")
        mode = None if running is None else (int(running[0]), int(running[1]))
        return _Stream(got, (size[0], size[1]), tuple(adjusted), modes, mode)

    def _settle(self, camera: Any, settings: CameraSettings, stream: "_Stream") -> tuple[Mapping[str, Any], list[str]]:
        """The metadata of the first frame that has every locked value, or of the last one waited for.

        Raises:
            _UnreadableFormat: the first frame's pixels cannot be had.
        """
        slowest = 2 * settings.slowest_frame_s
        deadline = time.monotonic() + SETTLE_S + SETTLE_FRAMES * slowest
        for number in range(SETTLE_FRAMES):
            request = self._request(camera, SETTLE_S + slowest)
            try:
                metadata = request.get_metadata()
                if number == 0:
                    self._require_readable(request, stream)
            finally:
                _release(request)
            wrong = differing(settings, metadata)
            if not wrong or time.monotonic() > deadline:
                break
        return metadata, wrong

    def _require_readable(self, request: Any, stream: "_Stream") -> None:
        pixels = np.empty((stream.size[1], stream.size[0], 3), np.uint8)
        try:
            with self._library.MappedArray(request, "main", write=False) as mapped:
                ToRGB(stream.format, stream.size)(mapped.array, pixels)
        except Exception as error:
            raise _UnreadableFormat(stream.format, _told(error)) from error

    def _request(self, camera: Any, timeout_s: float) -> Any:
        try:
            return camera.capture_request(wait=timeout_s)
        except TimeoutError as error:
            # The job that waits would take the next frame and never give it back.
            bounded(camera.cancel_all_and_flush, 1.0, f"{self.uri} to give up a frame")
            raise CameraTimeout(f"{self.uri} gave no frame in {timeout_s:g} s") from error
        except Exception as error:  # CancelledError when closed from another thread
            raise CameraLost(f"{self.uri} gave no frame: {_told(error)}") from error

    def _count(self, request: Any) -> None:
        """The driver's numbers show what it skipped; where it gives none, every frame is the next."""
        buffers = request.request.buffers
        number = int(next(iter(buffers.values())).metadata.sequence)
        step = number - self._driver_sequence if 0 <= self._driver_sequence < number else 1
        self._sequence, self._driver_sequence = self._sequence + step, number


@dataclass(frozen=True)
class _Stream:
    """What the main stream came to; `mode`: size of the sensor's mode, None where it is not said."""

    format: str
    size: tuple[int, int]
    adjusted: tuple[str, ...]
    modes: list[SensorMode]
    mode: tuple[int, int] | None


class _UnreadableFormat(Exception):  # noqa: N818  (never leaves this module)
    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.format = name


def _modes(camera: Any) -> list[SensorMode]:
    """The sensor's modes; none where picamera2 cannot list them (a USB camera, an older release).

    picamera2 sets up each of them to read its crop, buffers of raw frames included, and keeps the list. Where memory
    ends before the largest, what it has by then is there at the second asking.
    """
    for _ in range(2):
        try:
            return sensor_modes(camera.sensor_modes)
        except Exception:
            continue
    return []


def _import() -> Any:
    try:
        return importlib.import_module("picamera2")
    except Exception as error:  # ImportError, or whatever a binary module of another numpy raises
        raise CameraUnavailable(f"picamera2 cannot be imported ({_told(error)}): {_INSTALL}") from error


def _index(name: str, cameras: list[dict[str, Any]]) -> int:
    """The place of a camera, by number or id, in picamera2's list."""
    ids = [str(camera["Id"]) for camera in cameras]
    if name in ids:
        return ids.index(name)
    if name.isdecimal() and int(name) < len(cameras):
        return int(name)
    listed = ", ".join(f"picamera2:{n} {camera.get('Model', '?')} ({camera['Id']})" for n, camera in enumerate(cameras))
    cure = (
        f"there is {listed}" if listed else "libcamera lists none: check the cable, then `rpicam-hello --list-cameras`"
    )
    raise CameraNotFound(f"no camera picamera2:{name}; {cure}")


def _open_error(uri: str, error: BaseException) -> CameraError:
    told = _told(error)
    if "no camera number" in told.lower():
        return CameraNotFound(f"{uri}: {told}")
    if "permission" in told.lower():
        return CameraUnavailable(f"{uri}: {told}: add the user to the group video")
    if "dmaheap" in told.lower() or "dma_heap" in told.lower():
        return CameraUnavailable(
            f"{uri}: {told}: buffers come from /dev/dma_heap, which is missing or closed to this user: run Raspberry "
            "Pi's kernel with dtoverlay=vc4-kms-v3d, and add the user to the group video"
        )
    if "cannot allocate memory" in told.lower():
        return _configure_error(uri, error)
    if "failed to initialize" in told.lower():
        return CameraLost(f"{uri} is listed and does not answer: {told}")
    return CameraBusy(f"{uri} is held by another process, or by this one: {told}")


def _configure_error(uri: str, error: BaseException) -> CameraError:
    told = _told(error)
    out_of_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if out_of_memory or "cannot allocate memory" in told.lower():
        return CameraUnavailable(
            f"{uri}: no contiguous memory (CMA) is left for its buffers: ask for a smaller `size`, end other programs "
            "that use the camera or the screen, or give it more: dtoverlay=vc4-kms-v3d,cma-512 in "
            "/boot/firmware/config.txt and a reboot (`grep Cma /proc/meminfo` says what there is)"
        )
    return CameraLost(f"{uri} could not be set up: {told}")


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _shut(camera: Any) -> None:
    camera.cancel_all_and_flush()
    camera.close()


def _release(request: Any) -> None:
    try:
        request.release()
    except Exception:  # the camera went away meanwhile: the next capture says so
        return


def _told(error: BaseException | None) -> str:
    """What an error and its causes say, in one line; picamera2 hides the reason two causes down."""
    parts: list[str] = []
    while error is not None:
        text = " ".join(str(error).split()) or type(error).__name__
        parts += [text] if text not in parts else []
        error = error.__cause__ or error.__context__
    return ": ".join(parts)
