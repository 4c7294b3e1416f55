"""Exposure, gain and white balance found on an empty field, by cameras that obey, and by some that do not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec import UNSET

from edge.cameras.base import CameraMode, CameraSettings, Frame, Kind
from edge.cameras.setup.camera_setup import FlatFieldRecord, Reference
from edge.cameras.setup.flat_field import FlatField
from edge.cameras.setup.set_up_camera import SetUpCamera
from edge.cameras.uvc import UvcCamera
from edge.commands.site.setup_camera import locked_keys
from edge.commissioning.camera.empty_field import require_empty, smear_shares
from edge.commissioning.camera.light import LARGEST_GAIN, LONGEST_US, Locked, lock_light
from edge.commissioning.camera.looks import Look, look
from edge.commissioning.camera.measure import LightSetup, assemble
from edge.errors import CameraSetupError, CameraTimeout, EmptyFieldError, FrameCorrupt
from tests.edge.cameras.fake_capture import FakeCapture

SETTINGS = CameraSettings(size=(64, 48))


@dataclass
class Bench:
    """A camera over an even lamp: grey levels follow light, gain and a tone curve, as the fields below say.

    Attributes:
        lamp: R, G, B levels at 1000 us, gain 1 and colour gains 1, before the tone curve. power: of that curve.
        step_us: exposures are whole multiples of it. deaf: the picture does not follow the exposure. says: what it
            claims of an exposure. whites: it has gains of red and blue. flicker: part by which frames differ.
    """

    lamp: tuple[float, float, float] = (40.0, 60.0, 50.0)
    power: float = 1.0
    step_us: float = 0.0
    deaf: bool = False
    says: float = 1.0
    whites: bool = True
    flicker: float = 0.0
    kind: Kind = "picamera2"
    uri: str = "bench:"
    live: bool = True
    notice: str = ""
    asked: list[CameraSettings] = field(default_factory=list)
    taken: int = 0

    def configure(self, settings: CameraSettings) -> CameraMode:
        self.asked.append(settings)
        self.exposure_us = settings.exposure_us or 5000.0
        if self.step_us:
            self.exposure_us = max(1, round(self.exposure_us / self.step_us)) * self.step_us
        self.gain = settings.gain or 2.0
        self.colour = (settings.colour_gains or (1.0, 1.0)) if self.whites else (1.0, 1.0)
        controls: dict[str, Any] = {"ExposureTime": self.exposure_us * self.says, "AnalogueGain": self.gain}
        if self.whites:
            controls["ColourGains"] = list(self.colour)
        return CameraMode(settings.size, "RGB", (), controls)

    def capture(self, timeout_s: float, into: Any = None) -> Frame:
        self.taken += 1
        light = (5000.0 if self.deaf else self.exposure_us * self.gain) / 1000
        light *= 1 + self.flicker * (self.taken % 7 - 3) / 3
        red, green, blue = self.lamp
        linear = np.array([red * self.colour[0], green, blue * self.colour[1]]) * light / 255
        level = np.clip(255 * linear**self.power, 0, 255)
        noise = np.random.default_rng(self.taken).normal(0, 1, (48, 64, 3))
        return Frame(np.clip(np.rint(level + noise), 0, 255).astype(np.uint8), self.taken, 0)

    def open(self) -> None: ...
    def close(self) -> None: ...


def levels(camera: Bench) -> np.ndarray:
    return np.mean([camera.capture(1.0).pixels for _ in range(8)], axis=(0, 1, 2))


@pytest.mark.parametrize("power", [1.0, 0.45])
@pytest.mark.parametrize("lamp", [(40, 60, 50), (300, 200, 500), (2, 1.5, 1), (900, 1500, 700)])
def test_the_field_comes_to_its_level_and_is_white(lamp: tuple[float, float, float], power: float) -> None:
    camera = Bench(lamp, power)
    locked = lock_light(camera, SETTINGS)
    assert np.abs(levels(camera) - 230).max() < 4
    assert locked.controls.keys() == {"ExposureTime", "AnalogueGain", "ColourGains"}
    assert locked.settings.exposure_us == camera.exposure_us <= LONGEST_US
    assert locked.settings.gain == camera.gain
    assert (camera.gain == 1.0) == (camera.exposure_us < LONGEST_US)


def test_gain_helps_where_the_exposure_ends() -> None:
    camera = Bench((0.6, 1.0, 0.8))
    lock_light(camera, SETTINGS)
    assert camera.exposure_us == LONGEST_US and 1 < camera.gain <= LARGEST_GAIN
    camera = Bench((0.6, 1.0, 0.8), power=0.45)
    lock_light(camera, CameraSettings(size=(64, 48), frame_rate=30))
    assert camera.exposure_us <= 1e6 / 30


def test_another_level_can_be_asked_for() -> None:
    camera = Bench()
    lock_light(camera, SETTINGS, level=150)
    assert np.abs(levels(camera) - 150).max() < 3


def test_the_profiles_values_are_where_it_begins() -> None:
    camera = Bench()
    lock_light(camera, CameraSettings(size=(64, 48), exposure_us=3000.0, gain=1.0, colour_gains=(1.4, 1.2)))
    assert (camera.asked[0].exposure_us, camera.asked[0].colour_gains) == (3000.0, (1.4, 1.2))


def test_coarse_steps_come_as_near_as_they_can() -> None:
    """A USB camera whose exposures are whole milliseconds; it has no gains of red and blue."""
    camera = Bench((20, 40, 30), step_us=1000.0, says=1.0, whites=False)
    camera.step_us = 100.0
    lock_light(camera, SETTINGS)
    assert levels(camera).max() == pytest.approx(230, rel=0.05)


@pytest.mark.parametrize(
    ("camera", "error", "said"),
    [
        (Bench((20, 30, 25), deaf=True), CameraSetupError, "ignores exposure_us: the field is at"),
        (Bench((40, 60, 50), deaf=True), CameraSetupError, "ignores exposure_us"),
        (Bench(says=2.0), CameraSetupError, "does not do what it is told: ExposureTime must be"),
        (Bench((90_000, 90_000, 90_000)), EmptyFieldError, "too much light: .* dim the lamp"),
        (Bench((0.05, 0.05, 0.05)), EmptyFieldError, "too little light: .* take the cap off"),
        (Bench((0, 0, 0)), EmptyFieldError, "too little light"),
        (Bench(flicker=0.4), EmptyFieldError, "does the lamp flicker"),
    ],
)
def test_what_cannot_be_set_up_says_why(camera: Bench, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        lock_light(camera, SETTINGS)


def test_a_stage_that_moves_and_a_light_that_changes_are_noticed() -> None:
    still = np.full((48, 64, 3), 200.0)
    moved = still.copy()  # as much darker in one place as lighter in another
    moved[8:24, 8:24] -= 20
    moved[8:24, 32:48] += 20
    Look(still, (still, still + 1), 0.0, 2).require_still()
    with pytest.raises(EmptyFieldError, match="something moved on"):
        Look(still, (still, moved), 0.0, 2).require_still()
    with pytest.raises(EmptyFieldError, match=r"the light changed by \+2\.0%"):
        Look(still, (still, 1.02 * still), 0.0, 2).require_still()


def test_a_few_corrupt_frames_are_taken_again_and_no_frame_is_an_error() -> None:
    class Flaky(Bench):
        def capture(self, timeout_s: float, into: Any = None) -> Frame:
            frame = super().capture(timeout_s)
            if self.taken % 3 == 0:
                raise FrameCorrupt("half a picture")
            if self.taken > 12:
                raise CameraTimeout("no frame within 5 s")
            return frame

    camera = Flaky()
    camera.configure(SETTINGS)
    assert look(camera, 4, skip=1).frames == 4
    with pytest.raises(CameraTimeout, match="is it connected"):
        look(camera, 20)


def field_with(*spots: tuple[int, int, int, Mapping[int, float]]) -> np.ndarray:
    """Bluish light with falloff, and round spots: (x, y, radius, channel -> part of the light that is left)."""
    y, x = np.mgrid[0:480, 0:640]
    shade = 1 - 0.35 * (((x - 320) / 320) ** 2 + ((y - 240) / 240) ** 2) / 2
    light = shade[..., None] * np.array([215.0, 220.0, 230.0])
    for across, down, radius, left in spots:
        inside = (x - across) ** 2 + (y - down) ** 2 < radius**2
        for channel, part in left.items():
            light[inside, channel] *= part
    return light


def test_light_with_falloff_and_dirt_is_an_empty_field() -> None:
    require_empty(field_with())
    require_empty(field_with(*((60 * n, 50 * n, 6, dict.fromkeys(range(3), 0.8)) for n in range(1, 9))))
    assert smear_shares(field_with()) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (field_with((300, 200, 22, {0: 0.75, 1: 0.75, 2: 0.9})), "has the colour of cells"),  # one red cell
        (field_with((300, 200, 80, dict.fromkeys(range(3), 0.8))), "is unlike the light around"),
    ],
)
def test_one_cell_is_enough_not_to_be_empty(field: np.ndarray, said: str) -> None:
    with pytest.raises(EmptyFieldError, match=f"not an empty field: .*{said}"):
        require_empty(field)


def test_a_usb_camera_is_locked_at_its_colour_temperature(tmp_path: Path) -> None:
    """Through `UvcCamera` itself: what the set-up confirms at the next start is the temperature it asks for."""
    capture = FakeCapture()
    camera = UvcCamera("uvc:/dev/video7", opener=lambda node: capture)
    camera.open()
    settings = CameraSettings(size=(320, 240), exposure_us=8000.0, gain=1.0, colour_gains=(1.0, 1.0))
    mode = camera.configure(settings)
    camera.close()
    assert mode.size is not None
    flat = FlatField(np.zeros((240, 320, 3), np.uint8), 8)
    record = FlatFieldRecord(sha256=flat.digest, shift=8, frames=32, darkest=0.8)
    light = LightSetup(
        Locked(settings, mode, Look(np.zeros((240, 320, 3)), (np.zeros(1), np.zeros(1)), 0.0, 4)),
        flat,
        record,
        Reference(brightness=230.0, white=(1.0, 1.0)),
    )
    setup = assemble(camera.uri, "2026-11-30T09:00:00Z", CameraSettings(size=(320, 240)), light, UNSET, UNSET)
    assert setup.white_balance_k == 4300
    keys = locked_keys(setup, tmp_path)
    assert keys["white_balance_k"] == 4300 and keys["exposure_us"] == 8000
    started = {**asdict(CameraSettings(size=(320, 240))), **{name: keys[name] for name in keys if name != "setup"}}
    for stands, confirmed in ((3000.0, True), (None, False)):
        again = FakeCapture()
        again.values[cv2.CAP_PROP_WB_TEMPERATURE] = stands or 6500.0
        if not confirmed:  # one that cannot be told
            del again.values[cv2.CAP_PROP_WB_TEMPERATURE]
        fresh = SetUpCamera(UvcCamera("uvc:/dev/video7", opener=lambda node, again=again: again), setup, flat)
        fresh.open()
        if confirmed:
            assert fresh.configure(CameraSettings(**started)).controls["WhiteBalanceTemperature"] == 4300
        else:
            with pytest.raises(CameraSetupError, match="WhiteBalanceTemperature must be 4300; the camera says nothing"):
                fresh.configure(CameraSettings(**started))
        fresh.close()
