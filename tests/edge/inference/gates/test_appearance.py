"""The appearance of any picture: each number tells what it is named after, and the family refuses what it must."""

import numpy as np
import pytest

from edge.inference.contract import Pixels
from edge.inference.domain import ANY
from edge.inference.gates.appearance import APPEARANCE, appearance
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import Family, scaled


def numbers(pixels: Pixels) -> dict[str, float]:
    return dict(zip(APPEARANCE, appearance(View(pixels, ANY)), strict=True))


def noise(seed: int = 0, size: int = 96) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def tiles(edge: int, size: int = 96) -> Pixels:
    """A chessboard of squares `edge` pixels wide, grey 60 and 200."""
    rows, columns = np.indices((size, size)) // edge
    grey = np.where((rows + columns) % 2, 200, 60).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize("size", [8, 64, 96, 512])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_even_pictures_of_any_size_have_finite_numbers(size: int, level: int) -> None:
    found = numbers(np.full((size, size, 3), level, np.uint8))
    assert np.isfinite(list(found.values())).all()
    assert found["luma_50"] == level
    assert found["spread_r"] == 0 and found["together_rg"] == 0


def test_colour_shows_in_the_colour_differences_only() -> None:
    grey, red = np.full((96, 96, 3), 120, np.uint8), np.full((96, 96, 3), 120, np.uint8)
    red[..., 0] = 200
    assert numbers(grey)["red_50"] == numbers(grey)["blue_50"] == 128
    assert numbers(red)["red_50"] > 150 > numbers(red)["luma_50"]


def test_coarser_pictures_differ_at_longer_lags() -> None:
    fine, coarse = numbers(tiles(8)), numbers(tiles(32))
    assert fine["luma_lag_1"] > coarse["luma_lag_1"]
    assert coarse["luma_lag_8"] > fine["luma_lag_8"]


def test_stripes_show_in_the_squeeze() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = stripes[:, 3::16] = 255
    across, down = numbers(stripes)["luma_squeeze"], numbers(np.ascontiguousarray(stripes.swapaxes(0, 1)))
    assert across > 1 and down["luma_squeeze"] == pytest.approx(-across)


def test_blur_lowers_the_share_of_steep_neighbours() -> None:
    import cv2

    sharp = tiles(12)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3.0), np.uint8)
    assert numbers(blurred)["steeper_36"] < numbers(sharp)["steeper_36"]


def test_the_brighter_half_shows_in_the_layout() -> None:
    half = np.zeros((96, 96, 3), np.uint8)
    half[:, :48] = 200
    assert numbers(half)["layout"] > numbers(noise())["layout"] + 1


def test_compression_is_the_logarithm_with_the_sign_kept() -> None:
    values = np.array([3.0, -1.0, 1.0])
    found = scaled(values, np.ones(3), np.full(3, 0.5), compressed=True)
    assert found.tolist() == pytest.approx([np.log(5), -np.log(5), 0.0])


def test_a_compressed_family_measures_compressed_distances() -> None:
    parts = np.zeros(2), np.ones(2), np.zeros((1, 2)), np.eye(2)
    plain, compressed = Family(*parts, limit=1.0), Family(*parts, limit=1.0, compressed=True)
    assert plain.distance([100.0, 0.0])[0] == 100
    assert compressed.distance([100.0, 0.0])[0] == pytest.approx(np.log(101))
