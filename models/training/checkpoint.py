"""Checkpoints of a training run: the files from which a killed run continues."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from edge.inference.contract import InputContract
from edge.system.files import write_whole
from models.errors import TrainingError
from models.training.batches import LabelledPixels
from models.training.recipe import Recipe

STATE_FILE = "state.json"


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """What an epoch came to, as in the `history` of `training.json`: losses, shares of images named rightly, 0..1.

    Attributes:
        loss, accuracy: of the augmented training images.
        val_loss: mean over the views of the validation images; an accuracy each: as they are, augmented ("drawn") and
            on another background ("exchanged"). Earlier versions had fewer views.
    """

    stage: str
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_drawn_accuracy: float | UnsetType = UNSET
    val_exchanged_accuracy: float | UnsetType = UNSET
    seconds: float


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a run stands: `state.json`.

    Attributes:
        identity: hash of start, recipe, contract and images; recipe: as `Recipe.to_record`.
        stage, epoch: the next ones. best: lowest validation loss yet; waited: epochs since.
    """

    identity: str
    recipe: dict[str, Any]
    stage: int
    epoch: int
    best: float
    waited: int
    has_checkpoint: bool
    history: list[Epoch]
    finished: bool = False

    def append(self, found: Epoch) -> None:
        """Add an epoch, and count those without a better validation loss."""
        self.history.append(found)
        if found.val_loss < self.best:
            self.best, self.waited = found.val_loss, 0
        else:
            self.waited += 1


class Checkpoint:
    """The folder of a run: `best.keras`, `checkpoint.keras`, `optimizer.npz` and `state.json`."""

    def __init__(self, folder: Path, model: Any, state: State) -> None:
        self._folder, self._model, self.state = folder, model, state

    @classmethod
    def open(
        cls, folder: Path, model: Any, recipe: Recipe, contract: InputContract, parts: Sequence[LabelledPixels]
    ) -> "Checkpoint":
        """The run in `folder`, or a new one.

        Raises:
            TrainingError: `folder` holds a damaged run, or one of another recipe, start or images.
        """
        folder.mkdir(parents=True, exist_ok=True)
        identity, path = _identity(model, recipe, contract, parts), folder / STATE_FILE
        if not path.is_file():
            state = State(
                identity=identity,
                recipe=recipe.to_record(),
                stage=0,
                epoch=0,
                best=float(np.finfo(np.float64).max),
                waited=0,
                has_checkpoint=False,
                history=[],
            )
            return cls(folder, model, state)
        try:
            state = msgspec.json.decode(path.read_bytes(), type=State)
        except msgspec.MsgspecError as error:
            raise TrainingError(f"{path} is damaged; remove {folder} to start anew") from error
        if state.identity != identity:
            raise TrainingError(f"{folder} is a run of another recipe, start or images; name another folder")
        return cls(folder, model, state)

    @property
    def best(self) -> Path:
        """The network of the best epoch."""
        return self._folder / "best.keras"

    def save(self, stage: int, epoch: int, network: bool = True) -> None:
        """Network and optimizer first, then the state that names them: a kill in between repeats an epoch at most."""
        if network:
            save_network(self._model, self._folder / "checkpoint.keras")
            arrays = {f"{i:05d}": v.numpy() for i, v in enumerate(self._model.optimizer.variables)}
            temporary = self._folder / "optimizer.tmp.npz"
            np.savez(temporary, **arrays)
            temporary.replace(self._folder / "optimizer.npz")
        self.state.stage, self.state.epoch, self.state.has_checkpoint = stage, epoch, True
        self._write_state()

    def restore(self, optimizer: Any = None) -> None:
        """Weights into the network, and into `optimizer`, built for it, what it knew."""
        import keras

        if self.state.has_checkpoint:
            saved = keras.saving.load_model(self._folder / "checkpoint.keras", compile=False)
            self._model.set_weights(saved.get_weights())
        if optimizer is not None:
            with np.load(self._folder / "optimizer.npz") as stored:
                for variable, key in zip(optimizer.variables, sorted(stored.files), strict=True):
                    variable.assign(stored[key])

    def finish(self) -> None:
        """Take the optimizer, three quarters of the file, out of the best network."""
        import keras

        if not self.state.finished:
            save_network(keras.saving.load_model(self.best, compile=False), self.best)
            self.state.finished = True
            self._write_state()

    def _write_state(self) -> None:
        write_whole(self._folder / STATE_FILE, json.dumps(msgspec.to_builtins(self.state), indent=1))


def history(folder: Path) -> list[Epoch]:
    """The epochs of the run in `folder`, oldest first."""
    return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=State).history


def save_network(model: Any, path: Path) -> None:
    """Write a network whole or not at all, without its optimizer."""
    temporary = path.with_name(f"{path.stem}.tmp.keras")
    model.save(temporary, include_optimizer=False)
    temporary.replace(path)


def _identity(model: Any, recipe: Recipe, contract: InputContract, parts: Sequence[LabelledPixels]) -> str:
    digest = hashlib.sha256(
        model.name.encode() + json.dumps(recipe.to_record(), sort_keys=True).encode() + contract.to_json().encode()
    )
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    for part in parts:
        digest.update(part.pixels.tobytes() + part.truth.tobytes())
    return digest.hexdigest()
