"""Probabilities of a float network: the one loop that feeds a Keras model, in batches and as a traced graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.system.progress import tracked

Floats = npt.NDArray[np.float32]
Predict = Callable[[Pixels], Floats]
BATCH = 32  # images; larger ones only take more memory


def traced(network: Callable[..., Any], size: tuple[int, int]) -> Callable[[Floats], Floats]:
    """`network` as a graph that is traced once and fed BATCH inputs at a time.

    Args:
        network: a Keras model, or any callable that TensorFlow can trace.
        size: (width, height) of its input, pixels.

    Returns:
        From inputs float32 (N, height, width, 3), N >= 1, to outputs float32 (N, classes).
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, size[1], size[0], 3), tf.float32)]
    step = tf.function(lambda batch: network(batch, training=False), input_signature=signature)

    def outputs(inputs: Floats) -> Floats:
        batches = (inputs[start : start + BATCH] for start in range(0, len(inputs), BATCH))
        return np.concatenate([np.asarray(step(tf.constant(batch)), np.float32) for batch in batches])

    return outputs


def predictor(network: Any, contract: InputContract) -> Predict:
    """`network`, a Keras model, from prepared pixels uint8 (N, H, W, 3) RGB to probabilities float32 (N, classes)."""
    outputs = traced(network, contract.size)
    return lambda pixels: predict(outputs, contract, pixels)


def predict(outputs: Callable[[Floats], Floats], contract: InputContract, pixels: Pixels) -> Floats:
    """float32 (N, classes) that `outputs` gives for prepared pixels uint8 (N, H, W, 3), encoded BATCH at a time."""
    starts = tracked(range(0, len(pixels), BATCH), f"float network, batches of {BATCH}")
    batches = (pixels[start : start + BATCH] for start in starts)
    return np.concatenate(
        [outputs(np.concatenate([contract.encode(image, FLOAT32) for image in batch])) for batch in batches]
    )
