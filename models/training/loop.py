"""Training in stages, with checkpoints from which a killed run continues exactly where it stood.

The loop is ours rather than `model.fit` because a resumed run must be the same run: order, augmentation and learning
rate of every step follow from (seed, epoch, step) alone, and the checkpoint holds network, optimizer and history.
"""

import json
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import FLOAT32, InputContract, Pixels
from models.data.published import BENIGN
from models.errors import ModelsError
from models.training.augmentation import Augmentation
from models.training.background_swap import CellFields, CellLessons, no_lessons


class TrainingError(ModelsError, ValueError):
    """A training run that cannot start or continue as asked. Cure: what the message names."""


@dataclass(frozen=True)
class Stage:
    """A part of the schedule: which layers learn, for how long, how fast.

    Attributes:
        trainable: "all", "head" (backbone frozen), or the backbone layer name prefix from which training begins.
        epochs: at most this many.
        learning_rate: peak of a linear warm-up over `warmup` epochs and a cosine fall to 1 % of it.
    """

    name: str
    trainable: str
    epochs: int
    learning_rate: float
    warmup: float = 0.5

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.warmup < 0:
            raise TrainingError(f"stage {self.name} needs epochs >= 1, learning_rate > 0, warmup >= 0; got {self}")


@dataclass(frozen=True)
class Recipe:
    """Everything that, with the images, determines a training run.

    Attributes:
        stages: in order; the best epoch of all of them, by validation loss, is the result. The validation loss is the
            mean over the validation images as they are, one fixed augmented draw of each and, where there are lessons
            about cells, each one's cells before another one's ground: a network that is sure of the published images
            alone is not the best one.
        batch: images a step.
        weight_decay: decoupled (AdamW), per step, relative to the learning rate.
        label_smoothing: 0..1; keeps confidences from saturating, which quantization would turn into ties.
        ema: momentum of the averaged weights that are validated and kept (Polyak averaging).
        patience: epochs without a better validation loss after which a stage ends.
        seed: of initialization, order and augmentation.
        lessons: which training images show their cells before another ground, or none.
        caution: weight of -log(1 - p(Benign)) on malignant images, beside the cross-entropy: a wrong Benign is the
            worst answer. Without effect where no label is called Benign.
        freeze_batch_norm: the backbone's batch norms keep statistics, scale and offset they came with. Otherwise those
            that learn re-estimate their statistics, some six epochs behind the weights (momentum 0.999): a short run
            is then judged with statistics that do not fit it yet.
    """

    stages: tuple[Stage, ...]
    batch: int = 32
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    ema: float = 0.99
    patience: int = 8
    seed: int = 7
    augmentation: Augmentation = field(default_factory=Augmentation)
    lessons: CellLessons = field(default_factory=no_lessons)
    caution: float = 0.0
    freeze_batch_norm: bool = False


# A network of half a million weights, trained from scratch: less of every change, or it confuses the classes.
MILDER = Augmentation().scaled(0.7)

RECIPES: dict[str, Recipe] = {
    "mobilenet_v2": Recipe(
        stages=(
            Stage("head", "head", epochs=1, learning_rate=2e-3),
            Stage("fine-tune", "block_3_", epochs=20, learning_rate=3e-4, warmup=1.0),
        ),
        label_smoothing=0.02,
    ),
    "custom_cnn": Recipe(
        stages=(Stage("from scratch", "all", epochs=70, learning_rate=2e-3, warmup=1.0),),
        label_smoothing=0.0,  # it is unsure enough by itself: smoothed, it was 10 points less sure than right
        patience=16,
        augmentation=MILDER,
    ),
}

# With `models train --from`: a network that already names the classes is taught to do so under more conditions, and
# by the cells rather than by what is between them.
FURTHER: dict[str, Recipe] = {
    "mobilenet_v2": replace(
        RECIPES["mobilenet_v2"],
        stages=(Stage("further", "block_3_", epochs=8, learning_rate=2e-4, warmup=0.5),),
        lessons=CellLessons(),
        caution=1.0,
    ),
    "custom_cnn": replace(
        RECIPES["custom_cnn"],
        stages=(Stage("further", "all", epochs=25, learning_rate=1.5e-3, warmup=1.0),),
        patience=25,
        lessons=CellLessons(),
        caution=1.0,
    ),
}


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


def predict(model: Any, contract: InputContract, pixels: Pixels, batch: int = 64) -> npt.NDArray[np.float32]:
    """Class probabilities, float32 (N, classes), of prepared pixels uint8 (N, H, W, 3), through the contract."""
    outputs = []
    for start in range(0, len(pixels), batch):
        inputs = np.concatenate([contract.encode(p, FLOAT32) for p in pixels[start : start + batch]])
        outputs.append(np.asarray(model(inputs, training=False)))
    return np.asarray(np.concatenate(outputs), np.float32)


def augmented(pixels: Pixels, augmentation: Augmentation, seed: Sequence[int]) -> Pixels:
    """One augmented draw of every image, uint8 (N, H, W, 3); the same for the same seed."""
    draws = (augmentation(p, np.random.default_rng([*seed, i]), pixels) for i, p in enumerate(pixels))
    return np.stack(list(draws))


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
    return run_dir / "best.keras"


class _Run:
    """One training run: its files, its network and where it stands."""

    def __init__(
        self,
        model: Any,
        contract: InputContract,
        training: LabelledPixels,
        validation: LabelledPixels,
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.model, self.contract, self.recipe, self.folder = model, contract, recipe, folder
        self.training, self.validation = training, validation
        folder.mkdir(parents=True, exist_ok=True)
        self._drawn = augmented(validation.pixels, recipe.augmentation, [recipe.seed, _VALIDATION_DRAW])
        self._fields = CellFields.of(training.pixels) if recipe.lessons.total else None
        self._exchanged = _on_foreign_ground(validation.pixels, recipe.seed) if recipe.lessons.total else None
        self.state = self._load_or_start()

    def execute(self, progress: bool) -> None:
        from models.support.progress import Progress

        total = sum(stage.epochs for stage in self.recipe.stages)
        with Progress("training", total * self._steps(), progress) as bar:
            for index, stage in enumerate(self.recipe.stages):
                if index < self.state["stage"]:
                    bar.advance(stage.epochs * self._steps())
                    continue
                self._stage(index, stage, bar)
        if not self.state.get("finished"):
            _without_optimizer(self.folder / "best.keras")
            self.state["finished"] = True
            self._write_state()

    def _stage(self, index: int, stage: Stage, bar: Any) -> None:
        first = self.state["epoch"]
        self._compile(stage, resume=first > 0)
        bar.advance(first * self._steps())
        for epoch in range(first, stage.epochs):
            if self.state["waited"] >= self.recipe.patience:
                bar.say(f"stage {stage.name}: no better validation loss for {self.recipe.patience} epochs, ending it")
                bar.advance((stage.epochs - epoch) * self._steps())
                break
            record = self._epoch(index, stage, epoch, bar)
            self._keep(record)
            self._checkpoint(index, epoch + 1)
            bar.say(
                f"{stage.name} {epoch + 1}/{stage.epochs}: loss {record['loss']:.4f} acc {record['accuracy']:.4f}  "
                f"validation loss {record['val_loss']:.4f} acc {record['val_accuracy']:.4f}, "
                f"augmented {record['val_drawn_accuracy']:.4f}{_exchanged_text(record)} ({record['seconds']:.0f} s)"
            )
        self.state["waited"] = 0
        self._checkpoint(index + 1, 0, network=index + 1 < len(self.recipe.stages))

    def _epoch(self, index: int, stage: Stage, epoch: int, bar: Any) -> dict[str, Any]:
        began = time.monotonic()
        losses, hits, named = [], 0, 0
        for step, (inputs, targets, weights) in enumerate(self._batches(index, epoch)):
            self.model.optimizer.learning_rate = _rate(stage, epoch + step / self._steps())
            loss, accuracy = self.model.train_on_batch(inputs, targets, sample_weight=weights)
            # train_on_batch reports means since the last reset; per-batch values come from resetting each time
            self.model.reset_metrics()
            losses.append(float(loss))
            hits += round(float(accuracy) * len(inputs))
            named += int((targets.max(axis=1) == 1).sum())
            bar.advance(1)
        if not np.isfinite(losses).all():
            raise TrainingError(f"the loss is not a number in {stage.name} epoch {epoch + 1}: lower the learning rate")
        kept = self._average_weights()
        truth = self.validation.truth
        seen = {"": self.validation.pixels, "drawn_": self._drawn}
        if self._exchanged is not None:
            seen["exchanged_"] = self._exchanged
        said = {name: predict(self.model, self.contract, pixels) for name, pixels in seen.items()}
        record = {
            "stage": stage.name,
            "epoch": epoch + 1,
            "loss": float(np.mean(losses)),
            "accuracy": hits / max(named, 1),
            "val_loss": float(np.mean([_cross_entropy(p, truth) for p in said.values()])),
            **{f"val_{name}accuracy": float(np.mean(p.argmax(1) == truth)) for name, p in said.items()},
            "seconds": time.monotonic() - began,
        }
        if record["val_loss"] < self.state["best"]:
            _save(self.model, self.folder / "best.keras")
        self._restore_weights(kept)
        return record

    def _keep(self, record: dict[str, Any]) -> None:
        self.state["history"].append(record)
        if record["val_loss"] < self.state["best"]:
            self.state["best"], self.state["waited"] = record["val_loss"], 0
        else:
            self.state["waited"] += 1

    def _compile(self, stage: Stage, resume: bool) -> None:
        import keras

        _set_trainable(self.model, stage.trainable, self.recipe.freeze_batch_norm)
        loss = cautious_loss(self.recipe, self.contract.labels)
        optimizer = keras.optimizers.AdamW(
            stage.learning_rate,
            weight_decay=self.recipe.weight_decay,
            use_ema=True,
            ema_momentum=self.recipe.ema,
            global_clipnorm=5.0,
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.model.compile(optimizer, loss, weighted_metrics=[], metrics=[_named_and_right])
        optimizer.build(self.model.trainable_variables)
        if self.state["has_checkpoint"]:
            saved = keras.saving.load_model(self.folder / "checkpoint.keras", compile=False)
            self.model.set_weights(saved.get_weights())
        if resume:
            with np.load(self.folder / "optimizer.npz") as stored:
                for variable, key in zip(optimizer.variables, sorted(stored.files), strict=True):
                    variable.assign(stored[key])

    def _average_weights(self) -> list[Any]:
        kept = [v.numpy() for v in self.model.trainable_variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return kept

    def _restore_weights(self, kept: list[Any]) -> None:
        for variable, value in zip(self.model.trainable_variables, kept, strict=True):
            variable.assign(value)

    def _checkpoint(self, stage: int, epoch: int, network: bool = True) -> None:
        """Network and optimizer first, then the state that names them: a kill in between repeats an epoch at most."""
        if network:
            _save(self.model, self.folder / "checkpoint.keras")
            arrays = {f"{i:05d}": v.numpy() for i, v in enumerate(self.model.optimizer.variables)}
            temporary = self.folder / "optimizer.tmp.npz"
            np.savez(temporary, **arrays)
            temporary.replace(self.folder / "optimizer.npz")
        self.state.update(stage=stage, epoch=epoch, has_checkpoint=True)
        self._write_state()

    def _write_state(self) -> None:
        temporary = self.folder / "state.json.tmp"
        temporary.write_text(json.dumps(self.state, indent=1))
        temporary.replace(self.folder / "state.json")

    def _load_or_start(self) -> dict[str, Any]:
        identity = _identity(self.model, self.recipe, self.contract, self.training, self.validation)
        path = self.folder / "state.json"
        if path.is_file():
            try:
                state: dict[str, Any] = json.loads(path.read_text())
                same = state["identity"] == identity
            except (ValueError, KeyError, TypeError) as error:
                raise TrainingError(f"{path} is damaged; remove {self.folder} to start anew") from error
            if not same:
                raise TrainingError(f"{self.folder} is a run of another recipe, start or images; name another folder")
            return state
        return {
            "identity": identity,
            "recipe": asdict(self.recipe),
            "stage": 0,
            "epoch": 0,
            "best": float(np.finfo(np.float64).max),
            "waited": 0,
            "has_checkpoint": False,
            "history": [],
        }

    def _steps(self) -> int:
        return -(-len(self.training.truth) // self.recipe.batch)

    def _batches(self, stage: int, epoch: int) -> Iterator[tuple[npt.NDArray[np.float32], ...]]:
        """(inputs, one-hot targets, sample weights) of one epoch, prepared one batch ahead in a second thread."""
        truth, count = self.training.truth, len(self.training.truth)
        order = np.random.default_rng([self.recipe.seed, stage, epoch]).permutation(count)
        balance = class_weights(truth, len(self.contract.labels))
        one_hot = np.eye(len(self.contract.labels), dtype=np.float32)

        no_class = np.full(len(one_hot), 1 / len(one_hot), np.float32)

        def make(start: int) -> tuple[npt.NDArray[np.float32], ...]:
            chosen = order[start : start + self.recipe.batch]
            inputs, targets = [], []
            for index in chosen:
                rng = np.random.default_rng([self.recipe.seed, stage, epoch, int(index)])
                image, of_class = self.training.pixels[index], True
                if self._fields is not None:
                    image, of_class = self.recipe.lessons(self._fields, int(index), rng)
                image = self.recipe.augmentation(image, rng, self.training.pixels)
                inputs.append(self.contract.encode(image, FLOAT32))
                targets.append(one_hot[truth[index]] if of_class else no_class)
            return np.concatenate(inputs), np.stack(targets), balance[truth[chosen]]

        return _ahead(make, range(0, count, self.recipe.batch))


def class_weights(truth: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """float32 (classes,): weights that make every class count the same, averaging 1 over the images."""
    counts = np.bincount(truth, minlength=classes)
    if (counts == 0).any():
        raise TrainingError(f"every class needs training images; counts are {counts.tolist()}")
    return np.asarray(len(truth) / (classes * counts), np.float32)


def _rate(stage: Stage, epoch: float) -> float:
    """Linear warm-up, then cosine to 1 % (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    if epoch < stage.warmup:
        return stage.learning_rate * (0.02 + 0.98 * epoch / stage.warmup)
    done = (epoch - stage.warmup) / max(stage.epochs - stage.warmup, 1e-9)
    return stage.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _set_trainable(model: Any, trainable: str, freeze_batch_norm: bool = False) -> None:
    """Freeze what a stage leaves alone. Batch norms of a frozen part keep their statistics, and where
    `freeze_batch_norm` those of the backbone's learning part do too: Keras 3 gives a nested model the outer one's
    `training`, whatever it was called with when the graph was made."""
    from keras.layers import BatchNormalization

    model.trainable = True
    for backbone in (layer for layer in model.layers if layer.name == "backbone"):
        learning = trainable == "all"
        backbone.trainable = True  # the setter of a nested model does not reach its layers, so each is set by itself
        for layer in backbone.layers:
            learning = learning or (trainable != "head" and layer.name.startswith(trainable))
            layer.trainable = learning and not (freeze_batch_norm and isinstance(layer, BatchNormalization))
        if not learning and trainable != "head":
            raise TrainingError(f"trainable must be all, head or a layer prefix of the backbone; got {trainable!r}")


def cautious_loss(recipe: Recipe, labels: Sequence[str]) -> Callable[[Any, Any], Any]:
    """(N, C) targets and outputs to (N,) losses."""
    from keras import losses, ops

    benign = labels.index(BENIGN) if BENIGN in labels and recipe.caution else None

    def loss(targets: Any, outputs: Any) -> Any:
        values = losses.categorical_crossentropy(targets, outputs, label_smoothing=recipe.label_smoothing)
        if benign is None:
            return values
        malignant = ops.cast(ops.max(targets, axis=-1) > 0.99, values.dtype) * (1 - targets[:, benign])
        return values - recipe.caution * malignant * ops.log(ops.clip(1 - outputs[:, benign], 1e-7, 1.0))

    return loss


def _named_and_right(targets: Any, outputs: Any) -> Any:
    """(N,) 1 where an image has a class and the output names it, 0 elsewhere."""
    from keras import ops

    right = ops.equal(ops.argmax(targets, axis=-1), ops.argmax(outputs, axis=-1))
    return ops.cast(right, "float32") * ops.cast(ops.max(targets, axis=-1) > 0.99, "float32")


def _on_foreign_ground(pixels: Pixels, seed: int) -> Pixels:
    """uint8 (N, H, W, 3): every image's white cells before the ground of another one, always the same."""
    fields, rng = CellFields.of(pixels), np.random.default_rng([seed, _VALIDATION_DRAW + 1])
    others = rng.permutation(len(pixels))
    return np.stack([fields.on_ground(i, int(other), rng) for i, other in enumerate(others)])


def _exchanged_text(record: Mapping[str, Any]) -> str:
    accuracy = record.get("val_exchanged_accuracy")
    return "" if accuracy is None else f", before another ground {accuracy:.4f}"


def _cross_entropy(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> float:
    return float(-np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-7, 1)).mean())


def _save(model: Any, path: Path) -> None:
    temporary = path.with_name(f"{path.stem}.tmp.keras")
    model.save(temporary, include_optimizer=False)
    temporary.replace(path)


def _without_optimizer(path: Path) -> None:
    """Save a network again without its optimizer, which is three quarters of the file."""
    import keras

    model = keras.saving.load_model(path, compile=False)
    _save(model, path)


def _identity(model: Any, recipe: Recipe, contract: InputContract, *parts: LabelledPixels) -> str:
    import hashlib

    digest = hashlib.sha256(
        model.name.encode() + json.dumps(asdict(recipe), sort_keys=True).encode() + contract.to_json().encode()
    )
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    for part in parts:
        digest.update(part.pixels.tobytes() + part.truth.tobytes())
    return digest.hexdigest()


def _ahead(make: Any, starts: Sequence[int]) -> Iterator[Any]:
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


def history(run_dir: Path) -> list[Mapping[str, Any]]:
    """The epochs of a run, oldest first."""
    records: list[Mapping[str, Any]] = json.loads((run_dir / "state.json").read_text())["history"]
    return records
