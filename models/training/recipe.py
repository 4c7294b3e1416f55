"""Training recipes: the schedule, loss and augmentation that, with the images, determine a run."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models.errors import TrainingError
from models.training.augmentation import Augmentation
from models.training.background_swap import NO_SWAP, BackgroundSwap


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
            mean over the validation images as they are, one fixed augmented draw of each and, with `background_swap`,
            each one's cells on another one's background: a network that is sure of the published images alone is not
            the best one.
        batch: images a step.
        weight_decay: decoupled (AdamW), per step, relative to the learning rate.
        label_smoothing: 0..1; keeps confidences from saturating, which quantization would turn into ties.
        ema: momentum of the averaged weights that are validated and kept (Polyak averaging).
        patience: epochs without a better validation loss after which a stage ends.
        seed: of initialization, order and augmentation.
        background_swap: which training images show their cells on another background, or none; `lessons` in records.
        caution: weight of -log(1 - p(benign)) on malignant images, beside the cross-entropy: a wrong benign is the
            worst answer. Without effect where no label of the contract is benign.
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
    background_swap: BackgroundSwap = NO_SWAP
    caution: float = 0.0
    freeze_batch_norm: bool = False

    @property
    def epochs(self) -> int:
        """Of all stages together, at most."""
        return sum(stage.epochs for stage in self.stages)

    def last_stage(self, epochs: int | None) -> "Recipe":
        """The same with so many epochs of the last stage; None leaves them."""
        if epochs is None:
            return self
        return replace(self, stages=(*self.stages[:-1], replace(self.stages[-1], epochs=epochs)))

    def to_record(self) -> dict[str, Any]:
        """JSON-safe, with the keys of `training.json`."""
        record = {_KEYS.get(name, name): value for name, value in asdict(self).items()}
        return {**record, "stages": list(record["stages"])}


_KEYS = {"background_swap": "lessons"}

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

# With `models train --from`: a network that already names the classes learns to do so under more conditions, and
# by the cells rather than by what is between them.
FURTHER: dict[str, Recipe] = {
    "mobilenet_v2": replace(
        RECIPES["mobilenet_v2"],
        stages=(Stage("further", "block_3_", epochs=8, learning_rate=2e-4, warmup=0.5),),
        background_swap=BackgroundSwap(),
        caution=1.0,
    ),
    "custom_cnn": replace(
        RECIPES["custom_cnn"],
        stages=(Stage("further", "all", epochs=25, learning_rate=1.5e-3, warmup=1.0),),
        patience=25,
        background_swap=BackgroundSwap(),
        caution=1.0,
    ),
}
