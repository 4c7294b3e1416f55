"""Networks of the kinds that Coral published, and what stays outside of them."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convert.edgetpu.preflight import Preflight, preflight
from tests.convert.edgetpu.models import Net


def outside(found: Preflight) -> Counter[str]:
    """What is not mapped, by operator."""
    return Counter(each.operator.name for each in found.placed if each.placement.status != "mapped")


def deeplab() -> bytes:
    """DeepLab v3 on MobileNetV2, uint8, as Coral's deeplabv3_mnv2_pascal ends; its backbone cut short.

    In the compiled file two tensors leave the compiled operator, the pooled image and the convolved one, and seven
    operators follow: github.com/ricardodeazambuja/LibrEdgeTPU, docs/HARDWARE_ANALYSIS.md.
    """
    net = Net()
    image = net.tensor((1, 33, 33, 8), name="MobilenetV2/MobilenetV2/input")
    x = net.conv(image, 64, version=1)
    pooled = net.op("AVERAGE_POOL_2D", [x], [net.tensor((1, 1, 1, 64))], filterWidth=33, filterHeight=33)
    pooled = net.conv(pooled, 256, version=1)
    size = net.numbers([33, 33])
    pooled = net.op("RESIZE_BILINEAR", [pooled, size], [net.tensor((1, 33, 33, 256))])
    pooled = net.op("QUANTIZE", [pooled], [net.tensor((1, 33, 33, 256), scales=(0.2,))])
    convolved = net.conv(x, 256, version=1)
    joined = net.op("CONCATENATION", [pooled, convolved], [net.tensor((1, 33, 33, 512))], axis=3)
    y = net.conv(net.conv(joined, 256, version=1), 21, version=1)
    y = net.op("RESIZE_BILINEAR", [y, size], [net.tensor((1, 33, 33, 21))])
    y = net.op("RESIZE_BILINEAR", [y, net.numbers([513, 513])], [net.tensor((1, 513, 513, 21))])
    classes = net.op("ARG_MAX", [y, net.numbers(3)], [net.tensor((1, 513, 513), "int64", scales=None)])
    return net.build([image], [classes])


def test_deeplab_is_cut_where_coral_s_is() -> None:
    found = preflight(deeplab())
    expected = {"RESIZE_BILINEAR": 3, "QUANTIZE": 1, "CONCATENATION": 1, "CONV_2D": 2, "ARG_MAX": 1}
    assert (outside(found), found.subgraphs) == (Counter(expected), 1)
    assert found.mapped_by_operator() == Counter(CONV_2D=3, AVERAGE_POOL_2D=1)


# --- made with TensorFlow -------------------------------------------------------------------------------------------


def converted(model: Any, ends: str) -> bytes:
    """Quantized after training as Coral's guide does it, with random images."""
    import tensorflow as tf

    def images() -> Any:
        rng = np.random.default_rng(0)
        for _ in range(2):
            yield [rng.random(model.inputs[0].shape, np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations, converter.representative_dataset = [tf.lite.Optimize.DEFAULT], images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if ends != "float32":
        converter.inference_input_type = converter.inference_output_type = getattr(tf, ends)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return bytes(converter.convert())


def mobilenet(keras: Any) -> Any:
    image = keras.Input((128, 128, 3), batch_size=1)
    return keras.applications.MobileNet(weights=None, input_tensor=image, alpha=0.25)


def unet(keras: Any) -> Any:
    layers = keras.layers
    image = x = keras.Input((64, 64, 3), batch_size=1)
    skipped = []
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skipped.append(x)
        x = layers.MaxPool2D()(x)
    for filters in (16, 8):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skipped.pop()])
    return keras.Model(image, layers.Conv2D(3, 1, activation="softmax")(x))


def detector(keras: Any) -> Any:
    """Two scales of boxes and scores, joined."""
    layers = keras.layers
    image = x = keras.Input((64, 64, 3), batch_size=1)
    boxes, scores = [], []
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
        if filters > 16:
            boxes.append(layers.Reshape((-1, 4))(layers.Conv2D(12, 3, padding="same")(x)))
            scores.append(layers.Reshape((-1, 5))(layers.Conv2D(15, 3, padding="same")(x)))
    joined = layers.Activation("sigmoid")(layers.Concatenate(axis=1)(scores))
    return keras.Model(image, [layers.Concatenate(axis=1)(boxes), joined])


def segmenter(keras: Any) -> Any:
    """As DeepLab: image pooling that is widened again, and the class of each position at the end."""
    import tensorflow as tf

    layers = keras.layers
    image = x = keras.Input((65, 65, 3), batch_size=1)
    for filters in (8, 16, 16):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    pooled = layers.Conv2D(16, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    pooled = layers.Lambda(lambda t: tf.image.resize(t, (9, 9)))(pooled)
    y = layers.Conv2D(4, 1)(layers.Concatenate()([pooled, layers.Conv2D(16, 1)(x)]))
    return keras.Model(image, layers.Lambda(lambda t: tf.argmax(t, -1, output_type=tf.int32))(y))


def minimalistic(keras: Any) -> Any:
    image = keras.Input((96, 96, 3), batch_size=1)
    return keras.applications.MobileNetV3Small(weights=None, input_tensor=image, minimalistic=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "ends", "stays"),
    [
        (mobilenet, "uint8", {}),
        (unet, "int8", {}),
        (unet, "float32", {"QUANTIZE": 1, "DEQUANTIZE": 1}),
        (detector, "uint8", {}),
        (detector, "float32", {"QUANTIZE": 1, "DEQUANTIZE": 2}),
        (segmenter, "int8", {"RESIZE_BILINEAR": 1, "CONCATENATION": 1, "CONV_2D": 1, "ARG_MAX": 1}),
        (minimalistic, "uint8", {}),
    ],
)
def test_a_network_of_tensorflow(make: Callable[[Any], Any], ends: str, stays: dict[str, int]) -> None:
    """Float ends stay outside, 8-bit ends do not; nothing is refused, so no version is too new."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    found = preflight(converted(make(keras), ends))
    assert (outside(found), found.counts["refused"], found.subgraphs) == (Counter(stays), 0, 1)


@pytest.mark.slow
def test_repetition_of_current_tensorflow_is_too_new() -> None:
    """Doubling by nearest neighbours becomes TILE of version 3, which a log of the last release shows refused."""
    import keras

    image = keras.Input((8, 8, 8), batch_size=1)
    x = keras.layers.Conv2D(8, 1)(image)
    found = preflight(converted(keras.Model(image, keras.layers.UpSampling2D()(x)), "int8"))
    assert [each.placement.rule for each in found.placed if each.operator.name == "TILE"] == ["op-version"] * 2
