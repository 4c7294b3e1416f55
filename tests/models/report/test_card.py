"""Model cards: what they say of a training is what its record says, whatever version of `models train` wrote it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.data.published import trained
from models.report import card_training
from models.report.card import CardError, card
from models.training.augmentation import Augmentation
from models.training.recipe import FURTHER, RECIPES
from models.training.training_record import TrainingRecord

OLDER = {"exchange_corner": 0.5, "scale": 0.15, "stain": 0.04, "brightness": 0.1, "blur": 1.2}  # keys of version 0.0


def epoch(number: int, loss: float, **more: float) -> dict[str, Any]:
    shares = {"loss": 0.5, "accuracy": 0.9, "val_accuracy": 0.97, **more}
    return {"stage": "further", "epoch": number, "val_loss": loss, **shares, "seconds": 60.0}


def record(recipe: Any = None, **more: Any) -> dict[str, Any]:
    """A training record of today, of two epochs."""
    return {
        "network": "mobilenet_v2",
        "weights_sha256": None,
        "split_sha256": "a" * 64,
        "field_disjoint": True,
        "images": {"train": 100, "validation": 20},
        "versions": {},
        "recipe": (recipe or RECIPES["mobilenet_v2"]).to_record(),
        "history": [epoch(1, 0.2), epoch(2, 0.1)],
        "started_from": None,
        **more,
    }


def training_text(found: dict[str, Any]) -> str:
    return card_training.training_text(msgspec.convert(found, TrainingRecord), "Benign")


def test_caution_against_a_wrong_benign_is_told() -> None:
    assert "added for malignant images" not in training_text(record())
    assert "with 1 times -log(1 - p(Benign)) added for malignant images" in training_text(
        record(FURTHER["mobilenet_v2"])
    )


def older() -> dict[str, Any]:
    """A record from before augmentation was widened: other keys, no lineage."""
    found = record()
    del found["started_from"], found["recipe"]["lessons"]
    found["recipe"]["augmentation"] = dict(OLDER)
    return found


def test_augmentation_of_today_is_named_with_its_values() -> None:
    text = training_text(record())
    for said in ("magnification (40 %)", "motion (14 pixels)", "JPEG quality (down to 12)", "specks and fibres (10)"):
        assert said in text
    assert "With a chance of 0.15 nothing else does" in text and "at most 4 at once" in text
    assert "with a chance of 0.2 a bar, box or text" in text and "With a chance of 0.3 mean and spread" in text
    assert "began with" not in text and "white cells" not in text


def test_every_setting_of_the_augmentation_is_told() -> None:
    """A setting that is added later and not put into words is told by its key."""
    base = record()
    before = training_text(base)
    for name, value in asdict(Augmentation()).items():
        changed = record()
        changed["recipe"]["augmentation"][name] = value / 2
        assert training_text(changed) != before, name
    base["recipe"]["augmentation"]["bubbles"] = 0.7
    assert "bubbles (0.7)" in training_text(base)


def test_what_was_left_out_is_not_told() -> None:
    """Negative control."""
    changed = record()
    changed["recipe"]["augmentation"].update(overlay=0.0, exchange_stain=0.0, drag=0.0)
    text = training_text(changed)
    assert "bar, box or text" not in text and "motion" not in text and "mean and spread" not in text


def test_an_older_record_is_told_as_it_is() -> None:
    text = training_text(older())
    assert "brightness (10 %)" in text and "defocus (1.2 pixels)" in text and "exchanged with another image's" in text
    for absent in ("motion", "at once", "bar, box or text", "began with", "white cells"):
        assert absent not in text


def test_background_swaps_are_told_where_there_were_any() -> None:
    text = training_text(record(FURTHER["mobilenet_v2"]))
    chances = FURTHER["mobilenet_v2"].background_swap
    assert f"chance of {chances.foreign_ground:g} it shows its white cells before the ground of another image" in text
    assert f"chance of {chances.without_cells:g} it has its white cells covered, and belongs to no class" in text
    none = training_text(record())
    assert "belongs to no class" not in none


def test_the_networks_before_it_are_told_back_to_the_first() -> None:
    first = older()
    second = record(started_from={"model_sha256": "b" * 64, "training": first})
    third = record(FURTHER["mobilenet_v2"], started_from={"model_sha256": "c" * 64, "training": second})
    text = training_text(third)
    assert text.index("c" * 16) < text.index("b" * 16) < text.index("brightness (10 %)")
    assert text.count("It began with an earlier network") == 2
    unknown = training_text(record(started_from={"model_sha256": "d" * 64, "training": None}))
    assert f"(sha256 `{'d' * 16}`), of whose training nothing is known" in unknown


def test_the_epoch_that_was_kept() -> None:
    history = [epoch(1, 0.3), epoch(2, 0.1, val_drawn_accuracy=0.9, val_exchanged_accuracy=0.8), epoch(3, 0.2)]
    text = training_text(record(history=history))
    assert "Kept: epoch 2 of the stage further" in text
    assert "97.00 % of them, 90.00 % augmented and 80.00 % with their white cells before" in text
    assert "97.00 % of them. Test" in training_text(older())


def test_the_card_holds_it(tmp_path: Path) -> None:
    folder = shutil.copytree(trained("mobilenet_v2"), tmp_path / "network", ignore=shutil.ignore_patterns("*.keras"))
    training = json.loads((folder / "training.json").read_text())
    assert training_text(training) in card(folder)


@pytest.mark.parametrize(
    "broken",
    [
        {"history": []},
        {"recipe": {}},
        {"started_from": {"model_sha256": "e" * 64}},
        {"started_from": {"model_sha256": "e" * 64, "training": "lost"}},
        {"history": [{"epoch": 1}]},
    ],
    ids=str,
)
def test_a_record_that_was_not_written_by_train_is_named(tmp_path: Path, broken: dict[str, Any]) -> None:
    folder = shutil.copytree(trained("mobilenet_v2"), tmp_path / "network", ignore=shutil.ignore_patterns("*.keras"))
    training = json.loads((folder / "training.json").read_text()) | broken
    (folder / "training.json").write_text(json.dumps(training))
    with pytest.raises(CardError, match="is not as `models train` writes it"):
        card(folder)
