"""The virtual microscope moves on along its slide: other pieces of the same slide, and back to the first."""

import numpy as np
import pytest

from edge.cameras.base import CameraSettings, Frame
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.cameras.simulation.stage import FRAMES_A_PLACE, MOSAIC_FIELDS
from edge.cameras.synthetic.laboratory import Laboratory
from edge.errors import CameraSettingsError

SIZE = (64, 48)
STILL = "motion=0&focus_drift=0&noise=0&empty=0&vignetting=0"


def looked_at(uri: str, *numbers: int) -> list[Frame]:
    with SimulatedCamera(uri) as camera:
        camera.configure(CameraSettings(size=SIZE))
        frames = [camera.capture(5.0) for _ in range(max(numbers) + 1)]
        return [frames[number] for number in numbers]


def left_um(frame: Frame) -> float:
    truth = frame.metadata["truth"]
    return float(truth["x_um"] - SIZE[0] / 2 * truth["um_per_px"])


@pytest.mark.parametrize("slide", ["sim:Pre?seed=3", "sim:leukemic?site=3&slide=4"])
def test_another_place_is_another_piece_of_the_slide_and_the_last_leads_to_the_first(slide: str) -> None:
    first, second, again = looked_at(f"{slide}&{STILL}&places=2", 0, FRAMES_A_PLACE, 2 * FRAMES_A_PLACE)
    a_place = (MOSAIC_FIELDS[0] + 1) * SIZE[0] * first.metadata["truth"]["um_per_px"]
    assert 0 <= left_um(first) < a_place <= left_um(second) < 2 * a_place
    assert 0 <= left_um(again) < a_place
    [still_there] = looked_at(f"{slide}&{STILL}", FRAMES_A_PLACE)
    assert left_um(still_there) < a_place


def test_a_place_shows_what_lies_there() -> None:
    [frame] = looked_at(f"sim:leukemic?site=3&slide=4&{STILL}&places=3", FRAMES_A_PLACE)
    truth, laboratory = frame.metadata["truth"], Laboratory(3)
    smear = laboratory.smear("leukemic", 4)
    drawn = smear.field(truth["x_um"], truth["y_um"], SIZE, truth["um_per_px"], noise=None).frame
    assert np.abs(frame.pixels.astype(int) - drawn).mean() < 2
    assert truth["white_cells"] > 0


@pytest.mark.parametrize("places", ["0", "1001", "x"])
def test_places_that_cannot_be(places: str) -> None:
    with pytest.raises(CameraSettingsError, match="places must be a whole number"):
        SimulatedCamera(f"sim:?places={places}")
