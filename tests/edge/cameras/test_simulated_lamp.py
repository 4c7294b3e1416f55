"""The virtual microscope's lamp, dirt and stubborn camera: what a set-up has to find."""

import numpy as np
import pytest

from edge.cameras.base import CameraSettings
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.errors import CameraSettingsError

SIZE = (160, 120)
pytestmark = pytest.mark.usefixtures("drawn_once")
STILL = "motion=0&focus_drift=0&noise=0&empty=1"


def frames(uri: str, count: int = 1, **locked: object) -> tuple[np.ndarray, dict[str, object]]:
    """(last of `count` frames as float64, controls the camera says)."""
    settings = {"exposure_us": 4000.0, "gain": 1.0, "colour_gains": (1.9, 1.6), **locked}
    with SimulatedCamera(uri) as camera:
        mode = camera.configure(CameraSettings(size=SIZE, **settings))
        for _ in range(count):
            frame = camera.capture(2.0)
        return frame.pixels.astype(float), dict(mode.controls)


def test_a_dimmer_lamp_gives_less_light_everywhere() -> None:
    new, _ = frames(f"sim:?{STILL}")
    old, _ = frames(f"sim:?{STILL}&lamp=0.8")
    assert np.abs(old - 0.8 * new).max() <= 1.0


def test_a_lamp_drifts_from_frame_to_frame() -> None:
    steady, _ = frames(f"sim:?{STILL}", 101)
    dimming, _ = frames(f"sim:?{STILL}&lamp_drift=-90", 101)
    assert dimming.mean() / steady.mean() == pytest.approx(0.91, abs=0.005)
    first, _ = frames(f"sim:?{STILL}&lamp_drift=-90", 1)
    assert first.mean() == pytest.approx(steady.mean(), abs=0.01)


def test_a_warmer_lamp_is_redder_and_less_blue() -> None:
    white, _ = frames(f"sim:?{STILL}")
    warm, _ = frames(f"sim:?{STILL}&lamp_white=10")
    assert (warm.mean((0, 1)) / white.mean((0, 1))).tolist() == pytest.approx([1.1, 1.0, 0.9], abs=0.01)


def test_dirt_stays_where_it_is_whatever_the_slide() -> None:
    def dark(uri: str) -> np.ndarray:
        picture = frames(uri)[0].mean(axis=2)
        return picture < 0.93 * np.median(picture)

    dirty, other = dark(f"sim:Pre?{STILL}&dirt=20"), dark(f"sim:Early?{STILL}&dirt=20&seed=9")
    assert 0.001 < dirty.mean() < 0.05
    assert (dirty != other).mean() < 0.002
    assert not dark(f"sim:Pre?{STILL}").any()


@pytest.mark.parametrize(
    ("word", "name", "value"), [("exposure", "ExposureTime", 8000), ("gain", "AnalogueGain", 1.0), ("white", "", "")]
)
def test_a_camera_that_ignores_a_control_says_what_it_does(word: str, name: str, value: float) -> None:
    locked = {"exposure_us": 5000.0, "gain": 2.0, "colour_gains": (1.0, 1.0)}
    told, controls = frames(f"sim:?{STILL}", **locked)
    deaf, said = frames(f"sim:?{STILL}&ignore={word}", **locked)
    assert np.abs(deaf - told).max() > 5
    assert said[name or "ColourGains"] == (value or [1.9, 1.6]) != controls[name or "ColourGains"]


@pytest.mark.parametrize("key", ["lamp=0", "lamp_drift=200", "dirt=1.5", "dirt=101", "ignore=focus"])
def test_what_cannot_be_is_refused(key: str) -> None:
    with pytest.raises(CameraSettingsError, match=key.partition("=")[0]):
        SimulatedCamera(f"sim:?{key}")
