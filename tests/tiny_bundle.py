"""One small network as every kind of file the tests need, and what makes a certified bundle of it."""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.bundle.certified_policy import SHIPPED_POLICIES
from edge.inference.contract import InputContract


@dataclass(frozen=True)
class TinyModels:
    """One small network, 32x32 pixels in and four classes out, as every kind of file the tests need.

    Its weights are random (seeded), so its verdicts mean nothing, but they differ from frame to frame.
    """

    contract: InputContract
    int8: bytes
    uint8: bytes
    float32: bytes


def converted() -> TinyModels:
    """Converted in about four seconds, most of them TensorFlow's import.

    The files are the same bytes in every session on a machine: weights and frames are seeded, and the names in
    the files do not go on counting from what other tests built before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    contract = InputContract((32, 32), ("Benign", "Early", "Pre", "Pro"))
    keras.utils.set_random_seed(20)
    pixels = keras.Input((32, 32, 3), batch_size=1, name="pixels")
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", kernel_initializer="he_normal", name="conv")(pixels)
    x = keras.layers.Flatten(name="flat")(keras.layers.MaxPooling2D(3, name="pool")(x))
    model = keras.Model(pixels, keras.layers.Dense(4, activation="softmax", name="classes")(x), name="tiny")

    def convert(dtype: Any) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if dtype is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = tiny_calibration
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = dtype
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        return bytes(converter.convert())

    def tiny_calibration() -> Any:
        frames = np.random.default_rng(20).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
        frames[:, 0, 0], frames[:, 0, 1] = 0, 255  # the whole input range, so that int8 is pixel - 128
        return ([contract.encode(frame)] for frame in frames)

    return TinyModels(contract, convert(tf.int8), convert(tf.uint8), convert(None))


def certified(parts: dict[str, Any], *, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    """`parts` of a bundle with a certificate about them."""
    certificate = {
        "verdict": verdict,
        "synthetic": False,
        "policy": json.loads(SHIPPED_POLICIES.read_text())["real"],
        "int8_model": {"sha256": hashlib.sha256(parts["model"]).hexdigest()},
        "contract": {"sha256": hashlib.sha256(parts["contract"].to_json().encode()).hexdigest()},
    }
    if parts.get("gates") is not None:
        certificate["gates"] = {"sha256": hashlib.sha256(parts["gates"]).hexdigest()}
    return {**parts, "certificate": {**certificate, **more}}
