"""The front of a network: what its first layers do to the values that it is fed, and so which values it wants.

Read off the layers themselves: everything before the first convolution or dense layer that only moves, crops, resizes,
augments or scales values is run on black and on white, which gives gain and offset of each channel.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge.system.streams import silenced

Values = Literal["0..255", "0..1", "-1..1"]
_EXACT = 1e-2  # of values that reach 255
LARGEST_NORMALIZED = 8.0  # no mean or deviation of values in -1..1 or 0..1 comes near it
PASSING = frozenset(
    (
        *(
            "Activation",
            "CenterCrop",
            "Cropping2D",
            "Dropout",
            "GaussianDropout",
            "GaussianNoise",
            "Identity",
            "Pipeline",
        ),
        *("Resizing", "SpatialDropout2D", "ZeroPadding2D", "Cast", "GetItem", "Stack", "Concatenate", "Flip", "Pad"),
    )
)
SCALING = frozenset(
    ("Rescaling", "Normalization", "BatchNormalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add")
)


@dataclass(frozen=True)
class Front:
    """Scaling layers in front of a network.

    Attributes:
        layer: the first of them, by its kind.
        values: what they are made for.
        certain: whether their numbers leave no doubt; 0..1 and -1..1 can look alike.
    """

    layer: str
    values: Values
    certain: bool


def front_of(network: Any) -> Front | None:
    """The front of a Keras model; None where no layer scales, or where the layers cannot be seen."""
    kinds: list[str] = []
    shape = _fixed(getattr(network, "inputs", None))
    if shape is None:
        return None
    ends = np.stack([np.zeros(shape, np.float32), np.full(shape, 255, np.float32)])
    try:
        with silenced():
            black, white = _run(network, ends, kinds)
    except Exception:  # control flow: layers of others, which say nothing then
        return None
    scaling = [kind for kind in kinds if kind in SCALING]
    gain = (white - black) / 255
    if not scaling or not np.isfinite(gain).all() or not gain.all():
        return None
    centre, deviation = -black / gain, 1 / np.abs(gain)
    if max(float(np.abs(centre).max()), float(deviation.max())) > LARGEST_NORMALIZED:
        return Front(scaling[0], "0..255", True)
    # Values in 0..1 with mean m have a variance of m (1 - m) at most.
    possible = bool((deviation**2 <= centre * (1 - centre) + 0.01).all())
    return Front(scaling[0], "0..1" if possible else "-1..1", False)


def as_convolution(network: Any) -> Any:
    """`network` with layers in front that exchange channels, as `keras.applications` of the Caffe kind have them, made
    one 1x1 convolution; itself where there are none, or where they do more than exchange and scale.

    As slices and a stack in int8 they take their scale from what comes after them, and the input no longer is pixels.
    """
    import keras

    shape = _fixed(getattr(network, "inputs", None))
    if shape is None or shape[2] != 3:
        return network
    try:
        front = _front_nodes(network)
        if not front or not {"Stack", "GetItem", "Flip", "Concatenate"} & set(_kinds([n.operation for n in front])):
            return network
        tensor = front[-1].outputs[0]
        exchange = _exchange(keras.Model(network.inputs[0], tensor), shape)
        if exchange is None:
            return network
        image = keras.Input(tuple(network.inputs[0].shape[1:]))
        layer = keras.layers.Conv2D(3, 1, name="channels")
        behind = keras.Model(tensor, network.outputs[0], name="behind_channels")
        made = keras.Model(image, behind(layer(image)), name=network.name)
        layer.set_weights(exchange)
        return made
    except Exception:  # control flow: a graph that cannot be taken apart stays as it is
        return network


def _exchange(part: Any, shape: tuple[int, int, int]) -> list[npt.NDArray[np.float32]] | None:
    """Kernel (1, 1, 3, 3) and bias (3,) of a front that gives each channel from one channel, pixel by pixel."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *shape)).astype(np.float32)
    wanted = np.asarray(part(image, training=False), np.float64)
    if wanted.shape != image.shape:
        return None
    rows = np.concatenate([image.reshape(-1, 3), np.ones((image[0, ..., 0].size, 1), np.float32)], axis=1)
    solution = np.linalg.lstsq(rows.astype(np.float64), wanted.reshape(-1, 3), rcond=None)[0]
    kernel, bias = np.where(np.abs(solution[:3]) < 1e-6, 0, solution[:3]), solution[3]
    if (np.count_nonzero(kernel, axis=0) != 1).any() or np.abs(
        rows[:, :3] @ kernel + bias - wanted.reshape(-1, 3)
    ).max() > 1e-2:
        return None
    return [kernel.reshape(1, 1, 3, 3).astype(np.float32), bias.astype(np.float32)]


def _run(network: Any, images: npt.NDArray[np.float32], kinds: list[str]) -> npt.NDArray[np.float64]:
    """(2, channels): the middle of both images behind the front; appends the kinds of its layers."""
    import keras

    front = _front_nodes(network)
    values: Any = images
    if front:
        values = np.asarray(keras.Model(network.inputs[0], front[-1].outputs[0])(images, training=False))
        kinds += _kinds([node.operation for node in front])
    behind = _nodes(network)[len(front) :]
    if behind and _inside(behind[0].operation):
        return _run(behind[0].operation, values, kinds)
    rows, columns = values.shape[1:3]
    return np.asarray(values[:, rows // 2, columns // 2], np.float64)


def _front_nodes(network: Any) -> list[Any]:
    return list(itertools.takewhile(lambda node: _belongs(node.operation), _nodes(network)))


def _nodes(network: Any) -> list[Any]:
    """The calls of a Keras model's layers in their order, inputs left out."""
    graph = getattr(network, "_functional", None) or network
    depths = graph._nodes_by_depth
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth] if not node.is_input]


def _inside(operation: Any) -> list[Any]:
    """The layers of a model within the model."""
    inner = getattr(operation, "_functional", None) or operation
    return [each for each in getattr(inner, "operations", ()) if type(each).__name__ != "InputLayer"]


def _belongs(operation: Any) -> bool:
    inside = _inside(operation)
    if inside:
        return all(_belongs(each) for each in inside)
    kind = type(operation).__name__
    if kind == "Activation":
        return getattr(operation.activation, "__name__", "") == "linear"
    return kind in PASSING or kind in SCALING or kind.startswith(("Random", "Auto", "Rand"))


def _kinds(operations: Sequence[Any]) -> list[str]:
    found: list[str] = []
    for each in operations:
        inside = _inside(each)
        found += _kinds(inside) if inside else [type(each).__name__]
    return found


def _fixed(inputs: Any) -> tuple[int, int, int] | None:
    """Height, width, channels of the only input, 64 where a side is open."""
    if not inputs or len(inputs) != 1 or len(inputs[0].shape) != 4:
        return None
    height, width, channels = inputs[0].shape[1:]
    return int(height or 64), int(width or 64), int(channels)
