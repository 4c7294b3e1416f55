"""Class activation maps by HiResCAM: where in a field the evidence for a class lies.

A map is the gradient of a class's score with respect to the last feature maps, times those feature maps, summed over
channels (Draelos and Carin 2020, arXiv 2011.08891). Where global average pooling and one dense layer follow, as in
MobileNetV2, that is the class activation map of Zhou et al. (2016, arXiv 1512.04150), and the map's sum is the score
less a constant. `custom_cnn` flattens instead, so a channel weighs differently from place to place; Grad-CAM (Selvaraju
et al. 2017, arXiv 1610.02391), which averages the gradient over places, would then show evidence where there is none.
What follows its features is piecewise linear, so to first order the map's sum still is what the features add.

The score is a class's logit less the mean of all logits: what is added to all of them softmax does not see, and no map
may depend on it.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.inference.tiles import pool_fields, tiles_of
from models.errors import ModelsError

Heat = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
# What may follow the features: everything from the first of these on is the head. Keras class names, since naming the
# classes would import Keras.
_HEAD = (
    "MaxPooling2D",
    "AveragePooling2D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Flatten",
    "Reshape",
    "Dropout",
    "Dense",
    "Softmax",
)
_BATCH = 32  # images


class ClassActivationError(ModelsError, ValueError):
    """A network that has no class activation maps. Cure: one that ends in convolutions, then dense layers, softmax."""


@dataclass(frozen=True)
class Activations:
    """Of N images.

    Attributes:
        probabilities: float32 (N, classes).
        maps: float32 (N, classes, rows, columns) on the grid of the features: evidence for (> 0) and against.
    """

    probabilities: npt.NDArray[np.float32]
    maps: Heat

    def heat(self, image: int, label: int, size: tuple[int, int]) -> Heat:
        """The evidence for class `label` in one image: the positive part, float32 (height, width) for `size`."""
        return enlarged(np.maximum(self.maps[image, label], 0), size)


class ClassActivation:
    """Makes the maps of one network; calling it takes prepared fields uint8 (N, H, W, 3) RGB.

    Attributes:
        grid: (rows, columns) of the maps.
        features: the name of the layer that the features come from.

    Raises:
        ClassActivationError: the network is not features, pooling or flattening, dense layers and softmax in a row.
    """

    def __init__(self, network: Any, contract: InputContract) -> None:
        import keras

        features, name = _features(network)
        self._contract = contract
        self._last = network.layers[-1]
        self._features = keras.Model(network.inputs, features)
        self._head = keras.Model(features, self._last.input)
        self.features = name
        columns, rows = contract.tiles or (1, 1)
        self.grid = (rows * int(features.shape[1]), columns * int(features.shape[2]))
        self._step = self._traced()

    def __call__(self, pixels: Pixels) -> Activations:
        """Maps of every class for every image; those of tiles side by side, as the tiles are."""
        probabilities, maps = [], []
        views = tiles_of(self._contract, pixels)
        for start in range(0, len(views), _BATCH):
            batch = np.concatenate([self._contract.encode(image, FLOAT32) for image in views[start : start + _BATCH]])
            answers, found = self._step(batch)
            probabilities.append(np.asarray(answers, np.float32))
            maps.append(np.asarray(found, np.float32))
        return Activations(
            pool_fields(self._contract, np.concatenate(probabilities)), self._side_by_side(np.concatenate(maps))
        )

    def _side_by_side(self, maps: Heat) -> Heat:
        """(N, classes, rows, columns) of fields, from that of their tiles."""
        columns, rows = self._contract.tiles or (1, 1)
        classes, high, wide = maps.shape[1:]
        each = maps.reshape(-1, rows, columns, classes, high, wide).transpose(0, 3, 1, 4, 2, 5)
        return each.reshape(len(each), classes, rows * high, columns * wide)

    def _traced(self) -> Any:
        import tensorflow as tf

        classes = len(self._contract.labels)

        def step(batch: Any) -> Any:
            features = self._features(batch, training=False)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(features)
                logits = self._logits(self._head(features, training=False))
                scores = tf.unstack(logits - tf.reduce_mean(logits, axis=1, keepdims=True), num=classes, axis=1)
            maps = [tf.reduce_sum(features * tape.gradient(score, features), axis=-1) for score in scores]
            return tf.nn.softmax(logits), tf.stack(maps, axis=1)

        return tf.function(step, input_signature=[tf.TensorSpec((None, *self._contract.input_shape), tf.float32)])

    def _logits(self, values: Any) -> Any:
        """The last layer without its softmax."""
        import tensorflow as tf

        if type(self._last).__name__ == "Softmax":
            return values
        product = tf.matmul(values, self._last.kernel)
        return product if self._last.bias is None else product + self._last.bias


def enlarged(grid: npt.NDArray[Any], size: tuple[int, int]) -> Heat:
    """A map (rows, columns) as float32 (height, width) for size (width, height), bilinear; never below its minimum."""
    return np.asarray(cv2.resize(grid.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)


def mass_share(heat: Heat, mask: Mask) -> float:
    """The part of a map's mass, float (H, W) >= 0, that lies on `mask` bool (H, W), 0..1; NaN for a map without any."""
    total = float(heat.sum(dtype=np.float64))
    return float(heat[mask].sum(dtype=np.float64)) / total if total > 0 else float("nan")


def best_share(mask: Mask, grid: tuple[int, int]) -> float:
    """About the largest `mass_share` there can be on this grid: that of a map which weighs its cells by their mask.

    A map of 7 x 7 spreads over what surrounds a cell however well a network looks; this is how much. NaN when the mask
    is empty.
    """
    rows, columns = grid
    height, width = mask.shape
    coarse = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return mass_share(enlarged(np.asarray(coarse), (width, height)), mask)


def shuffled(network: Any, seed: int = 7) -> Any:
    """A copy of a network whose filters hold the same numbers in random places; what it looks at nobody taught it.

    The negative control of Adebayo et al. (2018, arXiv 1810.03292). Numbers stay within their filter (of a dense
    layer, their unit), and biases and batch norms stay, or nothing would pass through the network.
    """
    import keras

    copy = keras.models.clone_model(network)
    rng = np.random.default_rng(seed)
    copy.set_weights([w if w.ndim < 2 else _mixed(w, rng) for w in network.get_weights()])
    return copy


def _mixed(kernel: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    filters = (
        kernel.shape[-2] if kernel.shape[-1] == 1 else kernel.shape[-1]
    )  # depthwise kernels are (h, w, channels, 1)
    return np.asarray(rng.permuted(kernel.reshape(-1, filters), axis=0).reshape(kernel.shape))


def _features(network: Any) -> tuple[Any, str]:
    """The tensor from which the head starts, and the name of the layer it comes from."""
    layers = list(network.layers)
    last = layers[-1]
    softmax = getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
    if not (type(last).__name__ == "Softmax" or (type(last).__name__ == "Dense" and softmax)):
        raise ClassActivationError(
            f"class activation maps need a network that ends in softmax; {network.name} ends in {last.name}"
        )
    first = len(layers)
    while first > 0 and type(layers[first - 1]).__name__ in _HEAD:
        first -= 1
    features = layers[first].input if first < len(layers) else None
    shape = getattr(features, "shape", ())
    nothing_learned = first == 0 or type(layers[first - 1]).__name__ == "InputLayer"
    if nothing_learned or len(shape) != 4 or None in shape[1:]:
        raise ClassActivationError(
            f"class activation maps need convolutions, then dense layers; {network.name} has none before "
            f"{layers[min(first, len(layers) - 1)].name}"
        )
    return features, str(layers[first - 1].name)
