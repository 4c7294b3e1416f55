"""Cells before another ground, ground without cells: what the images of a lesson show."""

import numpy as np
import pytest

from edge.cameras.synthetic.smear import SyntheticSmear
from edge.inference.contract import Pixels
from models.data.white_cell_segmentation import white_cells
from models.errors import ModelsError
from models.training.background_swap import NO_SWAP, BackgroundSwap, CellFields


def fields() -> CellFields:
    recipes = ("Early", "Pre", "Benign")
    drawn = [SyntheticSmear(seed=k, recipe=name).field(0.0, 0.0, (224, 224)).frame for k, name in enumerate(recipes)]
    return CellFields.of(np.stack(drawn))


@pytest.fixture(scope="module")
def smears() -> CellFields:
    return fields()


def changed(a: Pixels, b: Pixels) -> np.ndarray:
    return np.abs(a.astype(int) - b).max(axis=-1) > 30


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_covered_field_has_hardly_a_white_cell_left(smears: CellFields) -> None:
    assert smears.masks[0].mean() > 0.02
    out = smears.without_cells(0, rng())
    assert white_cells(out).mean() < 0.15 * smears.masks[0].mean()
    assert not changed(out, smears.pixels[0])[~dilated(smears.masks[0])].any()


def test_covering_elsewhere_leaves_the_cells(smears: CellFields) -> None:
    out = smears.covered_elsewhere(0, 1, rng())
    assert changed(out, smears.pixels[0]).sum() > 50  # it did cover something
    assert not changed(out, smears.pixels[0])[smears.masks[0]].any()


def test_cells_stand_before_the_other_ground(smears: CellFields) -> None:
    out, mine, other = smears.on_ground(0, 1, rng()), smears.pixels[0], smears.pixels[1]
    core = smears.masks[0]
    free = ~dilated(smears.masks[0]) & ~dilated(smears.masks[1])
    assert np.abs(out[free].astype(int) - other[free]).mean() < 1
    nearer = np.abs(out[core].astype(int) - mine[core]).mean()
    assert nearer < np.abs(out[core].astype(int) - other[core]).mean() / 2


def test_cells_take_the_light_of_the_other_field(smears: CellFields) -> None:
    dim = CellFields(np.stack([smears.pixels[0], (smears.pixels[1] * 0.5).astype(np.uint8)]), smears.masks[:2])
    out, core = dim.on_ground(0, 1, rng()), smears.masks[0]
    assert out[core].mean() == pytest.approx(smears.pixels[0][core].mean() / 2, rel=0.1)


def test_without_cells_there_is_nothing_to_set_elsewhere(smears: CellFields) -> None:
    plain = np.full((2, 64, 64, 3), 230, np.uint8)
    empty = CellFields.of(plain)
    assert not empty.has_cells(0)
    np.testing.assert_array_equal(empty.on_ground(0, 1, rng()), plain[0])
    image, of_class = BackgroundSwap(0.0, 1.0, 0.0)(empty, 0, rng())
    assert of_class, "a field in which no cell was found keeps its class"
    np.testing.assert_array_equal(image, plain[0])


def test_a_field_full_of_cells_is_covered_all_the_same() -> None:
    full = CellFields(np.full((1, 64, 64, 3), 90, np.uint8), np.ones((1, 64, 64), bool))
    assert full.without_cells(0, rng()).shape == (64, 64, 3)


def test_swaps_come_as_often_as_asked_and_repeat(smears: CellFields) -> None:
    swap = BackgroundSwap(foreign_ground=0.2, without_cells=0.3, covered_elsewhere=0.1)
    of_class = [swap(smears, 0, np.random.default_rng([7, i]))[1] for i in range(200)]
    assert 0.2 < 1 - np.mean(of_class) < 0.4
    first, second = (swap(smears, 1, np.random.default_rng(11))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    untouched, named = NO_SWAP(smears, 1, rng())
    assert named
    np.testing.assert_array_equal(untouched, smears.pixels[1])


@pytest.mark.parametrize("chances", [(-0.1, 0, 0), (0, 1.1, 0), (0.5, 0.4, 0.2), (float("nan"), 0, 0)])
def test_impossible_chances_are_refused(chances: tuple[float, float, float]) -> None:
    with pytest.raises(ModelsError):
        BackgroundSwap(*chances)


def dilated(mask: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
