"""The gate against frames unlike the training images: what is no smear, or another laboratory's, does not pass."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docs.studies.novelty.other_microscopes import MICROSCOPES, cut_out, through
from edge.inference.contract import Pixels
from edge.inference.domain import SMEAR
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import FAMILIES, NAME, Family
from edge.inference.gates.novelty_features import STAIN, STRUCTURE, stain, structure
from edge.inference.gates.quality import quality_names
from models.training.stain import to_density, to_light, to_pixels, turn_hue
from tests.edge.inference.gates.test_gates import drawn
from tests.gates import shipped_gates, shipped_novelty


def value(pixels: Pixels) -> float:
    return shipped_novelty().read(View(np.ascontiguousarray(pixels))).value


# --- what is like the training images passes; what is not, does not


def test_drawn_fields_pass() -> None:
    """Not for being drawn: they have the published fields' stain, light and size, and that is what is measured."""
    assert max(value(pixels) for pixels in drawn()) <= 1


def scene(seed: int) -> Pixels:
    """Something like a photograph: a sky, a ground, things in any colour, all of it with texture."""
    random = np.random.default_rng(seed)
    frame = np.zeros((224, 224, 3), np.float32)
    low, high = random.uniform(0, 255, (2, 3))
    frame += np.linspace(0, 1, 224)[:, None, None] * (high - low) + low
    for _ in range(12):
        centre, axes = random.integers(0, 224, 2).tolist(), random.integers(5, 70, 2).tolist()
        cv2.ellipse(frame, centre, axes, float(random.uniform(0, 180)), 0, 360, random.uniform(0, 255, 3).tolist(), -1)
    noise = cv2.resize(random.normal(0, 25, (56, 56, 3)).astype(np.float32), (224, 224))
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def coloured_noise(seed: int) -> Pixels:
    """Noise with the spectrum of natural images, amplitude 1 / f (Field 1987)."""
    random = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(224)[:, None], np.fft.rfftfreq(224)
    spectrum = np.fft.rfft2(random.normal(size=(3, 224, 224))) / np.maximum(np.hypot(fy, fx), 1 / 224)
    field = np.fft.irfft2(spectrum, s=(224, 224)).transpose(1, 2, 0)
    return np.clip(128 + 60 * field / field.std(), 0, 255).astype(np.uint8)


def gradient(seed: int) -> Pixels:
    low, high = np.random.default_rng(seed).uniform(0, 255, (2, 3))
    return np.rint(np.linspace(low, high, 224)[:, None, :].repeat(224, axis=1)).astype(np.uint8)


@pytest.mark.parametrize("make", [scene, coloured_noise, gradient])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_no_smear_is_refused(make: Any, seed: int) -> None:
    assert value(make(seed)) > 1


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (200, 120, 220), (245, 245, 250)])
def test_a_frame_of_one_colour_is_refused(colour: tuple[int, int, int]) -> None:
    with np.errstate(all="raise"):
        assert value(np.full((224, 224, 3), colour, np.uint8)) > 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p[..., ::-1],
        lambda p: p[..., [1, 0, 2]],
        lambda p: p[..., [0, 2, 1]],
        lambda p: 255 - p,
        lambda p: p[..., 1:2].repeat(3, axis=2),
        lambda p: (p * np.array([1.0, 0.85, 0.7])).astype(np.uint8),
        lambda p: (0.5 * p + 110).astype(np.uint8),
    ],
    ids=["blue for red", "red and green", "green and blue", "negative", "grey", "warm lamp", "veiled"],
)
def test_smears_in_wrong_colours_are_refused(spoil: Any) -> None:
    assert all(value(spoil(pixels)) > 1 for pixels in drawn())


@pytest.mark.parametrize("name", [name for name, each in MICROSCOPES.items() if each.ground])
def test_other_microscopes_are_refused(name: str) -> None:
    assert all(value(through(pixels, MICROSCOPES[name])) > 1 for pixels in drawn())


def test_a_cell_cut_out_on_black_is_refused() -> None:
    cells = [cell for cell in map(cut_out, drawn()) if cell is not None]
    assert len(cells) > 20 and all(value(cell) > 1 for cell in cells)
    assert cut_out(np.full((224, 224, 3), 240, np.uint8)) is None


def test_half_the_size_is_refused_and_named() -> None:
    readings = [
        shipped_novelty().read(View(through(pixels, MICROSCOPES["own stain, 0.5 times"]))) for pixels in drawn()
    ]
    assert sum(reading.refused for reading in readings) >= 0.9 * len(readings)
    assert any("size and crowding of the cells" in reading.detail for reading in readings)


def median_of(change: Any, amounts: Any) -> list[float]:
    return [float(np.median([value(change(pixels, amount)) for pixels in drawn()[:12]])) for amount in amounts]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_further_the_hue_the_farther(sign: int) -> None:
    def turned(pixels: Pixels, degrees: float) -> Pixels:
        matrix = turn_hue(np.radians(sign * degrees)).astype(np.float32)
        return to_pixels(to_light(cv2.transform(to_density(pixels), matrix)))

    found = median_of(turned, (0, 10, 20, 40))
    assert found == sorted(found) and found[-1] > 1


def test_the_further_the_size_the_farther() -> None:
    from models.evaluation.scene import magnified

    smaller = median_of(magnified, (1.0, 0.8, 0.6, 0.5))
    larger = median_of(magnified, (1.0, 1.5, 2.0, 3.0))
    assert smaller == sorted(smaller) and larger == sorted(larger)


def test_the_further_to_another_microscope_the_farther() -> None:
    found = median_of(lambda p, share: through(p, MICROSCOPES["beige"], share), (0.0, 0.25, 0.5, 1.0))
    assert found == sorted(found) and found[-1] > 2


# --- the reading


def test_a_refusal_names_itself_and_what_is_most_unusual() -> None:
    reading = shipped_novelty().read(View(through(drawn()[0], MICROSCOPES["lilac"])))
    assert (reading.gate, reading.limit, reading.unit, reading.refused) == (NAME, 1.0, "of the limit", True)
    said = f"unlike the training images: distance {reading.value:.2f}, at most 1; most unusual: "
    assert reading.detail.startswith(said)
    assert reading.detail.removeprefix(said) in {*STAIN.values(), *STRUCTURE.values()}


def test_what_spoilt_a_frame_is_named_first() -> None:
    report = shipped_gates().check(np.zeros((224, 224, 3), np.uint8))
    assert report.refusal is not None and report.refusal.gate == "under_exposed"
    assert report.values[NAME] > 1
    assert shipped_gates().names == (*quality_names(SMEAR), NAME)


def test_the_gate_can_be_turned_off_by_name() -> None:
    frame = through(drawn()[0], MICROSCOPES["beige"])
    assert shipped_gates().check(frame).refusal is not None
    assert shipped_gates().without([NAME]).check(frame).refusal is None


def test_equal_frames_read_equal_and_stay_as_they_are() -> None:
    pixels = drawn()[0].copy()
    pixels.flags.writeable = False
    first, second = (shipped_novelty().read(View(pixels)) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(pixels, drawn()[0])


def test_the_other_gates_make_no_difference() -> None:
    """The view is shared; what was measured before must not change what is measured after."""
    assert shipped_gates().check(drawn()[1]).values[NAME] == value(drawn()[1])


def test_a_scale_bar_changes_nothing() -> None:
    barred = drawn()[0].copy()
    barred[-33:, -60:] = 255
    barred[-12:-8, -55:-5] = 0
    assert not np.array_equal(barred, drawn()[0])
    assert value(barred) == value(drawn()[0])


@given(height=st.integers(8, 60), width=st.integers(8, 60), seed=st.integers(0, 99), level=st.sampled_from([1, 4, 256]))
@settings(max_examples=60, deadline=None)
def test_every_size_can_be_measured(height: int, width: int, seed: int, level: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, level, (height, width, 3), np.uint8)
    with np.errstate(all="raise"):
        reading = shipped_novelty().read(View(pixels))
    assert np.isfinite(reading.value) and reading.value >= 0


def test_numbers_and_their_names_are_as_many() -> None:
    view = View(drawn()[0])
    assert len(stain(view)) == len(STAIN) and len(structure(view)) == len(STRUCTURE)


# --- distance


def test_distance_by_hand() -> None:
    family = Family(
        np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([[0.0, 0.0], [10.0, 0.0]]), np.diag([4.0, 1.0]), 5.0
    )
    distance, addends = family.distance([3.0, 2.0])  # scaled: 1, 2; nearest prototype: the first
    assert distance == pytest.approx(np.sqrt(4 * 1 + 1 * 4))
    assert addends.tolist() == [4.0, 4.0]


def test_addends_sum_up_to_the_square() -> None:
    view = View(drawn()[3])
    for name, family in shipped_novelty().families.items():
        distance, addends = family.distance(FAMILIES[name].measure(view))
        assert addends.sum() == pytest.approx(distance**2)


# --- real images


def test_published_fields_pass_and_other_images_do_not(data_dir: Any) -> None:
    from docs.studies.novelty.published_fields import CONTRACT, read_image
    from models.data.published import PUBLISHED_SPLIT

    rows = [line.split(",") for line in PUBLISHED_SPLIT.read_text(encoding="utf-8").splitlines()[1:]]
    test = [data_dir / row[2] for row in rows if row[0] == "test" and (data_dir / row[2]).is_file()][::5]
    values = [value(CONTRACT.prepare(read_image(path))) for path in test]
    assert len(values) > 60 and sum(found > 1 for found in values) <= 0.03 * len(values)
    for name in ("natural", "draaslan", "bccd"):
        folder = data_dir.parent / "ood" / name
        if not folder.is_dir():
            pytest.skip(f"no {name} beside the ALL images")
        files = sorted(path for path in folder.iterdir() if path.suffix in {".jpg", ".png"})[::8]
        assert min(value(CONTRACT.prepare(read_image(path))) for path in files) > 1, name
