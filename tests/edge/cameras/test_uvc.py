"""`uvc:` over a scripted capture: settings and their order, unplug, stall, freeze; and the device nodes' errors."""

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras import uvc
from edge.cameras.base import CameraMode, CameraSettings
from edge.cameras.supervised import CameraEvent, SupervisedCamera
from edge.cameras.uvc import UvcCamera, require_free
from edge.errors import (
    CameraBusy,
    CameraLost,
    CameraNotFound,
    CameraSettingsError,
    CameraTimeout,
    CameraUnavailable,
    FrameCorrupt,
)
from tests.edge.cameras.fake_capture import FakeCapture

SETTINGS = CameraSettings(size=(320, 240))
LOCKED = CameraSettings(size=(320, 240), exposure_us=8000, gain=1.5, colour_gains=(1.9, 1.6))


@pytest.fixture
def capture() -> Any:
    fake = FakeCapture()
    yield fake
    fake.unblock.set()


def started(fake: FakeCapture, settings: CameraSettings = SETTINGS) -> tuple[UvcCamera, CameraMode]:
    camera = UvcCamera("uvc:0", opener=lambda node: fake)
    camera.open()
    return camera, camera.configure(settings)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize(
    ("uri", "node"),
    [
        ("uvc:", "/dev/video0"),
        ("uvc:2", "/dev/video2"),
        ("uvc:/dev/video3", "/dev/video3"),
        ("uvc:/dev/v4l/by-id/usb-Scope-video-index0", "/dev/v4l/by-id/usb-Scope-video-index0"),
    ],
)
def test_the_uri_names_a_device_node(uri: str, node: str) -> None:
    asked: list[Path] = []

    def opener(path: Path) -> FakeCapture:
        asked.append(path)
        return FakeCapture()

    camera = UvcCamera(uri, opener=opener)
    assert asked == []  # constructing touches nothing
    camera.open()
    assert asked == [Path(node)]


@pytest.mark.parametrize("uri", ["uvc:video0", "uvc:-1", "uvc:0?fps=3", "uvc:/home/x.avi", "uvc:12345"])
def test_uris_that_make_no_sense(uri: str) -> None:
    with pytest.raises(CameraSettingsError, match="uvc:0 or uvc:/dev/video0"):
        UvcCamera(uri)


def test_format_then_size_then_rate_and_read_back(capture: FakeCapture) -> None:
    camera, mode = started(capture, CameraSettings(size=(320, 240), fourcc="MJPG", frame_rate=25))
    order = [prop for prop, _ in capture.set_calls]
    wanted = [cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS]
    assert order[:5] == [*wanted, cv2.CAP_PROP_BUFFERSIZE]
    assert mode == CameraMode((320, 240), "MJPG", (), {})
    camera.close()


def test_what_the_camera_does_otherwise_is_said(capture: FakeCapture) -> None:
    asked = CameraSettings(size=(1280, 960), fourcc="H264", frame_rate=60, region=(0, 0, 64, 64))
    camera, mode = started(capture, asked)
    assert mode.size == (640, 480) and mode.pixel_format == "YUYV"
    words = " | ".join(mode.adjusted)
    for said in ("fourcc H264", "gives YUYV", "1280x960", "gives 640x480", "gives 30", "region"):
        assert said in words
    assert len(mode.adjusted) == 4
    frame = camera.capture(5.0)
    assert frame.pixels.shape == (480, 640, 3)
    camera.close()


def test_a_format_that_opencv_does_not_unpack_is_not_used() -> None:
    camera, mode = started(FakeCapture(fourcc="BGR3"))
    assert mode.pixel_format == "YUYV" and mode.adjusted == ()
    assert camera.capture(5.0).pixels.shape == (240, 320, 3)
    camera.close()


def test_exposure_and_white_balance_are_locked(capture: FakeCapture) -> None:
    camera, mode = started(capture, LOCKED)
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
    assert capture.values[cv2.CAP_PROP_EXPOSURE] == 80  # units of 100 us
    assert capture.values[cv2.CAP_PROP_AUTO_WB] == 0
    assert mode.controls == {
        "ExposureTime": 8000,
        "gain": 64,
        "AwbEnable": False,
        "WhiteBalanceTemperature": 4300,
    }
    assert [sentence.split()[0] for sentence in mode.adjusted] == ["gain", "colour_gains"]
    assert camera.capture(5.0).metadata == mode.controls
    camera.close()


@pytest.mark.parametrize(("asked", "stands", "adjusted"), [(5200.0, 5200, 0), (5204.0, 5200, 0), (9000.0, 6500, 1)])
def test_white_balance_is_locked_at_a_colour_temperature(
    capture: FakeCapture, asked: float, stands: float, adjusted: int
) -> None:
    camera, mode = started(capture, replace(LOCKED, white_balance_k=asked))
    assert mode.controls["WhiteBalanceTemperature"] == capture.values[cv2.CAP_PROP_WB_TEMPERATURE] == stands
    said = [sentence for sentence in mode.adjusted if sentence.startswith("white_balance_k")]
    assert len(said) == adjusted
    camera.close()


def test_automatic_again_for_the_next_user(capture: FakeCapture) -> None:
    capture.values |= {cv2.CAP_PROP_AUTO_EXPOSURE: 1, cv2.CAP_PROP_AUTO_WB: 0}
    camera, mode = started(capture)
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3 and capture.values[cv2.CAP_PROP_AUTO_WB] == 1
    assert mode.adjusted == () and mode.controls == {}
    camera.close()


def test_a_camera_without_locks_says_so() -> None:
    bare = FakeCapture(bare=True)
    camera, mode = started(bare, LOCKED)
    assert len(mode.adjusted) == 2 and all("cannot be locked" in sentence for sentence in mode.adjusted)
    assert mode.controls == {}
    camera.close()
    camera, mode = started(FakeCapture(bare=True))
    assert mode.adjusted == ()
    camera.close()


def test_the_newest_frame_in_the_caller_s_buffer_and_no_new_ones(capture: FakeCapture) -> None:
    camera, _ = started(capture)
    into = np.zeros((240, 320, 3), np.uint8)
    sequences = []
    for _ in range(30):
        frame = camera.capture(5.0, into)
        assert np.shares_memory(frame.pixels, into)
        assert frame.pixels[0, 0].tolist() == [(frame.sequence + 1) % 200, 20, 10]  # RGB, of this very frame
        sequences.append(frame.sequence)
    enough = capture.count + 10
    until(lambda: capture.count >= enough)
    late = camera.capture(5.0, into)
    assert late.sequence > sequences[-1] + 3  # those between are gone
    assert sequences == sorted(set(sequences))
    camera.close()
    assert len(capture.arrays) <= 3 and capture.released


def test_a_stall_is_a_time_out_and_close_does_not_wait_for_it(
    capture: FakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvc, "_CLOSE_S", 0.05)
    camera, _ = started(capture)
    camera.capture(5.0)
    capture.step = "stall"
    with pytest.raises(CameraTimeout, match="no frame within"):
        for _ in range(3):
            camera.capture(0.05)
    camera.close()
    assert not capture.released  # never under a read that blocks ...
    capture.unblock.set()
    until(lambda: capture.released)  # ... but as soon as it comes back
    with pytest.raises(CameraLost):
        camera.capture(0.05)


def test_unplugged(capture: FakeCapture) -> None:
    camera, _ = started(capture)
    capture.step = "gone"
    with pytest.raises(CameraLost, match="was unplugged"):
        for _ in range(3):
            camera.capture(5.0)
    assert capture.released
    camera.close()


def test_the_node_is_there_and_no_frames(capture: FakeCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvc, "_node", lambda uri: Path("/dev/null"))
    camera, _ = started(capture)
    capture.step = "gone"
    with pytest.raises(CameraLost, match="gives no more frames"):
        for _ in range(3):
            camera.capture(5.0)
    camera.close()


def test_frames_of_a_mono_camera_are_three_equal_channels() -> None:
    class Mono(FakeCapture):
        def retrieve(self, image: Any = None) -> tuple[bool, Any]:
            sound, bgr = super().retrieve(None)
            return sound, bgr[..., 2].copy()

    camera, _ = started(Mono())
    pixels = camera.capture(5.0).pixels
    assert pixels.shape == (SETTINGS.size[1], SETTINGS.size[0], 3)
    assert np.ptp(pixels, axis=2).max() == 0 and pixels.max() > 0
    camera.close()


@pytest.mark.parametrize("step", ["corrupt", "error"])
def test_a_frame_that_cannot_be_decoded(capture: FakeCapture, step: str) -> None:
    camera, _ = started(capture)
    capture.step = step
    with pytest.raises(FrameCorrupt, match="cannot be decoded"):
        for _ in range(3):
            camera.capture(5.0)
    capture.step = "frame"
    until(lambda: _sound(camera))
    camera.close()


def test_a_jpeg_frame_that_lost_a_packet_is_damaged_and_a_sound_one_is_not() -> None:
    """OpenCV would give half a picture; the bytes are asked for and unpacked strictly."""
    fake = FakeCapture(fourcc="MJPG")
    camera, mode = started(fake, CameraSettings(size=(320, 240), fourcc="MJPG"))
    into = np.empty((240, 320, 3), np.uint8)
    frame = camera.capture(5.0, into)
    assert mode.pixel_format == "MJPG" and frame.pixels is into
    red, green, blue = frame.pixels[100, 100].tolist()
    assert abs(green - 20) < 4 and abs(blue - 10) < 4 and red < 200
    fake.step = "lost packet"
    with pytest.raises(FrameCorrupt, match=r"damaged: .*fourcc = \"YUYV\"") as caught:
        for _ in range(3):
            camera.capture(5.0)
    assert caught.value.reason == "damaged_image"
    fake.step = "frame"
    until(lambda: _sound(camera))
    camera.close()


def _sound(camera: UvcCamera) -> bool:
    try:
        return camera.capture(5.0).pixels.shape == (240, 320, 3)
    except FrameCorrupt:
        return False


def test_close_from_another_thread_ends_a_capture(capture: FakeCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvc, "_CLOSE_S", 0.05)
    capture.step = "stall"
    camera, _ = started(capture)
    errors: list[Exception] = []

    def wait_for_frame() -> None:
        try:
            camera.capture(30.0)
        except CameraLost as error:
            errors.append(error)

    thread = threading.Thread(target=wait_for_frame)
    thread.start()
    camera.close()
    thread.join(10)
    assert len(errors) == 1


def test_configured_twice(capture: FakeCapture) -> None:
    fakes = [capture, FakeCapture()]
    camera = UvcCamera("uvc:0", opener=lambda node: fakes.pop(0))
    camera.open()
    camera.configure(SETTINGS)
    camera.capture(5.0)
    mode = camera.configure(CameraSettings(size=(640, 480)))
    assert capture.released and mode.size == (640, 480)
    assert camera.capture(5.0).pixels.shape == (480, 640, 3)
    camera.close()


def test_unplug_and_replug_under_supervision() -> None:
    """The whole way: reading thread, unplug, a missing node, another handle after it."""
    first, second = FakeCapture(), FakeCapture()
    answers: list[Any] = [first, CameraNotFound("/dev/video0: No such file or directory"), second]
    events: list[CameraEvent] = []

    def opener(node: Path) -> FakeCapture:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    supervised = SupervisedCamera(
        UvcCamera("uvc:0", opener=opener), SETTINGS, on_event=events.append, wait=lambda seconds: False
    )
    supervised.start()
    assert supervised.capture() is not None
    first.step = "gone"
    until(lambda: first.released)
    frames = [supervised.capture() for _ in range(3)]
    assert all(frame is not None and frame.pixels.shape == (240, 320, 3) for frame in frames)
    assert [event.kind for event in events] == ["lost", "reopened"]
    supervised.close()
    assert second.released


# --- what keeps a device node from being used ---------------------------------------------------------------


def fails_with(code: int) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        raise OSError(code, os.strerror(code), "/dev/video0")

    return call


@pytest.mark.parametrize(
    ("code", "expected", "says"),
    [
        (errno.ENOENT, CameraNotFound, "there"),
        (errno.ENODEV, CameraNotFound, "there"),
        (errno.EACCES, CameraUnavailable, "group video"),
        (errno.EPERM, CameraUnavailable, "group video"),
        (errno.EBUSY, CameraBusy, "another process"),
    ],
)
def test_a_node_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception], says: str
) -> None:
    monkeypatch.setattr(os, "open", fails_with(code))
    with pytest.raises(expected, match=says):
        require_free(Path("/dev/video0"))


@pytest.mark.parametrize(
    ("code", "expected"), [(errno.EBUSY, CameraBusy), (errno.ENOTTY, CameraNotFound), (errno.ENODEV, CameraLost)]
)
def test_a_node_whose_driver_refuses(monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]) -> None:
    monkeypatch.setattr(fcntl, "ioctl", fails_with(code))
    with pytest.raises(expected):
        require_free(Path("/dev/null"))
    monkeypatch.setattr(fcntl, "ioctl", fails_with(errno.EINVAL))  # of another buffer type: OpenCV's to decide
    require_free(Path("/dev/null"))


def test_a_real_node_that_is_no_camera() -> None:
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(CameraNotFound, match="is no camera"):
        uvc.open_v4l2(Path("/dev/null"))


def test_a_missing_node_lists_those_there_are() -> None:
    with pytest.raises(CameraNotFound, match=r"/dev/video999: .*(there are /dev/video|there is no /dev/video)"):
        UvcCamera("uvc:999").open()


def test_no_descriptor_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(CameraNotFound):
            require_free(Path("/dev/null"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
