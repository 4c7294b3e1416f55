"""A residual network with linear bottlenecks for the tests of the search, and the fault that hurts it most in int8."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edge.inference.contract import FLOAT32
from tests.small_world import CONTRACT, LABELS, SIZE, draw, keras_archive

CHANNELS = 8
PRODUCERS, READERS = ("stem", "project"), ("expand", "last")  # of the activation that a residual ties together
SHARES = (("train", 0, 20), ("validation", 20, 30), ("test", 30, 40))  # of each class's images


def residual_network() -> Any:
    """Trained on the drawn images, once a process; each caller gets a network of its own."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / "model.keras").write_bytes(_trained())
        return keras.saving.load_model(path, compile=False)


@cache
def _trained() -> bytes:
    return keras_archive(_trained_network())


def _trained_network(seed: int = 5) -> Any:
    """stem, x + project(depthwise(expand(x))), mean, dense."""
    import keras

    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(CHANNELS, 5, strides=2, name="stem")(image)
    y = keras.layers.Conv2D(16, 1, activation="relu", name="expand")(x)
    y = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(y)
    y = keras.layers.Conv2D(CHANNELS, 1, name="project")(y)
    x = keras.layers.Add(name="add")([x, y])
    x = keras.layers.Conv2D(16, 3, activation="relu", name="last")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    network = keras.Model(image, keras.layers.Dense(len(LABELS), activation="softmax", name="head")(x))
    truth = np.arange(len(LABELS)).repeat(60)
    inputs = np.concatenate([CONTRACT.encode(draw(LABELS[k], 1000 + n), FLOAT32) for n, k in enumerate(truth)])
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    network.fit(inputs, truth, epochs=14, batch_size=32, verbose=0)
    return network


def blow_up(network: Any, factor: float, channel: int = 2) -> None:
    """Make one channel of the residual activation reach `factor` times as far; the network's answers stay the same."""
    for name in PRODUCERS:
        weights, bias = network.get_layer(name).get_weights()
        weights[..., channel] *= factor
        bias[channel] *= factor
        network.get_layer(name).set_weights([weights, bias])
    for name in READERS:
        weights, bias = network.get_layer(name).get_weights()
        weights[:, :, channel, :] /= factor
        network.get_layer(name).set_weights([weights, bias])


def write_three_parts(root: Path, path: Path) -> Path:
    """A split with a validation part; every image is a field of its own."""
    from models.data.dataset import scan
    from models.data.split import Split, SplitItem

    items = []
    for label in LABELS:
        own = [s for s in scan(root).samples if s.label == label]
        for part, first, last in SHARES:
            items += [
                SplitItem(part, s.label, s.name, s.sha256, f"{label}{n}") for n, s in enumerate(own[first:last], first)
            ]
    path.write_text(Split(tuple(items)).to_csv(), encoding="utf-8")
    return path


def pixels(first: int = 2000, count: int = 40) -> np.ndarray:
    """Drawn images that no training saw, uint8 (count, 32, 32, 3)."""
    return np.stack([draw(LABELS[n % len(LABELS)], first + n) for n in range(count)])
