"""Probabilities of a float network: the one loop that feeds a Keras model, in batches and as a traced graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.inference.scores import both_classes
from edge.inference.tiles import pool_fields, tiles_of
from edge.system.progress import tracked

Floats = npt.NDArray[np.float32]
Predict = Callable[[Pixels], Floats]
BATCH = 32  # images; larger ones only take more memory


def traced(network: Callable[..., Any], shape: tuple[int, int, int]) -> Callable[[Floats], Floats]:
    """`network` as a graph that is traced once and fed BATCH inputs at a time.

    Args:
        network: a Keras model, or any callable that TensorFlow can trace.
        shape: (height, width, channels) of its input.

    Returns:
        From inputs float32 (N, height, width, channels), N >= 1, to probabilities float32 (N, classes): one output is
        taken as the sigmoid of the second of two classes.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *shape), tf.float32)]
    step = tf.function(lambda batch: network(batch, training=False), input_signature=signature)

    def outputs(inputs: Floats) -> Floats:
        batches = (inputs[start : start + BATCH] for start in range(0, len(inputs), BATCH))
        return both_classes(np.concatenate([np.asarray(step(tf.constant(batch)), np.float32) for batch in batches]))

    return outputs


def predictor(network: Any, contract: InputContract) -> Predict:
    """`network`, a Keras model, from prepared fields uint8 (N, H, W, 3) RGB to probabilities float32 (N, classes);
    where the contract has tiles, fields are as `edge.inference.tiles.prepare_field` gives them, and pooled."""
    outputs = traced(network, contract.input_shape)
    return lambda pixels: predict(outputs, contract, pixels)


def predict(outputs: Callable[[Floats], Floats], contract: InputContract, pixels: Pixels) -> Floats:
    """float32 (N, classes) that `outputs` gives for prepared fields uint8 (N, H, W, 3), of tiles pooled, encoded BATCH
    or a field's tiles at a time."""
    step = max(1, BATCH // contract.tile_count)
    starts = tracked(range(0, len(pixels), step), f"float network, batches of {BATCH}")
    batches = (tiles_of(contract, pixels[start : start + step]) for start in starts)
    each = [outputs(np.concatenate([contract.encode(image, FLOAT32) for image in batch])) for batch in batches]
    return pool_fields(contract, np.concatenate(each))
