"""The two networks. Both take what `edge.inference.contract` encodes, so no normalization stands in the graph.

The published layer sizes (arXiv 2501.14228) could not be obtained: these are ours, never to be quoted as the paper's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.system.streams import silenced
from models.errors import ModelsError
from models.networks.loading import first_line


class ArchitectureError(ModelsError, ValueError):
    """A network that cannot be built as asked. Cure: correct the argument the message names."""


def custom_cnn(
    size: tuple[int, int] = (224, 224),
    classes: int = 4,
    filters: tuple[int, int, int] = (32, 64, 128),
    dense: int = 64,
) -> Any:
    """Three convolutions, each with batch norm, ReLU and max-pooling, then flatten, fully connected, softmax.

    The first convolution has stride 2 (white cells are some 25 pixels wide at 224, nothing finer decides) and the last
    pooling is by 4, so that few positions reach the dense layer: a smear has no up and no centre. At the defaults it
    has 0.5 million weights (0.5 MB as int8) and 146 million multiply-adds; batch norms fold away in conversion, so its
    TFLite operators are CONV_2D, MAX_POOL_2D, RESHAPE, FULLY_CONNECTED and SOFTMAX.

    Args:
        size: (width, height) of the input, pixels, both >= 32.
        classes: outputs, >= 2.
        filters: channels of the three convolutions.
        dense: units of the fully connected layer.

    Returns:
        keras.Model: float32 (N, height, width, 3) to softmax (N, classes).
    """
    import keras

    _check(size, classes)
    width, height = size
    inputs = keras.Input((height, width, 3), name="image")
    x = inputs
    for index, channels in enumerate(filters):
        kernel, stride = (5, 2) if index == 0 else (3, 1)
        x = keras.layers.Conv2D(
            channels, kernel, strides=stride, padding="same", use_bias=False, name=f"conv{index + 1}"
        )(x)
        x = keras.layers.BatchNormalization(name=f"conv{index + 1}_bn")(x)
        x = keras.layers.ReLU(name=f"conv{index + 1}_relu")(x)
        x = keras.layers.MaxPooling2D(4 if index == 2 else 2, name=f"pool{index + 1}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dropout(0.3, name="flatten_dropout")(x)
    x = keras.layers.Dense(dense, activation="relu", name="fc")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="custom_cnn")


def mobilenet_v2(
    size: tuple[int, int] = (224, 224), classes: int = 4, alpha: float = 1.0, weights: Path | None = None
) -> Any:
    """MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) with its head altered to a softmax over `classes`.

    Its batch norms fold exactly into the convolutions when converted. Whether they re-estimate their statistics while
    the network learns is the recipe's to say (`models.training.recipe.Recipe.freeze_batch_norm`).

    Args:
        size: (width, height) of the input, pixels, both >= 32.
        classes: outputs, >= 2.
        alpha: width multiplier.
        weights: backbone weights without top (`.h5`); random when None.

    Returns:
        keras.Model: float32 (N, height, width, 3) in [-1, 1] to softmax (N, classes); `model.get_layer("backbone")`.
    """
    import keras

    _check(size, classes)
    if weights is not None and not weights.is_file():
        raise ArchitectureError(f"weights must be a file of backbone weights (.h5); {weights} is not one")
    width, height = size
    try:
        with silenced():
            backbone = keras.applications.MobileNetV2(
                input_shape=(height, width, 3),
                alpha=alpha,
                include_top=False,
                weights=str(weights) if weights else None,
                name="backbone",
            )
    except (ValueError, OSError) as error:
        raise ArchitectureError(
            f"weights {weights} do not fit MobileNetV2 alpha {alpha}: {first_line(error)}"
        ) from error
    inputs = keras.Input((height, width, 3), name="image")
    x = backbone(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.3, name="pool_dropout")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mobilenet_v2")


ARCHITECTURES: dict[str, Callable[..., Any]] = {"custom_cnn": custom_cnn, "mobilenet_v2": mobilenet_v2}


def _check(size: tuple[int, int], classes: int) -> None:
    if len(size) != 2 or min(size) < 32:
        raise ArchitectureError(f"size must be (width, height) in pixels, both >= 32; got {size}")
    if classes < 2:
        raise ArchitectureError(f"classes must be >= 2; got {classes}")
