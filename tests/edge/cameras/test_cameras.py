"""One suite over every camera that can run here: what `edge.cameras.base.Camera` promises, all of them keep."""

import functools
import importlib.util
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.backends import open_camera
from edge.cameras.base import Camera, CameraSettings
from edge.cameras.picamera2 import Picamera2Camera
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cameras.uvc import UvcCamera
from edge.errors import CameraLost, CameraNotFound, CameraSettingsError
from edge.inference.contract import Pixels
from tests.edge.cameras.fake_capture import RecordedCapture
from tests.edge.cameras.fake_picamera2 import FakeLibrary

SIZE = (320, 240)
SETTINGS = CameraSettings(size=SIZE)
Colour = tuple[float, float, float]  # mean red, green and blue, grey levels
TIMEOUT_S = 10.0  # generous: nothing here asserts a time
pytestmark = pytest.mark.usefixtures("drawn_once")


@dataclass(frozen=True)
class Case:
    """A camera that runs here, and one of its kind that is missing.

    Attributes:
        make: a new camera. missing: a URI of a device that is not there; "" where there is no such thing.
        sees: mean RGB of the fields before it, where the test decides that. colour_slack: grey levels by which its
            encoding may change them.
    """

    make: Callable[[], Camera]
    missing: str
    sees: tuple[Colour, ...] = ()
    colour_slack: float = 0.5


@functools.cache
def fields() -> list[Pixels]:
    return [frame for _, frame in synthetic_fields(4, seed=3, size=SIZE)]


def mean_colour(frame: Pixels) -> Colour:
    red, green, blue = frame.mean(axis=(0, 1))
    return float(red), float(green), float(blue)


def sees() -> tuple[Colour, ...]:
    return tuple(mean_colour(frame) for frame in fields())


def recorded(path: Path, fourcc: str) -> Path:
    """A video of virtual fields, as a camera of that pixel format would have sent it."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 30, SIZE)
    for frame in fields():
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def vivid_node() -> Path | None:
    """The kernel's virtual test camera, where it is loaded."""
    for name in sorted(Path("/sys/class/video4linux").glob("video*/name")):
        node = Path("/dev") / name.parent.name
        if name.read_text().startswith("vivid") and "vid-cap" in name.read_text() and node.exists():
            return node
    return None


def replay_images(folder: Path) -> Case:
    for k, frame in enumerate(fields()):
        cv2.imwrite(str(folder / f"{k}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return Case(lambda: open_camera(f"replay:{folder}?loop=1"), "replay:/no/such/folder", sees())


def replay_video(folder: Path) -> Case:
    path = recorded(folder / "slide.avi", "MJPG")
    return Case(lambda: open_camera(f"replay:{path}?loop=1"), "replay:/no/such.avi", sees(), 4)


def simulated(folder: Path) -> Case:
    return Case(lambda: open_camera("sim:?seed=5"), "")


def uvc_recorded(fourcc: str) -> Callable[[Path], Case]:
    """Real cv2.VideoCapture, but over a file: this machine's kernel has no V4L2 device to test with."""

    def case(folder: Path) -> Case:
        path = recorded(folder / "camera.avi", fourcc)
        make = lambda: UvcCamera("uvc:0", opener=lambda node: RecordedCapture(path))  # noqa: E731
        return Case(make, "uvc:999", sees(), 4)

    return case


def uvc_vivid(folder: Path) -> Case:
    node = vivid_node()
    if node is None:
        pytest.skip("no vivid camera (modprobe vivid); a recorded MJPG and YUV 4:2:0 source stand in for uvc:")
    return Case(lambda: open_camera(f"uvc:{node}"), "uvc:999")


def picamera2_real(folder: Path) -> Case:
    if importlib.util.find_spec("picamera2") is None:
        pytest.skip("no picamera2 here; test_picamera2.py has its rules in a fake, tests/pi runs the real one")
    from picamera2 import Picamera2

    if not Picamera2.global_camera_info():
        pytest.skip("libcamera lists no camera")
    return Case(lambda: open_camera("picamera2:0"), "picamera2:99")


def picamera2_fake(folder: Path) -> Case:
    shown = itertools.cycle(fields())
    library = FakeLibrary(scene=lambda width, height: next(shown))
    return Case(lambda: Picamera2Camera("picamera2:0", library=library), "", sees())


CASES: dict[str, Callable[[Path], Case]] = {
    "replay-images": replay_images,
    "replay-video": replay_video,
    "sim": simulated,
    "uvc-recorded-mjpg": uvc_recorded("MJPG"),
    "uvc-recorded-yuv420": uvc_recorded("I420"),
    "uvc-vivid": uvc_vivid,
    "picamera2-fake": picamera2_fake,
    "picamera2": picamera2_real,
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return CASES[request.param](tmp_path_factory.mktemp("camera"))


@pytest.fixture
def camera(case: Case) -> Iterator[Camera]:
    with case.make() as camera:
        yield camera


def test_it_says_what_it_is_before_anything_is_opened(camera: Camera) -> None:
    assert camera.uri.startswith(f"{camera.kind}:")
    assert camera.live == (camera.kind != "replay")
    assert bool(camera.notice) == (camera.kind == "sim")


def test_frames(case: Case, camera: Camera) -> None:
    camera.open()
    mode = camera.configure(SETTINGS)
    frames = [camera.capture(TIMEOUT_S) for _ in range(8)]
    for frame in frames:
        assert frame.pixels.dtype == np.uint8 and frame.pixels.flags.c_contiguous
        assert frame.pixels.shape == ((mode.size or SIZE)[1], (mode.size or SIZE)[0], 3)
        assert (frame.source == "") == (camera.kind != "replay")
        json.dumps(dict(frame.metadata), allow_nan=False)
    sequences, times = [f.sequence for f in frames], [f.monotonic_ns for f in frames]
    assert sequences[0] >= 0 and sequences == sorted(set(sequences)) and times == sorted(times)
    assert mode.size == SIZE or mode.size is None or mode.adjusted


def test_red_is_red(case: Case, camera: Camera) -> None:
    if not case.sees:
        pytest.skip("the test does not decide what this camera sees")
    camera.open()
    camera.configure(SETTINGS)
    for _ in range(8):
        colour = mean_colour(camera.capture(TIMEOUT_S).pixels)
        assert any(colour == pytest.approx(field, abs=case.colour_slack) for field in case.sees)
        assert not any(colour[::-1] == pytest.approx(field, abs=case.colour_slack) for field in case.sees)


def test_the_caller_s_buffer_is_filled(camera: Camera) -> None:
    camera.open()
    mode = camera.configure(SETTINGS)
    width, height = mode.size or SIZE
    into = np.zeros((height, width, 3), np.uint8)
    first = camera.capture(TIMEOUT_S, into)
    assert np.shares_memory(first.pixels, into) and into.any()
    fresh = camera.capture(TIMEOUT_S)
    kept = fresh.pixels.copy()
    camera.capture(TIMEOUT_S, into)
    assert not np.shares_memory(fresh.pixels, into) and np.array_equal(fresh.pixels, kept)


def test_nothing_before_open_and_configure_and_nothing_after_close(camera: Camera) -> None:
    with pytest.raises(CameraLost):
        camera.capture(0.05)
    camera.open()
    with pytest.raises(CameraLost):
        camera.capture(0.05)
    camera.configure(SETTINGS)
    camera.capture(TIMEOUT_S)
    camera.close()
    camera.close()
    with pytest.raises(CameraLost):
        camera.capture(0.05)


def test_open_again(camera: Camera) -> None:
    for _ in range(3):
        camera.open()
        camera.configure(SETTINGS)
        assert camera.capture(TIMEOUT_S).pixels.any()
        camera.close()


def test_close_from_another_thread(camera: Camera) -> None:
    camera.open()
    camera.configure(SETTINGS)
    captured, ended = threading.Event(), []

    def capture_on_and_on() -> None:
        try:
            while True:
                camera.capture(TIMEOUT_S)
                captured.set()
        except CameraLost as error:
            ended.append(error)

    thread = threading.Thread(target=capture_on_and_on)
    thread.start()
    assert captured.wait(TIMEOUT_S)
    camera.close()
    thread.join(TIMEOUT_S)
    assert len(ended) == 1 and not thread.is_alive()


def test_a_camera_that_is_not_there(case: Case) -> None:
    if not case.missing:
        pytest.skip("a virtual microscope is always there")
    with open_camera(case.missing) as missing, pytest.raises(CameraNotFound):
        missing.open()


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("picamera:0", "did you mean picamera2:"),
        ("replai:x", "did you mean replay:"),
        ("sim", "did you mean sim:"),
        ("UVC:0", "replay:FOLDER or sim:"),
        ("/data/images", "picamera2:0, uvc:/dev/video0, replay:FOLDER or sim:"),
        ("", "got ''"),
    ],
)
def test_a_camera_nobody_knows(uri: str, says: str) -> None:
    with pytest.raises(CameraSettingsError) as caught:
        open_camera(uri)
    assert says in str(caught.value)
