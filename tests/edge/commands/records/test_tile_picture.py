"""The picture of a field's tiles: colours follow the numbers, and what no tile saw is dimmed."""

import numpy as np
import pytest

from edge.commands.records.tile_picture import LEAST_SIDE, MOST_SIDE, draw_heat
from edge.inference.tiles import tile_boxes

LABELS = ("Benign", "Early", "Pre")


def drawn(
    tiles: list[tuple[float, ...]], columns: int, benign: tuple[str, ...] = ("Benign",), side: int = 400
) -> np.ndarray:
    frame = np.full((side, side, 3), 200, np.uint8)
    boxes = tile_boxes((side, side - 40), (columns, 1))
    return draw_heat(frame, boxes, tiles, labels=LABELS, benign=benign, answer="Pre 0.91")


def rim(picture: np.ndarray, column: int, columns: int) -> np.ndarray:
    return picture[400, round(picture.shape[1] * column / columns) + 8].astype(int)


def test_doubt_of_a_benign_tile_is_its_colour() -> None:
    picture = drawn([(0.95, 0.03, 0.02), (0.1, 0.5, 0.4)], 2)
    sure, doubtful = rim(picture, 0, 2), rim(picture, 1, 2)
    assert sure[2] > sure[0] and doubtful[0] > doubtful[2]  # blue, yellow
    swapped = drawn([(0.1, 0.5, 0.4), (0.95, 0.03, 0.02)], 2)
    assert np.array_equal(rim(swapped, 0, 2), doubtful)


def test_without_a_benign_label_the_colour_is_of_the_class_called() -> None:
    picture = drawn([(0.0, 0.1, 0.9), (0.0, 0.6, 0.4)], 2, benign=())
    assert rim(picture, 0, 2)[0] > rim(picture, 1, 2)[0]  # Pre is called: 0.9 against 0.4


def test_what_no_tile_saw_is_dimmed_and_sizes_stay_in_bounds() -> None:
    picture = drawn([(0.5, 0.3, 0.2)], 1)
    assert picture.shape[1] == LEAST_SIDE
    below = round(380 * LEAST_SIDE / 400)
    assert picture[below].max() < 100 < picture[450, 450].min()
    large = drawn([(0.5, 0.3, 0.2)], 1, side=4000)
    assert large.shape[1] == MOST_SIDE


def test_one_row_a_tile() -> None:
    with pytest.raises(ValueError, match="one a box"):
        drawn([(1.0, 0.0, 0.0)], 2)


def test_no_tile_is_named_benign() -> None:
    def letters(tile: tuple[float, ...]) -> int:
        return int((drawn([tile], 1)[:300, :300].min(axis=2) > 240).sum())

    benign, unlabelled = letters((0.9, 0.06, 0.04)), letters((0.04, 0.9, 0.06))
    assert 0 < benign < unlabelled  # the number alone, and number and class
