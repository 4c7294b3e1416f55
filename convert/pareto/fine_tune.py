"""The short fine-tune that makes a variant: its start, its recipe, and reuse of a finished one.

Only `models.training.loop` trains. What is here chooses the start and keeps the result under a key of all it follows
from, so that a killed run continues and a repeat trains nothing.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from convert.calibration.evaluation_data import Source
from convert.pareto.grid import VARIED, Variant
from convert.pareto.record import Training
from edge.inference.contract import InputContract
from edge.system.files import write_whole
from models.data.dataset import Sample
from models.support.records import write_json
from models.training.augmentation import Augmentation
from models.training.batches import LabelledPixels
from models.training.checkpoint import history
from models.training.loop import train
from models.training.recipe import FURTHER, Recipe, Stage

_log = logging.getLogger(__name__)

SEED = 7
LEARNING_RATE, BACKBONE_RATE = 3e-4, 5e-4  # of a network that knows the classes, and of a backbone with a new head
CONTRACT, NETWORK, RECORD, CHECKPOINT = "contract.json", "model.keras", "training.json", "checkpoint"


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """A variant to be trained, with what it begins with.

    Attributes:
        start: network file of the same width, or the backbone's weights.
        contract: how an image becomes its input.
    """

    variant: Variant
    start: Path
    contract: InputContract
    recipe: Recipe


def training_plan(variant: Variant, start: Path, shipped: InputContract, epochs: int) -> TrainingPlan:
    """A variant with the shipped contract at its own size; thresholds of a decision are of another network and go."""
    contract = replace(shipped.undecided(), size=(variant.size, variant.size))
    return TrainingPlan(variant, start, contract, recipe(variant, epochs))


def recipe(variant: Variant, epochs: int) -> Recipe:
    """The shipped network's last recipe, shorter: background swaps and caution against a wrong benign included.

    Batch norms keep their statistics, since a short run would be judged with half-learned ones. What augmentation
    measures in pixels shrinks with the image.
    """
    further = FURTHER[VARIED]
    stages: tuple[Stage, ...] = (Stage("further", "all", epochs, LEARNING_RATE, warmup=0.5),)
    if variant.backbone is not None:
        stages = (Stage("fine-tune", "all", epochs, BACKBONE_RATE, warmup=1.0),)
    return replace(
        further,
        stages=stages,
        augmentation=for_size(further.augmentation, variant.size),
        freeze_batch_norm=True,
        seed=SEED,
    )


def for_size(augmentation: Augmentation, size: int) -> Augmentation:
    """The same blur, drag and fringe on the slide at `size` pixels a side as at the shipped 224; never more."""
    share = min(1.0, size / 224)
    return replace(
        augmentation,
        blur=augmentation.blur * share,
        drag=augmentation.drag * share,
        fringe=augmentation.fringe * share,
    )


def trained_file(plan: TrainingPlan, source: Source, folder: Path) -> Path:
    """The trained network's file, from `folder` when it was trained from the same start, recipe and images before.

    Args:
        folder: holds `model.keras`, `contract.json`, `training.json`, and `checkpoint/` until it is done.

    Raises:
        LeukoscopeError: a part of the split without images, weights that do not fit.
        KeyboardInterrupt: the epochs that were finished are kept.
    """
    parts = {part: source.split.samples(source.image_set, part) for part in ("train", "validation")}
    facts = _facts(plan, parts)
    if _done(folder, facts):
        return folder / NETWORK
    _start_anew_unless(folder, facts)
    epochs = sum(stage.epochs for stage in plan.recipe.stages)
    _log.info(
        f"  training {plan.variant.name} from {_said_start(plan)}: {epochs} epochs of {len(parts['train'])} images;"
        " it continues when interrupted"
    )
    best = train(
        _network(plan),
        plan.contract,
        _pixels(parts["train"], plan.contract),
        _pixels(parts["validation"], plan.contract),
        plan.recipe,
        folder / CHECKPOINT,
    )
    write_whole(folder / NETWORK, best.read_bytes())
    write_whole(folder / CONTRACT, plan.contract.to_json())
    record = {
        **facts,
        "network_sha256": _sha256(folder / NETWORK),
        "history": to_builtins(history(folder / CHECKPOINT)),
    }
    write_json(folder / RECORD, record)
    shutil.rmtree(folder / CHECKPOINT)
    return folder / NETWORK


def training_of(folder: Path) -> Training | None:
    """What a comparison says of a variant's training; None of a network that is no variant made here."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        epochs = record["history"]
        return Training(
            width=record["width"],
            start=record["start"],
            epochs=len(epochs),
            seconds=round(sum(epoch["seconds"] for epoch in epochs)),
            validation_accuracy=min(epochs, key=lambda epoch: epoch["val_loss"])["val_accuracy"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _facts(plan: TrainingPlan, parts: dict[str, tuple[Sample, ...]]) -> dict[str, Any]:
    """All that a variant follows from, JSON-safe."""
    return {
        "variant": plan.variant.name,
        "width": plan.variant.width,
        "start": _said_start(plan),
        "start_sha256": _sha256(plan.start),
        "recipe": plan.recipe.to_record(),
        "contract": plan.contract.to_json(),
        "images": {part: len(samples) for part, samples in parts.items()},
        "images_sha256": {
            part: hashlib.sha256("\n".join(f"{s.sha256} {s.label}" for s in samples).encode()).hexdigest()
            for part, samples in parts.items()
        },
    }


def _said_start(plan: TrainingPlan) -> str:
    return f"the backbone {plan.start.name}" if plan.variant.backbone else str(plan.variant.start)


def _done(folder: Path, facts: dict[str, Any]) -> bool:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        same = all(record[key] == value for key, value in facts.items())
        return same and record["network_sha256"] == _sha256(folder / NETWORK)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _start_anew_unless(folder: Path, facts: dict[str, Any]) -> None:
    """A checkpoint of another start, recipe or set of images is of no use; one of the same continues."""
    folder.mkdir(parents=True, exist_ok=True)
    started = folder / "begun.json"  # the name is a file format: folders of older versions hold it
    text = json.dumps(facts, sort_keys=True)
    try:
        same = started.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
        write_whole(started, text)


def _network(plan: TrainingPlan) -> Any:
    """The variant's network with the weights it begins with."""
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    from models.networks.architectures import mobilenet_v2
    from models.networks.loading import load_network

    keras.utils.set_random_seed(SEED)
    classes, width = len(plan.contract.labels), plan.variant.width
    model = mobilenet_v2(plan.contract.size, classes, width, plan.variant.backbone)
    if plan.variant.backbone is None:
        before, _ = load_network(plan.start.parent)
        model.set_weights(before.get_weights())
    return model


def _pixels(samples: Sequence[Sample], contract: InputContract) -> LabelledPixels:
    import numpy as np

    from models.data.dataset import load_pixels

    truth = np.array([contract.labels.index(sample.label) for sample in samples], np.int64)
    return LabelledPixels(load_pixels(samples, contract), truth)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
