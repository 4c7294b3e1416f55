"""The images of a training run: prepared pixels, validation views, and augmented batches prepared ahead of use."""

import math
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edge.inference.contract import FLOAT32, InputContract, Pixels
from models.errors import TrainingError
from models.training.augmentation import Augmentation
from models.training.background_swap import CellFields
from models.training.recipe import Recipe

Item = TypeVar("Item")
Floats = npt.NDArray[np.float32]
_VALIDATION_DRAW = 1_000_000  # where a training draw's seed has the stage: no draw serves both


@dataclass(frozen=True)
class LabelledPixels:
    """Prepared images, uint8 (N, H, W, 3) RGB, and their class indices, int (N,)."""

    pixels: Pixels
    truth: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.truth) or not len(self.truth):
            raise TrainingError(
                f"pixels and truth must be of one length >= 1; got {len(self.pixels)}, {len(self.truth)}"
            )


class Batches:
    """Augmented batches of training images; the same for the same recipe, stage and epoch."""

    def __init__(self, training: LabelledPixels, contract: InputContract, recipe: Recipe) -> None:
        self._training, self._contract, self._recipe = training, contract, recipe
        self._fields = CellFields.of(training.pixels) if recipe.background_swap.total else None
        self._classes = len(contract.labels)

    def __len__(self) -> int:
        """Batches an epoch."""
        return math.ceil(len(self._training.truth) / self._recipe.batch)

    def epoch(self, stage: int, epoch: int) -> Iterator[tuple[Floats, Floats, Floats]]:
        """(inputs, one-hot targets, sample weights) of one epoch, prepared one batch ahead in a second thread."""
        truth, seed = self._training.truth, self._recipe.seed
        order = np.random.default_rng([seed, stage, epoch]).permutation(len(truth))
        balance = class_weights(truth, self._classes)

        def make(start: int) -> tuple[Floats, Floats, Floats]:
            chosen = order[start : start + self._recipe.batch]
            draws = [self._draw(int(i), np.random.default_rng([seed, stage, epoch, int(i)])) for i in chosen]
            inputs, targets = zip(*draws, strict=True)
            return np.concatenate(inputs), np.stack(targets), balance[truth[chosen]]

        return _ahead(make, range(0, len(truth), self._recipe.batch))

    def _draw(self, index: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Input float32 (1, H, W, 3) and target float32 (C,) of one augmented image."""
        image, of_class = self._training.pixels[index], True
        if self._fields is not None:
            image, of_class = self._recipe.background_swap(self._fields, index, rng)
        image = self._recipe.augmentation(image, rng, self._training.pixels)
        target = np.full(self._classes, 1 / self._classes, np.float32)
        if of_class:
            target = np.eye(self._classes, dtype=np.float32)[self._training.truth[index]]
        return np.asarray(self._contract.encode(image, FLOAT32)), target


def validation_views(pixels: Pixels, recipe: Recipe) -> dict[str, Pixels]:
    """What an epoch is validated on: the images as they are (""), augmented ("drawn_"), and with `background_swap` on
    another one's background ("exchanged_"); always the same."""
    views = {"": pixels, "drawn_": augmented(pixels, recipe.augmentation, [recipe.seed, _VALIDATION_DRAW])}
    if recipe.background_swap.total:
        views["exchanged_"] = _on_foreign_ground(pixels, recipe.seed)
    return views


def augmented(pixels: Pixels, augmentation: Augmentation, seed: Sequence[int]) -> Pixels:
    """One augmented draw of every image, uint8 (N, H, W, 3); the same for the same seed."""
    draws = (augmentation(p, np.random.default_rng([*seed, i]), pixels) for i, p in enumerate(pixels))
    return np.stack(list(draws))


def class_weights(truth: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """float32 (classes,): weights that make every class count the same, averaging 1 over the images."""
    counts = np.bincount(truth, minlength=classes)
    if (counts == 0).any():
        raise TrainingError(f"every class needs training images; counts are {counts.tolist()}")
    return np.asarray(len(truth) / (classes * counts), np.float32)


def _on_foreign_ground(pixels: Pixels, seed: int) -> Pixels:
    """uint8 (N, H, W, 3): every image's white cells on the background of another one, always the same."""
    fields, rng = CellFields.of(pixels), np.random.default_rng([seed, _VALIDATION_DRAW + 1])
    others = rng.permutation(len(pixels))
    return np.stack([fields.on_ground(i, int(other), rng) for i, other in enumerate(others)])


def _ahead(make: Callable[[int], Item], starts: Sequence[int]) -> Iterator[Item]:
    """`make(start)` for every start, computed in another thread at most two ahead; its errors surface here."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for start in starts:
                if not put((make(start), None)):
                    return
        except Exception as error:
            put((None, error))
        put((None, StopIteration()))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stop.set()
        thread.join()
