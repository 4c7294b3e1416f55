"""A cv2.VideoCapture over V4L2 as a script has it, and one over a recorded video.

The rules are OpenCV 4.11's (`cap_v4l.cpp`, and what it did with the kernel's vivid camera): `grab` blocks until the
driver has a frame, and returns False when it has none any more; `retrieve` fills the array it is given where size and
type fit, and makes a new one otherwise; MJPG comes as (1, bytes) where no conversion is wanted; BGR3 comes as one row
of bytes; a control that the camera lacks reads 0 and cannot be set; a size counts once width and height are both set;
no format can be set while frames run; after `release` nothing works.
"""

import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_CONVERT = cv2.CAP_PROP_CONVERT_RGB
SIZES = ((640, 480), (320, 240))


class FakeCapture:
    """A UVC camera of two sizes, MJPG and YUYV, with exposure and white balance locks.

    Attributes:
        set_calls: (property, value) in order. count: frames given. released: whether `release` was called.
        step: "frame", "stall" (`grab` blocks), "gone" (`grab` says False), "corrupt" (`retrieve` says False),
            "error" (`retrieve` throws), "small" (a frame of half the size), "lost packet" (of a JPEG).
        bare: True has none of the locks. fourcc: the format it begins with.
    """

    def __init__(self, *, bare: bool = False, fourcc: str = "YUYV") -> None:
        self.set_calls: list[tuple[int, float]] = []
        self.released = False
        self.step = "frame"
        self.unblock = threading.Event()
        self.arrays: set[int] = set()
        self.values: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: SIZES[0][0],
            cv2.CAP_PROP_FRAME_HEIGHT: SIZES[0][1],
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*fourcc),
            cv2.CAP_PROP_FPS: 30,
            cv2.CAP_PROP_BUFFERSIZE: 4,
            _CONVERT: 1,
        }
        if not bare:
            self.values |= {
                cv2.CAP_PROP_AUTO_EXPOSURE: 3,
                cv2.CAP_PROP_EXPOSURE: 157,
                cv2.CAP_PROP_GAIN: 64,
                cv2.CAP_PROP_AUTO_WB: 1,
                cv2.CAP_PROP_WB_TEMPERATURE: 4300,
            }
        self._width = 0.0
        self.count = 0
        self._running = False

    def isOpened(self) -> bool:  # noqa: N802
        return not self.released

    def get(self, propId: int) -> float:  # noqa: N803
        return self.values.get(propId, 0.0)

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.set_calls.append((propId, value))
        assert not self._running, "formats and controls are set before frames run"
        if propId not in self.values:
            return False
        if propId == cv2.CAP_PROP_FRAME_WIDTH:
            self._width = value
        elif propId == cv2.CAP_PROP_FRAME_HEIGHT:
            width, height = min(SIZES, key=lambda s: abs(s[0] - self._width) + abs(s[1] - value))
            self.values[cv2.CAP_PROP_FRAME_WIDTH], self.values[propId] = width, height
        elif propId == cv2.CAP_PROP_FOURCC and value not in (
            cv2.VideoWriter.fourcc(*"MJPG"),
            cv2.VideoWriter.fourcc(*"YUYV"),
        ):
            return False
        elif propId == cv2.CAP_PROP_FPS:
            self.values[propId] = min(value, 30)
        elif propId == cv2.CAP_PROP_EXPOSURE and self.values[cv2.CAP_PROP_AUTO_EXPOSURE] != 1:
            return False  # as uvcvideo: an automatic exposure cannot be set
        elif propId == cv2.CAP_PROP_WB_TEMPERATURE and self.values[cv2.CAP_PROP_AUTO_WB] != 0:
            return False  # nor an automatic white balance
        elif propId == cv2.CAP_PROP_WB_TEMPERATURE:
            self.values[propId] = min(max(round(value / 10) * 10, 2800), 6500)
        else:
            self.values[propId] = value
        return True

    def grab(self) -> bool:
        assert not self.released
        self._running = True
        if self.step == "stall":
            self.unblock.wait(20)
            return False
        time.sleep(0.002)
        return self.step != "gone"

    def retrieve(self, image: Any = None) -> tuple[bool, Any]:
        assert not self.released
        if self.step == "corrupt":
            return False, None
        if self.step == "error":
            raise cv2.error("bad argument")
        width, height = int(self.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self.get(cv2.CAP_PROP_FRAME_HEIGHT))
        shape = (height // 2, width // 2, 3) if self.step == "small" else (height, width, 3)
        if self.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"BGR3"):
            shape = (1, height * width * 3)
        if image is None or image.shape != shape:
            image = np.empty(shape, np.uint8)
        self.arrays.add(image.__array_interface__["data"][0])
        self.count += 1
        image.reshape(-1, 3)[:] = (10, 20, self.count % 200)  # blue, green, red
        if self.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"MJPG") and not self.values.get(_CONVERT, 1):
            data = bytearray(cv2.imencode(".jpg", image)[1].tobytes())
            if self.step == "lost packet":
                data[len(data) // 2 : len(data) // 2 + 800] = bytes(800)
            return True, np.frombuffer(bytes(data) + bytes(3), np.uint8)[None]  # filled up, as cameras do
        return True, image

    def release(self) -> None:
        self.released = True


class RecordedCapture:
    """A real cv2.VideoCapture over a recorded video that begins again at its end and keeps a camera's pace."""

    def __init__(self, path: Path, backend: int = cv2.CAP_FFMPEG) -> None:
        self._real = cv2.VideoCapture(str(path), backend)
        assert self._real.isOpened()

    def grab(self) -> bool:
        time.sleep(0.005)
        return self._real.grab() or (self._real.set(cv2.CAP_PROP_POS_FRAMES, 0) and self._real.grab())

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        if propId == _CONVERT:  # V4L2's word for what FFmpeg calls format -1
            return self._real.set(cv2.CAP_PROP_FORMAT, -1)
        return self._real.set(propId, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
