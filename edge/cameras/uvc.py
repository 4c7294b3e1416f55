"""`uvc:/dev/videoN` or `uvc:N`: USB microscopes and webcams, through OpenCV's V4L2 backend.

OpenCV's read blocks for up to ten seconds when a camera stalls, so a thread of its own reads, and always leaves
the newest frame; who captures waits for that, as long as was asked and no longer.

What V4L2 through OpenCV cannot tell: when the header of a JPEG frame is damaged, OpenCV gives the frame before
once more (`edge.cameras.supervised` notices when that goes on). Incomplete frames the kernel drops itself.
"""

import atexit
import errno
import fcntl
import os
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, cast

import cv2

from edge.cameras.base import CameraMode, CameraSettings, Frame, Kind
from edge.errors import (
    CameraBusy,
    CameraError,
    CameraLost,
    CameraNotFound,
    CameraSettingsError,
    CameraTimeout,
    CameraUnavailable,
    FrameCorrupt,
    ImageFileError,
)
from edge.inference.contract import Pixels
from edge.inference.image_files import jpeg
from edge.system.queues import Handover

_CLOSE_S = 1.5  # for the reading thread to end; a stuck one releases the camera when it comes back
_MANUAL, _AUTOMATIC = 1, 3  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY (linux/v4l2-controls.h)
_KELVIN_STEP = 50.0  # cameras have steps of 10 to 100 K
_EXPOSURE_UNIT_US = 100  # of V4L2_CID_EXPOSURE_ABSOLUTE
_VIDIOC_REQBUFS = 0xC0145608  # linux/videodev2.h: _IOWR('V', 8, struct v4l2_requestbuffers)
_JPEG = ("MJPG", "JPEG")
_SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802  (OpenCV's name)
    def set(self, propId: int, value: float) -> bool: ...  # noqa: N803
    def get(self, propId: int) -> float: ...  # noqa: N803
    def grab(self) -> bool: ...
    def retrieve(self, image: Any = None) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


def open_v4l2(node: Path) -> Capture:
    """The camera at a device node, its driver's own errors told apart first: OpenCV says only that it failed.

    Raises:
        CameraNotFound, CameraBusy, CameraUnavailable, CameraLost: as `Camera.open`.
    """
    require_free(node)
    os.environ.setdefault(_SELECT_TIMEOUT, "5")  # seconds, not 10: a stalled camera is free again sooner
    capture = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraNotFound(f"{node}: V4L2 cannot capture from it; {_there_are()}")
    return cast(Capture, capture)


def require_free(node: Path) -> None:
    """Raise what keeps a V4L2 device from being used: missing, no permission, busy, no camera at all."""
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        cure = "add this user to the group video (`sudo usermod -aG video USER`), then log in again"
        raise CameraUnavailable(f"{node}: {error.strerror}; {cure}") from error
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise CameraBusy(_busy(node)) from error
        raise CameraNotFound(f"{node}: {error.strerror}; {_there_are()}") from error
    try:
        # Asking for no buffers of V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_MEMORY_MMAP changes nothing, and is refused
        # while another process streams.
        fcntl.ioctl(descriptor, _VIDIOC_REQBUFS, struct.pack("=5I", 0, 1, 1, 0, 0))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise CameraBusy(_busy(node)) from error
        if error.errno == errno.ENOTTY:
            raise CameraNotFound(f"{node}: is no camera; {_there_are()}") from error
        if error.errno == errno.ENODEV:
            raise CameraLost(f"{node}: {error.strerror}") from error
    finally:
        os.close(descriptor)


class UvcCamera:
    """A USB camera; see `Camera`.

    Args:
        uri: `uvc:/dev/video0`, `uvc:0`, or any other path of a device node (`uvc:/dev/v4l/by-id/...` stays the
            same camera whatever else is plugged in).
        opener: gives the capture of a device node, or raises one of the camera errors.

    Raises:
        CameraSettingsError: the URI makes no sense.
    """

    kind: ClassVar[Kind] = "uvc"
    live: ClassVar[bool] = True
    notice: ClassVar[str] = ""

    def __init__(self, uri: str, *, opener: Callable[[Path], Capture] = open_v4l2) -> None:
        self.uri = uri
        self._node = _node(uri)
        self._opener = opener
        self._lock = threading.Lock()
        self._capture: Capture | None = None
        self._reader: _Reader | None = None
        self._controls: Mapping[str, Any] = {}
        self._jpeg = False  # frames come as the camera packed them, and are unpacked here

    def open(self) -> None:
        """See `Camera.open`."""
        if self._capture is None:
            try:
                self._capture = self._opener(self._node)
            except cv2.error as error:
                raise CameraLost(f"{self.uri}: {error.err}") from error

    def configure(self, settings: CameraSettings) -> CameraMode:
        """See `Camera.configure`. What UVC does not have is reported as adjusted: gains with a unit, gains of red
        and blue (white balance is locked where it stands), a region of the sensor."""
        if self._reader is not None:  # formats cannot be changed under a running stream
            self.close()
            self.open()
        capture = self._capture
        if capture is None:
            raise CameraLost(f"{self.uri} is not open")
        try:
            mode = _configured(capture, settings)
            alive = capture.isOpened()
        except cv2.error as error:
            raise CameraLost(f"{self.uri}: {error.err}") from error
        if not alive:
            raise CameraLost(f"{self.uri}: went away while it was set up")
        with self._lock:
            if self._capture is None:
                raise CameraLost(f"{self.uri} was closed")
            self._controls, self._jpeg = mode.controls, mode.pixel_format in _JPEG
            self._reader = _Reader(capture, self.uri, self._node, packed=self._jpeg)
        return mode

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        """The newest frame that was not taken yet; see `Camera.capture`."""
        reader = self._reader
        if reader is None:
            raise CameraLost(f"{self.uri} is not open, or not configured")
        grabbed = reader.newest(timeout_s)
        if grabbed.bgr is None:
            raise FrameCorrupt(f"{self.uri}: frame {grabbed.sequence} cannot be decoded")
        if self._jpeg:
            return Frame(self._decoded(grabbed, into), grabbed.sequence, grabbed.monotonic_ns, self._controls)
        pixels = cv2.cvtColor(grabbed.bgr, cv2.COLOR_BGR2RGB, dst=into)
        reader.give_back(grabbed.bgr)
        return Frame(cast(Pixels, pixels), grabbed.sequence, grabbed.monotonic_ns, self._controls)

    def _decoded(self, grabbed: "_Grabbed", into: Pixels | None) -> Pixels:
        """A JPEG frame, strictly: one that lost a packet on its way would be half a picture."""
        try:
            return jpeg.decode_frame(grabbed.bgr.tobytes(), into)
        except ImageFileError as error:
            cure = 'where every frame is, ask for another format, such as fourcc = "YUYV"'
            raise FrameCorrupt(f"{self.uri}: frame {grabbed.sequence}: {error} ({cure})", error.reason) from error

    def exposure_now(self) -> dict[str, float]:
        """What the camera's automatic stands at, by the names of `CameraMode.controls`; empty where it says nothing."""
        with self._lock:
            units = self._capture.get(cv2.CAP_PROP_EXPOSURE) if self._capture is not None else 0.0
        return {"ExposureTime": units * _EXPOSURE_UNIT_US} if units > 0 else {}

    def close(self) -> None:
        """See `Camera.close`."""
        with self._lock:
            reader, self._reader = self._reader, None
            capture, self._capture = self._capture, None
        if reader is not None:
            reader.stop()
        elif capture is not None:
            with suppress(cv2.error):
                capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Grabbed:
    """`bgr`: uint8 (H, W, 3), OpenCV's order, or (1, bytes) as the camera packed it; None for one that cannot be
    decoded."""

    bgr: Any
    sequence: int
    monotonic_ns: int


class _Reader:
    """The thread that reads: it owns the capture from now on and releases it, since releasing one under a read
    that blocks is not safe."""

    def __init__(self, capture: Capture, uri: str, node: Path, *, packed: bool = False) -> None:
        self._capture, self._uri, self._node = capture, uri, node
        self._dimensions = 2 if packed else 3
        self._newest: Handover[_Grabbed] = Handover(1, newest_wins=True)
        self._spare: deque[Any] = deque([None, None, None])  # one is read into, one waits, one is taken
        self._stopping = threading.Event()
        self._failure: CameraError | None = None
        self._thread = threading.Thread(target=self._run, name=f"read {uri}", daemon=True)
        atexit.register(self.stop)  # a thread that returns from OpenCV into a Python that ends aborts the process
        self._thread.start()

    def newest(self, timeout_s: float) -> _Grabbed:
        grabbed = self._newest.get(timeout_s)
        if grabbed is not None:
            return grabbed
        if self._stopping.is_set():
            raise CameraLost(f"{self._uri} was closed")
        if self._failure is not None:
            raise CameraLost(str(self._failure)) from self._failure
        raise CameraTimeout(f"{self._uri}: no frame within {timeout_s:g} s")

    def give_back(self, bgr: Any) -> None:
        self._spare.append(bgr)

    def stop(self) -> None:
        atexit.unregister(self.stop)
        self._stopping.set()
        self._newest.close()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        sequence = 0
        try:
            while not self._stopping.is_set():
                self._read(sequence)
                sequence += 1
        except CameraLost as error:
            self._failure = error
        finally:
            with suppress(cv2.error):
                self._capture.release()
            self._newest.close()

    def _read(self, sequence: int) -> None:
        try:
            there = self._capture.grab()
        except cv2.error as error:
            raise CameraLost(f"{self._uri}: {error.err}") from error
        if not there:
            why = "gives no more frames" if self._node.exists() else "was unplugged"
            raise CameraLost(f"{self._uri}: {why}")
        arrived = time.monotonic_ns()
        spare = self._spare.popleft() if self._spare else None
        try:
            sound, bgr = self._capture.retrieve(spare)  # reuses `spare` where it fits
        except cv2.error:
            sound, bgr = False, None
        if sound and bgr is not None and (bgr.ndim, self._dimensions) == (2, 3) and bgr.shape[0] > 1:
            bgr = cv2.cvtColor(bgr, cv2.COLOR_GRAY2BGR)  # of a mono camera whose frames OpenCV leaves grey
        if not sound or bgr is None or bgr.ndim != self._dimensions:
            self._spare.append(spare)
            bgr = None
        displaced = self._newest.put(_Grabbed(bgr, sequence, arrived))
        if displaced is not None and displaced.bgr is not None:
            self._spare.append(displaced.bgr)


def _configured(capture: Capture, settings: CameraSettings) -> CameraMode:
    """Ask for a format first, then for what the format decides the limits of; read back what there is."""
    if settings.fourcc is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.fourcc))
    if _fourcc(capture) == "BGR3":  # OpenCV 4.11 gives its bytes in one row; seen with the kernel's vivid camera
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.size[1])
    if settings.frame_rate is not None:
        capture.set(cv2.CAP_PROP_FPS, settings.frame_rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a frame that waits is an old one
    if _fourcc(capture) in _JPEG:  # OpenCV would unpack damaged frames without a word
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    fourcc, rate = _fourcc(capture), capture.get(cv2.CAP_PROP_FPS)
    adjusted = []
    if settings.fourcc is not None and fourcc != settings.fourcc.strip():
        adjusted.append(f"fourcc {settings.fourcc} was asked for; the camera gives {fourcc or 'another'}")
    if size != settings.size:
        adjusted.append("size {}x{} was asked for; the camera gives {}x{}".format(*settings.size, *size))
    if settings.frame_rate is not None and abs(rate - settings.frame_rate) > 0.5:
        adjusted.append(f"frame_rate {settings.frame_rate:g} was asked for; the camera gives {rate:g}")
    if settings.region is not None:
        adjusted.append(f"region {settings.region} was asked for; a UVC camera gives its whole picture")
    controls: dict[str, Any] = {}
    adjusted += _set_exposure(capture, settings, controls) + _set_white_balance(capture, settings, controls)
    return CameraMode(size, fourcc, tuple(adjusted), controls)


def _fourcc(capture: Capture) -> str:
    """The pixel format's four letters; "" where the camera does not say."""
    return (int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1").strip("\0 ")


def _set_exposure(capture: Capture, settings: CameraSettings, controls: dict[str, Any]) -> list[str]:
    """Lock or free the exposure; sentences for what came out otherwise."""
    if settings.exposure_us is None:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _AUTOMATIC)
        manual = capture.get(cv2.CAP_PROP_AUTO_EXPOSURE) == _MANUAL
        return ["automatic exposure was asked for; the camera's stays manual"] if manual else []
    asked = f"exposure_us {settings.exposure_us} was asked for; "
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL)
    if capture.get(cv2.CAP_PROP_AUTO_EXPOSURE) != _MANUAL:
        return [asked + "the camera's exposure and gain cannot be locked"]
    capture.set(cv2.CAP_PROP_EXPOSURE, max(1, round(settings.exposure_us / _EXPOSURE_UNIT_US)))
    exposure_us = round(capture.get(cv2.CAP_PROP_EXPOSURE) * _EXPOSURE_UNIT_US)
    gain = capture.get(cv2.CAP_PROP_GAIN)
    controls.update(ExposureTime=exposure_us, gain=gain)
    adjusted = [f"gain {settings.gain:g} was asked for; UVC gains have no unit, it is locked at the camera's {gain:g}"]
    if abs(exposure_us - settings.exposure_us) > _EXPOSURE_UNIT_US / 2:
        adjusted.append(asked + f"the camera exposes {exposure_us}")
    return adjusted


def _set_white_balance(capture: Capture, settings: CameraSettings, controls: dict[str, Any]) -> list[str]:
    """Lock or free the white balance; sentences for what came out otherwise."""
    kelvin = settings.white_balance_k
    lock = settings.colour_gains is not None or kelvin is not None
    done = capture.set(cv2.CAP_PROP_AUTO_WB, 0 if lock else 1)
    if not lock:
        return []
    asked = f"white_balance_k {kelvin:g} was asked for; " if kelvin is not None else ""
    if settings.colour_gains is not None:
        asked = "colour_gains {:g}, {:g} were asked for; ".format(*settings.colour_gains)
    if not done or capture.get(cv2.CAP_PROP_AUTO_WB) != 0:
        return [asked + "the camera's white balance cannot be locked"]
    controls["AwbEnable"] = False
    if kelvin is not None:
        capture.set(cv2.CAP_PROP_WB_TEMPERATURE, kelvin)
    stands = capture.get(cv2.CAP_PROP_WB_TEMPERATURE)
    if stands > 0:
        controls["WhiteBalanceTemperature"] = stands
    if kelvin is None:
        return [asked + "UVC has no gains of red and blue, white balance is locked where it stood"]
    if abs(stands - kelvin) > _KELVIN_STEP:
        return [f"white_balance_k {kelvin:g} was asked for; the camera says {stands:g}"]
    return []


def _node(uri: str) -> Path:
    device = uri.partition(":")[2]
    if re.fullmatch(r"[0-9]{1,3}", device):
        return Path(f"/dev/video{int(device)}")
    if not device:
        return Path("/dev/video0")
    if not device.startswith("/dev/") or "\0" in device:
        raise CameraSettingsError(
            f"uvc: needs a number or a device node, such as uvc:0 or uvc:/dev/video0; got {uri!r}"
        )
    return Path(device)


def _busy(node: Path) -> str:
    return f"{node}: another process uses the camera; end it (`fuser -v {node}` names it)"


def _there_are() -> str:
    nodes = sorted((p.name for p in Path("/dev").glob("video*")), key=lambda name: (len(name), name))
    return f"there are {', '.join(f'/dev/{name}' for name in nodes)}" if nodes else "there is no /dev/video*"
