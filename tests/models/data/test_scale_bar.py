"""The burned-in scale bar must be gone from what a network is trained on."""

import csv
from pathlib import Path

import numpy as np

from edge.inference.images import read_image
from models.data.published import PUBLISHED_FILES
from models.data.scale_bar import corner, fill_corner, replace_corner
from models.training.augmentation import Augmentation


def field(seed: int, shape: tuple[int, int] = (224, 224)) -> np.ndarray:
    return np.random.default_rng(seed).integers(120, 250, (*shape, 3), np.uint8)


def test_filled_corner_holds_nothing_of_the_bar() -> None:
    image = field(1)
    barred = image.copy()
    corner(barred)[10:, 10:] = 0
    filled = fill_corner(barred)
    assert filled.min() >= 120 - 1
    np.testing.assert_array_equal(filled[:180], barred[:180])
    np.testing.assert_array_equal(barred[200:, 200:], 0)  # the input is left alone


def test_replaced_corner_is_the_patch_but_for_its_blended_edge() -> None:
    image, other = field(1), field(2)
    out = replace_corner(image, corner(other))
    np.testing.assert_array_equal(corner(out)[4:, 4:], corner(other)[4:, 4:])
    assert not np.array_equal(corner(image), corner(out))


def test_augmented_images_never_show_their_own_bar() -> None:
    """A black bar on a light field must be gone whatever the draw; without neutralizing it is there."""
    image = np.full((224, 224, 3), 220, np.uint8)
    corner(image)[12:, 12:] = 0
    clean = [np.full((224, 224, 3), 220, np.uint8)]
    plain = Augmentation().scaled(0)
    for seed in range(30):
        assert plain(image, np.random.default_rng(seed), clean).min() > 200


def test_bars_of_every_published_style_lie_inside_the_corner(data_dir: Path) -> None:
    """Black bar pixels, saturated far below any cell's, stop at the corner's edge."""
    styles: dict[str, list[np.ndarray]] = {}
    with PUBLISHED_FILES.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            path = data_dir / row["class"] / row["file"]
            if path.is_file() and len(styles.setdefault(row["overlay"], [])) < 60:
                styles[row["overlay"]].append(read_image(path))
    assert {"small_black_on_white", "small_red", "large_bar"} <= set(styles)
    for style, images in styles.items():
        common = np.percentile(np.stack(images).astype(np.float32).std(axis=0).mean(axis=2), 5)
        spread = np.stack(images).astype(np.float32).std(axis=0).mean(axis=2)
        fixed = spread < common * 0.55  # pixels that hardly differ between fields of this style are the overlay
        rows, columns = np.nonzero(fixed)
        inside = (rows >= 224 - 35) & (columns >= 224 - 62)
        assert inside.mean() > 0.95 if fixed.any() else style != "large_bar", style
