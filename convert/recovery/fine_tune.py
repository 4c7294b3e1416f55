"""A short quantization-aware fine-tune: the int8 arithmetic trained to answer as the float network does.

The float network is the teacher (distillation: Hinton et al. 2015, arXiv 1503.02531), so that no labels are needed and
nothing new is learned: weights move by a few int8 steps to where rounding costs less. The quantizers stay as they are
(`convert.recovery.fake_quant`); what comes out is again a float file, for the same quantizer.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.errors import FineTuneError
from convert.recovery.fake_quant import Twin
from edge.inference.benign import indices
from edge.inference.contract import FLOAT32, InputContract, Pixels

_FLOOR = 1e-7  # of a probability, under a logarithm


@dataclass(frozen=True)
class FineTuneSettings:
    """How long and how boldly.

    Attributes:
        steps: at most this many.
        every: a candidate after every so many steps, and after the last.
        batch: images a step.
        learning_rate: peak, in int8 steps of a weight an update of Adam's; rises over the first tenth of the steps and
            falls by a cosine to 1 % (Loshchilov & Hutter 2017, arXiv 1608.03983).
        far: loss before the first step from which on `far_rate` is the peak instead: much is lost, and rounding
            alone is not where.
        clip: largest norm of all gradients together.
        temperature: of teacher and student in the loss: above 1, the classes that are not called count, too.
        features: weight of the mean squared difference of what the last layer takes, relative to its mean square.
        caution: weight of -log(1 - p(benign)), on the int8 side, where the teacher calls a class that is not benign.
            Without effect where no label of the contract is benign.
        seed: of order, turns and flips.
    """

    steps: int = 150
    every: int = 50
    batch: int = 16
    learning_rate: float = 0.02
    far: float = 0.3
    far_rate: float = 0.1
    clip: float = 1.0
    temperature: float = 1.0
    features: float = 1.0
    caution: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "seed":
                continue
            optional = name in ("far", "features", "caution")
            if not math.isfinite(value) or value < 0 or (value == 0 and not optional):
                raise FineTuneError(f"{name} must be finite and {'>= 0' if optional else '> 0'}; got {value}")


@dataclass(frozen=True, eq=False)
class Candidate:
    """Where the fine-tune stood.

    Attributes:
        step: updates made so far.
        loss: mean since the last candidate.
        plain: the float TFLite file with the weights learned, ranges as they were: to be quantized and judged.
    """

    step: int
    loss: float
    plain: bytes


def fine_tune(
    plain: bytes,
    int8: bytes,
    pixels: Pixels,
    contract: InputContract,
    settings: FineTuneSettings,
    *,
    teacher: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[Candidate]:
    """Train the int8 arithmetic of a network on images; yields candidates, the caller judges them.

    Args:
        plain: the calibrated float TFLite file, as it may have been changed by other measures.
        int8: the file quantized from it.
        pixels: uint8 (N, H, W, 3) RGB, prepared by the contract: training images, none that judges the model.
        contract: how pixels become inputs, and what the outputs are called.
        settings: how long and how boldly.
        teacher: float TFLite file of the network whose answers are wanted; `plain` itself by default.
        progress: called with (steps done, steps) after each.
        should_stop: asked before each step; the first True ends the fine-tune without another candidate.

    Raises:
        FineTuneError: an operator that cannot be trained through, no image, or a loss that is no number.
        BrokenModelError: a file that is no TFLite file.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(pixels):
        raise FineTuneError(f"pixels must be uint8 (N, H, W, 3), N >= 1; got {pixels.dtype} {pixels.shape}")
    student = Twin(plain, int8)
    update = _update(student, Twin(plain if teacher is None else teacher, int8), contract, settings)
    losses: list[float] = []
    peak = settings.learning_rate
    for done in range(settings.steps):
        if should_stop is not None and should_stop():
            return
        inputs = _batch(pixels, contract, settings, done)
        loss, slope = (float(n) for n in update(inputs, np.float32(peak * _share(settings, done))))
        losses.append(loss)
        if done == 0 and loss > settings.far:
            peak = settings.far_rate
        if not math.isfinite(loss + slope):
            raise FineTuneError(f"the loss is not a number after {done + 1} steps: lower the learning rate")
        if progress is not None:
            progress(done + 1, settings.steps)
        if (done + 1) % settings.every == 0 or done + 1 == settings.steps:
            yield Candidate(done + 1, float(np.mean(losses)), student.written())
            losses.clear()


def _update(student: Twin, teacher: Twin, contract: InputContract, settings: FineTuneSettings) -> Any:
    """One step of Adam as a TensorFlow function of (inputs, learning rate); it returns loss and gradients' norm."""
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(student.variables)

    def update(inputs: Any, learning_rate: Any) -> Any:
        wanted = teacher.run(inputs, quantized=False)
        with tf.GradientTape() as tape:
            given = student.run(inputs, quantized=True)
            outputs, targets = ((v[t.logits], v[t.features]) for v, t in ((given, student), (wanted, teacher)))
            given_logits, wanted_logits = _both(outputs[0]), _both(targets[0])
            loss = _loss(given_logits, outputs[1], wanted_logits, targets[1], contract, settings)
        gradients = tape.gradient(loss, student.variables)
        gradients, slope = tf.clip_by_global_norm(gradients, settings.clip)
        optimizer.learning_rate.assign(learning_rate)
        optimizer.apply(gradients, student.variables)
        return loss, slope

    image = tf.TensorSpec((None, *contract.input_shape), tf.float32)
    return tf.function(update, input_signature=[image, tf.TensorSpec((), tf.float32)])


def _both(logits: Any) -> Any:
    """Logits of all classes: of a sigmoid's one logit, whose softmax with 0 is 1 - p and p."""
    import tensorflow as tf

    return tf.pad(logits, [[0, 0], [1, 0]]) if logits.shape[-1] == 1 else logits


def _loss(
    logits: Any,
    features: Any,
    wanted_logits: Any,
    wanted_features: Any,
    contract: InputContract,
    settings: FineTuneSettings,
) -> Any:
    """A scalar: Kullback-Leibler divergence from the teacher, and what the settings add."""
    import tensorflow as tf

    t = settings.temperature
    wanted = tf.nn.softmax(wanted_logits / t)
    divergence = tf.reduce_sum(wanted * (tf.nn.log_softmax(wanted_logits / t) - tf.nn.log_softmax(logits / t)), -1)
    loss = t * t * tf.reduce_mean(divergence)
    if settings.features:
        apart = tf.reduce_mean(tf.square(features - wanted_features))
        loss += settings.features * apart / (tf.reduce_mean(tf.square(wanted_features)) + _FLOOR)
    benign = indices(contract.labels, contract.benign_labels)
    if settings.caution and benign:
        called = tf.argmax(wanted_logits, -1)[:, tf.newaxis]
        malignant = tf.cast(tf.reduce_all(called != tf.constant([benign], called.dtype), -1), tf.float32)
        spared = tf.clip_by_value(1 - tf.reduce_sum(tf.gather(tf.nn.softmax(logits), benign, axis=-1), -1), _FLOOR, 1.0)
        loss -= settings.caution * tf.reduce_mean(malignant * tf.math.log(spared))
    return loss


def _share(settings: FineTuneSettings, done: int) -> float:
    """Of the peak learning rate, after `done` steps."""
    rise = max(1, settings.steps // 10)
    if done < rise:
        return (done + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - rise) / max(1, settings.steps - rise)))


def _batch(pixels: Pixels, contract: InputContract, settings: FineTuneSettings, step: int) -> Any:
    """float32 (batch, H, W, channels): the images of one step, each pass over all in another order, turned."""
    inputs = []
    for place in range(step * settings.batch, (step + 1) * settings.batch):
        turn, index = divmod(place, len(pixels))
        order = np.random.default_rng([settings.seed, turn]).permutation(len(pixels))
        rng = np.random.default_rng([settings.seed, 1, place])
        inputs.append(contract.encode(_turned(pixels[order[index]], rng), FLOAT32))
    return np.concatenate(inputs)


def _turned(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A smear has no up: one of its turns and flips."""
    if image.shape[0] == image.shape[1]:
        image = np.rot90(image, int(rng.integers(4)))
    return np.ascontiguousarray(image[:, ::-1] if rng.integers(2) else image)
