"""Degradations must do what their units say, the same way every time, and more of it at every severity."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from docs.studies.networks.corruption_sheet import contact_sheet
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.inference.contract import InputContract, Pixels
from models.data.scale_bar import CORNER_HEIGHT, CORNER_WIDTH, corner
from models.evaluation import optical as light
from models.evaluation import scene
from models.evaluation.corruptions import CORRUPTIONS, SEVERITIES, CorruptionError, corrupt
from models.support.keyed_random import draw
from tests.paths import ROOT

NAMES = list(CORRUPTIONS)
PREPARE = InputContract((224, 224), ("any", "other")).prepare


@pytest.fixture(scope="module")
def fields() -> list[Pixels]:
    """Drawn fields of every recipe, each with a black bar on a white box in its corner."""
    found = []
    for k, recipe in enumerate(RECIPES):
        pixels = PREPARE(SyntheticSmear(k, recipe).field(0, 0).frame).copy()
        corner(pixels)[10:, 20:] = 255
        corner(pixels)[24:27, 24:52] = 0
        found.append(pixels)
    return found


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def difference(one: Pixels, other: Pixels, blur: float) -> float:
    """Root mean square, grey levels, of what is left after a blur of sigma `blur` px."""
    change = one.astype(np.float32) - other
    return float(np.sqrt(np.mean((cv2.GaussianBlur(change, (0, 0), blur) if blur else change) ** 2)))


@pytest.mark.parametrize("name", NAMES)
def test_grows_with_severity(name: str, fields: list[Pixels]) -> None:
    """Turned or magnified cells soon lie on other cells; only coarse structure tells how far they went."""
    blur = 40.0 if name in ("scale", "rotation") else 0.0
    distances = []
    for severity in SEVERITIES:
        forms = [corrupt(f, name, severity, str(k), fields[k - 1]) for k, f in enumerate(fields)]
        distances.append(np.mean([difference(f, g, blur) for f, g in zip(fields, forms, strict=True)]))
    assert distances[0] > 0
    assert all(a < b for a, b in pairwise(distances)), np.round(distances, 2)


@pytest.mark.parametrize("name", NAMES)
def test_follows_from_the_key_alone_and_leaves_the_input(name: str, fields: list[Pixels]) -> None:
    before = fields[0].copy()
    first = corrupt(fields[0], name, 3, "a", fields[1])
    corrupt(fields[2], name, 5, "b", fields[3])
    np.testing.assert_array_equal(first, corrupt(fields[0], name, 3, "a", fields[1]))
    np.testing.assert_array_equal(fields[0], before)
    assert first.dtype == np.uint8 and first.shape == before.shape and first.flags.c_contiguous


DRAWN = {
    "motion_blur", "uneven_illumination", "colour_temperature", "stain_intensity", "stain_hue", "sensor_noise",
    "chromatic_shift", "dust", "scale", "rotation", "scale_bar_added",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_another_key_draws_otherwise_where_there_is_something_to_draw(name: str, fields: list[Pixels]) -> None:
    forms = {corrupt(fields[0], name, 3, str(key), fields[1]).tobytes() for key in range(12)}
    assert (len(forms) > 1) == (name in DRAWN)


@pytest.mark.parametrize("shape", [(32, 32), (96, 128), (299, 224)])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_will_do(name: str, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    for severity in SEVERITIES:
        assert corrupt(pixels, name, severity, "k", pixels[::-1].copy()).shape == pixels.shape


def test_light_and_grey_levels_are_each_other_s_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(light.to_pixels(light.to_light(levels)), levels)
    assert light.to_light(np.full((16, 16, 3), 188, np.uint8))[0, 0, 0] == pytest.approx(0.503, abs=0.001)  # sRGB


def test_one_stop_halves_and_doubles_light() -> None:
    grey = np.full((32, 32, 3), 120, np.uint8)
    for stops, form in ((1, light.over_exposure(grey, 1, rng())), (-1, light.under_exposure(grey, 1, rng()))):
        ratio = light.to_light(form).mean() / light.to_light(grey).mean()
        assert ratio == pytest.approx(2.0**stops, rel=0.02)


def test_defocus_has_the_sigma_it_names() -> None:
    """A point's second moments down the field; across it lengths are squeezed to 3/4."""
    point = np.zeros((224, 224, 3), np.uint8)
    point[112, 112] = 255
    spread = light.to_light(light.defocus(point, 4.0, rng()))[..., 1].astype(np.float64)
    y, x = np.mgrid[:224, :224] - 112
    down, across = (np.sqrt((spread * axis**2).sum() / spread.sum()) for axis in (y, x))
    assert down == pytest.approx(4.0, rel=0.08)
    assert across == pytest.approx(3.0, rel=0.08)


def test_motion_has_the_length_it_names() -> None:
    """A smear of even light has a variance of length^2 / 12 along its direction."""
    point = np.zeros((224, 224, 3), np.uint8)
    point[112, 112] = 255
    spread = light.to_light(light.motion_blur(point, 16, rng()))[..., 1].astype(np.float64)
    y, x = np.mgrid[:224, :224] - 112
    variance = (spread * (y**2 + (x / light.SQUEEZE) ** 2)).sum() / spread.sum()
    assert np.sqrt(12 * variance) == pytest.approx(16, rel=0.1)


def test_glare_takes_its_share_of_the_contrast(fields: list[Pixels]) -> None:
    before, after = (light.to_light(f) for f in (fields[2], light.low_contrast(fields[2], 0.6, rng())))
    np.testing.assert_allclose(after.std(axis=(0, 1)) / before.std(axis=(0, 1)), 0.4, atol=0.01)
    assert after.mean() == pytest.approx(before.mean(), abs=0.005)


def test_noise_is_shot_noise() -> None:
    """Standard deviation of light at half of full well: sqrt(0.5 / N), and a read noise that hardly counts."""
    grey = np.full((224, 224, 3), 188, np.uint8)
    noisy = light.to_light(light.sensor_noise(grey, 1000, rng()))
    assert noisy.std() == pytest.approx(np.sqrt(0.5 / 1000), rel=0.05)


def test_warm_light_is_red_and_cold_light_blue() -> None:
    grey = np.full((32, 32, 3), 120, np.uint8)
    ratios = set()
    for seed in range(8):
        red, green, blue = light.colour_temperature(grey, 60, np.random.default_rng(seed))[0, 0].astype(int)
        assert abs(green - 120) <= 1 and (red - 120) * (blue - 120) < 0
        ratios.add(bool(red > blue))
    assert ratios == {True, False}


def test_stain_changes_dye_and_not_the_ground(fields: list[Pixels]) -> None:
    """Clear ground stays; density of the cells is multiplied (power) or keeps its sum of channels (hue)."""
    field = fields[3]
    ground = (field.min(axis=2) > np.percentile(field.min(axis=2), 70)) & (field.max(axis=2) == 255)
    before, _ = light.density_and_ground(field)
    cells = before.sum(axis=2) > 1.0
    turned, _ = light.density_and_ground(light.stain_hue(field, 8, rng()))
    assert np.median(turned[cells].sum(axis=1) / before[cells].sum(axis=1)) == pytest.approx(1, abs=0.05)
    seen = set()
    for seed in range(8):
        form = light.stain_intensity(field, 1.5, np.random.default_rng(seed))
        after, _ = light.density_and_ground(form)
        seen.add(round(float(np.median(after[cells].sum(axis=1) / before[cells].sum(axis=1))), 1))
        assert np.abs(form[ground].astype(int) - field[ground]).mean() < 3
    assert seen == {0.7, 1.5}


def test_chromatic_shift_parts_red_from_blue() -> None:
    spot = np.zeros((224, 224, 3), np.uint8)
    cv2.circle(spot, (112, 112), 20, (255, 255, 255), -1)
    planes = light.to_light(light.chromatic_shift(spot, 6, rng()))
    y, x = np.mgrid[:224, :224]
    centres = [np.array([(p * x).sum() / light.SQUEEZE, (p * y).sum()]) / p.sum() for p in np.moveaxis(planes, 2, 0)]
    assert np.linalg.norm(centres[0] - centres[2]) == pytest.approx(6, rel=0.05)
    assert np.linalg.norm(centres[1] - (centres[0] + centres[2]) / 2) < 0.1


def test_dust_covers_its_share_and_only_darkens() -> None:
    plain = np.full((224, 224, 3), 230, np.uint8)
    for share in CORRUPTIONS["dust"].values:
        dark = scene.dust(plain, share, rng())
        assert dark.max() <= 230
        assert share * 0.5 < (dark.min(axis=2) < 200).mean() < 2.5 * share + 0.01


def test_scale_magnifies_about_the_centre() -> None:
    spot = np.full((224, 224, 3), 255, np.uint8)
    cv2.circle(spot, (112, 112), 30, (0, 0, 0), -1)
    areas = {
        round((scene.scale(spot, 1.6, np.random.default_rng(s)) < 128).mean() / (spot < 128).mean(), 1)
        for s in range(8)
    }
    assert areas == {0.4, 2.6}


def test_rotation_keeps_round_cells_round_in_the_unsqueezed_frame() -> None:
    """Squeezed to a square a round cell is an upright ellipse, and still one after the camera has turned."""
    field = np.full((224, 224, 3), 255, np.uint8)
    cv2.ellipse(field, (112, 112), (30, 40), 0, 0, 360, (0, 0, 0), -1)
    turned = scene.rotation(field, 30, rng())
    assert (np.abs(turned.astype(int) - field) > 128).mean() < 0.003
    cv2.circle(field, (112, 60), 5, (0, 0, 0), -1)
    assert (np.abs(scene.rotation(field, 30, rng()).astype(int) - field) > 128).mean() > 0.001


def test_bars_come_go_and_change(fields: list[Pixels]) -> None:
    rows, columns = round(224 * CORNER_HEIGHT), round(224 * CORNER_WIDTH)
    removed = corrupt(fields[2], "scale_bar_removed", 1, "k")
    assert (corner(fields[2]).max(axis=2) < 10).any() and not (corner(removed).max(axis=2) < 10).any()
    for severity in SEVERITIES:
        added = corrupt(fields[2], "scale_bar_added", severity, "k")
        np.testing.assert_array_equal(corner(added)[-rows:, -columns:], corner(fields[2]))
    swapped = corrupt(fields[2], "scale_bar_swapped", 1, "k", fields[3])
    np.testing.assert_array_equal(corner(swapped), corner(fields[3]))


def test_refuses_what_it_cannot_do() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(CorruptionError, match="corruption must be one of defocus, motion_blur"):
        corrupt(pixels, "fog", 1, "k")
    with pytest.raises(CorruptionError, match=r"severity must be one of \[1, 2, 3, 4, 5\]; got 6"):
        corrupt(pixels, "jpeg", 6, "k")
    with pytest.raises(CorruptionError, match="donor must be an image of another class"):
        corrupt(pixels, "scale_bar_swapped", 1, "k")


def test_draws_do_not_depend_on_each_other() -> None:
    assert draw("dust", "a").random() == draw("dust", "a").random() != draw("dust", "b").random()


@pytest.mark.slow
def test_contact_sheet_is_a_picture_of_drawn_fields() -> None:
    data = contact_sheet()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] > picture.shape[1] > 600
    assert len(data) < 800_000


def test_page_says_what_the_code_does() -> None:
    """Every corruption with its unit and its five values, in the page's table."""
    page = (ROOT / "docs" / "explanation" / "robustness.md").read_text(encoding="utf-8")
    for name, corruption in CORRUPTIONS.items():
        values = ", ".join(f"{value:g}" for value in corruption.values)
        assert f"| `{name}` | {corruption.parameter} | {corruption.unit or '-'} | {values} |" in page
