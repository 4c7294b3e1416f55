"""The last block that learns: the parts are the network, learning is repeatable, and nothing else moves."""

from typing import Any

import numpy as np
import pytest

from edge.inference.contract import InputContract
from models.adaptation.network.backbone import Backbone
from models.adaptation.network.last_blocks import LastBlock
from models.errors import AdaptationError
from models.networks.prediction import predictor
from models.support.keyed_random import draw

CONTRACT = InputContract((32, 32), ("a", "b"))
HEAD = np.random.default_rng(3).normal(0, 0.3, (6, 2)), np.array([0.1, -0.1])


def _backbone(*, nested: bool, branched: bool = False) -> Backbone:
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    pixels = keras.Input((32, 32, 3))
    first = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(5, 3, strides=4)(pixels)))
    if branched:
        last = layers.Concatenate()([first, first])
        x = layers.GlobalAveragePooling2D()(last)
    else:
        x = layers.Add()([first, layers.Conv2D(5, 1, name="skip")(first)])
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, name="last")(x)))
        if nested:
            image = keras.Input((32, 32, 3))
            pixels, x = image, keras.Model(pixels, x, name="backbone")(image)
        x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(pixels, layers.Dense(2, activation="softmax")(layers.Dropout(0.3)(x)))
    return Backbone("mine", network, CONTRACT, "0" * 64)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    found: np.ndarray = np.random.default_rng(2).integers(0, 256, (12, 32, 32, 3), np.uint8)
    found[::2] //= 2
    return found


@pytest.mark.parametrize("nested", [False, True])
def test_it_learns_alike_each_time_and_only_the_block(pixels: np.ndarray, nested: bool) -> None:
    backbone = _backbone(nested=nested)
    before = [np.array(each) for each in backbone.network.get_weights()]
    block = LastBlock.of(backbone)
    assert block.names == ("last",)
    inputs = block.inputs(pixels)[:, None, None]
    truth = np.arange(12) % 2
    tuner = block.tuner(2)

    def learned(key: str) -> tuple[np.ndarray, ...]:
        return tuner.tuned(inputs, truth, np.ones(12), HEAD, draw(key))

    one, said = learned("x"), tuner.probabilities(inputs[:, 0])[:, 0]
    other, again = learned("y"), learned("x")
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])
    np.testing.assert_allclose(predictor(block.network(one), CONTRACT)(pixels), said, atol=1e-5)
    start: Any = [*block._start, *HEAD]
    np.testing.assert_allclose(
        predictor(block.network(tuple(start)), CONTRACT)(pixels),
        predictor(backbone.with_head(*HEAD), CONTRACT)(pixels),
        atol=1e-5,
    )

    def loss(values: Any) -> float:
        found = predictor(block.network(tuple(values)), CONTRACT)(pixels)
        return float(-np.log(found[np.arange(12), truth]).mean())

    assert loss(one) < loss(start)
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.network.get_weights(), strict=True))


def test_a_network_without_such_a_block_is_refused() -> None:
    import keras

    backbone = _backbone(nested=False, branched=True)
    assert LastBlock.of(backbone).names  # its one convolution, straight behind the image
    pixels = keras.Input((32, 32, 3))
    flat = keras.layers.GlobalAveragePooling2D()(pixels)
    network = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(flat))
    with pytest.raises(AdaptationError, match="last block of convolutions; mine has none"):
        LastBlock.of(Backbone("mine", network, CONTRACT, "0" * 64))
