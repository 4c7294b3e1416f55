"""The network that an adaptation starts from: its frozen features, and the same network with a new head."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import FLOAT32, InputContract, Pixels
from models.data.published import TRAINED, trained
from models.errors import NetworkError
from models.support.quiet_tensorflow import import_tensorflow

Floats = npt.NDArray[np.float32]
IMAGENET = "imagenet"
STEP = 16  # images at once: larger batches take no less time and more memory
IMAGENET_SIZE = (224, 224)
WIDTHS = (1.0, 0.75, 0.5, 0.35)  # of MobileNetV2; nothing in a file of weights says which it is for
_PLACEHOLDER = ("class 0", "class 1")


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network without its head.

    Attributes:
        name: as asked for: "imagenet", "mobilenet_v2", "custom_cnn", or the file's name.
        network: the Keras model, head included; its last layer is a Dense softmax.
        contract: how a frame becomes its input, without decision, gates and tiles.
        sha256: of the network's file, or of its weights' file. weights_sha256: of `--weights`, None without.
        labels: what its own head answers, None where that head was never trained.
    """

    name: str
    network: Any
    contract: InputContract
    sha256: str
    weights_sha256: str | None = None
    labels: tuple[str, ...] | None = None

    @property
    def benign(self) -> tuple[str, ...]:
        """Its own benign labels; () where it has none."""
        return () if self.labels is None else self.contract.benign_labels

    @property
    def count(self) -> int:
        """Features of an image."""
        return int(self.network.layers[-1].input.shape[-1])

    def features(self, pixels: Pixels) -> Floats:
        """What enters the head.

        Args:
            pixels: prepared by the contract, uint8 (N, height, width, 3) RGB.

        Returns:
            float32 (N, count).
        """
        batches = (self.encoded(pixels[start : start + STEP]) for start in range(0, len(pixels), STEP))
        rows = [np.asarray(self._step(batch), np.float32) for batch in batches]
        return np.concatenate(rows) if rows else np.empty((0, self.count), np.float32)

    def own_head(self, features: Floats) -> npt.NDArray[np.float64] | None:
        """Probabilities (N, classes) of its own labels from features (N, count); None where its head is untrained."""
        if self.labels is None:
            return None
        kernel, bias = self.network.layers[-1].get_weights()
        return softmax(features.astype(np.float64) @ kernel + bias)

    def with_head(self, kernel: npt.NDArray[Any], bias: npt.NDArray[Any]) -> Any:
        """A Keras model with a softmax over other classes behind the same features.

        Args:
            kernel: (count, classes). bias: (classes,).
        """
        import keras

        head = keras.layers.Dense(kernel.shape[1], activation="softmax", name="probabilities")
        model = keras.Model(self.network.inputs[0], head(self.network.layers[-1].input), name="adapted")
        head.set_weights([np.asarray(kernel, np.float32), np.asarray(bias, np.float32)])
        return model

    def with_statistics_of(self, pixels: Pixels) -> "Backbone | None":
        """The same network with the batch-norm statistics of other images; None where it has none to re-estimate.

        Each batch norm's mean and variance become those over these images, each layer fed by others that normalize
        with the statistics of a batch of STEP images; everything else stays.

        Args:
            pixels: prepared, uint8 (N, height, width, 3) RGB, N >= 1.
        """
        import keras

        network = keras.models.clone_model(self.network)
        network.set_weights(self.network.get_weights())
        norms = [layer for layer in _flat(network) if isinstance(layer, keras.layers.BatchNormalization)]
        if not norms or all(_is_identity(layer) for layer in norms):
            return None
        network.trainable = True  # a frozen batch norm keeps its statistics
        for layer in norms:
            layer.momentum = 0.0  # what it keeps is then the last batch's
        sums = [np.zeros((2, layer.moving_mean.shape[0])) for layer in norms]
        step = _graph(network, self.contract.input_shape, training=True)
        batches = [pixels[start : start + STEP] for start in range(0, len(pixels), STEP)]
        for batch in batches:
            step(self.encoded(batch))
            for layer, total in zip(norms, sums, strict=True):
                mean = np.asarray(layer.moving_mean, np.float64)
                np.add(total, len(batch) * np.stack([mean, np.asarray(layer.moving_variance) + mean**2]), out=total)
        for layer, total in zip(norms, sums, strict=True):
            mean, square = total / len(pixels)
            layer.moving_mean.assign(mean.astype(np.float32))
            layer.moving_variance.assign(np.maximum(square - mean**2, 0).astype(np.float32))
        return replace(self, network=network)

    @cached_property
    def _step(self) -> Callable[[Floats], Any]:
        import keras

        part = keras.Model(self.network.inputs[0], self.network.layers[-1].input)
        return _graph(part, self.contract.input_shape, training=False)

    def encoded(self, pixels: Pixels) -> Floats:
        """The network's input, float32 (N, height, width, 3), of prepared pixels, uint8 (N, height, width, 3) RGB."""
        return np.concatenate([self.contract.encode(image, FLOAT32) for image in pixels])


def open_backbone(start: str, weights: Path | None = None) -> Backbone:
    """The network to start from.

    Args:
        start: "imagenet" (MobileNetV2 with the weights of `--weights`), "mobilenet_v2" or "custom_cnn" (those that
            ship), or a folder with `model.keras` and `contract.json`.
        weights: with "imagenet": backbone weights without top (`.h5`), of any width.

    Raises:
        NetworkError: weights that are missing or do not fit; a network whose head is no Dense softmax on numbers.
        ContractError: a contract that does not fit.
    """
    check_start(start, weights)
    import_tensorflow()
    if start == IMAGENET:
        assert weights is not None
        return _imagenet(weights)
    from models.networks.loading import load_network

    folder = _folder(start)
    network, contract = load_network(folder)
    _check_head(network, folder)
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    contract = replace(contract, decision=None)
    return Backbone(start if start in TRAINED else folder.name, network, contract, digest, None, contract.labels)


def check_start(start: str, weights: Path | None = None) -> None:
    """What can be refused before TensorFlow is loaded and a field is read.

    Raises:
        NetworkError: no such network, or weights that are missing or too much.
    """
    if start == IMAGENET:
        if weights is None:
            raise NetworkError(
                "--from imagenet needs --weights FILE.h5, MobileNetV2's backbone weights (keras.applications); without "
                "it leave --from out: the shipped network's features serve"
            )
        if not weights.is_file():
            raise NetworkError(f"--weights must be a file of backbone weights (.h5); {weights} is not one")
        return
    if weights is not None:
        raise NetworkError(f"--weights belongs to --from imagenet; --from {start} has weights of its own")
    if not (_folder(start) / "model.keras").is_file():
        raise NetworkError(
            f"--from must be imagenet, {', '.join(TRAINED)}, or a folder with model.keras and contract.json; "
            f"got {start}"
        )


def _folder(start: str) -> Path:
    path = trained(start) if start in TRAINED else Path(start)
    return path.parent if path.name == "model.keras" else path


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, C) probabilities of (N, C) logits.

    >>> softmax(np.zeros((1, 2))).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def _imagenet(weights: Path) -> Backbone:
    from models.networks.architectures import ArchitectureError, mobilenet_v2

    reason: ArchitectureError | None = None
    for width in WIDTHS:
        try:
            network = mobilenet_v2(IMAGENET_SIZE, len(_PLACEHOLDER), width, weights)
        except ArchitectureError as error:
            reason = reason or error
            continue
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        return Backbone(IMAGENET, network, InputContract(IMAGENET_SIZE, _PLACEHOLDER), digest, digest)
    raise NetworkError(str(reason)) from reason


def _check_head(network: Any, folder: Path) -> None:
    import keras

    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        raise NetworkError(f"{folder}: its last layer must be a Dense softmax, which is what is replaced")
    if len(last.input.shape) != 2 or not last.use_bias:
        raise NetworkError(f"{folder}: its last layer must have a bias and take one row of numbers an image")


def _graph(network: Any, shape: tuple[int, int, int], *, training: bool) -> Callable[[Floats], Any]:
    """The network as a graph that is traced once: a graph frees what it calculates on the way."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *shape), tf.float32)]
    found: Callable[[Floats], Any] = tf.function(
        lambda batch: network(batch, training=training), input_signature=signature
    )
    return found


def _flat(network: Any) -> Sequence[Any]:
    return list(network._flatten_layers(include_self=False, recursive=True))


def _is_identity(layer: Any) -> bool:
    """Folded into the convolution before it: mean 0 and variance 1 up to its epsilon."""
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    return bool(np.abs(mean).max() < 1e-6 and np.abs(variance - 1).max() < 2e-3)
