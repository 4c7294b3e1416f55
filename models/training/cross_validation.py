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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.system.files import write_whole
from models.data.dataset import Sample
from models.data.folds import SCHEMES, assign_folds, most_folds
from models.errors import ModelsError
from models.networks.prediction import predictor
from models.statistics.intervals import wilson
from models.statistics.validation import confusion_matrix
from models.training.augmentation import Augmentation
from models.training.batches import LabelledPixels
from models.training.checkpoint import history
from models.training.loop import train
from models.training.recipe import RECIPES, Recipe, Stage

_log = logging.getLogger(__name__)

RECORD_FORMAT = 1
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


class CrossValidationError(ModelsError, ValueError):
    """A cross-validation that cannot go on, or a record that is none. Cure: what the message names."""


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

    def to_record(self) -> dict[str, Any]:
        """JSON-safe; with the fold of every image it determines the result."""
        return {
            "network": self.network,
            "recipe": self.recipe.to_record(),
            "epochs": {stage.name: stage.epochs for stage in self.recipe.stages},
            "weights_sha256": hashlib.sha256(self.weights.read_bytes()).hexdigest() if self.weights else None,
            "contract": json.loads(self.contract.to_json()),
            "folds": self.folds,
        }

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


def cross_validate(setting: Setting, scheme: str, images: Images, working: Path, benign: str | None) -> dict[str, Any]:
    """Train and judge every fold of one scheme.

    Args:
        setting: of the training.
        scheme: one of `models.data.folds.SCHEMES`.
        images: all of them; each is in one test fold.
        working: folder for what a killed run continues from; every setting has its own part of it.
        benign: the label whose confusion with the others is counted, or None.

    Returns:
        JSON-safe record: setting, images (label -> count), fields, folds (a list: see `_train_fold`), pooled (`score`
        of all folds together) and accuracy_range over the folds.

    Raises:
        FoldError: the images cannot be divided so.
        TrainingError, CrossValidationError: a fold cannot continue from what lies in `working`.
    """
    fold_of = assign_folds(images.samples, images.groups, scheme, setting.folds, setting.recipe.seed)
    about = setting.to_record()
    key = hashlib.sha256(json.dumps([RECORD_FORMAT, about, sorted(fold_of.items())], sort_keys=True).encode())
    folder = working / f"{scheme}-{key.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for fold in range(setting.folds):
        path = folder / f"fold-{fold + 1}.json"
        if path.is_file():
            results.append(_read(path))
            _log.info(f"{scheme}, fold {fold + 1} of {setting.folds}: done before, {_line(results[-1])}")
            continue
        results.append(_train_fold(setting, scheme, images, fold_of, fold, folder / f"fold-{fold + 1}", benign))
        write_whole(path, json.dumps(results[-1], indent=1, allow_nan=False) + "\n")
        shutil.rmtree(folder / f"fold-{fold + 1}")  # networks that nothing asks for again
        _log.info(f"{scheme}, fold {fold + 1} of {setting.folds}: {_line(results[-1])}")
    labels = setting.contract.labels
    accuracies = [result["accuracy"] for result in results]
    return {
        "setting": about,
        "images": {label: int(n) for label, n in zip(labels, np.bincount(images.truth), strict=True)},
        "fields": len({images.groups[sample.sha256] for sample in images.samples}),
        "folds": results,
        "pooled": score(labels, np.sum([result["confusion"] for result in results], axis=0), benign),
        "accuracy_range": [min(accuracies), max(accuracies)],
    }


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


def score(labels: Sequence[str], confusion: npt.ArrayLike, benign: str | None) -> dict[str, Any]:
    """Counts and shares of a confusion matrix, integer (C, C), rows true; intervals are Wilson's, 95 %.

    Images that share a field count as independent ones, so intervals are somewhat too narrow.
    """
    table = np.asarray(confusion, np.int64)
    images, correct = int(table.sum()), int(np.trace(table))
    recall = {
        label: {"correct": int(row[k]), "images": int(row.sum()), **_share("recall", int(row[k]), int(row.sum()))}
        for k, (label, row) in enumerate(zip(labels, table, strict=True))
    }
    missed = None
    if benign is not None:
        column = list(labels).index(benign)
        missed = int(table[:, column].sum() - table[column, column])
    return {
        "images": images,
        "correct": correct,
        **_share("accuracy", correct, images),
        "recall": recall,
        "malignant_to_benign": missed,
        "confusion": table.tolist(),
    }


def merged(path: Path, network: str, schemes: Mapping[str, Any]) -> dict[str, Any]:
    """The record at `path`, if there is one, with `schemes` put in place of its own of these names.

    Raises:
        CrossValidationError: what lies there is no such record, or one of another network.
    """
    entries: dict[str, Any] = {}
    if path.is_file():
        record = _read(path)
        if record.get("format") != RECORD_FORMAT or not isinstance(record.get("schemes"), dict):
            raise CrossValidationError(f"--out must name a new file or a cross-validation record; {path} is neither")
        if record.get("network") != network:
            raise CrossValidationError(f"{path} is a record of {record.get('network')}, not of {network}")
        entries = record["schemes"]
    entries = {**entries, **schemes}
    return {
        "format": RECORD_FORMAT,
        "network": network,
        "schemes": {scheme: entries[scheme] for scheme in SCHEMES if scheme in entries},
    }


def to_text(record: Mapping[str, Any]) -> str:
    """The schemes beside each other, a Markdown table."""
    entries = record["schemes"]
    labels = list(next(iter(entries.values()))["pooled"]["recall"])
    recalls = " | ".join(f"recall {label}" for label in labels)
    lines = [
        f"| folds | images | accuracy, 95 % interval | worst and best fold | {recalls} | malignant called Benign |",
        "|---" * (5 + len(labels)) + "|",
    ]
    for scheme, entry in entries.items():
        pooled = entry["pooled"]
        worst, best = entry["accuracy_range"]
        accuracy = [100 * value for value in (pooled["accuracy"], *pooled["accuracy_interval"])]
        cells = [
            f"{len(entry['folds'])} by {scheme}" if scheme != "random" else f"{len(entry['folds'])} at random",
            str(pooled["images"]),
            "{:.2f} % ({:.2f} to {:.2f})".format(*accuracy),
            f"{100 * worst:.2f}, {100 * best:.2f} %",
            *(f"{100 * pooled['recall'][label]['recall']:.1f} %" for label in labels),
            "-" if pooled["malignant_to_benign"] is None else str(pooled["malignant_to_benign"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _train_fold(
    setting: Setting,
    scheme: str,
    images: Images,
    fold_of: Mapping[str, int],
    fold: int,
    folder: Path,
    benign: str | None,
) -> dict[str, Any]:
    """`score` of the held-out images, with counts (train, validation, test), the chosen epoch and seconds an epoch."""
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
    chosen = min(epochs, key=lambda epoch: epoch.val_loss)
    judged = keras.saving.load_model(best, compile=False)
    called = predictor(judged, setting.contract)(images.pixels[held]).argmax(axis=1)
    labels = setting.contract.labels
    return {
        "fold": fold + 1,
        "counts": {"train": len(training), "validation": len(validation), "test": len(held)},
        "chosen": {name: getattr(chosen, name) for name in ("stage", "epoch", "val_loss", "val_accuracy")},
        "seconds": sum(epoch.seconds for epoch in epochs),
        **score(labels, confusion_matrix(images.truth[held], called, len(labels)), benign),
    }


def _share(name: str, count: int, total: int) -> dict[str, Any]:
    if not total:
        return {name: None, f"{name}_interval": None}
    return {name: count / total, f"{name}_interval": wilson(count, total).to_record()}


def _line(result: Mapping[str, Any]) -> str:
    missed = result["malignant_to_benign"]
    said = "" if missed is None else f", malignant called Benign {missed}"
    return f"{100 * result['accuracy']:.2f} % of {result['images']} held-out images right{said}"


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except ValueError as error:
        raise CrossValidationError(f"{path}: damaged, not JSON; remove it") from error
    if not isinstance(record, dict):
        raise CrossValidationError(f"{path}: must hold a JSON object; remove it")
    return record
