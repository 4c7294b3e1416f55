"""The last block of a network, which may learn from a site: what enters it is calculated once, the rest stays frozen.

The linear head comes first and then learns on together with the block, in small steps (Kumar et al. 2022, arXiv
2202.10054: from a head that fits, features are bent least). Batch norms stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.adaptation.network.backbone import STEP, Backbone, Floats, softmax
from models.errors import AdaptationError

CONVOLUTIONS = 4  # MobileNetV2's last block and the convolution behind it
SMALL = 8  # networks of no more convolutions than this learn their last one
STEPS, BATCH, RATE = 100, 16, 5e-5  # of Adam; the same time whatever the size of a site
Weights = tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class LastBlock:
    """A network in two parts.

    Attributes:
        backbone: a copy of the one given, whose weights change. names: layers that learn.
    """

    backbone: Backbone
    names: tuple[str, ...]
    _trunk: Any
    _tail: Any
    _learning: tuple[Any, ...]
    _start: Weights

    @classmethod
    def of(cls, backbone: Backbone) -> "LastBlock":
        """Cut a copy of the network where all that follows hangs on one tensor.

        Raises:
            AdaptationError: it has no convolution behind such a place.
        """
        import keras

        network = keras.models.clone_model(backbone.network)
        network.set_weights(backbone.network.get_weights())
        nested = isinstance(network.layers[1], keras.Model)
        inner = network.layers[1] if nested else network
        end = inner.output if nested else network.layers[-1].input
        place, names = _cut(inner, backbone.name)
        tensor = inner.layers[place].output
        after = keras.Model(network.layers[2].input, network.layers[-1].input) if nested else None
        block = keras.Model(tensor, end)

        def tail(inputs: Any) -> Any:
            found = block(inputs, training=False)
            return found if after is None else after(found, training=False)

        learning = tuple(w for layer in inner.layers if layer.name in names for w in layer.trainable_weights)
        start = tuple(np.array(each, np.float32) for each in learning)
        return cls(
            replace(backbone, network=network), names, keras.Model(inner.inputs[0], tensor), tail, learning, start
        )

    def inputs(self, pixels: npt.NDArray[np.uint8]) -> Floats:
        """What enters the block: float32 (N, h, w, channels) of uint8 (N, height, width, 3) RGB, prepared."""
        encoded = (self.backbone.encoded(pixels[k : k + STEP]) for k in range(0, len(pixels), STEP))
        return np.concatenate([np.asarray(self._trunk(batch, training=False), np.float32) for batch in encoded])

    def tuner(self, classes: int) -> "Tuner":
        """What makes the block learn, traced once."""
        return Tuner(self, classes)

    def network(self, weights: Weights) -> Any:
        """The whole network with weights that a tuner found, head included."""
        *block, kernel, bias = weights
        for variable, values in zip(self._learning, block, strict=True):
            variable.assign(values)
        return self.backbone.with_head(kernel, bias)


class Tuner:
    """The block and a head of some classes, as they learn."""

    def __init__(self, block: LastBlock, classes: int) -> None:
        import keras
        import tensorflow as tf

        self._block = block
        count = block.backbone.count
        head = keras.Variable(np.zeros((count, classes), np.float32)), keras.Variable(np.zeros(classes, np.float32))
        self._variables = [*block._learning, *head]
        self._optimizer = keras.optimizers.Adam(RATE)
        self._optimizer.build(self._variables)
        self._fresh = [np.array(each) for each in self._optimizer.variables]

        def logits(inputs: Any) -> Any:
            return tf.matmul(block._tail(inputs), tf.convert_to_tensor(head[0])) + tf.convert_to_tensor(head[1])

        def step(inputs: Any, truth: Any) -> None:
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits(inputs))
                loss = tf.reduce_mean(losses)
            values = [each.value for each in self._variables]
            self._optimizer.apply(tape.gradient(loss, values), self._variables)

        shape = (None, *block._trunk.output.shape[1:])
        self._logits = tf.function(logits, input_signature=[tf.TensorSpec(shape, tf.float32)])
        self._step = tf.function(
            step, input_signature=[tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None,), tf.int64)]
        )

    def tuned(
        self,
        inputs: Floats,
        truth: npt.NDArray[np.intp],
        weights: npt.NDArray[np.float64],
        head: Sequence[npt.NDArray[np.float64]],
        rng: np.random.Generator,
    ) -> Weights:
        """Weights of block and head after STEPS steps from the network's own and a given head.

        Args:
            inputs: (N, ..., h, w, channels) of fields, axes between are views and tiles, one of which is drawn a step.
            truth: (N,). weights: (N,) by which fields are drawn. head: kernel (D, classes), bias (classes,).
        """
        for variable, values in zip(self._variables, (*self._block._start, *head), strict=True):
            variable.assign(np.asarray(values, np.float32))
        for variable, values in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(values)
        own = inputs.reshape(len(inputs), -1, *inputs.shape[-3:])
        for _ in range(STEPS):
            fields = rng.choice(len(own), BATCH, p=weights / weights.sum())
            self._step(own[fields, rng.integers(0, own.shape[1], BATCH)], truth[fields].astype(np.int64))
        return tuple(np.array(each, np.float32) for each in self._variables)

    def probabilities(self, inputs: Floats) -> npt.NDArray[np.float64]:
        """(N, tiles, classes) of (N, tiles, h, w, channels), by the weights of the last `tuned`."""
        flat = inputs.reshape(-1, *inputs.shape[-3:])
        found = [np.asarray(self._logits(flat[k : k + STEP]), np.float64) for k in range(0, len(flat), STEP)]
        return softmax(np.concatenate(found)).reshape(*inputs.shape[:2], -1)


def _cut(inner: Any, name: str) -> tuple[int, tuple[str, ...]]:
    """Index of the last layer whose output alone feeds all that follow it, so many convolutions among them, and the
    names of those."""
    import keras

    layers = list(inner.layers)
    convolutions = [isinstance(each, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) for each in layers]
    wanted = CONVOLUTIONS if sum(convolutions) > SMALL else 1
    feeds = [{layers.index(node.operation) for node in each._inbound_nodes[0].parent_nodes} for each in layers]
    for place in range(len(layers) - 2, -1, -1):
        if sum(convolutions[place + 1 :]) >= wanted and all(min(each) >= place for each in feeds[place + 1 :]):
            return place, tuple(
                each.name for each, is_one in zip(layers[place + 1 :], convolutions[place + 1 :], strict=True) if is_one
            )
    raise AdaptationError(f"--fine-tune needs a network with a last block of convolutions; {name} has none")
