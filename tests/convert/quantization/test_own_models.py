"""Models as others make them: one sigmoid, one channel, other number formats, open sizes, and code of their own."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.errors import FloatModelError
from convert.quantization.contract_inference import infer_contract, loading_with
from convert.quantization.float_model import Loading, check_fits, load_float
from convert.quantization.postcheck import verify
from convert.quantization.quantize import quantize
from convert.tflite.inspection import inspect
from convert.tflite.metadata import with_metadata
from edge.errors import ContractError
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract
from edge.inference.runtime.interpreters import open_interpreter
from models.networks.custom_code import CustomCode
from tests.convert.keras_models import CONTRACT, LABELS, SIZE, small_network, smear_pixels

TWO = ("absent", "present")


def saved(tmp_path: Path, network: Any, name: str = "net.keras") -> Path:
    network.save(tmp_path / name)
    return tmp_path / name


def network(shape: tuple[Any, ...], head: Any, front: Any = None) -> Any:
    """A convolution and a global pool, so that any size will do, and a head."""
    keras.utils.set_random_seed(3)
    image = keras.Input(shape)
    x = front(image) if front else image
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    return keras.Model(image, head(x))


def pooled(units: int, activation: str | None) -> Any:
    return lambda x: keras.layers.Dense(units, activation=activation, kernel_initializer="random_normal")(
        keras.layers.GlobalAveragePooling2D()(x)
    )


# --- one sigmoid, one channel


@pytest.fixture(scope="module")
def grey_sigmoid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, InputContract, bytes]:
    path = saved(tmp_path_factory.mktemp("grey"), network((SIZE, SIZE, 1), pooled(1, "sigmoid")))
    (path.parent / "labels.txt").write_text("\n".join(TWO) + "\n")
    model = load_float(path)
    contract = infer_contract(model).contract
    return model, contract, with_metadata(quantize(model, contract, smear_pixels(8)), contract)


def test_a_sigmoid_is_two_labels_and_one_channel_is_grey(grey_sigmoid: Any) -> None:
    model, contract, _ = grey_sigmoid
    assert (model.classes, model.output, model.channels) == (2, "sigmoid", 1)
    assert (contract.labels, contract.channel_order, contract.output) == (TWO, "GRAY", "sigmoid")
    assert json.loads(contract.to_json())["output"] == "sigmoid" and len(contract.scale) == 1
    inputs = np.concatenate([contract.encode(image) for image in smear_pixels(6)])
    p = np.asarray(model.network(inputs))[:, 0]
    np.testing.assert_allclose(model.predict(inputs), np.stack([1 - p, p], axis=1), atol=1e-6)


def test_the_device_answers_as_float_does(grey_sigmoid: Any) -> None:
    model, contract, int8 = grey_sigmoid
    verify(int8, contract)
    assert inspect(int8).outputs[0].shape == (1, 1) and inspect(int8).inputs[0].shape == (1, SIZE, SIZE, 1)
    device = Classifier(contract, open_interpreter(int8))
    for image in smear_pixels(12, seed=4):
        wanted = model.predict(contract.encode(image))[0]
        got = device.probabilities(image)
        assert got.sum() == 1 and np.abs(got - wanted).max() < 0.05
        verdict = device.classify_prepared(image)
        assert verdict.label == TWO[int(got[1] > 0.5)] and verdict.margin == pytest.approx(abs(2 * got[1] - 1))


def test_labels_of_a_sigmoid_are_those_of_its_values(grey_sigmoid: Any) -> None:
    info = inspect(grey_sigmoid[2]).info
    assert info is not None and info.labels == TWO and "Probability" not in info.description


def test_a_contract_of_another_kind_does_not_fit(grey_sigmoid: Any) -> None:
    model, contract, int8 = grey_sigmoid
    with pytest.raises(ContractError, match='one sigmoid output; the contract must say output "sigmoid"'):
        check_fits(model, replace(contract, output="softmax"))
    three = replace(contract, channel_order="RGB", scale=(1.0,) * 3, offset=(0.0,) * 3)
    with pytest.raises(ContractError, match="one channel: channel_order GRAY; the contract says RGB"):
        check_fits(model, three)
    with pytest.raises(ContractError, match="labels must be one a model output: 2 labels, 1 outputs"):
        Classifier(replace(contract, output="softmax"), open_interpreter(int8))
    with pytest.raises(ContractError, match=r"need a model input \(1, 32, 32, 3\); got \(1, 32, 32, 1\)"):
        Classifier(three, open_interpreter(int8))


def test_one_logit_gets_a_sigmoid(tmp_path: Path) -> None:
    model = load_float(saved(tmp_path, network((SIZE, SIZE, 3), pooled(1, None))))
    assert model.output == "sigmoid" and "sigmoid was put behind it" in model.notes[0]
    inputs = np.concatenate([CONTRACT.encode(image) for image in smear_pixels(4)])
    logit = np.asarray(keras.models.load_model(model.path)(inputs))[:, 0]
    np.testing.assert_allclose(model.predict(inputs)[:, 1], 1 / (1 + np.exp(-logit)), atol=1e-6)


def test_a_convolutional_head_is_flattened(tmp_path: Path) -> None:
    def head(x: Any) -> Any:
        x = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        return keras.layers.Softmax()(keras.layers.Conv2D(4, 1)(x))

    model = load_float(saved(tmp_path, network((SIZE, SIZE, 3), head)))
    assert model.classes == 4 and "flattened" in model.notes[0]
    int8 = quantize(model, CONTRACT, smear_pixels(4))
    verify(int8, CONTRACT)
    assert inspect(int8).outputs[0].shape == (1, 4)


# --- sizes


def test_an_open_size_is_fixed_by_the_option_or_the_contract(tmp_path: Path) -> None:
    path = saved(tmp_path, network((None, None, 3), pooled(4, "softmax")))
    assert load_float(path, Loading((96, 64))).input_shape == (64, 96, 3)
    (tmp_path / "contract.json").write_text(replace(CONTRACT, size=(48, 40)).to_json())
    model = load_float(path, loading_with(Loading(), path, None))
    assert model.size == (48, 40) and infer_contract(model).given
    fixed = saved(tmp_path, small_network(), "fixed.keras")
    with pytest.raises(FloatModelError, match="takes 32x32 pixels, fixed in the file"):
        load_float(fixed, Loading((96, 64)))


# --- number formats


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16"])
def test_mixed_precision_is_loaded_as_float32(tmp_path: Path, name: str, policy: str) -> None:
    keras.mixed_precision.set_global_policy(policy)
    try:
        path = saved(tmp_path, small_network(), name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model = load_float(path)
    assert f"computed in {policy}" in model.notes[0] and "loaded as float32" in model.notes[0]
    inputs = np.concatenate([CONTRACT.encode(image) for image in smear_pixels(4)])
    wanted = np.asarray(keras.models.load_model(path)(inputs), np.float32)
    np.testing.assert_allclose(model.predict(inputs), wanted, atol=0.02)
    assert {str(layer.compute_dtype) for layer in model.network.layers} == {"float32"}


def test_whole_number_inputs_are_pixels(tmp_path: Path) -> None:
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    inner = small_network(front=keras.layers.Rescaling(1 / 255))
    path = saved(tmp_path, keras.Model(image, inner(keras.layers.Rescaling(1.0)(image))))
    model = load_float(path)
    assert "took uint8" in model.notes[0]
    assert infer_contract(model).contract.scale == (1.0,) * 3


def test_a_half_precision_saved_model_says_what_to_give(tmp_path: Path) -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        made = small_network()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    made.export(tmp_path / "half", verbose=False)
    with pytest.raises(FloatModelError, match=r"computes in float16.*give the \.keras file") as caught:
        load_float(tmp_path / "half")
    assert "\n" not in str(caught.value)


# --- code


def with_lambda() -> Any:
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Lambda(lambda x: x * 0.5, name="halve", output_shape=(SIZE, SIZE, 3))(image)
    return keras.Model(image, small_network()(x))


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_a_lambda_layer_is_named_and_not_run(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, with_lambda(), name)
    with pytest.raises(FloatModelError, match=r'layer "halve" \(Lambda\) is code.*--unsafe-lambda.*export') as caught:
        load_float(path)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    trusted = load_float(path, Loading(code=CustomCode(unsafe_lambda=True)))
    inputs = np.concatenate([CONTRACT.encode(image) for image in smear_pixels(2)])
    np.testing.assert_allclose(trusted.predict(inputs), np.asarray(small_network()(inputs * 0.5)), atol=1e-5)
    assert trusted.loading.code.digests() == {"lambda": "of the model file"}


def test_a_saved_model_needs_no_code(tmp_path: Path) -> None:
    with_lambda().export(tmp_path / "exported", verbose=False)
    assert load_float(tmp_path / "exported").classes == 4


CUSTOM = """
import keras

@keras.saving.register_keras_serializable("lab")
class Gain(keras.layers.Layer):
    def call(self, x):
        return x * 0.5

class Plain(keras.layers.Layer):
    def call(self, x):
        return x * 2.0

def squash(x):
    return x / (1.0 + keras.ops.abs(x))
"""


def test_custom_objects_come_from_the_file_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "lab_layers.py"
    file.write_text(CUSTOM)
    objects = CustomCode((str(file),)).objects()
    assert set(objects) == {"Gain", "Plain", "squash"}
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Activation(objects["squash"])(objects["Plain"](name="two")(objects["Gain"](name="half")(image)))
    path = saved(tmp_path, keras.Model(image, small_network()(x)))
    code = CustomCode((str(file),))
    loaded = load_float(path, Loading(code=code))
    assert (
        loaded.classes == 4 and list(code.digests()) == ["lab_layers.py"] and len(code.digests()["lab_layers.py"]) == 64
    )
    keras.saving.get_custom_objects().clear()
    with pytest.raises(
        FloatModelError, match=r"layer \"\w+\" \(\w+\) is code that Keras does not have: --custom"
    ) as caught:
        load_float(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [("import nowhere_at_all", "nowhere_at_all"), ("1 / 0", "ZeroDivisionError")]
)
def test_a_module_that_cannot_be_imported(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(FloatModelError, match=said) as caught:
        load_float(saved(tmp_path, small_network()), Loading(code=CustomCode((str(tmp_path / "bad.py"),))))
    assert "\n" not in str(caught.value)
    with pytest.raises(FloatModelError, match="there is no no_such_module"):
        load_float(tmp_path / "net.keras", Loading(code=CustomCode(("no_such_module",))))


def test_an_ordinary_file_needs_no_code(tmp_path: Path) -> None:
    """Negative control: networks of Keras's own parts are not taken for foreign."""
    made = keras.applications.MobileNetV3Small((SIZE, SIZE, 3), weights=None, classes=4)
    path = saved(tmp_path, made)
    from models.networks.custom_code import foreign_parts

    assert foreign_parts(path) == ()
    with zipfile.ZipFile(path) as archive:
        assert (
            "hard_swish" in archive.read("config.json").decode() or "hard_silu" in archive.read("config.json").decode()
        )


# --- what the layers say of the values


def caffe(image: Any) -> Any:
    return keras.applications.resnet50.preprocess_input(image)


def test_caffe_means_become_a_convolution_of_the_same_function(tmp_path: Path) -> None:
    made = small_network(front=caffe)
    model = load_float(saved(tmp_path, made))
    contract = replace(infer_contract(model).contract, labels=LABELS)
    assert contract.scale == (1.0,) * 3 and contract.channel_order == "RGB"
    images = smear_pixels(8)
    inputs = np.concatenate([contract.encode(image) for image in images])
    np.testing.assert_allclose(model.predict(inputs), np.asarray(made(inputs)), atol=1e-4)
    int8 = quantize(model, contract, images)
    verify(int8, contract)  # input scale 1, which slices and a stack in int8 do not keep
    device = Classifier(contract, open_interpreter(int8))
    same = [
        int(device.probabilities(i).argmax()) == int(w.argmax())
        for i, w in zip(images, model.predict(inputs), strict=True)
    ]
    assert sum(same) >= 7


def batch_norm(image: Any) -> Any:
    constant = keras.initializers.Constant
    return keras.layers.BatchNormalization(
        moving_mean_initializer=constant(130.0), moving_variance_initializer=constant(3000.0)
    )(image)


@pytest.mark.parametrize(
    ("front", "values"),
    [
        (
            keras.layers.BatchNormalization(
                moving_mean_initializer=keras.initializers.Constant(130.0),
                moving_variance_initializer=keras.initializers.Constant(3000.0),
            ),
            1.0,
        ),
        (lambda x: keras.layers.Rescaling(1 / 255)(keras.layers.ZeroPadding2D(1)(x)), 1.0),
        (lambda x: keras.layers.Rescaling(1 / 255)(keras.layers.Resizing(24, 24)(x)), 1.0),
        (lambda x: keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomZoom(0.1)])(x) / 127.5 - 1.0, 1.0),
        (keras.layers.RandomRotation(0.1), 1 / 128),
        (lambda x: keras.layers.Conv2D(3, 1)(x) / 127.5, 1 / 128),
    ],
)
def test_padding_resizing_and_augmentation_before_it(tmp_path: Path, front: Any, values: float) -> None:
    model = load_float(saved(tmp_path, network((SIZE, SIZE, 3), pooled(4, "softmax"), front)))
    assert infer_contract(model).contract.scale == (values,) * 3


def test_a_sequential_model_and_a_dict_of_outputs(tmp_path: Path) -> None:
    layers = [keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    row = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers, keras.layers.Dense(4, activation="softmax")])
    assert infer_contract(load_float(saved(tmp_path, row))).contract.scale == (1.0,) * 3
    made = small_network()
    named = keras.Model({made.inputs[0].name: made.inputs[0]}, {"answer": made.outputs[0]})
    model = load_float(saved(tmp_path, named, "named.keras"))
    inputs = np.concatenate([CONTRACT.encode(image) for image in smear_pixels(2)])
    np.testing.assert_allclose(model.predict(inputs), np.asarray(made(inputs)), atol=1e-5)


def test_a_saved_model_says_that_its_layers_cannot_be_seen(tmp_path: Path) -> None:
    small_network().export(tmp_path / "exported", verbose=False)
    notes = " ".join(infer_contract(load_float(tmp_path / "exported")).notes)
    assert "the layers of a SavedModel cannot be seen" in notes
