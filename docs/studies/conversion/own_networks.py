"""Networks as others build them, for `docs.studies.conversion.own_models`: one kind of layer or layout each.

Three classes of drawn images, 64x64: red discs, green squares, blue crosses on a grey noisy ground. Each network is
trained on them for a minute at most; what a network answers does not matter here, only that it is decided.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

LABELS = ("cross", "disc", "square")  # as class folders sort
COLOURS = {"disc": (200, 60, 60), "square": (60, 170, 90), "cross": (70, 80, 200)}
SIZE, A_CLASS = 64, 60
SEED = 5
Build = Callable[[Any, Any], Any]  # (keras, the image) to a network's body


def draw(label: str, number: int) -> npt.NDArray[np.uint8]:
    """uint8 (120, 120, 3) RGB; the same for the same label and number."""
    rng = np.random.default_rng([SEED, LABELS.index(label), number])
    image = np.full((120, 120, 3), rng.integers(90, 190), np.uint8).astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        x, y, r = (int(n) for n in (*rng.integers(20, 100, 2), rng.integers(8, 18)))
        colour = [float(v + rng.integers(-25, 25)) for v in COLOURS[label]]
        if label == "disc":
            cv2.circle(image, (x, y), r, colour, -1)
        elif label == "square":
            cv2.rectangle(image, (x - r, y - r), (x + r, y + r), colour, -1)
        else:
            cv2.line(image, (x - r, y), (x + r, y), colour, 5)
            cv2.line(image, (x, y - r), (x, y + r), colour, 5)
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def write_images(root: Path) -> None:
    """A folder a class of PNG files."""
    for label in LABELS:
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(A_CLASS):
            picture = cv2.cvtColor(draw(label, number), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(root / label / f"{label}{number:03d}.png"), picture)


def body(k: Any, x: Any, activation: str = "relu") -> Any:
    """Three strided convolutions with batch norm."""
    layers = k.layers
    for filters in (16, 24, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.Activation(activation)(layers.BatchNormalization(momentum=0.8)(x))
    return x


def head(k: Any, x: Any, units: int = len(LABELS), activation: str | None = "softmax") -> Any:
    """Global pool, dense."""
    return k.layers.Dense(units, activation=activation)(k.layers.GlobalAveragePooling2D()(x))


def _augmented(k: Any, i: Any) -> Any:
    nested = k.Sequential([k.layers.RandomFlip("horizontal"), k.layers.RandomZoom(0.1)], name="augment")
    return head(k, body(k, nested(i) / 127.5 - 1.0))


def _squeeze(k: Any, i: Any) -> Any:
    x = k.layers.Normalization(mean=[0.48, 0.45, 0.4], variance=[0.05] * 3)(k.layers.Rescaling(1 / 255)(i))
    for filters in (16, 24):
        x = k.layers.Activation("swish")(k.layers.Conv2D(filters, 3, strides=2, padding="same")(x))
        gate = k.layers.GlobalAveragePooling2D(keepdims=True)(x)
        gate = k.layers.Conv2D(filters, 1, activation="sigmoid")(k.layers.Conv2D(8, 1, activation="swish")(gate))
        x = k.layers.Multiply()([x, gate])
    return head(k, x)


def _layer_norm_gelu(k: Any, i: Any) -> Any:
    x = k.layers.LayerNormalization(epsilon=1e-6)(k.layers.Conv2D(24, 4, strides=4)(i))
    y = k.layers.LayerNormalization(epsilon=1e-6)(k.layers.DepthwiseConv2D(5, padding="same")(x))
    y = k.layers.Dense(24)(k.layers.Activation("gelu")(k.layers.Dense(48)(y)))
    return head(k, k.layers.Add()([x, y]))


def _attention(k: Any, i: Any) -> Any:
    x = k.layers.Reshape((64, 24))(k.layers.Conv2D(24, 8, strides=8)(i))
    y = k.layers.LayerNormalization()(x)
    x = k.layers.Add()([x, k.layers.MultiHeadAttention(2, 12)(y, y)])
    return k.layers.Dense(3, activation="softmax")(k.layers.GlobalAveragePooling1D()(x))


def _recurrent(kind: str, **options: Any) -> Build:
    def build(k: Any, i: Any) -> Any:
        x = k.layers.Reshape((8, 8 * 32))(body(k, i))
        return k.layers.Dense(3, activation="softmax")(getattr(k.layers, kind)(16, **options)(x))

    return build


def _branches(k: Any, i: Any) -> Any:
    a = k.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(i)
    b = k.layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")(a)
    up = k.layers.UpSampling2D(2, interpolation="bilinear")(b)
    x = k.layers.Concatenate()([a, up, k.layers.Conv2DTranspose(8, 2, strides=2)(b)])
    return head(k, k.layers.Conv2D(16, 3, groups=2, activation="relu")(k.layers.MaxPool2D(2)(x)))


def _dead(k: Any, i: Any) -> Any:
    down = k.initializers.Constant(-50.0)
    x = k.layers.Conv2D(16, 1, activation="relu", bias_initializer=down, trainable=False, name="dead")(body(k, i))
    pooled = [k.layers.GlobalAveragePooling2D()(each) for each in (x, body(k, i))]
    return k.layers.Dense(3, activation="softmax")(k.layers.Concatenate()(pooled))


def _activations(k: Any, i: Any) -> Any:
    x = k.layers.PReLU(shared_axes=[1, 2])(k.layers.Conv2D(16, 3, strides=2)(i))
    x = k.layers.LeakyReLU()(k.layers.Conv2D(24, 3, strides=2)(x))
    return head(k, k.layers.ELU()(k.layers.Conv2D(24, 3, strides=2)(x)))


def _group_norm(k: Any, i: Any) -> Any:
    x = k.layers.ReLU()(k.layers.GroupNormalization(4)(k.layers.Conv2D(16, 3, strides=2)(i)))
    return head(k, k.layers.Conv2D(24, 3, strides=2, activation="relu")(x))


def _pooled_head(k: Any, i: Any) -> Any:
    x = k.layers.Conv2D(3, 1)(k.layers.GlobalAveragePooling2D(keepdims=True)(body(k, i)))
    return k.layers.Softmax()(x)


def _flat(k: Any, i: Any) -> Any:
    x = k.layers.Dense(32, activation="relu")(k.layers.Flatten()(body(k, i)))
    return k.layers.Dense(3, activation="softmax")(x)


# Name to (how it is fed in training: pixels "0..255" or "-1..1", its input's shape, its body).
NETWORKS: dict[str, tuple[str, tuple[int | None, int | None, int], Build]] = {
    "plain": ("-1..1", (64, 64, 3), lambda k, i: head(k, body(k, i))),
    "open-size": ("-1..1", (None, None, 3), lambda k, i: head(k, body(k, i))),
    "grey": ("-1..1", (64, 64, 1), lambda k, i: head(k, body(k, i))),
    "logits": ("-1..1", (64, 64, 3), lambda k, i: head(k, body(k, i), activation=None)),
    "one-sigmoid": ("-1..1", (64, 64, 3), lambda k, i: head(k, body(k, i), 1, "sigmoid")),
    "convolutional-head": ("-1..1", (64, 64, 3), _pooled_head),
    "flatten": ("-1..1", (64, 64, 3), _flat),
    "rescaling": ("0..255", (64, 64, 3), lambda k, i: head(k, body(k, k.layers.Rescaling(1 / 255)(i)))),
    "resizing": (
        "0..255",
        (64, 64, 3),
        lambda k, i: head(k, body(k, k.layers.Rescaling(1 / 255)(k.layers.Resizing(48, 48)(i)))),
    ),
    "zero-padding": (
        "0..255",
        (64, 64, 3),
        lambda k, i: head(k, body(k, k.layers.Rescaling(1 / 255)(k.layers.ZeroPadding2D(1)(i)))),
    ),
    "augmentation": ("0..255", (64, 64, 3), _augmented),
    "caffe-means": (
        "0..255",
        (64, 64, 3),
        lambda k, i: head(k, body(k, k.applications.resnet50.preprocess_input(i))),
    ),
    "batch-norm-first": ("0..255", (64, 64, 3), lambda k, i: head(k, body(k, k.layers.BatchNormalization()(i)))),
    "raw": ("0..255", (64, 64, 3), lambda k, i: head(k, body(k, i))),
    "hard-swish": ("-1..1", (64, 64, 3), lambda k, i: head(k, body(k, i, "hard_swish"))),
    "swish-and-gates": ("0..255", (64, 64, 3), _squeeze),
    "branches": ("-1..1", (64, 64, 3), _branches),
    "prelu-and-elu": ("-1..1", (64, 64, 3), _activations),
    "layer-norm-gelu": ("-1..1", (64, 64, 3), _layer_norm_gelu),
    "group-norm": ("-1..1", (64, 64, 3), _group_norm),
    "attention": ("-1..1", (64, 64, 3), _attention),
    "lstm": ("-1..1", (64, 64, 3), _recurrent("LSTM")),
    "lstm-unrolled": ("-1..1", (64, 64, 3), _recurrent("LSTM", unroll=True)),
    "gru": ("-1..1", (64, 64, 3), _recurrent("GRU")),
    "dead-relu": ("-1..1", (64, 64, 3), _dead),
    "large-logits": (
        "-1..1",
        (64, 64, 3),
        lambda k, i: k.layers.Softmax()(k.layers.Rescaling(200.0)(head(k, body(k, i), activation=None))),
    ),
}
HALVED = ("mixed_float16", "float16")  # number formats in which "plain" is built once more
APPLICATIONS = ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ResNet50V2", "NASNetMobile")
