"""`replay:PATH?loop=1&fps=10`: a folder of images, one image, or a video, as if a camera gave them.

PATH is written as it is, but for three characters: `?` as %3F, `%` before two hexadecimal digits as %25, and
so any other as %XX of its UTF-8 bytes. A folder is searched recursively, its images come sorted by path. With
`fps` the frames come at that pace at most, without it as fast as they are taken; with `loop=1` for ever.
"""

import difflib
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self, cast
from urllib.parse import unquote

import cv2
import numpy as np

from edge.cameras.base import CameraMode, CameraSettings, Frame, Kind
from edge.errors import (
    CameraLost,
    CameraNotFound,
    CameraSettingsError,
    CameraTimeout,
    CameraUnavailable,
    EndOfFrames,
    FrameCorrupt,
    ImageFileError,
)
from edge.inference.contract import SMALLEST_FRAME, Pixels
from edge.inference.image_files import jpeg
from edge.inference.image_files.header import LARGEST_PIXELS
from edge.inference.images import IMAGE_SUFFIXES, image_files_in, read_image

_OPTIONS = ("loop", "fps")


class ReplayCamera:
    """Recorded frames, one after the other, each in its own size (`size` of the settings is not looked at).

    A frame that cannot be read raises FrameCorrupt and the next call gives the next one. `Frame.source` is the
    file's path, `path#N` for frame N of a video, from 0.

    Args:
        uri: as the module says.
        clock: seconds. wait: waits for an event, at most so many seconds; true when it was set.

    Raises:
        CameraSettingsError: the URI makes no sense.
    """

    kind: ClassVar[Kind] = "replay"
    live: ClassVar[bool] = False
    notice: ClassVar[str] = ""

    def __init__(
        self,
        uri: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.uri = uri
        self._path, self._loop, self._fps = _parsed(uri)
        self._clock, self._wait = clock, wait
        self._lock = threading.Lock()  # `close` may come from another thread while a frame is read
        self._closed = threading.Event()
        self._source: _Source | None = None
        self._running = False

    def open(self) -> None:
        """Find what is to be replayed; see `Camera.open`."""
        if self._source is None:
            self._closed.clear()
            self._running = False
            self._source = _found(self._path)

    def configure(self, settings: CameraSettings) -> CameraMode:
        """Begin at the first frame. Recorded frames are what they are: no setting changes them."""
        with self._lock:
            source = self._opened()
            source.rewind()
            self._running, self._sequence, self._read, self._due = True, 0, 0, self._clock()
            return CameraMode(source.size, source.pixel_format)

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        """The next frame; see `Camera.capture`. CameraTimeout when `fps` says that it is not due so soon."""
        self._keep_pace(timeout_s)
        with self._lock:
            source = self._opened(running=True)
            sequence = self._sequence
            self._sequence += 1
            taken = source.next(into)
            if taken is None and self._loop and self._read:  # a round without one readable frame is the last
                self._read = 0
                source.rewind()
                taken = source.next(into)
            if taken is None:
                raise EndOfFrames(f"{self._path}: no further frame")
            self._read += 1
            return Frame(taken[0], sequence, time.monotonic_ns(), source=taken[1])

    def close(self) -> None:
        """End a wait for the pace, and let go of the files."""
        self._closed.set()
        with self._lock:
            source, self._source = self._source, None
            if source is not None:
                source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, *, running: bool = False) -> "_Source":
        if self._source is None or running > self._running:
            raise CameraLost(f"{self.uri} is not open, or not configured")
        return self._source

    def _keep_pace(self, timeout_s: float) -> None:
        if self._fps is None or self._source is None or not self._running:
            return
        early = self._due - self._clock()
        if early > 0 and self._wait(self._closed, min(early, timeout_s)):
            raise CameraLost(f"{self.uri} was closed")
        if early > timeout_s:
            raise CameraTimeout(f"{self.uri}: at fps={self._fps:g} no frame is due within {timeout_s:g} s")
        self._due = max(self._due, self._clock()) + 1 / self._fps  # who falls behind is not chased


class _Source(Protocol):
    """What is replayed."""

    size: tuple[int, int] | None  # (width, height) of every frame; None when each has its own
    pixel_format: str

    def next(self, into: Pixels | None) -> tuple[Pixels, str] | None:
        """The next frame, in `into` if it fits, and its name; None at the end; FrameCorrupt for this one."""

    def rewind(self) -> None: ...
    def close(self) -> None: ...


class _Images:
    """Image files in the order given."""

    size: tuple[int, int] | None = None
    pixel_format = "image file"

    def __init__(self, paths: list[Path]) -> None:
        self._paths, self._index = paths, 0

    def next(self, into: Pixels | None) -> tuple[Pixels, str] | None:
        if self._index == len(self._paths):
            return None
        path = self._paths[self._index]
        self._index += 1
        try:
            pixels = read_image(path)
        except ImageFileError as error:
            raise FrameCorrupt(str(error), error.reason) from error
        if into is not None and into.shape == pixels.shape:
            np.copyto(into, pixels)
            pixels = into
        return pixels, _shown(path)

    def rewind(self) -> None:
        self._index = 0

    def close(self) -> None:
        """Nothing is held between two frames."""


class _Video:
    """A video file. Rotation tags are ignored, as in images: a microscope has none.

    Frames of Motion JPEG are unpacked strictly, as image files are. Other codecs are FFmpeg's, which shows damaged
    frames without a word.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        width, height = (int(self._capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if not self._capture.isOpened() or min(width, height) < SMALLEST_FRAME:
            self._capture.release()
            raise CameraNotFound(
                f"{path}: neither an image nor a video of {SMALLEST_FRAME} pixels a side or more that OpenCV reads"
            )
        if width * height > LARGEST_PIXELS:
            self._capture.release()
            raise CameraSettingsError(f"{path}: {width}x{height} pixels a frame, more than {LARGEST_PIXELS}")
        self._packed = int(self._capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG")
        if self._packed:
            self._packed = self._capture.set(cv2.CAP_PROP_FORMAT, -1)
        self.size: tuple[int, int] | None = (width, height)
        self.pixel_format = "video file"
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._bgr = np.empty((height, width, 3), np.uint8)
        self._index = 0

    def next(self, into: Pixels | None) -> tuple[Pixels, str] | None:
        there, bgr = self._capture.read() if self._packed else self._capture.read(self._bgr)
        if not there:
            if self._index < self._count:
                ends, self._count = self._index, 0  # said once
                raise FrameCorrupt(f"{self._path}: ends after {ends} frames and says it has more: truncated?")
            return None
        name = f"{_shown(self._path)}#{self._index}"
        self._index += 1
        if self._packed:
            try:
                return jpeg.decode_frame(bgr.tobytes(), into), name
            except ImageFileError as error:
                raise FrameCorrupt(f"{name}: {error}", error.reason) from error
        return cast(Pixels, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=into)), name

    def rewind(self) -> None:
        if self._index:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._index = 0

    def close(self) -> None:
        self._capture.release()


def _found(path: Path) -> _Source:
    try:
        if path.is_dir():
            os.scandir(path).close()  # rglob passes over what it may not read without a word
            images = image_files_in(path)
            if not images:
                raise CameraNotFound(f"{path}: no images in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
            return _Images(images)
        if not path.exists():
            raise CameraNotFound(f"{path}: no such folder, image or video")
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise CameraUnavailable(f"{error.filename}: {error.strerror}; give this user the right to read it") from error
    return _Images([path]) if path.suffix.lower() in IMAGE_SUFFIXES else _Video(path)


def _parsed(uri: str) -> tuple[Path, bool, float | None]:
    """(path, loop, fps) of a URI."""
    place, mark, query = uri.partition(":")[2].partition("?")
    path = unquote(place, errors="surrogateescape")
    if not path or "\0" in path:
        raise CameraSettingsError(f"replay: needs the path of a folder, an image or a video; got {uri!r}")
    options: dict[str, str] = {}
    for word in query.split("&") if mark else ():
        name, _, value = word.partition("=")
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else "write a ? that belongs to the path as %3F"
            raise CameraSettingsError(f"replay: knows loop=1 and fps=NUMBER; got {word!r} ({hint})")
        if name in options:
            raise CameraSettingsError(f"replay: {name} is there twice in {uri!r}")
        options[name] = value
    loop = options.get("loop", "0")
    if loop not in ("0", "1"):
        raise CameraSettingsError(f"replay: loop must be 0 or 1; got {loop!r}")
    return Path(path).expanduser(), loop == "1", _pace(options["fps"]) if "fps" in options else None


def _pace(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = math.nan
    if not 0.01 <= fps <= 1000:
        raise CameraSettingsError(f"replay: fps must be a number in 0.01..1000; got {text!r}")
    return fps


def _shown(path: Path) -> str:
    """The path as text that can be stored anywhere: bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
