"""A camera under its set-up: confirmed at the start, on every frame, and evenly lit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace as changed

from edge.cameras.base import CameraMode, CameraSettings, Frame
from edge.cameras.setup.camera_setup import FLAT_FIELD_FILE, SETUP_FILE, CameraSetup, FlatFieldRecord, Reference
from edge.cameras.setup.flat_field import FlatField
from edge.cameras.setup.set_up_camera import (
    SetUpCamera,
    is_set_up,
    open_set_up,
    read_setup,
    same_camera,
    setup_digest,
    unconfirmed,
)
from edge.cameras.supervised import CameraEvent, SupervisedCamera
from edge.errors import CameraLost, CameraSettingsError, CameraSetupError

FLAT = FlatField(np.full((48, 64, 3), 64, np.uint8), 8)
SETUP = CameraSetup(
    camera="sim:",
    at="2026-11-30T09:00:00Z",
    size=(64, 48),
    exposure_us=4000.0,
    gain=1.0,
    colour_gains=(1.9, 1.6),
    controls={"ExposureTime": 4000.0, "AnalogueGain": 1.0, "ColourGains": (1.9, 1.6)},
    flat_field=FlatFieldRecord(sha256=FLAT.digest, shift=8, frames=16, darkest=0.8),
    reference=Reference(brightness=230.0, white=(1.0, 1.0)),
)
SETTINGS = CameraSettings(size=(64, 48), exposure_us=4000.0, gain=1.0, colour_gains=(1.9, 1.6))


def write(folder: Path, setup: CameraSetup = SETUP) -> Path:
    folder.mkdir()
    (folder / SETUP_FILE).write_bytes(setup.to_json())
    (folder / FLAT_FIELD_FILE).write_bytes(FLAT.save(folder / FLAT_FIELD_FILE))
    return folder


class Scripted:
    """A camera that confirms what the script of its openings says."""

    uri, kind, live, notice = "sim:", "sim", True, ""

    def __init__(self, *controls: Mapping[str, Any], frames: Mapping[str, Any] | None = None) -> None:
        self._controls, self._frames, self.opened = list(controls), frames, 0

    def open(self) -> None:
        self.opened += 1

    def configure(self, settings: CameraSettings) -> CameraMode:
        return CameraMode(settings.size, "RGB", (), self._controls[min(self.opened, len(self._controls)) - 1])

    def capture(self, timeout_s: float, into: Any = None) -> Frame:
        if self._frames is None:
            raise CameraLost("unplugged")
        return Frame(np.full((48, 64, 3), 100, np.uint8), 0, 0, self._frames)

    def close(self) -> None: ...


def test_frames_come_with_the_flat_field_divided_out(tmp_path: Path) -> None:
    plain, set_up = (open_set_up("sim:?noise=0&motion=0", where) for where in (None, write(tmp_path / "camera")))
    assert setup_digest(set_up) == SETUP.digest and setup_digest(plain) == ""
    frames = []
    for camera in (plain, set_up):
        camera.open()
        camera.configure(SETTINGS)
        frames.append(camera.capture(2.0).pixels.astype(int))
        camera.close()
    assert np.array_equal(frames[1], np.minimum(frames[0] + (frames[0] * 64 + 128) // 256, 255))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("exposure_us", 8000.0, "exposure_us of .camera. must be as in the camera's set-up, 4000.0; got 8000.0"),
        ("colour_gains", (2.0, 1.6), "colour_gains"),
        ("colour_gains", None, "got None"),
        ("still", True, "still"),
    ],
)
def test_a_profile_that_asks_for_something_else_is_refused(tmp_path: Path, name: str, value: Any, said: str) -> None:
    camera = open_set_up("sim:", write(tmp_path / "camera"))
    camera.open()
    with pytest.raises(CameraSettingsError, match=said):
        camera.configure(replace(SETTINGS, **{name: value}))


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    camera = open_set_up("sim:", write(tmp_path / "camera"))
    camera.open()
    with pytest.raises(CameraSetupError, match="set up with frames of 64x48; it gives 32x24"):
        camera.configure(replace(SETTINGS, size=(32, 24)))


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({"ExposureTime": 4010, "AnalogueGain": 1.01, "ColourGains": [1.9, 1.6]}, 0),
        ({"ExposureTime": 8000, "AnalogueGain": 1.0, "ColourGains": [1.9, 1.6]}, 1),
        ({"ExposureTime": 4000, "AnalogueGain": 1.0, "ColourGains": [1.9, 1.7]}, 1),
        ({"ExposureTime": 4000, "AnalogueGain": 1.0}, 1),
        ({}, 3),
    ],
)
def test_what_the_camera_confirms(found: dict[str, Any], wrong: int) -> None:
    assert len(unconfirmed(SETUP.controls, found)) == wrong


def test_a_camera_that_does_not_confirm_its_set_up_is_not_started() -> None:
    right = dict(SETUP.controls)
    SetUpCamera(Scripted(right), SETUP, FLAT).configure(SETTINGS)
    with pytest.raises(
        CameraSetupError, match="does not confirm its set-up: ExposureTime must be 4000; the camera says"
    ):
        SetUpCamera(Scripted({**right, "ExposureTime": 9000}), SETUP, FLAT).configure(SETTINGS)


def test_one_that_comes_back_otherwise_ends_the_run_instead_of_being_tried_for_ever() -> None:
    right = dict(SETUP.controls)
    events: list[CameraEvent] = []
    camera = SupervisedCamera(
        SetUpCamera(Scripted(right, {**right, "ColourGains": (1.0, 1.0)}), SETUP, FLAT),
        SETTINGS,
        on_event=events.append,
        wait=lambda seconds: False,
    )
    camera.start()
    with pytest.raises(CameraSetupError, match=r"ColourGains must be 1\.9, 1\.6; the camera says 1, 1"):
        camera.capture()
    assert [event.kind for event in events] == ["lost"]


def test_a_frame_that_was_taken_otherwise_is_not_given() -> None:
    right = dict(SETUP.controls)
    camera = SetUpCamera(Scripted(right, frames={"ExposureTime": 4000}), SETUP, FLAT)
    assert camera.capture(1.0).pixels[0, 0, 0] == 125
    camera = SetUpCamera(Scripted(right, frames={"ExposureTime": 4300}), SETUP, FLAT)
    with pytest.raises(CameraLost, match="a frame was not taken as it was set up"):
        camera.capture(1.0)


@pytest.mark.parametrize("uri", ["uvc:0", "replay:/nowhere"])
def test_a_set_up_is_of_one_camera(tmp_path: Path, uri: str) -> None:
    folder = write(tmp_path / "camera")
    assert not is_set_up(open_set_up(uri, folder))
    assert is_set_up(open_set_up("sim:Pre?seed=4", folder))
    assert not same_camera("sim:?site=3&slide=1", "sim:?site=4&slide=1")


def test_a_damaged_set_up_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "camera")
    assert read_setup(folder) == SETUP
    path = folder / SETUP_FILE
    for text, said in (
        (SETUP.to_json().replace(b"4000.0", b"0.5"), "exposure_us must be in 1..1e.07; got 0.5"),
        (SETUP.to_json().replace(b"1.9", b"99.0"), "colour_gains must be in"),
        (SETUP.to_json()[:100], "not plain JSON"),
    ):
        path.write_bytes(text)
        with pytest.raises(CameraSetupError, match=said):
            read_setup(folder)
    path.write_bytes(SETUP.to_json())
    (folder / FLAT_FIELD_FILE).write_bytes(FlatField(FLAT.table + 1, 8).save(folder))
    with pytest.raises(CameraSetupError, match="not the flat field"):
        open_set_up("sim:", folder)
    path.unlink()
    with pytest.raises(CameraSetupError, match="No such file"):
        read_setup(folder)


def test_the_digest_is_of_what_was_set_up() -> None:
    assert changed(SETUP, gain=2.0).digest != SETUP.digest
