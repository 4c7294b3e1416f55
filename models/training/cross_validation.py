"""Cross-validation of a recipe: every image is judged once, by a network that did not learn from it.

What it judges is a shortened recipe and not the shipped network: three networks a scheme, for three schemes, trained as
long as the shipped one would take days. Compared with each other, the schemes say how much of an accuracy is owed to
having seen the same field, or the same stretch of the collection, in training.

A killed run continues: finished folds are read from the working folder, and the fold that was interrupted goes on from
its last epoch.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import to_builtins

from edge.inference.benign import recorded
from edge.inference.contract import InputContract, Pixels
from models.data.dataset import Sample
from models.data.folds import assign_folds, most_folds
from models.errors import CrossValidationError
from models.networks.prediction import predictor
from models.statistics.validation import confusion_matrix
from models.support.records import write_json
from models.training.augmentation import Augmentation
from models.training.batches import LabelledPixels
from models.training.checkpoint import history
from models.training.cross_validation_record import (
    RECORD_FORMAT,
    ChosenEpoch,
    FoldImages,
    FoldScore,
    SchemeRecord,
    SettingRecord,
    score,
)
from models.training.loop import train
from models.training.recipe import RECIPES, Recipe, Stage
from models.training.training_record import best_epoch

_log = logging.getLogger(__name__)

VALIDATION = 8  # one part in so many of what a fold leaves for training chooses the best epoch
_STAGES: dict[str, tuple[Stage, ...]] = {
    "mobilenet_v2": (
        Stage("head", "head", epochs=1, learning_rate=2e-3),
        Stage("fine-tune", "block_3_", epochs=3, learning_rate=1e-4),
    ),
    "custom_cnn": (Stage("from scratch", "all", epochs=12, learning_rate=2e-3, warmup=1.0),),
}
# An average over a hundred steps would still hold much of what a run this short began with, so it is over twenty; and
# batch norms would not have caught up with the weights by its end, so they stay as they came.
SHORT_RECIPES: dict[str, Recipe] = {
    name: replace(
        RECIPES[name],
        stages=stages,
        augmentation=Augmentation().scaled(0.5),
        ema=0.95,
        freeze_batch_norm=name == "mobilenet_v2",
    )
    for name, stages in _STAGES.items()
}


@dataclass(frozen=True)
class Setting:
    """What is trained in every fold.

    Attributes:
        network: "mobilenet_v2" or "custom_cnn"; weights: of its backbone (.h5), None for random ones.
        contract: how pixels become inputs; recipe: its seed also divides the images.
        folds: how many.
    """

    network: str
    contract: InputContract
    recipe: Recipe
    weights: Path | None = None
    folds: int = 3

    def to_record(self) -> SettingRecord:
        """As it stands in the record."""
        return SettingRecord(
            network=self.network,
            recipe=self.recipe.to_record(),
            epochs={stage.name: stage.epochs for stage in self.recipe.stages},
            weights_sha256=hashlib.sha256(self.weights.read_bytes()).hexdigest() if self.weights else None,
            contract=json.loads(self.contract.to_json()),
            folds=self.folds,
        )

    def network_to_train(self) -> Any:
        """A new Keras model, the same on every call."""
        import keras

        from models.networks.architectures import custom_cnn, mobilenet_v2

        keras.utils.set_random_seed(self.recipe.seed)
        size, classes = self.contract.size, len(self.contract.labels)
        if self.network == "custom_cnn":
            return custom_cnn(size, classes)
        return mobilenet_v2(size, classes, weights=self.weights)


@dataclass(frozen=True)
class Images:
    """All images of a set: samples, pixels uint8 (N, H, W, 3) RGB, truth int (N,), groups sha256 to field."""

    samples: tuple[Sample, ...]
    pixels: Pixels
    truth: npt.NDArray[np.int64]
    groups: Mapping[str, str]

    def labelled(self, which: npt.NDArray[np.int64]) -> LabelledPixels:
        """Those at the positions `which`."""
        return LabelledPixels(self.pixels[which], self.truth[which])


def cross_validate(setting: Setting, scheme: str, images: Images, working: Path) -> SchemeRecord:
    """Train and judge every fold of one scheme.

    Args:
        setting: of the training.
        scheme: one of `models.data.folds.SCHEMES`.
        images: all of them; each is in one test fold.
        working: folder for what a killed run continues from; every setting has its own part of it.

    Raises:
        FoldError: the images cannot be divided so.
        TrainingError, CrossValidationError: a fold cannot continue from what lies in `working`.
    """
    fold_of = assign_folds(images.samples, images.groups, scheme, setting.folds, setting.recipe.seed)
    about = setting.to_record()
    facts = [RECORD_FORMAT, to_builtins(about), sorted(fold_of.items())]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    folder = working / f"{scheme}-{key.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for fold in range(setting.folds):
        name, path = f"{scheme}, fold {fold + 1} of {setting.folds}", folder / f"fold-{fold + 1}.json"
        if path.is_file():
            results.append(_read(path))
            _log.info(f"{name}: done before, {results[-1]}")
            continue
        results.append(_train_fold(setting, scheme, images, fold_of, fold, folder / f"fold-{fold + 1}"))
        write_json(path, to_builtins(results[-1]))
        shutil.rmtree(folder / f"fold-{fold + 1}")  # networks that nothing asks for again
        _log.info(f"{name}: {results[-1]}")
    labels, benign = setting.contract.labels, setting.contract.benign_labels
    accuracies = [result.correct / result.images for result in results]
    return SchemeRecord(
        setting=about,
        images={label: int(n) for label, n in zip(labels, np.bincount(images.truth), strict=True)},
        fields=len({images.groups[sample.sha256] for sample in images.samples}),
        folds=tuple(results),
        pooled=score(labels, np.sum([result.confusion for result in results], axis=0), benign),
        accuracy_range=(min(accuracies), max(accuracies)),
        benign=recorded(benign),
    )


def divide(
    images: Images, fold_of: Mapping[str, int], scheme: str, fold: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions that train, validate and are held out in `fold`; the scheme keeps all three apart."""
    held = np.array([fold_of[sample.sha256] == fold for sample in images.samples])
    rest = np.flatnonzero(~held)
    left = [images.samples[i] for i in rest]
    parts = max(2, min(VALIDATION, most_folds(left, images.groups, scheme)))
    inner = assign_folds(left, images.groups, scheme, parts, seed)
    validates = np.array([inner[images.samples[i].sha256] == 0 for i in rest])
    return rest[~validates], rest[validates], np.flatnonzero(held)


def _train_fold(
    setting: Setting,
    scheme: str,
    images: Images,
    fold_of: Mapping[str, int],
    fold: int,
    folder: Path,
) -> FoldScore:
    """Scores of the held-out images of one fold."""
    import keras

    training, validation, held = divide(images, fold_of, scheme, fold, setting.recipe.seed)
    _log.info(
        f"{scheme}, fold {fold + 1} of {setting.folds}: training {setting.network} on {len(training)} images, "
        f"validating on {len(validation)}, {len(held)} held out"
    )
    keras.backend.clear_session()  # what earlier folds left in the process
    best = train(
        setting.network_to_train(),
        setting.contract,
        images.labelled(training),
        images.labelled(validation),
        setting.recipe,
        folder,
    )
    epochs = history(folder)
    best_one = best_epoch(epochs)
    judged = keras.saving.load_model(best, compile=False)
    called = predictor(judged, setting.contract)(images.pixels[held]).argmax(axis=1)
    labels = setting.contract.labels
    return msgspec.structs.replace(
        score(labels, confusion_matrix(images.truth[held], called, len(labels)), setting.contract.benign_labels),
        fold=fold + 1,
        counts=FoldImages(len(training), len(validation), len(held)),
        chosen=ChosenEpoch(best_one.stage, best_one.epoch, best_one.val_loss, best_one.val_accuracy),
        seconds=sum(epoch.seconds for epoch in epochs),
    )


def _read(path: Path) -> FoldScore:
    try:
        return msgspec.json.decode(path.read_bytes(), type=FoldScore)
    except msgspec.DecodeError as error:
        raise CrossValidationError(f"{path}: damaged ({error}); remove it") from error
