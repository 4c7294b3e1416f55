"""Folders, images and videos, replayed."""

import os
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest

from edge.cameras.base import CameraMode, CameraSettings, Frame
from edge.cameras.replay import ReplayCamera
from edge.errors import (
    CameraLost,
    CameraNotFound,
    CameraSettingsError,
    CameraTimeout,
    CameraUnavailable,
    EndOfFrames,
    FrameCorrupt,
)
from edge.inference.contract import Pixels

SETTINGS = CameraSettings(size=(1280, 960))


def picture(value: int, size: tuple[int, int] = (32, 24)) -> Pixels:
    """RGB; `value` is its red, its green is 0 and its blue 200."""
    return np.full((size[1], size[0], 3), (value, 0, 200), np.uint8)


def write(path: Path, pixels: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three readable images of two sizes, one unreadable, one file that is none of ours."""
    write(tmp_path / "in" / "b.png", picture(20))
    write(tmp_path / "in" / "a" / "z.png", picture(10, (48, 40)))
    (tmp_path / "in" / "c.jpg").write_text("no image")
    write(tmp_path / "in" / "d.PNG", picture(30))
    (tmp_path / "in" / "notes.txt").write_text("not looked at")
    return tmp_path / "in"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "slide.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for k in range(5):
        writer.write(cv2.cvtColor(picture(40 * k, (64, 48)), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def started(uri: str) -> tuple[ReplayCamera, CameraMode]:
    camera = ReplayCamera(uri)
    camera.open()
    return camera, camera.configure(SETTINGS)


def taken(camera: ReplayCamera, most: int = 100) -> list[Frame | str]:
    """Frames, and "corrupt" for what cannot be read, up to the end."""
    result: list[Frame | str] = []
    while len(result) < most:
        try:
            result.append(camera.capture(1.0))
        except FrameCorrupt:
            result.append("corrupt")
        except EndOfFrames:
            break
    return result


def test_a_folder_is_replayed_in_order_and_goes_on_after_what_it_cannot_read(folder: Path) -> None:
    camera, mode = started(f"replay:{folder}")
    assert mode == CameraMode(None, "image file")  # and no word about the size that was not taken
    frames = taken(camera)
    assert [f if isinstance(f, str) else Path(f.source).relative_to(folder).as_posix() for f in frames] == [
        "a/z.png",
        "b.png",
        "corrupt",
        "d.PNG",
    ]
    sound = [f for f in frames if isinstance(f, Frame)]
    assert [f.sequence for f in sound] == [0, 1, 3]
    assert [f.pixels.shape for f in sound] == [(40, 48, 3), (24, 32, 3), (24, 32, 3)]
    assert [f.pixels[0, 0].tolist() for f in sound] == [[10, 0, 200], [20, 0, 200], [30, 0, 200]]
    with pytest.raises(EndOfFrames):
        camera.capture(1.0)


def test_the_corrupt_one_is_named(folder: Path) -> None:
    camera, _ = started(f"replay:{folder / 'c.jpg'}")
    with pytest.raises(FrameCorrupt, match=r"c\.jpg: not a readable image"):
        camera.capture(1.0)


def test_a_loop(folder: Path) -> None:
    camera, _ = started(f"replay:{folder}?loop=1")
    frames = taken(camera, most=10)
    assert len(frames) == 10 and [k for k, f in enumerate(frames) if f == "corrupt"] == [2, 6]


def test_a_loop_over_nothing_readable_ends(folder: Path) -> None:
    camera, _ = started(f"replay:{folder / 'c.jpg'}?loop=1")
    assert taken(camera) == ["corrupt"]


def test_one_image_once_and_again_after_configure(folder: Path) -> None:
    camera, _ = started(f"replay:{folder / 'b.png'}")
    assert len(taken(camera)) == 1
    camera.configure(SETTINGS)
    assert len(taken(camera)) == 1


def test_a_video(video: Path) -> None:
    camera, mode = started(f"replay:{video}")
    assert mode.size == (64, 48) and mode.adjusted == ()
    into = np.zeros((48, 64, 3), np.uint8)
    frame = camera.capture(1.0, into)
    assert np.shares_memory(frame.pixels, into)
    frames = [frame, *taken(camera)]
    assert [f.source for f in frames if isinstance(f, Frame)] == [f"{video}#{k}" for k in range(5)]
    for k, f in enumerate(frames):
        assert isinstance(f, Frame) and np.allclose(f.pixels, picture(40 * k, (64, 48)), atol=6)  # JPEG


def test_a_video_in_a_loop(video: Path) -> None:
    camera, _ = started(f"replay:{video}?loop=1")
    frames = taken(camera, most=12)
    assert [f.source.rpartition("#")[2] for f in frames if isinstance(f, Frame)] == [*"01234", *"01234", *"01"]


def test_a_frame_of_a_video_with_a_hole_is_damaged_and_the_others_are_not(tmp_path: Path) -> None:
    video = tmp_path / "noise.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for noise in np.random.default_rng(1).integers(0, 256, (5, 48, 64, 3), np.uint8):
        writer.write(noise)
    writer.release()
    data = bytearray(video.read_bytes())
    middle = data.index(b"\xff\xd8", len(data) // 2) + 900  # within the frame that begins there
    data[middle : middle + 600] = bytes(600)
    camera, _ = started(f"replay:{video}?loop=1")
    assert "corrupt" not in taken(camera, most=12)  # negative control
    video.write_bytes(data)
    camera, _ = started(f"replay:{video}?loop=1")
    frames = taken(camera, most=10)
    assert len(frames) == 10 and frames.count("corrupt") == 2, "one a round"


def test_a_truncated_video_says_so_once(tmp_path: Path) -> None:
    video = tmp_path / "noise.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for noise in np.random.default_rng(1).integers(0, 256, (5, 48, 64, 3), np.uint8):
        writer.write(noise)
    writer.release()
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 7 // 10])
    camera, _ = started(f"replay:{video}")
    frames = taken(camera)
    assert frames[-2:] == ["corrupt", "corrupt"], "a frame that is cut, and the end before the end"
    assert frames.count("corrupt") == 2 and 1 <= len(frames) - 2 < 5


@pytest.mark.parametrize("name", ["100%", "what?", "50%41", "a&b=c", "#1 ä", "~"])
def test_any_path_can_be_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name / "field.png", picture(1))
    written = str(path.parent).replace("%", "%25").replace("?", "%3F")
    camera, _ = started(f"replay:{written}?loop=0")
    assert camera.capture(1.0).source == str(path)


def test_a_name_that_is_no_utf8_becomes_text(tmp_path: Path) -> None:
    write(tmp_path / "ok.png", picture(1)).rename(tmp_path / "\udcff.png")
    camera, _ = started(f"replay:{tmp_path}/%FF.png")
    source = camera.capture(1.0).source
    assert source.endswith("\\xff.png") and source.encode()


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("replay:", "needs the path"),
        ("replay:?loop=1", "needs the path"),
        ("replay:x?lop=1", "did you mean loop"),
        ("replay:what?/x", "%3F"),
        ("replay:x?loop=yes", "loop must be 0 or 1"),
        ("replay:x?fps=0", "fps must be a number in"),
        ("replay:x?fps=nan", "fps must be a number in"),
        ("replay:x?fps=1&fps=2", "twice"),
    ],
)
def test_uris_that_make_no_sense(uri: str, says: str) -> None:
    with pytest.raises(CameraSettingsError, match=says):
        ReplayCamera(uri)


def test_nothing_to_replay(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.avi").write_text("no video")
    for name, says in (("empty", "no images"), ("missing", "no such folder"), ("text.avi", "neither an image")):
        with pytest.raises(CameraNotFound, match=says):
            ReplayCamera(f"replay:{tmp_path / name}").open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(folder: Path) -> None:
    folder.chmod(0)
    try:
        with pytest.raises(CameraUnavailable, match="right to read"):
            ReplayCamera(f"replay:{folder}").open()
    finally:
        folder.chmod(0o755)


class Pace:
    """A clock that only waiting moves; `late` is what the user of the frames takes."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def wait(self, event: Event, seconds: float) -> bool:
        self.now += seconds
        return event.is_set()


def test_the_pace(folder: Path) -> None:
    pace = Pace()
    camera = ReplayCamera(f"replay:{folder / 'b.png'}?fps=10&loop=1", clock=pace.clock, wait=pace.wait)
    camera.open()
    camera.configure(SETTINGS)
    for _ in range(5):
        camera.capture(1.0)
    assert pace.now == pytest.approx(100.4)
    pace.now += 3  # the user was late: no frames in a hurry afterwards
    camera.capture(1.0)
    camera.capture(1.0)
    assert pace.now == pytest.approx(103.5)


def test_a_frame_that_is_not_due_yet(folder: Path) -> None:
    pace = Pace()
    camera = ReplayCamera(f"replay:{folder}?fps=0.25", clock=pace.clock, wait=pace.wait)
    camera.open()
    camera.configure(SETTINGS)
    assert Path(camera.capture(1.0).source).name == "z.png"
    for _ in range(3):
        with pytest.raises(CameraTimeout, match=r"fps=0\.25"):
            camera.capture(1.0)
    assert Path(camera.capture(1.0).source).name == "b.png"  # none was lost
    assert pace.now == pytest.approx(104)
    camera.close()
    with pytest.raises(CameraLost):
        camera.capture(1.0)
