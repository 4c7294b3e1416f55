"""Training in stages, with checkpoints from which a killed run continues exactly where it stood.

The loop is ours rather than `model.fit` because a resumed run must be the same run: order, augmentation and learning
rate of every step follow from (seed, epoch, step) alone, and the checkpoint holds network, optimizer and history.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from edge.inference.contract import InputContract
from edge.system.progress import Progress
from models.errors import TrainingError
from models.networks.prediction import predictor
from models.training.batches import Batches, LabelledPixels, validation_views
from models.training.checkpoint import Checkpoint, Epoch, save_network
from models.training.optimization import (
    cautious_loss,
    learning_rate,
    named_and_right,
    optimizer,
    set_trainable,
)
from models.training.recipe import Recipe, Stage


def train(
    model: Any,
    contract: InputContract,
    training: LabelledPixels,
    validation: LabelledPixels,
    recipe: Recipe,
    run_dir: Path,
    progress: bool = True,
) -> Path:
    """Train `model`, or continue the run in `run_dir`, and return the path of the best network.

    Args:
        model: compiled or not; softmax over `contract.labels`.
        contract: how pixels become inputs.
        training, validation: prepared images; augmentation touches only `training`.
        recipe: the schedule.
        run_dir: receives `best.keras`, `checkpoint.keras`, `state.json`; a run that matches recipe and data resumes.
        progress: show a bar on a terminal; plain lines elsewhere.

    Raises:
        TrainingError: `run_dir` holds a run of another recipe, start or other data, or the loss is no longer a number.
    """
    run = _Run(model, contract, training, validation, recipe, run_dir)
    run.execute(progress)
    return run.checkpoint.best


class _Run:
    """One training run: its network, its images and where it stands."""

    def __init__(
        self,
        model: Any,
        contract: InputContract,
        training: LabelledPixels,
        validation: LabelledPixels,
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.model, self.contract, self.recipe = model, contract, recipe
        self.checkpoint = Checkpoint.open(folder, model, recipe, contract, (training, validation))
        self.state = self.checkpoint.state
        self._batches = Batches(training, contract, recipe)
        self._views, self._truth = validation_views(validation.pixels, recipe), validation.truth
        self._predict = predictor(model, contract)

    def execute(self, progress: bool) -> None:
        with Progress("training", self.recipe.epochs * len(self._batches), progress) as bar:
            for index, stage in enumerate(self.recipe.stages):
                if index < self.state.stage:
                    bar.advance(stage.epochs * len(self._batches))
                    continue
                self._stage(index, stage, bar)
        self.checkpoint.finish()

    def _stage(self, index: int, stage: Stage, bar: Progress) -> None:
        first = self.state.epoch
        self._compile(stage, resume=first > 0)
        bar.advance(first * len(self._batches))
        for epoch in range(first, stage.epochs):
            if self.state.waited >= self.recipe.patience:
                bar.say(f"stage {stage.name}: no better validation loss for {self.recipe.patience} epochs, ending it")
                bar.advance((stage.epochs - epoch) * len(self._batches))
                break
            found = self._epoch(index, stage, epoch, bar)
            self.state.append(found)
            self.checkpoint.save(index, epoch + 1)
            bar.say(_line(stage, found))
        self.state.waited = 0
        self.checkpoint.save(index + 1, 0, network=index + 1 < len(self.recipe.stages))

    def _epoch(self, index: int, stage: Stage, epoch: int, bar: Progress) -> Epoch:
        start = time.monotonic()
        losses, hits, named = [], 0, 0
        for step, (inputs, targets, weights) in enumerate(self._batches.epoch(index, epoch)):
            self.model.optimizer.learning_rate = learning_rate(stage, epoch + step / len(self._batches))
            loss, accuracy = self.model.train_on_batch(inputs, targets, sample_weight=weights)
            # train_on_batch reports means since the last reset; per-batch values come from resetting each time
            self.model.reset_metrics()
            losses.append(float(loss))
            hits += round(float(accuracy) * len(inputs))
            named += int((targets.max(axis=1) == 1).sum())
            bar.advance(1)
        if not np.isfinite(losses).all():
            raise TrainingError(f"the loss is not a number in {stage.name} epoch {epoch + 1}: lower the learning rate")
        own_weights = self._average_weights()
        said = {name: self._predict(pixels) for name, pixels in self._views.items()}
        found = Epoch(
            stage=stage.name,
            epoch=epoch + 1,
            loss=float(np.mean(losses)),
            accuracy=hits / max(named, 1),
            val_loss=float(np.mean([_cross_entropy(p, self._truth) for p in said.values()])),
            **{f"val_{name}accuracy": float(np.mean(p.argmax(1) == self._truth)) for name, p in said.items()},
            seconds=time.monotonic() - start,
        )
        if found.val_loss < self.state.best:
            save_network(self.model, self.checkpoint.best)
        self._restore_weights(own_weights)
        return found

    def _compile(self, stage: Stage, resume: bool) -> None:
        set_trainable(self.model, stage.trainable, self.recipe.freeze_batch_norm)
        made = optimizer(self.recipe, stage)
        loss = cautious_loss(self.recipe, self.contract.labels, self.contract.benign_labels)
        self.model.compile(made, loss, weighted_metrics=[], metrics=[named_and_right])
        made.build(self.model.trainable_variables)
        self.checkpoint.restore(optimizer=made if resume else None)

    def _average_weights(self) -> list[Any]:
        own = [v.numpy() for v in self.model.trainable_variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return own

    def _restore_weights(self, weights: list[Any]) -> None:
        for variable, value in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(value)


def _cross_entropy(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> float:
    return float(-np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-7, 1)).mean())


def _line(stage: Stage, found: Epoch) -> str:
    exchanged = found.val_exchanged_accuracy
    return (
        f"{stage.name} {found.epoch}/{stage.epochs}: loss {found.loss:.4f} acc {found.accuracy:.4f}  "
        f"validation loss {found.val_loss:.4f} acc {found.val_accuracy:.4f}, "
        f"augmented {found.val_drawn_accuracy:.4f}"
        f"{'' if exchanged is UNSET else f', on another background {exchanged:.4f}'} ({found.seconds:.0f} s)"
    )
