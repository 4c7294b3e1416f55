"""Optimization of a stage: which layers learn, at what rate, by which loss and metric."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from edge.inference.benign import indices
from models.errors import TrainingError
from models.training.recipe import Recipe, Stage


def optimizer(recipe: Recipe, stage: Stage) -> Any:
    """AdamW with averaged weights; biases and batch norms do not decay."""
    import keras

    made = keras.optimizers.AdamW(
        stage.learning_rate,
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=recipe.ema,
        global_clipnorm=5.0,
    )
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def learning_rate(stage: Stage, epoch: float) -> float:
    """Linear warm-up, then cosine to 1 % (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    if epoch < stage.warmup:
        return stage.learning_rate * (0.02 + 0.98 * epoch / stage.warmup)
    done = (epoch - stage.warmup) / max(stage.epochs - stage.warmup, 1e-9)
    return stage.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def set_trainable(model: Any, trainable: str, freeze_batch_norm: bool = False) -> None:
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


def cautious_loss(recipe: Recipe, labels: Sequence[str], benign: Sequence[str]) -> Callable[[Any, Any], Any]:
    """(N, C) targets and outputs to (N,) losses; caution is for the `benign` ones of `labels`, () for none."""
    from keras import losses, ops

    own = [1.0 if k in indices(labels, benign) else 0.0 for k in range(len(labels))]

    def loss(targets: Any, outputs: Any) -> Any:
        values = losses.categorical_crossentropy(targets, outputs, label_smoothing=recipe.label_smoothing)
        if not recipe.caution or not any(own):
            return values
        mask = ops.convert_to_tensor(own, values.dtype)
        wanted, given = (ops.sum(ops.cast(each, values.dtype) * mask, axis=-1) for each in (targets, outputs))
        malignant = ops.cast(ops.max(targets, axis=-1) > 0.99, values.dtype) * (1 - wanted)
        return values - recipe.caution * malignant * ops.log(ops.clip(1 - given, 1e-7, 1.0))

    return loss


def named_and_right(targets: Any, outputs: Any) -> Any:
    """(N,) 1 where an image has a class and the output names it, 0 elsewhere."""
    from keras import ops

    right = ops.equal(ops.argmax(targets, axis=-1), ops.argmax(outputs, axis=-1))
    return ops.cast(right, "float32") * ops.cast(ops.max(targets, axis=-1) > 0.99, "float32")
