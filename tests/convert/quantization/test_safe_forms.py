"""Layers that are converted in another form, layers that cannot be, and layers that answer nothing but zeros."""

from typing import Any

import numpy as np
import pytest

from convert.errors import FloatModelError, QuantizationError, VerificationError
from convert.quantization.converter import dead_tensors, saved_network
from convert.quantization.converter.safe_forms import in_safe_forms
from convert.quantization.float_model import load_float
from convert.quantization.postcheck import verify
from convert.quantization.quantize import calibrated, float_tflite, quantize, quantized
from convert.tflite.inspection import inspect
from convert.tflite.layer_names import layer_of, left_in_float
from edge.errors import ModelFileError
from edge.inference.contract import InputContract
from edge.inference.runtime.interpreters import open_interpreter
from tests.convert.keras_models import LABELS, smear_pixels
from tests.convert.quantization.test_quantize import run_tflite

keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")
SMALL = InputContract((8, 8), LABELS)
PIXELS = smear_pixels(12, size=8)
LAYERS = {
    "LayerNormalization": lambda: keras.layers.LayerNormalization(epsilon=1e-6),
    "LayerNormalization over all axes": lambda: keras.layers.LayerNormalization(axis=[1, 2, 3]),
    "RMSNormalization": keras.layers.RMSNormalization,
    "GroupNormalization": lambda: keras.layers.GroupNormalization(4),
    "GroupNormalization of each channel": lambda: keras.layers.GroupNormalization(-1, center=False),
    "UnitNormalization": keras.layers.UnitNormalization,
    "ELU": lambda: keras.layers.ELU(0.7),
    "Conv2D, elu": lambda: keras.layers.Conv2D(8, 1, activation="elu"),
    "Dense, selu": lambda: keras.layers.Dense(8, activation="selu"),
    **{
        name: lambda name=name: keras.layers.Activation(name)
        for name in ("selu", "celu", "mish", "softplus", "log_sigmoid", "squareplus")
    },
}


def network_with(*layers: Any) -> Any:
    """A convolution, the layers, pooling, Dense; the weights of all drawn, the same every time."""
    keras.utils.set_random_seed(7)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, name="first")(image)
    inner = keras.Sequential([keras.Input((6, 6, 8)), *layers], name="inner")
    x = keras.layers.Flatten()(inner(x))
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax", name="head")(x))
    rng = np.random.default_rng(0)
    for layer in (*inner.layers, model.get_layer("head")):
        layer.set_weights([rng.normal(0.2, 0.3, w.shape).astype(np.float32) for w in layer.get_weights()])
    return model


@pytest.mark.parametrize("kind", LAYERS)
def test_the_safe_form_is_the_same_function(kind: str) -> None:
    network = network_with(LAYERS[kind]())
    form, notes = in_safe_forms(network)
    assert form is not network and len(notes) == 1 and "another form of the same function" in notes[0]
    inputs = np.random.default_rng(1).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(form(inputs), network(inputs), atol=1e-5)


def test_a_network_that_needs_no_form_is_the_very_same() -> None:
    network = network_with(keras.layers.ReLU(), keras.layers.BatchNormalization(), keras.layers.Activation("swish"))
    assert in_safe_forms(network) == (network, ())


def test_all_forms_together_convert_and_decide_as_float(tmp_path, caplog) -> None:
    """As TensorFlow alone converts them, normalizations and ELU stay in float."""
    layers = [LAYERS[kind]() for kind in ("LayerNormalization", "ELU", "GroupNormalization", "mish")]
    network_with(*layers).save(tmp_path / "net.keras")
    model = load_float(tmp_path / "net.keras")
    with caplog.at_level("INFO"):
        made = quantize(model, SMALL, PIXELS)
    assert "LayerNormalization: converted in another form" in caplog.text
    verify(made, SMALL)
    assert open_interpreter(made).kind
    wanted = model.predict(np.concatenate([SMALL.encode(image) for image in PIXELS]))
    got = (run_tflite(made, (PIXELS.astype(int) - 128).astype(np.int8)).astype(int) + 128) / 256
    assert np.abs(got - wanted).max() < 0.06
    np.testing.assert_allclose(
        run_tflite(float_tflite(model), np.concatenate([SMALL.encode(image) for image in PIXELS[:2]])),
        wanted[:2],
        atol=1e-4,
    )


def test_without_its_form_the_layer_is_named_with_what_replaces_it(tmp_path, monkeypatch) -> None:
    """Negative control: what `verify` says where TensorFlow leaves an operator in float."""
    monkeypatch.setattr(saved_network, "in_safe_forms", lambda network: (network, ()))
    network_with(keras.layers.ELU(name="bend")).save(tmp_path / "net.keras")
    made = quantize(load_float(tmp_path / "net.keras"), SMALL, PIXELS[:2])
    with pytest.raises(VerificationError, match=r"no int8 for ELU \(layer bend\): for ELU use ReLU") as caught:
        verify(made, SMALL, layers=["first", "bend", "head"])
    assert caught.value.rule == "float-tensor" and "tfl.dequantize" not in str(caught.value)
    assert "(layer inner)" in left_in_float(inspect(made))  # as far as the file alone says it


@pytest.mark.parametrize(
    ("tensor", "known", "layer"),
    [
        ("fixed_batch_1/functional_1/elu_1/Elu", (), "elu"),
        ("fixed_batch_1/functional_1/elu_1/Elu", ("elu", "conv"), "elu"),
        ("fixed_batch_1/backbone_1/block_2_1/add", ("block_2",), "block_2"),
        ("x;fixed_batch_1/functional_1/dead_1/Squeeze1", (), "dead"),
        ("tfl.dequantize1", (), ""),
        ("arith.constant/x", ("conv",), ""),
    ],
)
def test_the_layer_behind_a_tensor(tensor: str, known: tuple[str, ...], layer: str) -> None:
    assert layer_of(tensor, known) == layer


@pytest.fixture(scope="module")
def dead(tmp_path_factory) -> Any:
    """A layer whose ReLU never opens, read by another convolution."""
    dead = keras.layers.Conv2D(8, 1, activation="relu", name="dead")
    network = network_with(dead, keras.layers.Conv2D(8, 1, name="reader"))
    weights, bias = dead.get_weights()
    dead.set_weights([weights, np.full_like(bias, -100)])
    path = tmp_path_factory.mktemp("dead") / "net.keras"
    network.save(path)
    return load_float(path)


def test_a_layer_of_zeros_is_named_and_converts(dead, caplog) -> None:
    made = quantize(dead, SMALL, PIXELS)
    assert "layer dead: answers nothing but zeros on all 12 calibration images" in caplog.text
    verify(made, SMALL)
    interpreter = open_interpreter(made)
    wanted = dead.predict(SMALL.encode(PIXELS[0]))[0]
    got = (interpreter.invoke((PIXELS[:1].astype(int) - 128).astype(np.int8)).astype(int) + 128) / 256
    assert np.abs(got - wanted).max() < 0.02
    halves = quantized(calibrated(dead, SMALL, PIXELS))
    assert not dead_tensors.has_dead_tensors(halves)


def test_without_a_wider_range_interpreters_refuse_a_layer_of_zeros(dead, monkeypatch) -> None:
    """Negative control."""
    monkeypatch.setattr("convert.quantization.quantize.has_dead_tensors", lambda model: False)
    made = quantize(dead, SMALL, PIXELS)
    assert dead_tensors.has_dead_tensors(made)
    with pytest.raises(ModelFileError, match="XNNPACK"):
        open_interpreter(made)


def test_weights_that_are_no_numbers_are_named(tmp_path) -> None:
    network = network_with(keras.layers.Conv2D(8, 1, name="broken"))
    layer = network.get_layer("inner").layers[0]
    weights, bias = layer.get_weights()
    weights[0, 0, 0, :3] = np.nan
    layer.set_weights([weights, bias])
    network.save(tmp_path / "net.keras")
    with pytest.raises(FloatModelError, match=r"layer broken \(Conv2D\): 3 of the 64 values of its kernel"):
        load_float(tmp_path / "net.keras")


def test_weights_that_become_no_numbers_are_not_converted(tmp_path) -> None:
    network_with(keras.layers.Conv2D(8, 1, name="broken")).save(tmp_path / "net.keras")
    model = load_float(tmp_path / "net.keras")
    head = model.network.get_layer("head")
    head.set_weights([np.full_like(weight, np.inf) for weight in head.get_weights()])
    with pytest.raises(QuantizationError, match=r"layer head \(Dense\): 1152 of the 1152 values of its kernel"):
        quantize(model, SMALL, PIXELS)


def test_diagnose_says_it_before(tmp_path, capfd) -> None:
    import json

    from convert.cli import COMMANDS
    from edge.commands.command_line import main

    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(image)
    x = keras.ops.cumsum(keras.layers.LayerNormalization(name="norm")(x), axis=1)
    network = keras.Model(image, keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(x)))
    network.save(tmp_path / "net.keras")
    assert main("convert", COMMANDS, ["diagnose", str(tmp_path / "net.keras"), "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert not found["converts"] and "CUMSUM" in found["obstacles"][0] and "a convolution with" in found["obstacles"][0]
    assert "LayerNormalization" in found["changes"][0]
    network_with(keras.layers.ReLU()).save(tmp_path / "sound.keras")
    assert main("convert", COMMANDS, ["diagnose", str(tmp_path / "sound.keras")]) == 0
    assert "sound.keras: converts to int8" in capfd.readouterr().out
    assert main("convert", COMMANDS, ["diagnose", "sound.keras", "sound.tflite"]) == 2
    assert "needs --data" in capfd.readouterr().err
