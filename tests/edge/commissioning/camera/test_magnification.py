"""Magnification: red cells of drawn slides against the truth, lines of a micrometer, and tiles."""

import math

import cv2
import numpy as np
import pytest

from edge.cameras.setup.camera_setup import RED_CELL_UM, Scale
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.commissioning.camera.magnification import by_micrometer, by_red_cells, fit
from edge.commissioning.camera.micrometer import pitch_px
from edge.commissioning.camera.red_cells import diameters, measure_red_cells
from edge.errors import EmptyFieldError


@pytest.mark.parametrize(("um_per_px", "places"), [(0.36, 2), (0.25, 2), (0.15, 4), (0.1, 9)])
@pytest.mark.parametrize(("recipe", "seed"), [("Benign", 2), ("Pro", 2)])
def test_red_cells_of_drawn_slides_are_as_large_as_they_were_drawn(
    recipe: str, seed: int, um_per_px: float, places: int
) -> None:
    slide = SyntheticSmear(seed, recipe)
    fields = [slide.field(300.0 * place, 0.0, (640, 480), um_per_px) for place in range(places)]
    truth = float(np.median([2 * cell.radius_um for field in fields for cell in field.truth if cell.kind == "red"]))
    found = measure_red_cells(field.frame for field in fields)
    assert found.median == pytest.approx(truth / um_per_px, rel=0.05)
    assert found.quartiles[0] < found.median < found.quartiles[1]
    assert found.quartiles[1] - found.quartiles[0] < 0.2 * found.median
    scale = by_red_cells(found)
    assert scale.um_per_px * scale.pixels == pytest.approx(RED_CELL_UM, rel=1e-3)


def test_blur_does_not_make_cells_larger() -> None:
    """An edge cut at half of its height stays where it is; at a tenth of it, it would not."""
    frame = SyntheticSmear(2, "Pro").field(0.0, 0.0, (1280, 960), 0.12).frame
    sharp = float(np.median(diameters(frame)))
    blurred = float(np.median(diameters(cv2.GaussianBlur(frame, (0, 0), 2.0))))
    assert blurred == pytest.approx(sharp, rel=0.04)


def test_white_cells_and_platelets_are_left_out() -> None:
    field = np.full((400, 640, 3), (230, 230, 230), np.uint8)
    for index in range(24):  # red cells of 30 pixels
        cv2.circle(
            field, (40 + 50 * (index % 12), 60 + 50 * (index // 12)), 15, (190, 175, 215), cv2.FILLED, cv2.LINE_AA
        )
    for index in range(12):  # platelets of 10, nuclei of 60
        cv2.circle(field, (40 + 50 * index, 200), 5, (190, 175, 215), cv2.FILLED, cv2.LINE_AA)
    for index in range(6):
        cv2.circle(field, (70 + 90 * index, 300), 30, (140, 80, 180), cv2.FILLED, cv2.LINE_AA)
    found = measure_red_cells([field])
    assert found.cells == 24
    assert found.median == pytest.approx(31, abs=0.7)  # of a disc of radius 15 pixels


def test_cells_that_touch_or_are_cut_off_are_left_out() -> None:
    field = np.full((200, 400, 3), 230, np.uint8)
    for place in ((60, 60), (84, 60), (0, 120), (200, 199), (300, 100)):
        cv2.circle(field, place, 15, (190, 175, 215), cv2.FILLED, cv2.LINE_AA)
    assert len(diameters(field)) == 1


@pytest.mark.parametrize("field", [np.full((240, 320, 3), 230, np.uint8), np.zeros((240, 320, 3), np.uint8)])
def test_a_field_without_red_cells_says_so(field: np.ndarray) -> None:
    with pytest.raises(EmptyFieldError, match="0 red cells lie alone, 20 must"):
        measure_red_cells([field])


def micrometer(pitch: float, angle: float, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """Dark lines `pitch` pixels apart, turned by `angle` degrees, with falloff and noise."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    turn = math.radians(angle)
    covered = np.zeros((height, width))
    for dx in (-1 / 3, 0, 1 / 3):
        for dy in (-1 / 3, 0, 1 / 3):
            place = ((x + dx) * math.cos(turn) + (y + dy) * math.sin(turn) + 7.3) / pitch
            covered += np.abs(place - np.round(place)) < 0.08
    grey = 220 - 150 * cv2.GaussianBlur(covered / 9, (0, 0), 1.0)
    grey *= 1 - 0.2 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)
    grey += np.random.default_rng(5).normal(0, 2, grey.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("angle", [0, 4, 37, 90, 91.5])
@pytest.mark.parametrize("pitch", [9.7, 23.4, 57.1, 101.3])
def test_lines_of_a_micrometer_are_counted_in_any_direction(pitch: float, angle: float) -> None:
    assert pitch_px(micrometer(pitch, angle)) == pytest.approx(pitch, rel=0.003)


def test_the_scale_by_a_micrometer() -> None:
    """10 um over 40 pixels: a quarter of a um each, and a red cell of 7.5 um is 30 pixels."""
    scale = by_micrometer(micrometer(40.0, 10), 10.0)
    assert (scale.method, scale.cells) == ("micrometer", 0)
    assert scale.um_per_px == pytest.approx(0.25, rel=0.003)
    assert scale.pixels == pytest.approx(30.0, rel=0.003)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (SyntheticSmear(1, "Pre").field(0.0, 0.0, (320, 240)).frame, "no lines of a stage micrometer"),
        (np.full((240, 320, 3), 220, np.uint8), "no lines of a stage micrometer"),
        (micrometer(170.0, 0), "lines of a micrometer are in view, 4 must be|no lines"),
    ],
)
def test_what_is_no_micrometer_is_refused(field: np.ndarray, said: str) -> None:
    with pytest.raises(EmptyFieldError, match=said):
        pitch_px(field)


@pytest.mark.parametrize(
    ("pixels", "size", "ratio", "tiles", "fits"),
    [
        (18.75, (299, 224), 1.0, (1, 1), True),
        (75.0, (1196, 896), 1.0, (1, 1), True),
        (68.0, (1196, 896), 0.907, (1, 1), True),  # within ten percent
        (66.0, (1196, 896), 0.88, (1, 1), False),
        (37.5, (1196, 896), 0.5, (2, 2), False),
        (25.0, (1196, 896), 1 / 3, (3, 3), False),
        (37.5, (1794, 896), 0.408, (3, 2), False),
        (120.0, (1196, 896), 1.6, (1, 1), False),
    ],
)
def test_magnification_against_the_trainings(
    pixels: float, size: tuple[int, int], ratio: float, tiles: tuple[int, int], fits: bool
) -> None:
    found = fit(Scale(method="red cells", pixels=pixels, um_per_px=RED_CELL_UM / pixels), size)
    assert found.ratio == pytest.approx(ratio, abs=0.002)
    assert (found.tiles, found.fits) == (tiles, fits)
    words = {True: "the whole field is what they know", False: "tiles" if ratio < 0.9 else "magnifies less"}
    assert words[fits] in str(found) or tiles == (1, 1)
