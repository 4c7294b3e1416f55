"""Gates of a model of one's own: they let its images pass, refuse others and spoilt ones, and say what they rest on."""

from functools import lru_cache

import cv2
import numpy as np
import pytest

from edge.inference.contract import Pixels
from edge.inference.gates.gates_file import CROSS_FITTED, PARTS, GatesFile
from models.decision import gates_fit
from models.decision.gates_fit import (
    GateImages,
    fit_gates,
    judged_text,
    refuses_too_many,
    turn_distances,
)
from models.errors import DatasetError

SIZE = 64


def picture(label: str, seed: int) -> Pixels:
    """A disc or a cross, dark on a light, mottled ground with noise, 64 x 64."""
    random = np.random.default_rng([seed, label == "disc"])
    frame = np.full((SIZE, SIZE, 3), random.uniform(185, 205), np.float32)
    mottle = cv2.resize(random.normal(0, 9, (8, 8, 1)).astype(np.float32), (SIZE, SIZE))  # no two grounds are alike
    frame += mottle[:, :, None]
    colour = (np.array([140.0, 70.0, 110.0]) + random.normal(0, 8, 3)).tolist()
    x, y = random.integers(20, 44, 2).tolist()
    if label == "disc":
        cv2.circle(frame, (x, y), int(random.integers(8, 14)), colour, -1)
    else:
        for dx, dy in ((12, 0), (0, 12)):
            cv2.line(frame, (x - dx, y - dy), (x + dx, y + dy), colour, 5)
    return np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def images(count: int, first: int = 0) -> GateImages:
    """`count` of each class, each a field of its own."""
    labels = ["disc", "cross"] * count
    pixels = np.stack([picture(label, first + i // 2) for i, label in enumerate(labels)])
    return GateImages(pixels, np.array(labels), np.array([f"field{first + i}" for i in range(2 * count)]))


def none() -> GateImages:
    return GateImages(np.empty((0, SIZE, SIZE, 3), np.uint8), np.empty(0, np.str_), np.empty(0, np.str_))


@lru_cache(maxsize=2)
def fitted() -> GatesFile:
    return fit_gates("any", images(24), images(6, 100), images(40, 200), "test")


def share_refused(file: GatesFile, pixels: Pixels) -> float:
    gates = file.gates()
    return float(np.mean([gates.check(each).refusal is not None for each in pixels]))


def test_few_images_take_turns_and_the_file_says_so() -> None:
    file = fitted()
    assert file.source.method == CROSS_FITTED
    assert file.source.images == {"fitted": 60, "limits": 60}
    assert "12 validation images are fewer than 200: 60" in file.source.notes[0]
    assert file.size == (SIZE, SIZE)
    assert GatesFile.from_bytes(file.to_bytes()) == file


def test_images_held_back_pass_and_are_counted() -> None:
    judged = fitted().judged
    assert judged is not None
    assert judged.images == 80 and judged.refused <= 6  # of so few, fitted to 60
    assert judged.interval[0] <= judged.refused / judged.images <= judged.interval[1]
    assert not refuses_too_many(fitted())
    assert judged_text(fitted()).startswith(f"{judged.refused} of 80 held-back images refused")


def test_pictures_of_something_else_are_refused() -> None:
    random = np.random.default_rng(1)
    others = np.stack([random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(10)])
    inverted = 255 - images(40, 200).pixels[:20]
    assert share_refused(fitted(), others) == 1
    assert share_refused(fitted(), inverted) == 1


def test_defocus_and_two_stops_are_refused() -> None:
    own = images(40, 200).pixels[:30]
    blurred = np.stack([cv2.GaussianBlur(each, (0, 0), 2.5) for each in own])
    dark = np.round(255 * ((own / 255.0) ** 2.2 / 4) ** (1 / 2.2)).astype(np.uint8)
    assert share_refused(fitted(), blurred) >= 0.95
    assert share_refused(fitted(), dark) == 1


def test_with_validation_images_enough_they_set_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates_fit, "FEW", 12)
    file = fit_gates("any", images(24), images(6, 100), none(), "test")
    assert file.source.method == PARTS
    assert file.source.images == {"fitted": 48, "limits": 12}
    assert file.novelty["appearance"].images == 12
    assert file.judged is None and not refuses_too_many(file)
    assert judged_text(file) == "no image was held back, so nothing is known of what is refused"


def test_a_smear_has_measures_of_its_own_and_other_pictures_have_none_of_them() -> None:
    smear = fit_gates("blood smear", images(24), images(6, 100), none(), "test")
    assert set(smear.novelty) == {"stain", "structure"} and "empty_field" in smear.quality
    assert set(fitted().novelty) == {"appearance", "appearance_compressed"} and "empty_field" not in fitted().quality


def test_more_refused_than_chance_explains_is_said() -> None:
    spoilt = images(40, 200)
    file = fit_gates("any", images(24), images(6, 100), GateImages(255 - spoilt.pixels, *spoilt_of(spoilt)), "test")
    assert refuses_too_many(file)
    assert "unlike_training 80" in judged_text(file)


def spoilt_of(found: GateImages) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    return found.labels, found.groups


@pytest.mark.parametrize("count, enough", [(9, False), (10, True)])
def test_twenty_images_are_the_fewest(count: int, enough: bool) -> None:
    if enough:
        assert fit_gates("any", images(count), none(), none(), "test").quality
        return
    with pytest.raises(DatasetError, match="need 20 training and validation images at least; got 18"):
        fit_gates("any", images(count), none(), none(), "test")


def test_distances_are_to_prototypes_made_without_the_field() -> None:
    """A field in two images, one of them far from all others: with its twin in the fit it would be near."""
    values = np.random.default_rng(0).normal(0, 1, (40, len(fitted().novelty["appearance"].numbers)))
    values[:2] += 50
    labels = np.array(["a"] * 40)
    together = np.array(["twin", "twin", *(f"f{i}" for i in range(38))])
    apart = np.array([f"f{i}" for i in range(40)])
    near, far = (turn_distances("appearance", values, labels, groups)[:2].min() for groups in (apart, together))
    assert far > near


def test_one_field_cannot_take_turns() -> None:
    own = images(12)
    with pytest.raises(DatasetError, match="two microscope fields at least"):
        fit_gates("any", GateImages(own.pixels, own.labels, np.array(["one"] * 24)), none(), none(), "test")
