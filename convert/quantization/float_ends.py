"""Both ends of a float model: the image that it takes, and the probabilities that it answers or is made to answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import FloatModelError
from convert.quantization.float_source import Shape, Source
from convert.quantization.front import as_convolution
from convert.quantization.weights_check import not_finite
from edge.inference.contract import OutputKind
from edge.system.streams import silenced
from models.networks.loading import first_line

PROBES = 4  # images of noise that show whether the outputs are probabilities; few, for the memory's sake
SUM_TOLERANCE = 1e-3  # of a probability vector
_BOUNDED = ("tanh", "relu", "relu6", "softplus", "softsign", "elu", "selu", "hard_sigmoid", "hardsigmoid")

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Head:
    """A network that answers probabilities (N, outputs), for how many classes, and what was put behind it."""

    network: Callable[..., Any]
    classes: int
    output: OutputKind
    notes: tuple[str, ...] = ()


def image_input(path: Path, shapes: tuple[Shape, ...], size: tuple[int, int] | None) -> tuple[tuple[int, int], int]:
    """((width, height), channels) of the only input, which must be (batch, height, width, 1 or 3).

    Args:
        size: for an input whose size is not fixed.
    """
    if len(shapes) != 1:
        raise FloatModelError(f"{path}: must have one input; got {len(shapes)}")
    shape = shapes[0]
    if len(shape) != 4 or shape[3] is None or shape[3] not in (1, 3):
        raise FloatModelError(f"{path}: {_no_image(shape)}")
    height, width = shape[1:3]
    if height is not None and width is not None:
        return (width, height), shape[3]
    if size is None:
        raise FloatModelError(
            f"{path}: its input size must be fixed; got {_shape(shape)}; say which, as with --size 160x160"
        )
    if any(there not in (None, wanted) for there, wanted in zip((width, height), size, strict=True)):
        raise FloatModelError(f"{path}: takes {_shape(shape)}, height before width; {size_text(size)} was asked for")
    return size, shape[3]


def classifier_head(path: Path, source: Source, shape: tuple[int, int, int]) -> Head:
    """The network with what makes its answers probabilities (N, outputs): nothing, a reshape, a softmax, a sigmoid.

    Args:
        shape: (height, width, channels) of its input.

    Raises:
        FloatModelError: its outputs are no probabilities of classes and no logits.
    """
    if len(source.outputs) != 1:
        raise FloatModelError(f"{path}: must have one output; got {len(source.outputs)}")
    source = replace(source, network=as_convolution(source.network))
    stated = source.outputs[0]
    if stated and not _is_vector(stated):
        raise FloatModelError(f"{path}: its output must be (batch, classes); got {_shape(stated)}")
    answers = _probed(path, source.network, shape)
    notes: list[str] = []
    network = source.network
    if answers.ndim == 4 and answers.shape[1:3] == (1, 1):
        answers = answers.reshape(len(answers), -1)
        network = _behind(source, network, "Flatten")
        notes.append(f"outputs: (batch, 1, 1, {answers.shape[1]}), flattened to (batch, {answers.shape[1]})")
    if answers.ndim != 2 or len(answers) != PROBES or not answers.shape[1] or not np.isfinite(answers).all():
        why = (
            not_finite(source.network) or f"answers {answers.shape} with values that are not finite numbers of classes"
        )
        raise FloatModelError(f"{path}: {why}")
    if answers.shape[1] == 1:
        return _sigmoid(path, source, network, answers, notes)
    sums = answers.sum(axis=1)
    if (answers >= 0).all() and np.abs(sums - 1).max() <= SUM_TOLERANCE:
        return Head(network, answers.shape[1], "softmax", tuple(notes))
    if (answers >= 0).all() and (answers <= 1).all():
        raise FloatModelError(
            f"{path}: its outputs must be a softmax over the classes; they lie in 0..1 and sum to"
            f" {sums.min():.3g}..{sums.max():.3g}, as independent sigmoids do"
        )
    notes.append("outputs: logits, so a softmax was put behind them")
    return Head(_behind(source, network, "Softmax"), answers.shape[1], "softmax", tuple(notes))


def _sigmoid(path: Path, source: Source, network: Any, answers: Values, notes: list[str]) -> Head:
    """One output: a probability, or a logit, of the second of two classes."""
    last = source.last or ""
    inside = bool((answers >= 0).all() and (answers <= 1).all())
    if last in _BOUNDED or (not inside and last == "sigmoid"):
        raise FloatModelError(
            f"{path}: its one output must be a probability (sigmoid) or a logit (no activation); it ends in {last}"
        )
    if inside and last not in ("linear", "dense", "biasadd", "matmul"):
        notes.append("outputs: one sigmoid, taken as the probability of the second of two labels")
        return Head(network, 2, "sigmoid", tuple(notes))
    notes.append("outputs: one logit, so a sigmoid was put behind it: the probability of the second of two labels")
    return Head(_behind(source, network, "Sigmoid"), 2, "sigmoid", tuple(notes))


def _behind(source: Source, network: Any, kind: str) -> Any:
    """`network` with a layer behind it: a Keras model again where it is one, so that its layers can be reached."""
    import keras

    layer = keras.layers.Activation("sigmoid") if kind == "Sigmoid" else getattr(keras.layers, kind)()
    if source.is_keras:
        return keras.Model(network.inputs, layer(network.outputs[0]), name=network.name)
    return lambda inputs, training=False: layer(network(inputs, training=training))


def _probed(path: Path, network: Callable[..., Any], shape: tuple[int, int, int]) -> Values:
    """What it answers to noise: in -1..1, and in 0..255 for a model that takes such."""
    probe = np.random.default_rng(0).uniform(-1, 1, (PROBES, *shape)).astype(np.float32)
    probe[1::2] = (probe[1::2] + 1) * 127.5
    try:
        with silenced():
            return np.asarray(network(probe, training=False), np.float32)
    except Exception as error:  # whatever a user's own layers raise
        raise FloatModelError(f"{path}: cannot be run: {first_line(error)}") from error


def _no_image(shape: Shape) -> str:
    """What an input is that is no (batch, height, width, 1 or 3), and the line that mends it."""
    wanted = f"its input must be images (batch, height, width, 3), or 1 channel; got {_shape(shape)}"
    if len(shape) != 4:
        return wanted
    if shape[1] in (1, 3):
        sides = f"{shape[2]}, {shape[3]}, {shape[1]}" if None not in shape[1:] else f"HEIGHT, WIDTH, {shape[1]}"
        turned = f"keras.Sequential([keras.Input(({sides})), keras.layers.Permute((3, 1, 2)), model])"
        return f"{wanted}: channels first; where it was made, save {turned}"
    if shape[3] == 4:
        sides = f"{shape[1]}, {shape[2]}, 3" if None not in shape[1:] else "HEIGHT, WIDTH, 3"
        filled = "keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, 1]], constant_values=OPAQUE)"
        return (
            f"{wanted}: frames have no alpha channel; where it was made, save x = keras.Input(({sides})); "
            f"keras.Model(x, model({filled})), OPAQUE being what it was trained with"
        )
    return wanted


def _is_vector(shape: Shape) -> bool:
    """(batch, classes), or (batch, 1, 1, classes), where sizes that are not known yet may be 1."""
    if len(shape) == 2:
        return shape[1] is not None
    return len(shape) == 4 and all(n in (1, None) for n in shape[1:3]) and shape[3] is not None


def size_text(size: tuple[int, int]) -> str:
    """(224, 160) -> "224x160"."""
    return f"{size[0]}x{size[1]}"


def _shape(shape: Shape) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"
