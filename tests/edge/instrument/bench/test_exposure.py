"""The exposure lock over each kind of camera, each behind what it really runs in: a supervised camera that is read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edge.cameras.base import Camera, CameraSettings, Frame
from edge.cameras.picamera2 import Picamera2Camera
from edge.cameras.replay import ReplayCamera
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.cameras.supervised import CameraEvent, SupervisedCamera
from edge.cameras.uvc import UvcCamera
from edge.errors import CameraLost, CameraTimeout
from edge.instrument.bench.exposure import ExposureLock
from edge.instrument.bench.modes import Refused
from tests.edge.cameras.fake_capture import FakeCapture
from tests.edge.cameras.fake_picamera2 import FakeLibrary

SETTINGS = CameraSettings(size=(64, 48), frozen_after_s=0)


class Read:
    """A supervised camera whose frames a thread takes."""

    def __init__(self, camera: Camera, settings: CameraSettings) -> None:
        self.events: list[CameraEvent] = []
        self.supervised = SupervisedCamera(camera, settings, on_event=self.events.append, timeout_s=1.0)
        self.frame: Frame | None = None
        self.supervised.start()
        self.frame = self.supervised.capture()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while not self._stop.wait(0.002):
            self.frame = self.supervised.capture() or self.frame

    def end(self) -> None:
        self._stop.set()
        self.supervised.close()
        self._thread.join(5)


@contextmanager
def locked_on(camera: Camera, settings: CameraSettings = SETTINGS) -> Iterator[tuple[ExposureLock, Read]]:
    read = Read(camera, settings)
    try:
        yield ExposureLock(camera, read.supervised, settings), read
    finally:
        read.end()


CAMERAS: dict[str, Callable[[], Camera]] = {
    "sim": lambda: SimulatedCamera("sim:Pre?fps=200&exposure_error=0.5"),
    "picamera2": lambda: Picamera2Camera("picamera2:0", library=FakeLibrary()),
    "uvc": lambda: UvcCamera("uvc:0", opener=lambda node: FakeCapture()),
}


@pytest.mark.parametrize("kind", CAMERAS)
def test_it_is_locked_where_it_stands_and_freed_again(kind: str) -> None:
    with locked_on(CAMERAS[kind]()) as (lock, read):
        assert not lock.locked and read.frame is not None
        before: Any = read.frame.metadata.get("ExposureTime", 15700)  # uvc says nothing while it is automatic
        said = lock.lock(True, read.frame.metadata)
        assert lock.locked and read.supervised.mode.controls["ExposureTime"] == pytest.approx(before, rel=0.02), said
        assert lock.lock(True, {}) == "as it was"
        assert lock.lock(False, {}) == "automatic" and not lock.locked
        assert not [event for event in read.events if event.kind in ("lost", "stall")]


def refused(camera: Camera, settings: CameraSettings = SETTINGS) -> str:
    with locked_on(camera, settings) as (lock, read):
        assert read.frame is not None
        with pytest.raises(Refused) as found:
            lock.lock(not lock.locked, read.frame.metadata)
        assert found.value.problem == "unavailable"
        return found.value.detail


def test_cameras_that_cannot_say_so(tmp_path: Any) -> None:
    ignoring = SimulatedCamera("sim:Pre?fps=200&exposure_error=0.5&ignore=gain,exposure")
    wrong = CameraSettings(size=(64, 48), exposure_us=8000, gain=1.0)
    assert "[camera] of the profile locks" in refused(ignoring, wrong)
    bare = UvcCamera("uvc:0", opener=lambda node: FakeCapture(bare=True))
    assert refused(bare) == "uvc:0 does not say how long it exposes"
    dull = Picamera2Camera("picamera2:0", library=FakeLibrary(ignored=frozenset({"ExposureTime"})))
    with locked_on(dull) as (lock, _):
        with pytest.raises(Refused, match="ExposureTime must be 20000; the camera says"):
            lock.lock(True, {"ExposureTime": 20_000.0, "AnalogueGain": 2.0})
        assert not lock.locked


def test_a_replay_has_nothing_to_lock(tmp_path: Any) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    camera = ReplayCamera(f"replay:{tmp_path}")
    supervised = SupervisedCamera(camera, SETTINGS, on_event=lambda event: None)
    with pytest.raises(Refused, match="has no exposure to be locked"):
        ExposureLock(camera, supervised, SETTINGS).lock(True, {})


def test_what_is_asked_of_a_camera_that_nobody_reads_is_not_done_later() -> None:
    supervised = SupervisedCamera(SimulatedCamera("sim:Pre"), SETTINGS, on_event=lambda event: None)
    supervised.start()
    done: list[str] = []
    with pytest.raises(CameraTimeout, match=r"was not free within 0\.05 s"):
        supervised.ask(lambda camera: done.append(camera.uri), 0.05)
    supervised.capture()
    assert done == []
    supervised.close()


def test_a_camera_that_is_away_takes_no_settings() -> None:
    supervised = SupervisedCamera(SimulatedCamera("sim:Pre"), SETTINGS, on_event=lambda event: None)
    supervised.start()
    supervised._lose("lost", "pulled out")
    with pytest.raises(CameraLost, match="is away"):
        supervised.reconfigure(SETTINGS, 1.0)
