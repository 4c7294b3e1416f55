"""The record of a training, `training.json`: recipe, images, epochs, and the network it began with.

Fields that are unset are missing in records of earlier versions.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from models.training.checkpoint import Epoch


class StageRecord(Struct, frozen=True):
    """A `Stage`."""

    name: str
    trainable: str
    epochs: int
    learning_rate: float
    warmup: float


class RecipeRecord(Struct, frozen=True, kw_only=True):
    """A `Recipe` as it was then; `augmentation` and `lessons` (now `BackgroundSwap`) by their names of then."""

    stages: tuple[StageRecord, ...]
    batch: int
    weight_decay: float
    label_smoothing: float
    ema: float
    patience: int
    seed: int
    augmentation: dict[str, int | float]
    lessons: dict[str, float] | UnsetType = UNSET
    caution: float | UnsetType = UNSET
    freeze_batch_norm: bool | UnsetType = UNSET


class ImageCounts(Struct, frozen=True):
    """Images that a network learned from, and those that chose its best epoch."""

    train: int
    validation: int


class Lineage(Struct, frozen=True):
    """The network that a training began with, and that one's own record where it is known."""

    model_sha256: str
    training: "TrainingRecord | None"


class TrainingRecord(Struct, frozen=True, kw_only=True):
    """`training.json`.

    Attributes:
        weights_sha256: of the backbone's weights file, None without one.
        started_from: None for a new network.
    """

    network: Literal["mobilenet_v2", "custom_cnn"]
    weights_sha256: str | None
    started_from: Lineage | UnsetType | None = UNSET
    recipe: RecipeRecord
    split_sha256: str
    field_disjoint: bool
    images: ImageCounts
    history: Annotated[tuple[Epoch, ...], Meta(min_length=1)]
    versions: dict[str, str]

    @property
    def best_epoch(self) -> Epoch:
        """The epoch whose network is the result: lowest validation loss."""
        return best_epoch(self.history)


def best_epoch(history: tuple[Epoch, ...] | list[Epoch]) -> Epoch:
    """The epoch of the lowest validation loss."""
    return min(history, key=lambda epoch: epoch.val_loss)
