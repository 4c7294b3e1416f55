"""picamera2 behind our camera, over a library that obeys its rules and traps (tests/edge/cameras/fake_picamera2.py)."""

import json
import sys
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from edge.cameras import picamera2
from edge.cameras.base import CameraSettings
from edge.cameras.libcamera_controls import monotonic_ns
from edge.cameras.picamera2 import Picamera2Camera
from edge.cameras.pixel_formats import FORMATS, ToRGB
from edge.cameras.supervised import SupervisedCamera
from edge.errors import (
    CameraBusy,
    CameraLost,
    CameraNotFound,
    CameraSettingsError,
    CameraTimeout,
    CameraUnavailable,
)
from tests.edge.cameras.fake_picamera2 import DEFAULTS, MODES, SENSOR, SMALL_MODE, FakeLibrary, encoded, red_left

SMALL = CameraSettings(size=(100, 60))


def opened(library: FakeLibrary, uri: str = "picamera2:0") -> Picamera2Camera:
    camera = Picamera2Camera(uri, library=library)
    camera.open()
    return camera


def test_red_is_first_and_no_padding_is_seen() -> None:
    library = FakeLibrary()
    camera = opened(library)
    mode = camera.configure(SMALL)
    frame = camera.capture(1.0)
    assert (mode.size, mode.pixel_format, mode.adjusted) == ((100, 60), "BGR888", ())
    np.testing.assert_array_equal(frame.pixels, red_left(100, 60))


@pytest.mark.parametrize("name", sorted(FORMATS - {"NV21", "YVU420", "R8"}))
def test_every_format_gives_the_same_picture(name: str) -> None:
    camera = opened(FakeLibrary(formats=(name,)))
    mode = camera.configure(SMALL)
    pixels = camera.capture(1.0).pixels
    assert mode.pixel_format == name
    assert any("pixel_format" in sentence for sentence in mode.adjusted) is (name != "BGR888")
    difference = np.abs(pixels.astype(int) - red_left(100, 60))
    difference[:, 48:52] = 0  # colour is shared by two pixels in YUV
    assert difference.max() <= (4 if "Y" in name or name == "NV12" else 0)


def test_a_mono_camera_is_three_equal_channels() -> None:
    grey = np.arange(64 * 32, dtype=np.int64).astype(np.uint8).reshape(32, 64)
    padded = np.full((32, 80), 7, np.uint8)
    padded[:, :64] = grey
    for array in (grey, padded):
        frame = np.empty((32, 64, 3), np.uint8)
        ToRGB("R8", (64, 32))(array, frame)
        assert np.array_equal(frame, np.repeat(grey[..., np.newaxis], 3, axis=2))


def test_swapped_chroma_formats_swap_nothing_else() -> None:
    nv12, yuv420 = (encoded(red_left(64, 32), name, 64) for name in ("NV12", "YUV420"))
    nv21, yvu420 = nv12.copy(), yuv420.copy()
    nv21[32:] = nv12[32:].reshape(16, 32, 2)[..., ::-1].reshape(16, 64)
    yvu420[32:40], yvu420[40:] = yuv420[40:].copy(), yuv420[32:40].copy()
    frames = []
    for name, array in (("NV12", nv12), ("NV21", nv21), ("YUV420", yuv420), ("YVU420", yvu420)):
        frames.append(np.empty((32, 64, 3), np.uint8))
        ToRGB(name, (64, 32))(array, frames[-1])
    assert all((frame == frames[0]).all() for frame in frames)
    assert frames[0][0, 0, 0] > 250


def test_the_frame_lies_where_it_was_asked_and_outlives_its_buffer() -> None:
    camera = opened(FakeLibrary())
    camera.configure(SMALL)
    into = np.zeros((60, 100, 3), np.uint8)
    assert camera.capture(1.0, into).pixels is into
    np.testing.assert_array_equal(into, red_left(100, 60))  # the fake clears its buffer on release
    assert camera.capture(1.0, np.zeros((61, 100, 3), np.uint8)).pixels.shape == (60, 100, 3)


@pytest.mark.parametrize("name", ["BGR888", "XBGR8888", "NV12", "YUV420"])
def test_converting_allocates_no_frame(name: str) -> None:
    stride = {"BGR888": 3 * 320, "XBGR8888": 4 * 320}.get(name, 320)
    array, into = encoded(red_left(300, 240), name, stride), np.empty((240, 300, 3), np.uint8)
    to_rgb = ToRGB(name, (300, 240))
    to_rgb(array, into)
    tracemalloc.start()
    to_rgb(array, into)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000 < into.nbytes


def test_size_adjustments_are_read_back() -> None:
    mode = opened(FakeLibrary(largest=(640, 480))).configure(CameraSettings(size=(1280, 960)))
    assert mode.size == (640, 480)
    assert mode.adjusted == ("size: asked 1280x960, the camera does 640x480",)


def test_odd_sizes_become_even() -> None:
    assert opened(FakeLibrary()).configure(CameraSettings(size=(101, 61))).size == (100, 60)


def test_locked_controls_are_confirmed_by_a_frame() -> None:
    library = FakeLibrary()
    settings = CameraSettings(size=(100, 60), exposure_us=50_000, gain=2.0, colour_gains=(2.2, 1.3))
    mode = opened(library).configure(settings)
    assert mode.adjusted == ()
    assert mode.controls["ExposureTime"] == 49_997  # not cut to the 33333 us of picamera2's video frames
    assert mode.controls["ColourGains"] == [2.2, 1.3]
    asked = library.done("set_controls")[-1]
    assert (asked["AeEnable"], asked["AwbEnable"], asked["AnalogueGain"]) == (False, False, 2.0)


def test_automatic_controls_are_given_back() -> None:
    library = FakeLibrary()
    mode = opened(library).configure(SMALL)
    asked = library.done("set_controls")[-1]
    assert (asked["AeEnable"], asked["AwbEnable"], asked["ExposureTime"]) == (True, True, 0)
    assert mode.controls["ExposureTime"] == DEFAULTS["ExposureTime"]
    assert "FrameDurationLimits" not in asked


@pytest.mark.parametrize(
    ("ignored", "told"),
    [
        ("ExposureTime", "exposure_us: asked 20000, the camera does 9000"),
        ("AnalogueGain", "gain: asked 4.0, the camera does 1.5"),
        ("AwbEnable", "colour_gains: asked [2.5, 1.1], the camera does [1.9, 1.4]"),
        ("ScalerCrop", "region: asked [700, 700, 1000, 750], the camera does not say"),
    ],
)
def test_controls_that_are_not_honoured_are_told(ignored: str, told: str) -> None:
    library = FakeLibrary(ignored=frozenset({ignored}), modes=())
    region = (700, 700, 1000, 750)
    settings = CameraSettings((100, 60), exposure_us=20_000, gain=4.0, colour_gains=(2.5, 1.1), region=region)
    assert opened(library).configure(settings).adjusted == (told,)
    assert len(library.waits) == picamera2.SETTLE_FRAMES


def test_a_camera_without_exposure_control_says_so() -> None:
    library = FakeLibrary(controls=("FrameDurationLimits",), ignored=frozenset({"ExposureTime"}))
    mode = opened(library).configure(CameraSettings((100, 60), exposure_us=20_000, gain=1.5))
    assert mode.adjusted == ("exposure_us: asked 20000, the camera does 9000",)


def test_frame_rate_is_set_and_confirmed() -> None:
    library = FakeLibrary()
    mode = opened(library).configure(CameraSettings((100, 60), frame_rate=10))
    assert (mode.adjusted, mode.controls["FrameDuration"]) == ((), 100_000)
    with pytest.raises(CameraSettingsError, match="must fit into a frame of frame_rate 30"):
        opened(library).configure(CameraSettings((100, 60), frame_rate=30, exposure_us=50_000, gain=1))


def test_region_inside_the_mode_keeps_it_and_outside_takes_the_whole_sensor() -> None:
    """Of a picamera2 that lists no modes."""
    library = FakeLibrary(modes=())
    camera = opened(library)
    inside = (SMALL_MODE[0], SMALL_MODE[1], 960, 576)
    assert camera.configure(CameraSettings((100, 60), region=inside)).controls["ScalerCrop"] == list(inside)
    assert library.done("configure")[-1]["sensor"] == {}
    corner = (0, 0, 960, 576)
    assert camera.configure(CameraSettings((100, 60), region=corner)).controls["ScalerCrop"] == list(corner)
    assert library.done("configure")[-1]["sensor"] == {"output_size": SENSOR}


@pytest.mark.parametrize(
    ("size", "mode"), [((1280, 960), (1640, 1232)), ((640, 480), (1640, 1232)), ((2000, 1500), (3280, 2464))]
)
def test_the_whole_field_is_seen_and_the_record_can_say_so(size: tuple[int, int], mode: tuple[int, int]) -> None:
    """picamera2 would take 1920x1080, which sees 59 % of the width, or for 640x480 a mode that sees 39 %."""
    library = FakeLibrary()
    found = opened(library).configure(CameraSettings(size=size))
    assert library.done("configure")[-1]["sensor"] == {"output_size": mode, "bit_depth": 10}
    assert found.adjusted == () and "100% of the width" in found.field_of_view
    assert f"mode {mode[0]}x{mode[1]}, scale {size[0] / mode[0]:.3f}" in found.field_of_view.replace(" (", ", ")


def test_a_part_of_the_field_and_enlargement_are_told() -> None:
    """Negative control: a sensor that has no mode for all of it, and frames larger than any mode."""
    narrow = FakeLibrary(modes=MODES[:1])
    found = opened(narrow).configure(CameraSettings(size=(1280, 960)))
    assert found.adjusted == (
        "field of view: frames are scaled up 2.00 times (1280x960 sensor pixels from 1000, 752 on, 100% of the width "
        "there is; sensor mode 640x480, scale 2.000)",
    )
    kept = FakeLibrary(ignored=frozenset({"ScalerCrop"}))
    camera = opened(kept)
    kept.cropped = (1000, 752, 1280, 960)
    assert "field of view: all of the sensor was asked for; frames show 1280x960" in camera.configure(SMALL).adjusted[0]


def test_a_region_gets_the_smallest_mode_that_holds_it_without_enlarging() -> None:
    library = FakeLibrary()
    camera = opened(library)
    for region, mode in (((700, 700, 1280, 960), (1920, 1080)), ((1000, 760, 1200, 900), (640, 480))):
        size = (1280, 960) if mode[0] > 1000 else (320, 240)
        found = camera.configure(CameraSettings(size=size, region=region))
        assert library.done("configure")[-1]["sensor"]["output_size"] == mode
        assert found.adjusted == () and found.controls["ScalerCrop"] == list(region)


def test_modes_that_memory_does_not_reach_for_are_left_out() -> None:
    """picamera2 sets up every mode to read its crop; the largest one's buffers may not fit."""
    library, asked = FakeLibrary(), []

    def partly(self: Any) -> list[Any]:
        asked.append(1)
        if len(asked) == 1:
            raise OSError(12, "Cannot allocate memory")
        return [dict(mode) for mode in MODES[:2]]

    library.Picamera2.sensor_modes = property(partly)  # type: ignore[assignment]
    opened(library).configure(CameraSettings(size=(640, 480)))
    assert library.done("configure")[-1]["sensor"]["output_size"] == (1640, 1232)


def test_a_format_that_this_picamera2_cannot_read_is_passed_over() -> None:
    library = FakeLibrary(formats=("NV12", "YUYV"), unmapped=("YUYV",))
    mode = opened(library).configure(SMALL)
    assert mode.pixel_format == "NV12"
    old = opened(FakeLibrary(formats=("YUYV", "NV12"), unmapped=("NV12",)))
    assert old.configure(SMALL).pixel_format == "YUYV" and old.capture(1.0).pixels.shape == (60, 100, 3)
    with pytest.raises(CameraSettingsError, match=r"NV12 only.*Format NV12 not supported.*uvc:/dev/videoN"):
        opened(FakeLibrary(formats=("NV12",), unmapped=("NV12",))).configure(SMALL)


@pytest.mark.slow
def test_the_record_is_told_what_frames_show_once_and_again_when_it_changes() -> None:
    library, events = FakeLibrary(), []
    camera = SupervisedCamera(
        Picamera2Camera("picamera2:0", library=library), SMALL, on_event=events.append, wait=lambda seconds: False
    )
    camera.start()
    library.stalled.set()
    camera.timeout_s = 0.05
    threading.Timer(0.3, library.stalled.clear).start()
    assert camera.capture() is not None  # stalled, and opened again in the same mode
    assert [event.kind for event in events] == ["field_of_view", "stall", "reopened"]
    library.cropped = (1000, 752, 1280, 960)
    camera.close()
    camera.start()
    assert [event.kind for event in events[3:]] == ["adjusted", "field_of_view"]
    assert "39% of the width" in events[-1].detail


def test_an_exposure_longer_than_the_time_out_is_waited_for() -> None:
    """Three seconds, with frames that take as long, and a time-out of two."""
    settings = CameraSettings(size=(100, 60), exposure_us=3_000_000, gain=1.5)
    waits = FakeLibrary()
    camera = SupervisedCamera(Picamera2Camera("picamera2:0", library=waits), settings, on_event=print, timeout_s=2.0)
    camera.start()
    camera.capture()
    camera.capture()
    assert waits.waits[-2:] == [30.0, 15.0] and camera.timeout_s == 15.0
    plain = SupervisedCamera(Picamera2Camera("picamera2:0", library=FakeLibrary()), SMALL, on_event=print)
    assert plain.timeout_s == 2.0


@pytest.mark.parametrize(
    ("where", "error", "said"),
    [
        ("configure", OSError(12, "Cannot allocate memory"), "no contiguous memory (CMA).*cma-512"),
        ("open", RuntimeError("Could not open any dmaHeap device"), "/dev/dma_heap, which is missing"),
    ],
)
def test_memory_that_is_missing_is_named_with_its_cure(where: str, error: Exception, said: str) -> None:
    library = FakeLibrary()

    def fail(*_: Any) -> None:
        raise error

    setattr(library.Picamera2, {"configure": "configure", "open": "__init__"}[where], fail)
    with pytest.raises(CameraUnavailable, match=said.replace("(", r"\(").replace(")", r"\)")):
        opened(library).configure(SMALL)


def test_region_outside_the_sensor_or_without_a_crop_is_refused() -> None:
    with pytest.raises(CameraSettingsError, match=r"inside the sensor's \(0, 0, 3280, 2464\); got"):
        opened(FakeLibrary()).configure(CameraSettings((100, 60), region=(3000, 0, 960, 576)))
    with pytest.raises(CameraSettingsError, match="cannot crop"):
        opened(FakeLibrary(controls=())).configure(CameraSettings((100, 60), region=(0, 0, 96, 60)))


def test_still_takes_the_full_sensor_mode_at_the_size_asked() -> None:
    library = FakeLibrary()
    mode = opened(library).configure(CameraSettings((100, 60), still=True))
    done = library.done("configure")[-1]
    assert (done["use_case"], done["sensor"], mode.size) == ("still", {"output_size": SENSOR}, (100, 60))
    assert done["raw"] is None


def test_a_camera_without_a_usable_format_is_refused() -> None:
    with pytest.raises(CameraSettingsError, match="it offers MJPEG"):
        opened(FakeLibrary(formats=("MJPEG",))).configure(SMALL)


def test_stall_is_a_timeout_and_leaves_no_job_behind() -> None:
    library = FakeLibrary()
    camera = opened(library)
    camera.configure(SMALL)
    library.stalled.set()
    with pytest.raises(CameraTimeout, match=r"no frame in 0\.05 s"):
        camera.capture(0.05)
    assert library.calls[-1] == ("cancel_all_and_flush", None)
    library.stalled.clear()
    assert camera.capture(0.05).pixels.shape == (60, 100, 3)
    assert None not in library.waits  # never without a time-out


def test_every_request_is_released_once() -> None:
    library = FakeLibrary()
    camera = opened(library)
    camera.configure(SMALL)
    camera.capture(1.0)
    library.MappedArray = _Broken  # type: ignore[assignment, misc]
    with pytest.raises(CameraLost, match="could not be read: gone"):
        camera.capture(1.0)
    assert {request.released for request in library.done("request")} == {1}


class _Broken:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise OSError("gone")


def test_missing_camera_names_those_there_are() -> None:
    library = FakeLibrary()
    for uri in ("picamera2:3", "picamera2:/base/other"):
        with pytest.raises(CameraNotFound, match=r"there is picamera2:0 imx219 \(/base/i2c/imx219@10\)"):
            opened(library, uri)
    with pytest.raises(CameraNotFound, match="libcamera lists none"):
        opened(FakeLibrary(cameras=()))


def test_camera_by_id() -> None:
    library = FakeLibrary()
    opened(library, "picamera2:/base/i2c/imx219@10")
    assert library.opened == 1


def test_busy_camera() -> None:
    with pytest.raises(CameraBusy, match=r"another process.*Device or resource busy"):
        opened(FakeLibrary(busy=True))


def test_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraUnavailable, match=r"apt install python3-picamera2.*--system-site-packages"):
        Picamera2Camera("picamera2:0").open()


@pytest.mark.parametrize("uri", ["picamera2:", "picamera2", "uvc:0"])
def test_uri_without_a_camera(uri: str) -> None:
    with pytest.raises(CameraSettingsError, match="picamera2:N"):
        Picamera2Camera(uri)


def test_close_is_idempotent_and_a_new_open_takes_the_camera_again() -> None:
    library = FakeLibrary()
    with opened(library) as camera:
        camera.configure(SMALL)
        camera.close()
        camera.close()
    assert (library.opened, library.closed) == (1, 1)
    with pytest.raises(CameraLost, match="not open"):
        camera.capture(1.0)
    camera.open()
    with pytest.raises(CameraLost, match="not configured"):
        camera.capture(1.0)
    camera.configure(SMALL)
    assert camera.capture(1.0).sequence == 0


def test_a_close_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "CLOSE_S", 0.05)
    library = FakeLibrary()
    camera = opened(library)
    library.stuck.set()
    camera.close()  # returns
    assert (library.done("close"), library.closed) == ([None], 0)
    assert picamera2.CLOSE_S < 2


def test_a_stop_that_hangs_is_a_lost_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "CONFIGURE_S", 0.05)
    library = FakeLibrary()
    camera = opened(library)
    camera.configure(SMALL)
    library.stuck.set()
    with pytest.raises(CameraLost, match=r"waited 0\.05 s"):
        camera.configure(SMALL)


def test_an_open_that_comes_too_late_is_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "OPEN_S", 0.02)
    library = FakeLibrary()
    gate, real = threading.Event(), library.Picamera2

    class Slow(real):  # type: ignore[valid-type, misc]
        def __init__(self, number: int) -> None:
            gate.wait()
            super().__init__(number)

    library.Picamera2 = Slow  # type: ignore[misc]
    with pytest.raises(CameraLost, match="to open"):
        opened(library)
    gate.set()
    for _ in range(200):
        if library.closed:
            break
        time.sleep(0.01)
    assert (library.opened, library.closed) == (1, 1)


def test_closing_from_another_thread_ends_a_capture() -> None:
    library = FakeLibrary()
    camera = opened(library)
    camera.configure(SMALL)
    library.stalled.set()
    closer = threading.Timer(0.05, camera.close)
    closer.start()
    with pytest.raises(CameraLost):
        camera.capture(30.0)
    closer.join()
    assert library.closed == 1


def test_metadata_are_plain_and_frames_are_numbered_as_the_driver_does() -> None:
    library = FakeLibrary()
    camera = opened(library)
    camera.configure(SMALL)
    before = time.monotonic_ns()
    first = camera.capture(1.0)
    library.skipped = 2
    third = camera.capture(1.0)
    assert (first.sequence, third.sequence) == (0, 3)
    metadata = json.loads(json.dumps(first.metadata, allow_nan=False))
    assert metadata["Lux"] is None
    assert metadata["AfState"] == "AfStateEnum.Idle"
    assert before - 25_000_000 < first.monotonic_ns < time.monotonic_ns() - 15_000_000


def test_boot_time_stamps_become_monotonic(monkeypatch: pytest.MonkeyPatch) -> None:
    now, suspended = 50_000_000_000, 3_600_000_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: now + suspended)
    assert monotonic_ns(now - 40_000_000) == now - 40_000_000  # V4L2's clock
    assert monotonic_ns(now + suspended - 40_000_000) == now - 40_000_000  # boot time
    assert monotonic_ns(None) == monotonic_ns(0) == now
