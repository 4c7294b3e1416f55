"""Augmentation: what it varies, what it must leave alone, and that stain acts in optical density."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from models.training import scanner_artifacts as imperfections
from models.training.augmentation import Augmentation, AugmentationError
from models.training.stain import carry_over, saturate, to_density, to_light, to_pixels, turn_hue


def smear(seed: int, side: int = 96) -> np.ndarray:
    """A pale ground with dark purple disks."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), (225, 215, 230), np.uint8)
    y, x = np.mgrid[:side, :side]
    for cy, cx in rng.integers(10, side - 10, (6, 2)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 64] = (110, 60, 150)
    return image


def only(**amplitude: float) -> Augmentation:
    """One imperfection in every image, and nothing else."""
    return replace(Augmentation().scaled(0), most=12, **amplitude)


def test_density_and_back_is_the_same_image() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    np.testing.assert_array_equal(to_pixels(to_light(to_density(every))), every)


def test_dyes_add_up_in_density() -> None:
    half = np.full((1, 1, 3), 127, np.uint8)  # lets half of 256 through; two such layers a quarter
    np.testing.assert_allclose(to_light(2 * to_density(half)) + 1, 64, rtol=1e-5)


def test_hue_turns_about_grey_and_saturation_ends_there() -> None:
    np.testing.assert_allclose(turn_hue(0.4) @ np.ones(3), np.ones(3), atol=1e-12)
    np.testing.assert_allclose(turn_hue(0.4) @ turn_hue(-0.4), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn_hue(2 * np.pi / 3) @ np.eye(3)[0], np.eye(3)[1], atol=1e-12)
    np.testing.assert_allclose(saturate(0.0) @ np.array([1.0, 2.0, 6.0]), 3.0)


def test_a_stain_is_carried_over() -> None:
    one, other = to_density(smear(1)), to_density(smear(2)) * np.float32(0.6) + np.float32(0.1)
    moved = carry_over(one, other, 1.0)
    np.testing.assert_allclose(moved.mean((0, 1)), other.mean((0, 1)), atol=1e-3)
    np.testing.assert_allclose(moved.std((0, 1)), other.std((0, 1)), rtol=1e-2)
    np.testing.assert_allclose(carry_over(one, other, 0.0), one, atol=1e-6)


def test_nothing_is_left_of_a_scaled_out_augmentation_but_turns_and_flips() -> None:
    image = np.full((64, 64, 3), (200, 150, 90), np.uint8)
    for seed in range(20):
        out = Augmentation().scaled(0)(image, np.random.default_rng(seed), [image])
        np.testing.assert_array_equal(out, image)


@pytest.mark.parametrize(
    "name", ["stain", "hue", "saturation", "density", "exposure", "contrast", "gamma", "temperature", "shading"]
)
def test_each_colour_amplitude_changes_colours(name: str) -> None:
    image, value = smear(3), 25.0 if name == "hue" else 0.3
    changed = [only(**{name: value})(image, np.random.default_rng(seed)) for seed in range(6)]
    colours = np.array([np.sort(c.reshape(-1, 3), axis=0).mean(0) for c in changed])
    assert colours.std(axis=0).max() > 0.5


@pytest.mark.parametrize("name", ["blur", "drag"])
def test_blur_takes_away_detail(name: str) -> None:
    image = smear(4)
    sharp = [Augmentation().scaled(0)(image, np.random.default_rng(s)) for s in range(8)]
    soft = [only(**{name: 8.0})(image, np.random.default_rng(s)) for s in range(8)]

    def detail(images: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(np.diff(i.astype(float), axis=0)).max() for i in images]))

    assert detail(soft) < 0.95 * detail(sharp)


def test_defocus_is_a_disk_and_keeps_the_light() -> None:
    point = np.zeros((31, 31, 3), np.float32)
    point[15, 15] = 1000
    spread = imperfections.defocus(point, 4.0)
    assert spread.sum() == pytest.approx(point.sum(), rel=1e-5)
    assert spread[15, 18, 0] == pytest.approx(spread[15, 15, 0])
    assert spread[15, 21, 0] == 0


def test_motion_spreads_along_its_direction_only() -> None:
    point = np.zeros((41, 41, 3), np.float32)
    point[20, 20] = 1000
    spread = imperfections.drag(point, 10.0, 0.0)[..., 0]
    assert spread.sum() == pytest.approx(1000, rel=1e-4)
    assert spread[20].sum() == pytest.approx(1000, rel=1e-4)
    assert np.flatnonzero(spread[20] > 1).size == pytest.approx(11, abs=2)


def test_fringe_leaves_green_alone() -> None:
    light = smear(5).astype(np.float32)
    out = imperfections.fringe(light, 3.0, 0.01, np.random.default_rng(1))
    np.testing.assert_array_equal(out[..., 1], light[..., 1])
    assert np.abs(out[..., 0] - light[..., 0]).max() > 10


def test_the_lamp_falls_by_what_was_asked() -> None:
    for seed in range(8):
        field = imperfections.lamp((40, 60), 0.5, np.random.default_rng(seed))
        assert field.max() == pytest.approx(1)
        assert field.min() == pytest.approx(0.5, abs=1e-5)


def test_noise_has_the_spread_asked_for() -> None:
    grey = np.full((200, 200, 3), 128, np.float32)
    for seed in range(6):
        assert imperfections.grain(grey, 10.0, 0.0, np.random.default_rng(seed)).std() == pytest.approx(10, rel=0.15)


def test_dirt_is_local_and_only_darkens() -> None:
    density = imperfections.dirt((100, 100), 10, np.random.default_rng(2))
    assert density.min() >= 0
    assert density.max() > 0.05
    assert (density < 0.01).mean() > 0.5


def test_a_drawn_bar_stays_at_the_border() -> None:
    image = np.full((224, 224, 3), 120, np.uint8)
    marked = 0
    for seed in range(40):
        out = imperfections.draw_bar(image, np.random.default_rng(seed))
        rows, columns = np.nonzero((out != image).any(axis=2))
        marked += bool(rows.size)
        assert ndimage.label((out == image).all(axis=2))[0][112, 112]
        assert not ((rows > 70) & (rows < 150)).any()
        assert not ((columns > 90) & (columns < 130)).any()
    assert marked == 40


def test_augmentation_is_reproducible_and_keeps_form() -> None:
    image, other = smear(6)[:, :80], smear(7)[:, :80]
    one, two = (Augmentation()(image, np.random.default_rng(5), [other]) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == image.shape
    assert one.dtype == np.uint8


def test_impossible_settings_are_named() -> None:
    with pytest.raises(AugmentationError, match="exposure must be between 0 and 1"):
        Augmentation(exposure=2)
    with pytest.raises(AugmentationError, match="factor must be between 0 and 1"):
        Augmentation().scaled(1.5)


def test_scaling_keeps_chances_and_shrinks_amplitudes() -> None:
    half = Augmentation().scaled(0.5)
    assert half.blur == Augmentation().blur / 2
    assert (half.exchange_stain, half.most) == (Augmentation().exchange_stain, Augmentation().most)
