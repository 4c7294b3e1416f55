"""Training learns, and a killed run continues as if it had not been killed."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from edge.inference.contract import InputContract
from models.errors import TrainingError
from models.networks.prediction import predictor
from models.training.augmentation import Augmentation
from models.training.background_swap import BackgroundSwap
from models.training.batches import LabelledPixels, class_weights
from models.training.checkpoint import history
from models.training.loop import train
from models.training.optimization import cautious_loss, set_trainable
from models.training.recipe import Recipe, Stage

CONTRACT = InputContract((32, 32), ("dark", "light"))
PLAIN = Augmentation().scaled(0)
RECIPE = Recipe(
    stages=(Stage("only", "all", epochs=4, learning_rate=5e-2, warmup=0.0),),
    batch=8,
    ema=0.5,
    augmentation=PLAIN,
)


def images(count: int, seed: int) -> LabelledPixels:
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    pixels = rng.integers(0, 100, (count, 32, 32, 3), np.uint8) + (truth * 140).astype(np.uint8)[:, None, None, None]
    return LabelledPixels(pixels, truth)


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x), name="tiny")


def test_it_learns_and_writes_its_history(tmp_path: Path) -> None:
    best = train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path)
    probabilities = predictor(keras.saving.load_model(best), CONTRACT)(images(16, 3).pixels)
    assert (probabilities.argmax(1) == images(16, 3).truth).mean() == 1.0
    assert [record.epoch for record in history(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("killed_in_epoch", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_run_ends_in_the_same_weights(tmp_path: Path, killed_in_epoch: int, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    whole = train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path / "whole")
    import models.training.loop as module

    calls = {"n": 0}
    real = module.predictor

    def dies(*arguments):  # type: ignore[no-untyped-def]
        predict = real(*arguments)

        def counted(pixels):  # type: ignore[no-untyped-def]
            calls["n"] += 1
            if calls["n"] > 2 * killed_in_epoch:  # each epoch predicts twice: validation images plain and augmented
                raise KeyboardInterrupt
            return predict(pixels)

        return counted

    monkeypatch.setattr(module, "predictor", dies)
    with pytest.raises(KeyboardInterrupt):
        train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path / "killed")
    monkeypatch.setattr(module, "predictor", real)
    resumed = train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path / "killed")
    for one, two in zip(*(keras.saving.load_model(p).get_weights() for p in (whole, resumed)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    assert len(history(tmp_path / "killed")) == len(history(tmp_path / "whole"))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path)
    before = (tmp_path / "best.keras").read_bytes()
    train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path)
    assert (tmp_path / "best.keras").read_bytes() == before
    assert len(history(tmp_path)) == 4


def test_another_recipe_or_other_images_do_not_continue_a_run(tmp_path: Path) -> None:
    train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path)
    with pytest.raises(TrainingError, match="another"):
        train(network(), CONTRACT, images(40, 1), images(16, 2), replace(RECIPE, seed=8), tmp_path)
    with pytest.raises(TrainingError, match="another"):
        train(network(), CONTRACT, images(40, 9), images(16, 2), RECIPE, tmp_path)


def test_another_start_does_not_continue_a_run(tmp_path: Path) -> None:
    train(network(), CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path)
    other = network()
    other.set_weights([w + 0.1 for w in other.get_weights()])
    with pytest.raises(TrainingError, match="another recipe, start or images"):
        train(other, CONTRACT, images(40, 1), images(16, 2), RECIPE, tmp_path)


def test_an_epoch_is_judged_on_augmented_images_too(tmp_path: Path) -> None:
    dark = replace(PLAIN, most=12, exposure=1.0)  # up to all light lost: light images become dark ones
    train(network(), CONTRACT, images(40, 1), images(16, 2), replace(RECIPE, augmentation=dark), tmp_path)
    last = history(tmp_path)[-1]
    assert last.val_drawn_accuracy < 1.0


def test_images_without_a_class_are_not_counted_as_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the images lose their class: the other half is still learned, and the record tells the share of those."""
    import models.training.background_swap as cells

    def found(pixels: np.ndarray) -> cells.CellFields:
        return cells.CellFields(pixels, np.ones(pixels.shape[:3], bool))

    monkeypatch.setattr(cells.CellFields, "of", found)
    recipe = replace(
        RECIPE, background_swap=BackgroundSwap(foreign_ground=0.0, without_cells=0.5, covered_elsewhere=0.0)
    )
    train(network(), CONTRACT, images(40, 1), images(16, 2), recipe, tmp_path)
    last = history(tmp_path)[-1]
    assert last.accuracy == 1.0
    assert last.val_accuracy == 1.0
    assert 0 <= last.val_exchanged_accuracy <= 1


def test_caution_makes_a_wrong_benign_dear_and_nothing_else() -> None:
    recipe, labels = replace(RECIPE, label_smoothing=0.0), ("Benign", "Early", "Pre")
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]], np.float32)
    outputs = np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.5, 0.3, 0.2]], np.float32)
    plain, cautious = (
        np.asarray(cautious_loss(replace(recipe, caution=c), labels, labels[:1])(targets, outputs)) for c in (0.0, 2.0)
    )
    np.testing.assert_allclose(cautious - plain, [0, -2 * np.log(0.5), -2 * np.log(0.8), 0], atol=1e-5)
    others = np.asarray(cautious_loss(replace(recipe, caution=2.0), ("dark", "light", "grey"), ())(targets, outputs))
    np.testing.assert_allclose(others, plain, atol=1e-6)  # no class of that name


def test_early_stopping_ends_a_stage(tmp_path: Path) -> None:
    still = replace(RECIPE, stages=(Stage("only", "all", epochs=9, learning_rate=1e-9, warmup=0.0),), patience=2)
    train(network(), CONTRACT, images(16, 1), images(16, 2), replace(still, ema=0.0001), tmp_path)
    assert len(history(tmp_path)) < 9


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    wild = replace(RECIPE, stages=(Stage("only", "all", epochs=2, learning_rate=float("1e38"), warmup=0.0),))
    with pytest.raises(TrainingError, match="not a number"):
        train(network(), CONTRACT, images(40, 1), images(16, 2), wild, tmp_path)


def test_state_is_readable_json(tmp_path: Path) -> None:
    train(network(), CONTRACT, images(16, 1), images(16, 2), RECIPE, tmp_path)
    assert json.loads((tmp_path / "state.json").read_text())["recipe"]["batch"] == 8


def test_class_weights_balance() -> None:
    truth = np.array([0, 0, 0, 1])
    weights = class_weights(truth, 2)
    assert weights[truth].mean() == pytest.approx(1)
    assert 3 * weights[0] == pytest.approx(weights[1])
    with pytest.raises(TrainingError, match="every class"):
        class_weights(truth, 3)


@pytest.mark.parametrize(("freeze", "moves"), [(True, False), (False, True)])
def test_batch_norms_of_the_backbone_move_only_where_the_recipe_lets_them(freeze: bool, moves: bool) -> None:
    """Also a guard for `freeze_batch_norm`'s reason: Keras lets a nested model's batch norms learn by themselves."""
    import keras

    from models.networks.architectures import mobilenet_v2

    model = mobilenet_v2((32, 32), 2, alpha=0.35)
    set_trainable(model, "block_3_", freeze)
    model.compile(keras.optimizers.SGD(1e-3), loss="categorical_crossentropy")
    norms = [one for one in model.get_layer("backbone").layers if isinstance(one, keras.layers.BatchNormalization)]
    before = [norm.moving_mean.numpy() for norm in norms]
    inputs = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    model.train_on_batch(inputs, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]])
    moved = [not np.array_equal(old, norm.moving_mean.numpy()) for old, norm in zip(before, norms, strict=True)]
    assert any(moved) == moves
    assert not all(moved)  # what comes before the learning part stays in either case
