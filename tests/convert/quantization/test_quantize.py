"""Loading float models, refusing what is none, and converting with the project's settings."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import CalibrationError, FloatModelError, QuantizationError
from convert.quantization.contract_inference import infer_contract, named_benign
from convert.quantization.float_model import digest, load_float
from convert.quantization.postcheck import verify
from convert.quantization.quantize import float_tflite, quantize, reach_both_ends
from convert.tflite.inspection import inspect
from edge.errors import ContractError
from edge.inference.contract import FLOAT32, InputContract
from edge.inference.decision import Decision
from tests.convert.keras_models import CONTRACT, LABELS, SIZE, small_network, smear_pixels
from tests.paths import ROOT

keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The same small network as .keras, .h5 and SavedModel."""
    folder = tmp_path_factory.mktemp("float")
    network = small_network()
    network.save(folder / "net.keras")
    network.save(folder / "net.h5")
    network.export(folder / "net_saved", verbose=False)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_float(folder / "net.keras")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return smear_pixels(24)


@pytest.fixture(scope="module")
def int8(model, pixels) -> bytes:
    return quantize(model, CONTRACT, pixels)


def run_tflite(model: bytes, tensors: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for tensor in tensors:
        interpreter.set_tensor(source["index"], tensor[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink["index"])[0].copy())
    return np.stack(rows)


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net_saved"])
def test_three_forms_load_and_answer_alike(folder, model, pixels, name):
    loaded = load_float(folder / name)
    inputs = np.concatenate([CONTRACT.encode(image) for image in pixels])
    assert (loaded.size, loaded.classes, loaded.notes) == ((SIZE, SIZE), 4, ())
    np.testing.assert_allclose(loaded.predict(inputs), model.predict(inputs), atol=1e-6)
    np.testing.assert_allclose(loaded.predict(inputs).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net_saved"])
def test_three_forms_convert(folder, pixels, name):
    converted = quantize(load_float(folder / name), CONTRACT, pixels[:8])
    verify(converted, CONTRACT)
    assert inspect(converted).full_int8


def test_int8_decides_as_float(model, int8, pixels):
    inputs = np.concatenate([CONTRACT.encode(image) for image in pixels])
    wanted = model.predict(inputs)
    got = (run_tflite(int8, (pixels.astype(int) - 128).astype(np.int8)).astype(int) + 128) / 256
    assert np.abs(got - wanted).max() < 0.05
    assert (got.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.9


def test_the_pixels_are_the_tensor(int8):
    source = inspect(int8).inputs[0]
    assert (source.scales[0], source.zero_points[0]) == (1 / 128, 0)


def test_without_the_ends_the_scale_would_be_wrong(model, pixels, monkeypatch):
    """Negative control of `reach_both_ends`: a converter fed the images alone fails verification."""
    monkeypatch.setattr("convert.quantization.quantize.reach_both_ends", lambda pixels, contract: {})
    narrow = quantize(model, CONTRACT, np.clip(pixels, 40, 220))
    with pytest.raises(Exception, match="input-quantization"):
        verify(narrow, CONTRACT)


def test_ends_leave_the_other_ranges_alone(model, pixels, monkeypatch):
    inner = np.clip(pixels, 40, 220)

    def ranges(data: bytes) -> np.ndarray:
        tensors = inspect(data).tensors[1:]
        return np.array([t.scales[0] for t in tensors if len(t.scales) == 1 and not t.constant_bytes])

    reached = ranges(quantize(model, CONTRACT, inner))
    monkeypatch.setattr("convert.quantization.quantize.reach_both_ends", lambda pixels, contract: {})
    alone = ranges(quantize(model, CONTRACT, inner))
    np.testing.assert_allclose(reached, alone, rtol=0.15)


def test_uint8_ends(model, pixels):
    converted = quantize(model, CONTRACT, pixels[:8], io="uint8")
    verify(converted, CONTRACT, "uint8")
    assert ("QUANTIZE", 1, 2) in inspect(converted).operators


def test_float_tflite_is_float_and_agrees(model, pixels):
    converted = float_tflite(model)
    inputs = np.concatenate([CONTRACT.encode(image) for image in pixels[:6]])
    assert inspect(converted).inputs[0].dtype == "float32"
    np.testing.assert_allclose(run_tflite(converted, inputs), model.predict(inputs), atol=1e-5)


def test_progress_counts_every_image(model, pixels, capfd):
    said: list[tuple[int, int]] = []
    quantize(model, CONTRACT, pixels[:5], progress=lambda done, of: said.append((done, of)))
    assert said == [(n, 5) for n in range(1, 6)]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_nothing_of_tensorflow_reaches_the_streams(folder, tmp_path):
    """In a fresh process, from the import to the converted file."""
    script = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from convert.quantization.contract_inference import infer_contract\n"
        "from convert.quantization.float_model import load_float\n"
        "from convert.quantization.quantize import quantize\n"
        "model = load_float(Path(sys.argv[1]))\ncontract = infer_contract(model).contract\n"
        "quantize(model, contract, np.zeros((2, 32, 32, 3), np.uint8) + np.uint8(9))\nprint('done')\n"
    )
    root = ROOT
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "net.keras")],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


# What is refused, each in one line


def _two_inputs():
    a, b = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Flatten()(keras.layers.Add()([a, b]))
    return keras.Model([a, b], keras.layers.Dense(4, activation="softmax")(x))


def _two_outputs():
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Flatten()(image)
    heads = [keras.layers.Dense(4, activation="softmax")(x) for _ in range(2)]
    return keras.Model(image, heads)


def _head(shape, units=4, activation="softmax"):
    image = keras.Input(shape)
    pool = keras.layers.GlobalAveragePooling2D if len(shape) == 3 else keras.layers.Flatten
    return keras.Model(image, keras.layers.Dense(units, activation=activation)(pool()(image)))


def _map_output():
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, keras.layers.Softmax()(keras.layers.Conv2D(4, 1)(image)))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (_two_inputs, "one input; got 2"),
        (_two_outputs, "one output; got 2"),
        (lambda: _head((None, None, 3)), r"size must be fixed; got \(\?, \?, \?, 3\)"),
        (lambda: _head((None, None, 3)), "--size 160x160"),
        (lambda: _head((SIZE, SIZE, 2)), r"must be images \(batch, height, width, 3\)"),
        (lambda: _head((3, SIZE, SIZE)), r"channels first; .*Permute\(\(3, 1, 2\)\)"),
        (lambda: _head((SIZE, SIZE, 4)), r"no alpha channel; .*keras\.ops\.pad"),
        (lambda: _head((10,)), "must be images"),
        (_map_output, r"output must be \(batch, classes\)"),
        (lambda: _head((SIZE, SIZE, 3), units=1, activation="tanh"), "ends in tanh"),
        (lambda: _head((SIZE, SIZE, 3), activation="sigmoid"), "independent sigmoids"),
    ],
)
def test_networks_that_are_no_image_classifier(tmp_path, build, said):
    build().save(tmp_path / "net.keras")
    with pytest.raises(FloatModelError, match=said) as caught:
        load_float(tmp_path / "net.keras")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_logits_get_a_softmax_and_say_so(tmp_path, pixels):
    small_network(activation=None).save(tmp_path / "net.keras")
    loaded = load_float(tmp_path / "net.keras")
    assert "softmax" in loaded.notes[0]
    inputs = np.concatenate([CONTRACT.encode(image) for image in pixels])
    np.testing.assert_allclose(loaded.predict(inputs).sum(axis=1), 1, atol=1e-5)
    verify(quantize(loaded, CONTRACT, pixels[:8]), CONTRACT)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.keras", None, "no such file"),
        ("net.keras", b"", "empty"),
        ("net.keras", b"hello, this is a text file", "not a Keras archive"),
        ("net.h5", b"hello, this is a text file", "not an HDF5 file"),
        ("net.tflite", b"x", "converted already .*give the float Keras model"),
        ("net.onnx", b"x", "an ONNX file: convert it to a SavedModel folder"),
        ("net.pt", b"x", r"a PyTorch file: export it to ONNX .* SavedModel"),
        ("net.zip", b"x", r"must be a \.keras file"),
    ],
)
def test_files_that_are_no_model(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FloatModelError, match=said) as caught:
        load_float(tmp_path / name)
    assert "\n" not in str(caught.value)


def _with_groups(path: Path, groups: int) -> Path:
    """A file as Keras 2 wrote it: depthwise convolutions with a word that Keras 3 does not take."""
    import h5py
    import keras

    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.DepthwiseConv2D(3, strides=2, name="depth")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(image, keras.layers.Dense(4, activation="softmax")(x)).save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        [depth] = [each for each in config["config"]["layers"] if each["class_name"] == "DepthwiseConv2D"]
        depth["config"]["groups"] = groups
        file.attrs["model_config"] = json.dumps(config)
    return path


def test_a_file_of_keras_2_with_groups_in_it_is_read(tmp_path, pixels):
    loaded = load_float(_with_groups(tmp_path / "old.h5", 1))
    assert loaded.classes == 4
    inputs = np.concatenate([CONTRACT.encode(image) for image in pixels[:2]])
    np.testing.assert_allclose(loaded.predict(inputs).sum(axis=1), 1, atol=1e-5)
    with pytest.raises(FloatModelError, match="not a Keras model that can be loaded"):  # another number means something
        load_float(_with_groups(tmp_path / "odd.h5", 3))


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_truncated_files(folder, tmp_path, name, kept):
    data = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(FloatModelError) as caught:
        load_float(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_saved_model(tmp_path):
    with pytest.raises(FloatModelError, match="not a SavedModel folder"):
        load_float(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing of the kind")
    with pytest.raises(FloatModelError, match="not a SavedModel that can be loaded") as caught:
        load_float(tmp_path)
    assert "\n" not in str(caught.value)


def test_predict_refuses_other_shapes(model):
    with pytest.raises(FloatModelError, match=r"float32 \(N, 32, 32, 3\)"):
        model.predict(np.zeros((1, 16, 32, 3), np.float32))
    assert model.predict(np.empty((0, SIZE, SIZE, 3), np.float32)).shape == (0, 4)


def test_quantize_refuses(model, pixels):
    with pytest.raises(ContractError, match="4 outputs; the contract has 2 labels"):
        quantize(model, replace(CONTRACT, labels=("yes", "no")), pixels)
    with pytest.raises(ContractError, match="32x32 pixels; the contract says 64x32"):
        quantize(model, replace(CONTRACT, size=(64, 32)), pixels)
    with pytest.raises(CalibrationError, match="at least one image"):
        quantize(model, CONTRACT, pixels[:0])
    with pytest.raises(CalibrationError, match="must be uint8"):
        quantize(model, CONTRACT, pixels.astype(np.float32))
    with pytest.raises(QuantizationError, match="io must be int8 or uint8"):
        quantize(model, CONTRACT, pixels, io="float32")  # type: ignore[arg-type]


def test_what_the_converter_refuses_is_one_line(tmp_path, model, pixels):
    def fails(inputs, training=False):
        import tensorflow as tf

        return keras.layers.Lambda(lambda x: tf.nn.softmax(tf.strings.to_number(tf.strings.as_string(x))[:, 0, 0, :]))(
            inputs
        )

    broken = replace(model, network=fails, classes=3)
    with pytest.raises(QuantizationError, match="the converter refused it") as caught:
        quantize(broken, replace(CONTRACT, labels=LABELS[:3]), pixels[:2])
    assert "\n" not in str(caught.value)


# The contract: given, found or inferred


def test_contract_found_beside_the_model(tmp_path):
    small_network().save(tmp_path / "model.keras")
    (tmp_path / "contract.json").write_text(CONTRACT.to_json())
    inferred = infer_contract(load_float(tmp_path / "model.keras"))
    assert inferred.contract == CONTRACT
    named = named_benign(CONTRACT)[1]
    assert inferred.notes == (f"contract: {tmp_path / 'contract.json'}", named)


def test_the_benign_label_is_named_found_or_missed(tmp_path):
    spelt = replace(CONTRACT, labels=("healthy", "BENIGN", "sick", "ill"))
    assert named_benign(spelt)[1] == "benign: BENIGN, by its spelling (--benign LABEL says otherwise)"
    without, said = named_benign(replace(CONTRACT, labels=("healthy", "worse", "sick", "ill")))
    assert without.benign_labels == () and "no label is" in said and "--benign LABEL" in said
    named, said = named_benign(without, ("healthy",))
    assert named.benign == named.benign_labels == ("healthy",) and said == "benign: healthy, as --benign says"
    assert named_benign(named)[1] == "benign: healthy, by the contract"
    with pytest.raises(ContractError, match="benign must name labels"):
        named_benign(without, ("Benign",))
    evidence = {"command": "c", "network_sha256": "0" * 64, "split_sha256": "0" * 64, "images": 1, "counts": {}}
    decided = replace(spelt, decision=Decision(1.0, (0.5,) * 4, evidence))
    assert named_benign(decided, ("BENIGN",))[0].benign_labels == ("BENIGN",)
    with pytest.raises(ContractError, match="thresholds were chosen with BENIGN as the benign label"):
        named_benign(decided, ("ill",))


def test_contract_that_does_not_fit_is_refused(tmp_path, model):
    (tmp_path / "contract.json").write_text(replace(CONTRACT, labels=("a", "b", "c")).to_json())
    with pytest.raises(ContractError, match="4 outputs; the contract has 3 labels: a, b, c"):
        infer_contract(model, tmp_path / "contract.json")
    (tmp_path / "contract.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(ContractError, match="contract fields must be"):
        infer_contract(model, tmp_path / "contract.json")


def test_labels_found_or_assumed(tmp_path):
    small_network().save(tmp_path / "net.keras")
    loaded = load_float(tmp_path / "net.keras")
    inferred = infer_contract(loaded)
    assert inferred.contract.labels == ("class_0", "class_1", "class_2", "class_3")
    assert any("assumed" in note and "class_0" in note for note in inferred.notes)
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    assert infer_contract(loaded).contract.labels == LABELS
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(ContractError, match="4 outputs; the contract has 2 labels"):
        infer_contract(loaded)


def _nested(image):
    inner = keras.Input((SIZE, SIZE, 3))
    front = keras.layers.Rescaling(1 / 127.5, -1)(inner)
    return keras.Model(inner, keras.layers.Conv2D(3, 1)(front))(image)


@pytest.mark.parametrize(
    ("front", "scale", "offset"),
    [
        (None, 1 / 128, -1.0),
        (keras.layers.Rescaling(1 / 127.5, -1), 1.0, 0.0),
        (keras.layers.Rescaling(1 / 255), 1.0, 0.0),
        (keras.layers.Rescaling(2.0, -1), 1 / 255, 0.0),
        (
            keras.layers.Normalization(mean=[120.0, 100, 110], variance=[900.0, 900, 900]),
            1.0,
            0.0,
        ),
        (keras.layers.Normalization(mean=[0.5] * 3, variance=[0.06] * 3), 1 / 255, 0.0),
        (keras.applications.mobilenet_v2.preprocess_input, 1.0, 0.0),
        (_nested, 1.0, 0.0),
    ],
)
def test_value_range_is_read_off_the_graph(tmp_path, pixels, front, scale, offset):
    small_network(front=front).save(tmp_path / "net.keras")
    inferred = infer_contract(load_float(tmp_path / "net.keras"))
    assert inferred.contract.scale == (scale,) * 3
    assert inferred.contract.offset == (offset,) * 3
    assert sum(note.startswith("values:") for note in inferred.notes) == 1


def test_a_rescaling_in_the_graph_still_gives_the_shift(tmp_path, pixels):
    small_network(front=keras.layers.Rescaling(1 / 127.5, -1)).save(tmp_path / "net.keras")
    loaded = load_float(tmp_path / "net.keras")
    contract = infer_contract(loaded).contract
    converted = quantize(loaded, contract, pixels[:8])
    verify(converted, contract)
    assert inspect(converted).inputs[0].zero_points[0] == -128


def test_digest_of_a_folder_follows_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "b").write_text("2")
    second = digest(tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    assert len({first, second, digest(tmp_path)}) == 3


@given(
    low=st.integers(0, 200),
    height=st.integers(1, 55),
    order=st.sampled_from(["RGB", "BGR"]),
    scales=st.tuples(*[st.floats(0.001, 2)] * 3),
)
def test_both_ends_are_always_reached(low, height, order, scales):
    contract = InputContract((16, 16), ("a", "b"), channel_order=order, scale=scales, offset=(-1.0, 0.0, 0.5))
    pixels = np.random.default_rng(low).integers(low, low + height, (3, 16, 16, 3), dtype=np.uint8)
    before = pixels.copy()
    changed = reach_both_ends(pixels, contract)
    assert (pixels == before).all()
    seen = np.concatenate([contract.encode(changed.get(i, image), FLOAT32) for i, image in enumerate(pixels)])
    table = contract.table(FLOAT32)
    assert seen.min() == table.min()
    assert seen.max() == table.max()
    assert sum(int((changed[i] != pixels[i]).sum()) for i in changed) <= 2


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """MobileNetV2 0.35 at 96x96 with random weights: 66 layers deep, quick to convert."""
    keras.utils.set_random_seed(11)
    backbone = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, include_top=False, pooling="avg")
    head = keras.layers.Dense(4, activation="softmax")(backbone.output)
    path = tmp_path_factory.mktemp("mobilenet") / "net.keras"
    keras.Model(backbone.input, head).save(path)
    return load_float(path)


@pytest.mark.slow
@pytest.mark.parametrize("io", ["int8", "uint8"])
def test_mobilenet_has_the_operators_of_corals_examples(mobilenet, io):
    contract = replace(CONTRACT, size=(96, 96))
    converted = quantize(mobilenet, contract, smear_pixels(8, size=96), io=io)
    findings = verify(converted, contract, io)
    assert not [f for f in findings if f.severity == "warn"]
    versions = {name: version for name, version, _ in inspect(converted).operators}
    expected = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "ADD": 2, "MEAN": 2, "FULLY_CONNECTED": 4, "SOFTMAX": 2}
    assert versions == expected | ({"QUANTIZE": 1} if io == "uint8" else {})
