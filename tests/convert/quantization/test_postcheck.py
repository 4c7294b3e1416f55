"""Verification of converted files: what is right passes, and each rule fails on a file that breaks it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convert.errors import BrokenModelError, VerificationError
from convert.quantization.postcheck import dynamic_tensors, verify
from convert.quantization.quantize import float_tflite, quantize
from convert.tflite.metadata import with_metadata
from edge.system.streams import silenced
from tests.convert.keras_models import CONTRACT, LABELS, edited, small_network, smear_pixels

keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")


@pytest.fixture(scope="module")
def bare(model) -> Callable[..., bytes]:
    """The converter with single settings left out."""
    import tensorflow as tf

    def convert(fixed: bool = True, per_tensor: bool = True, ends: Any = tf.int8) -> bytes:
        network = model.network
        if fixed:
            image = keras.Input((32, 32, 3), batch_size=1)
            network = keras.Model(image, network(image, training=False))
        with silenced():
            converter = tf.lite.TFLiteConverter.from_keras_model(network)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter._experimental_disable_per_channel_quantization_for_dense_layers = per_tensor
            converter.inference_input_type = converter.inference_output_type = ends
            pixels = smear_pixels(4)
            pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
            converter.representative_dataset = lambda: ([CONTRACT.encode(image)] for image in pixels)
            return bytes(converter.convert())

    return convert


def broken_rule(data: bytes, contract=CONTRACT, io="int8") -> str:
    with pytest.raises(VerificationError) as caught:
        verify(data, contract, io)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    return caught.value.rule


def test_a_right_file_passes_and_lists_its_operators(int8):
    findings = verify(int8, CONTRACT)
    assert [f.rule for f in findings] == ["operator-versions"]
    assert "FULLY_CONNECTED v4 x1" in findings[0].message
    assert findings[0].to_text().startswith("info: operator-versions: ")


def test_the_bare_settings_pass(bare):
    verify(bare(), CONTRACT)


def test_dynamic_batch(bare):
    data = bare(fixed=False)
    assert dynamic_tensors(data)
    assert broken_rule(data) == "fixed-shape"


def test_dynamic_tensor_behind_fixed_shapes(bare, monkeypatch):
    """The static check switched off, the interpreter's own answer still refuses."""
    monkeypatch.setattr("convert.quantization.postcheck._check_shapes", lambda seen: None)
    assert broken_rule(bare(fixed=False)) == "dynamic-tensor"


def test_per_channel_dense(bare):
    assert broken_rule(bare(per_tensor=False)) == "per-tensor-dense"


def test_float_ends(bare):
    import tensorflow as tf

    assert broken_rule(bare(ends=tf.float32)) == "ends"


def test_float_model(model):
    assert broken_rule(float_tflite(model)) == "ends"


def test_float_tensor_inside(int8):
    def change(tree):
        tree.subgraphs[0].tensors[3].type = 0

    assert broken_rule(edited(int8, change)) == "float-tensor"


def test_other_ends_than_asked_for(int8):
    assert broken_rule(int8, io="uint8") == "ends"
    assert broken_rule(int8, replace(CONTRACT, labels=LABELS[:3])) == "ends"
    assert broken_rule(int8, replace(CONTRACT, size=(64, 32))) == "ends"


@pytest.mark.parametrize(
    "contract",
    [
        replace(CONTRACT, scale=(1 / 255,) * 3, offset=(0.0,) * 3),
        replace(CONTRACT, scale=(1.0,) * 3, offset=(0.0,) * 3),
        replace(CONTRACT, scale=(1 / 64,) * 3),
        replace(CONTRACT, offset=(-0.5,) * 3),
    ],
)
def test_a_contract_of_another_range(int8, contract):
    assert broken_rule(int8, contract) == "input-quantization"


@pytest.mark.parametrize(("scale", "zero_point"), [(1 / 256, 0), (1 / 64, 0), (1 / 128, 5)])
def test_a_wrong_input_scale(int8, scale, zero_point):
    def change(tree):
        quantization = tree.subgraphs[0].tensors[tree.subgraphs[0].inputs[0]].quantization
        quantization.scale, quantization.zeroPoint = [scale], [zero_point]

    assert broken_rule(edited(int8, change)) == "input-quantization"


@pytest.mark.parametrize(("scale", "zero_point"), [(1 / 128, -128), (1 / 256, 0)])
def test_a_wrong_output_scale(int8, scale, zero_point):
    def change(tree):
        quantization = tree.subgraphs[0].tensors[tree.subgraphs[0].outputs[0]].quantization
        quantization.scale, quantization.zeroPoint = [scale], [zero_point]

    assert broken_rule(edited(int8, change)) == "output-quantization"


def test_logits_are_no_softmax(model):
    import tensorflow as tf

    logits = keras.Model(model.network.inputs[0], small_network(activation=None)(model.network.inputs[0]))
    data = quantize(replace(model, network=logits), CONTRACT, smear_pixels(8))
    assert broken_rule(data) == "output-quantization"
    del tf


def test_custom_operator(int8):
    def change(tree):
        code = tree.operatorCodes[0]
        code.deprecatedBuiltinCode = code.builtinCode = 32
        code.customCode = "my-op"

    assert broken_rule(edited(int8, change)) == "custom-operator"


def test_shuffled_labels(int8):
    tagged = with_metadata(int8, replace(CONTRACT, labels=LABELS[::-1]))
    assert broken_rule(tagged) == "labels"
    verify(with_metadata(int8, CONTRACT), CONTRACT)


def test_a_newer_operator_version_is_said(int8):
    def change(tree):
        for code in tree.operatorCodes:
            code.version = 3 if code.builtinCode == 25 else code.version  # SOFTMAX

    seen = edited(int8, change)
    findings = verify(seen, CONTRACT)
    assert [(f.severity, f.rule) for f in findings] == [
        ("info", "operator-versions"),
        ("warn", "operator-version"),
    ]
    assert "SOFTMAX v3" in findings[1].message


def test_files_that_are_none():
    for data in (b"", b"text", bytes(np.zeros(100, np.uint8))):
        with pytest.raises(BrokenModelError):
            verify(data, CONTRACT)
