"""Every way a camera can fail, and that it comes back."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge.cameras.backends import open_camera
from edge.cameras.base import CameraMode, CameraSettings
from edge.cameras.supervised import MOST_BAD_FRAMES, CameraEvent, SupervisedCamera
from edge.errors import CameraBusy, CameraNotFound, CameraSettingsError, EndOfFrames
from tests.edge.cameras.fake_camera import SIZE, FakeCamera, FakeClock

SETTINGS = CameraSettings(size=SIZE, frozen_after_s=5.0)


class Watched:
    """A supervised fake, its events, and a clock that only waiting moves."""

    def __init__(self, *args: Any, settings: CameraSettings = SETTINGS, **options: Any) -> None:
        self.clock = FakeClock()
        self.camera = FakeCamera(*args, clock=self.clock, **options)
        self.stop = threading.Event()
        self.events: list[CameraEvent] = []
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        self.wanted = False
        self.supervised = SupervisedCamera(
            self.camera,
            settings,
            on_event=self.events.append,
            clock=self.clock,
            wait=self._wait,
            stop=self.stop,
            lent=lambda: self.wanted,
        )
        self.supervised.start()

    def _wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.clock.wait(seconds)
        self.on_pause()
        return self.stop.is_set()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def take(self, count: int) -> None:
        for _ in range(count):
            frame = self.supervised.capture()
            assert frame is not None and frame.pixels.shape == (24, 32, 3)


def test_a_sound_camera_gives_frames_and_no_event() -> None:
    watched = Watched()
    into = np.zeros((24, 32, 3), np.uint8)
    frame = watched.supervised.capture(into)
    assert frame is not None and frame.pixels is into
    watched.take(50)
    assert watched.events == [] and watched.camera.log == ["open", "configure"]
    watched.supervised.close()
    assert watched.supervised.capture() is None


@pytest.mark.parametrize(("step", "kind"), [("stall", "stall"), ("lost", "lost")])
def test_stall_and_unplug_are_recovered(step: str, kind: str) -> None:
    watched = Watched(["frame", step, "frame"])
    watched.take(3)
    assert watched.kinds() == [kind, "reopened"]
    assert watched.camera.log == ["open", "configure", "close", "open", "configure"]


def test_a_camera_that_is_away_for_long_is_two_events_and_ever_longer_pauses() -> None:
    away: list[Exception | None] = [CameraNotFound("no such camera")] * 6 + [CameraBusy("busy")] * 2
    watched = Watched(["frame", "lost"], opens=[None, *away])
    watched.take(2)
    assert watched.kinds() == ["lost", "reopened"]
    assert watched.camera.log.count("open") == 1 + 8 + 1
    assert sum(watched.pauses) == pytest.approx(0.5 + 1 + 2 + 4 + 8 + 10 * 4)
    assert "9 tries" in watched.events[-1].detail
    watched.take(5)
    assert len(watched.events) == 2


def test_a_camera_that_opens_but_gives_nothing_is_not_announced_as_back() -> None:
    watched = Watched(["frame", "stall", "stall", "stall", "lost"])
    watched.take(2)
    assert watched.kinds() == ["stall", "reopened"]
    assert sum(watched.pauses) == pytest.approx(0.5 + 1 + 2 + 4)


def test_a_camera_that_is_wanted_elsewhere_is_closed_meanwhile_and_opened_again() -> None:
    watched = Watched()
    watched.take(3)
    watched.wanted = True
    waited: list[str] = []

    def given_back() -> None:
        waited.append(watched.camera.state)
        watched.wanted = len(waited) < 50

    watched.on_pause = given_back
    watched.take(2)
    assert set(waited[:50]) == {"closed"} and watched.kinds() == ["lent", "reopened"]
    assert watched.camera.log == ["open", "configure", "close", "open", "configure"]
    assert "1 try" in watched.events[1].detail  # however long it was away, it is opened at once
    watched.wanted, watched.on_pause = True, watched.stop.set
    assert watched.supervised.capture() is None  # a run that is stopped does not wait for it
    assert watched.kinds()[2:] == ["lent", "gave_up"]


def test_a_replay_is_not_lent() -> None:
    watched = Watched(live=False)
    watched.wanted = True
    watched.take(3)
    assert watched.events == []


def test_the_next_trouble_begins_with_a_short_pause_again() -> None:
    watched = Watched(["frame", "stall", "stall", "frame", "lost"])
    watched.take(3)
    assert watched.kinds() == ["stall", "reopened", "lost", "reopened"]
    assert sum(watched.pauses) == pytest.approx(0.5 + 1 + 0.5)


@pytest.mark.parametrize(("step", "kind"), [("corrupt", "corrupt_frame"), ("wrong", "wrong_size")])
def test_frames_that_cannot_be_used_are_passed_over(step: str, kind: str) -> None:
    watched = Watched(["frame", step, step, step, "frame", step])
    watched.take(3)
    assert watched.kinds() == [kind, kind]  # once for each row of them
    assert watched.camera.log == ["open", "configure"]
    assert ("48x48, not 32x24" in watched.events[0].detail) == (step == "wrong")


@pytest.mark.parametrize("step", ["corrupt", "wrong"])
def test_nothing_but_bad_frames_is_a_lost_camera(step: str) -> None:
    watched = Watched([step] * MOST_BAD_FRAMES)
    watched.take(1)
    assert watched.kinds()[1:] == ["lost", "reopened"] and f"{MOST_BAD_FRAMES} frames" in watched.events[1].detail
    spared = Watched([step] * (MOST_BAD_FRAMES - 1))
    spared.take(1)
    assert "lost" not in spared.kinds()


def test_a_frozen_picture_is_noticed_and_waited_out() -> None:
    watched = Watched(["frame"] + ["same"] * 200)
    watched.take(50)  # 0.1 s each: not yet 5 s
    assert watched.events == []
    watched.take(5)
    assert watched.kinds() == ["frozen", "reopened"]
    assert watched.camera.log.count("open") > 2  # it opened well and was still frozen


@pytest.mark.parametrize(
    ("steps", "settings"),
    [
        (["frame"] + ["same"] * 200, CameraSettings(size=SIZE, frozen_after_s=0)),  # not asked for
        (["black"] * 200, SETTINGS),  # a cap on the lens: clipped pixels have no noise
        (["frame", "same"] * 100, SETTINGS),
    ],
)
def test_what_is_not_frozen(steps: list[str], settings: CameraSettings) -> None:
    watched = Watched(steps, settings=settings)
    watched.take(200)
    assert watched.events == []


def test_stop_ends_the_back_off_at_once() -> None:
    watched = Watched(["frame", "lost"], opens=[None] + [CameraNotFound("none")] * 99)
    watched.on_pause = lambda: watched.stop.set() if len(watched.pauses) == 20 else None
    watched.take(1)
    assert watched.supervised.capture() is None
    assert len(watched.pauses) == 20 and watched.kinds() == ["lost", "gave_up"]
    assert watched.supervised.capture() is None and len(watched.events) == 2


def test_stop_in_a_stall() -> None:
    watched = Watched(["frame", "stall"])
    watched.take(1)
    watched.stop.set()
    assert watched.supervised.capture() is None
    assert watched.kinds() == ["stall", "gave_up"] and watched.pauses == []


def test_stop_while_all_is_well_still_gives_frames() -> None:
    watched = Watched()
    watched.stop.set()
    watched.take(2)


def test_close_ends_the_back_off_of_another_thread() -> None:
    """With the real clock: the pause is real, and `close` is not `stop`."""
    events: list[CameraEvent] = []
    away = threading.Event()

    def on_event(event: CameraEvent) -> None:
        events.append(event)
        away.set()

    camera = FakeCamera(["lost"], opens=[None] + [CameraNotFound("none")] * 99)
    supervised = SupervisedCamera(camera, SETTINGS, on_event=on_event)
    supervised.start()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(supervised.capture()))
    thread.start()
    assert away.wait(5)
    supervised.close()
    thread.join(5)
    assert results == [None] and camera.state == "closed" and events[0].kind == "lost"


def test_a_camera_that_comes_back_after_close_is_given_back() -> None:
    watched = Watched(["lost"])
    configure = watched.camera.configure

    def closed_meanwhile(settings: CameraSettings) -> CameraMode:
        watched.supervised._closed.set()
        return configure(settings)

    watched.camera.configure = closed_meanwhile  # type: ignore[method-assign]
    assert watched.supervised.capture() is None and watched.camera.state == "closed"


@pytest.mark.parametrize("error", [CameraNotFound("none"), CameraBusy("busy")])
def test_the_first_open_that_fails_is_an_error(error: Exception) -> None:
    camera = FakeCamera(opens=[error])
    supervised = SupervisedCamera(camera, SETTINGS, on_event=lambda event: None)
    with pytest.raises(type(error)):
        supervised.start()
    assert camera.log == ["open", "close"]


def test_settings_a_camera_cannot_meet_close_it() -> None:
    camera = FakeCamera()
    supervised = SupervisedCamera(camera, SETTINGS, on_event=lambda event: None)

    def refuse(settings: CameraSettings) -> CameraMode:
        raise CameraSettingsError("size")

    camera.configure = refuse  # type: ignore[method-assign]
    with pytest.raises(CameraSettingsError):
        supervised.start()
    assert camera.state == "closed"


def test_adjustments_are_told_once_and_again_only_when_new() -> None:
    first = CameraMode(SIZE, "fake", ("size: as it likes",))
    second = CameraMode((64, 48), "fake", ("size: as it likes", "frame_rate: slower"))
    watched = Watched(["frame", "lost"], modes=[first, second])
    watched.take(1)
    into = np.zeros((24, 32, 3), np.uint8)
    frame = watched.supervised.capture(into)
    assert frame is not None and frame.pixels.shape == (48, 64, 3) and not np.shares_memory(frame.pixels, into)
    assert watched.supervised.mode is second
    assert [(e.kind, e.detail) for e in watched.events if e.kind == "adjusted"] == [
        ("adjusted", "uvc:7: size: as it likes"),
        ("adjusted", "uvc:7: frame_rate: slower"),
    ]


def test_a_replay_tells_every_bad_file_is_never_lost_and_ends() -> None:
    bad = ["corrupt"] * (MOST_BAD_FRAMES + 5)
    watched = Watched([*bad, "stall", "frame", "same", "same", "end"], live=False)
    watched.take(3)
    with pytest.raises(EndOfFrames):
        watched.supervised.capture()
    assert watched.kinds() == ["corrupt_frame"] * len(bad)
    assert watched.camera.log == ["open", "configure"]


def test_a_paced_replay_stops_when_told() -> None:
    watched = Watched(["stall"] * 1000, live=False)
    watched.stop.set()
    assert watched.supervised.capture() is None and watched.events == []


def test_the_virtual_microscope_fails_in_every_way_and_comes_back() -> None:
    """The same with a camera that has a clock and noise of its own."""
    faults = "stall@5,unplug@10:0.1,corrupt@15,size@20,freeze@25"
    events: list[CameraEvent] = []
    supervised = SupervisedCamera(
        open_camera(f"sim:?seed=5&fps=100&motion=0&fail={faults}"),
        CameraSettings(size=(64, 48), frozen_after_s=0.2),
        on_event=events.append,
        timeout_s=0.5,
        wait=lambda seconds: time.sleep(seconds / 10) is not None,
    )
    supervised.start()
    for _ in range(70):
        frame = supervised.capture()
        assert frame is not None and frame.pixels.shape == (48, 64, 3)
    supervised.close()
    expected = ["stall", "reopened", "lost", "reopened", "corrupt_frame", "wrong_size", "frozen", "reopened"]
    assert [event.kind for event in events] == expected
