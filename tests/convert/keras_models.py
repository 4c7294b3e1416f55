"""Small untrained Keras networks for the tests of conversion, and TFLite files altered on purpose."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edge.inference.contract import InputContract

SIZE = 32
LABELS = ("alpha", "beta", "gamma", "delta")
CONTRACT = InputContract((SIZE, SIZE), LABELS)


def small_network(activation: str | None = "softmax", front: Callable[[Any], Any] | None = None) -> Any:
    """Convolution, pooling, flatten, dense: 32x32 RGB in, four classes out; the same weights every time."""
    import keras

    keras.utils.set_random_seed(7)
    image = keras.Input((SIZE, SIZE, 3))
    x = front(image) if front else image
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.MaxPooling2D(4)(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(4, activation=activation)(x))


def smear_pixels(count: int, seed: int = 0, size: int = SIZE) -> np.ndarray:
    """uint8 (count, size, size, 3): blotches in the colours of a stained smear, red > blue > green."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(-40, 41, (count, size // 4, size // 4, 1)).repeat(4, axis=1).repeat(4, axis=2)
    fine = rng.integers(-15, 16, (count, size, size, 3))
    shade = rng.integers(-10, 11, (count, 1, 1, 3))
    return np.clip(np.array([205, 140, 165]) + coarse + fine + shade, 0, 255).astype(np.uint8)


def edited(model: bytes, change: Callable[[Any], None]) -> bytes:
    """`model` after `change` was made to its ModelT tree."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    change(tree)
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
