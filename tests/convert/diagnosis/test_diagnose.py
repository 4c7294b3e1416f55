"""`convert diagnose`: planted faults are found by name, a sound file is left in peace, numbers hold another way.

A network that names drawn images rightly is converted in every wrong way that the command promises to find.
"""

import inspect as python_inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.calibration.evaluation_data import ImageFolder, Source
from convert.cli import COMMANDS
from convert.diagnosis.activations import BEST_DB, Activations, decibel
from convert.diagnosis.causes import RULES, Cause
from convert.diagnosis.job import Diagnosis, diagnose
from convert.diagnosis.ranges import calibrated
from convert.tflite.inspection import inspect
from convert.tflite.matching import dequantized, match
from edge.inference.contract import FLOAT32, InputContract, Quantization
from models.cli import COMMANDS as MODELS_COMMANDS
from models.data.dataset import load_pixels
from tests.convert.keras_models import edited
from tests.small_world import CONTRACT, LABELS, SIZE, World, draw

IMAGES = 32


class Bench:
    """A world, its images, and the float network in the forms that the tests need."""

    def __init__(self, root: Path) -> None:
        import keras

        from convert.quantization.float_model import load_float
        from convert.quantization.quantize import quantize

        keras.backend.clear_session()  # layers without a name are numbered through the whole process
        self.world = World.build(root)
        self.source = Source.open(self.world.data, CONTRACT.labels, self.world.split)
        self.training = load_pixels(self.source.split.samples(self.source.image_set, "train"), CONTRACT)
        self.network = load_float(self.world.model)
        self.sound = quantize(self.network, CONTRACT, self.training)
        self.quantize = quantize

    def file(self, name: str, model: bytes) -> Path:
        path = self.world.root / name
        path.write_bytes(model)
        return path

    def changed(self, name: str, change: Callable[[Any], None]) -> Path:
        """The float network after `change`, in a folder of its own."""
        import keras

        network = keras.models.load_model(self.world.model)
        change(network)
        path = self.world.variant(name)
        network.save(path)
        return path

    def diagnose(self, int8: bytes, model: Path | None = None, contract: InputContract | None = None) -> Diagnosis:
        given = None
        if contract is not None:
            given = self.world.root / "given.json"
            given.write_text(contract.to_json(), encoding="utf-8")
        path = self.file("asked.tflite", int8)
        return diagnose(model or self.world.model, path, given, ImageFolder(self.world.data, self.world.split), IMAGES)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("diagnose"))


@pytest.fixture(scope="module")
def sound(bench: Bench) -> Diagnosis:
    return bench.diagnose(bench.sound)


def top(found: Diagnosis) -> Cause:
    """The cause ranked first, which must be of weight."""
    assert found.record.verdict == "fault"
    assert found.causes[0].of_weight
    return found.causes[0]


def scaled(channel: int, by: float, layer: str = "first") -> Callable[[Any], None]:
    def change(network: Any) -> None:
        kernel, bias = network.get_layer(layer).get_weights()
        kernel[..., channel] *= by
        network.get_layer(layer).set_weights([kernel, bias])

    return change


def requantized(tensor: str, by: float) -> Callable[[Any], None]:
    """Every int8 activation whose name holds `tensor`, and pooling behind it, gets a scale `by` times its own."""

    def change(tree: Any) -> None:
        graph = tree.subgraphs[0]
        constant = {k for k, t in enumerate(graph.tensors) if tree.buffers[t.buffer].data is not None}
        hit = {
            k for k, t in enumerate(graph.tensors) if k not in constant and t.type == 9 and tensor in t.name.decode()
        }
        assert hit
        scales = {float(graph.tensors[k].quantization.scale[0]) for k in hit}
        for k, one in enumerate(graph.tensors):
            if k not in constant and one.type == 9 and float(one.quantization.scale[0]) in scales:
                one.quantization.scale = one.quantization.scale * np.float32(by)

    return change


def test_a_sound_file_has_no_cause_of_weight(sound: Diagnosis) -> None:
    assert sound.record.verdict == "sound"
    assert not [cause for cause in sound.causes if cause.of_weight]
    assert sound.record.agreement == 1
    assert sound.record.logits_db > 30
    assert sound.record.unmatched == []
    assert [layer.name for layer in sound.record.layers] == [
        "input", "first", "max_pooling2d", "flatten", "head", "softmax",
    ]  # fmt: skip


def test_a_channel_blown_up_in_the_network(bench: Bench) -> None:
    model = bench.changed("blown", scaled(3, 100))
    from convert.quantization.float_model import load_float

    found = bench.diagnose(bench.quantize(load_float(model), CONTRACT, bench.training), model)
    cause = top(found)
    assert (cause.rule, cause.layer) == ("weight-outlier", "first")
    assert cause.evidence > 50
    assert "channel 3 of first" in cause.message and "of 256 codes" in cause.message


def test_a_channel_blown_up_in_the_dense_layer(bench: Bench) -> None:
    model = bench.changed("blown-head", scaled(1, 100, "head"))
    from convert.quantization.float_model import load_float

    cause = top(bench.diagnose(bench.quantize(load_float(model), CONTRACT, bench.training), model))
    assert (cause.rule, cause.layer) == ("weight-outlier", "head")
    assert "one scale serves all channels" in cause.message


def test_a_channel_blown_up_in_the_int8_file_alone(bench: Bench) -> None:
    def change(tree: Any) -> None:
        weights = next(t for t in tree.subgraphs[0].tensors if t.name.decode().endswith("first_1/convolution"))
        assert len(weights.quantization.scale) == 8
        weights.quantization.scale = weights.quantization.scale * np.where(np.arange(8) == 5, 100, 1).astype(np.float32)

    found = bench.diagnose(edited(bench.sound, change))
    cause = top(found)
    assert (cause.rule, cause.layer) == ("weights-differ", "first")
    assert cause.evidence == pytest.approx(100, rel=0.02)
    assert "channel 5" in cause.message
    # the layer behind it is as wrong in total, and adds nothing of its own
    layers = {layer.name: layer for layer in found.record.layers}
    assert layers["flatten"].sqnr_db < 10 and layers["flatten"].added_db == BEST_DB
    assert layers["first"].added_db == pytest.approx(layers["first"].sqnr_db, abs=0.5)


def test_calibration_on_one_image(bench: Bench) -> None:
    found = bench.diagnose(bench.quantize(bench.network, CONTRACT, bench.training[:1]))
    cause = top(found)
    assert cause.rule == "calibration"
    assert found.record.calibration.looks_like_images <= 3
    assert found.record.calibration.touched == found.record.calibration.telling == 2


@pytest.mark.parametrize("by", [2.0, 0.5])
def test_a_wrong_input_scale_in_the_file(bench: Bench, by: float) -> None:
    cause = top(bench.diagnose(edited(bench.sound, requantized("serving_default_image", by))))
    assert (cause.rule, cause.layer) == ("input-scale", "input")
    assert cause.evidence == pytest.approx(0.5, abs=0.02)


def test_a_wrong_input_scale_in_the_contract(bench: Bench) -> None:
    wrong = replace(CONTRACT, scale=(1 / 255,) * 3, offset=(0.0,) * 3)
    cause = top(bench.diagnose(bench.sound, contract=wrong))
    assert (cause.rule, cause.layer) == ("input-scale", "input")
    assert "0..1" in cause.message and "-1..0.9922" in cause.message


def test_a_contract_wrong_for_both_alike_is_told_by_the_labels(bench: Bench) -> None:
    wrong = replace(CONTRACT, scale=(1 / 255,) * 3, offset=(0.0,) * 3)
    found = bench.diagnose(bench.quantize(bench.network, wrong, bench.training), contract=wrong)
    cause = top(found)
    assert (cause.rule, cause.layer) == ("feeding", "input")
    assert "value-range" in cause.message and "fed -1..1" in cause.message


@pytest.mark.parametrize("layer", ["first", "head"])
def test_a_saturated_activation(bench: Bench, layer: str) -> None:
    found = bench.diagnose(edited(bench.sound, requantized(f"{layer}_1/BiasAdd", 0.25)))
    cause = top(found)
    assert (cause.rule, cause.layer) == ("saturated-activation", layer)
    assert cause.evidence > 0.05
    assert "every single image reaches beyond it" in cause.message


def test_dense_layers_per_channel(bench: Bench) -> None:
    found = bench.diagnose(per_channel_dense(bench))
    cause = top(found)
    assert (cause.rule, cause.layer, cause.evidence) == ("per-channel-dense", "head", 4)
    assert found.record.agreement == 1  # this machine computes it rightly: the error shows elsewhere


def per_channel_dense(bench: Bench) -> bytes:
    """As `convert.quantization.quantize` does it, the one flag left out."""
    import tensorflow as tf

    from convert.quantization.converter.saved_network import fixed_batch
    from convert.quantization.quantize import _representative
    from edge.system.streams import silenced

    image = _representative(CONTRACT, bench.training)
    with silenced():
        converter = tf.lite.TFLiteConverter.from_keras_model(fixed_batch(bench.network)[0])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: ([image(number)] for number in range(len(bench.training)))
        return bytes(converter.convert())


def test_a_file_for_uint8_runtimes_is_as_sound(bench: Bench) -> None:
    found = bench.diagnose(bench.quantize(bench.network, CONTRACT, bench.training, "uint8"))
    assert found.record.verdict == "sound" and found.record.unmatched == []


def equalized(bench: Bench, undone: bool = True, images: int | None = None) -> bytes:
    """Channels of the first layer multiplied, what reads them divided: another file, the same function. Channel 0 is
    multiplied by 5 and, unless `undone`, divided by nothing."""
    from convert.quantization.float_model import load_float

    by = np.array([5, 1, 4, 1, 0.2, 1, 4, 1], np.float32)

    def change(network: Any) -> None:
        kernel, bias = network.get_layer("first").get_weights()
        network.get_layer("first").set_weights([kernel * by, bias * by])
        kernel, bias = network.get_layer("head").get_weights()
        read = by if undone else np.where(np.arange(8) == 0, 1, by)
        network.get_layer("head").set_weights([kernel / np.tile(read, len(kernel) // 8)[:, np.newaxis], bias])

    model = load_float(bench.changed(f"equalized-{undone}", change))
    return bench.quantize(model, CONTRACT, bench.training[:images])


def test_a_file_whose_layers_were_equalized_is_compared_in_its_own_scales(bench: Bench, sound: Diagnosis) -> None:
    found = bench.diagnose(equalized(bench))
    assert found.record.verdict == "sound", [cause.message for cause in found.causes]
    assert [cause.layer for cause in found.causes if cause.rule == "equalized"] == [""]
    assert found.findings.equalized == ("first",)
    for layer in found.findings.layers:
        assert layer.sqnr_db > 20, layer.name
    for weights in found.findings.weights:
        assert weights.strays == 0 and weights.likeness > 0.99 and weights.bias_steps < 2, weights.name
    assert sound.findings.equalized == ()


def test_a_factor_that_nobody_undoes_is_a_fault(bench: Bench) -> None:
    """The negative control: all factors but one cancel out."""
    found = bench.diagnose(equalized(bench, undone=False))
    cause = top(found)
    assert found.findings.equalized == ()
    assert cause.rule == "weights-differ"
    assert {c.layer for c in found.causes if c.rule == "weights-differ"} == {"first", "head"}


def test_a_fault_in_an_equalized_file_is_found_behind_the_factors(bench: Bench) -> None:
    found = bench.diagnose(equalized(bench, images=1))
    assert top(found).rule == "calibration" and found.findings.equalized == ("first",)


def test_every_cure_names_commands_and_options_that_exist(bench: Bench, sound: Diagnosis) -> None:
    from convert.diagnosis import causes

    text = python_inspect.getsource(causes)
    tables = {"convert": COMMANDS, "models": MODELS_COMMANDS}
    named = re.findall(r"\b(convert|models) (quantize|parity|calibration|inspect|calibrate|diagnose)\b", text)
    assert len(named) > 8
    assert all(command in tables[package] for package, command in named)
    known = {
        name for c in (*COMMANDS.values(), *MODELS_COMMANDS.values()) for name in python_inspect.signature(c).parameters
    }
    options = {word.replace("-", "_") for word in re.findall(r"--([a-z0-9-]+)", text)}
    assert options and options <= known


def test_signal_to_noise_against_keras_itself(bench: Bench, sound: Diagnosis) -> None:
    """The float side by a Keras sub-model, the int8 side by TensorFlow's own interpreter."""
    import keras
    import tensorflow as tf

    network = keras.models.load_model(bench.world.model)
    first = keras.Model(network.inputs[0], network.get_layer("first").output)
    engine = tf.lite.Interpreter(
        model_content=bench.sound,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    engine.allocate_tensors()
    node = inspect(bench.sound).nodes[0]
    into = engine.get_input_details()[0]
    scale, zero_point = into["quantization"]
    signal = noise = 0.0
    layer = sound.findings.layer("first")
    from convert.diagnosis.job import choose_images

    for pixels in choose_images(bench.source, CONTRACT, IMAGES).pixels:
        engine.set_tensor(into["index"], CONTRACT.encode(pixels, Quantization("int8", scale, zero_point)))
        engine.invoke()
        held = dequantized(engine.get_tensor(node.outputs[0]), inspect(bench.sound).tensor(node.outputs[0]))
        real = np.asarray(first(CONTRACT.encode(pixels, FLOAT32)))
        signal += float((real.astype(np.float64) ** 2).sum())
        noise += float(((held.astype(np.float64) - real) ** 2).sum())
    assert layer.sqnr_db == pytest.approx(10 * np.log10(signal / noise), abs=0.2)


def test_decibel_by_hand() -> None:
    assert decibel(100, 1) == pytest.approx(20)
    assert decibel(1, 2) == pytest.approx(-3.0103, abs=1e-4)
    assert decibel(1, 0) == BEST_DB and decibel(0, 1) == -BEST_DB


def test_a_relu6_that_clamps_is_not_clipping() -> None:
    """Branches, depthwise layers, folded batch norms: all are matched, named, and held to be sound."""
    from convert.quantization.quantize import quantize

    network, contract = residual_network()
    pixels = np.stack([draw(label, n) for label in LABELS for n in range(6)])
    int8, plain = quantize(network, contract, pixels), float_file(network)
    layers = frozenset({"stem", "depth", "project", "join", "out"})
    matched = match(plain, int8, layers)
    assert [pair.name for pair in matched.pairs][:4] == ["stem", "depth", "project", "join"] and not matched.unmatched
    seen = Activations(plain, int8, matched)
    encode = Quantization("int8", float(matched.int8.inputs[0].scales[0]), int(matched.int8.inputs[0].zero_points[0]))
    for image in pixels:
        seen.see(contract.encode(image, FLOAT32), contract.encode(image, encode))
    stem = next(layer for layer in seen.layers() if layer.name == "stem")
    assert stem.at_high > 0.02 and stem.clipped == (0.0, 0.0)  # 6 is reached often, on purpose


def residual_network() -> tuple[Any, InputContract]:
    import tempfile

    import keras

    from convert.quantization.float_model import load_float

    keras.utils.set_random_seed(5)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = keras.layers.BatchNormalization(name="stem_bn", gamma_initializer=keras.initializers.Constant(30.0))(x)
    x = keras.layers.ReLU(6.0, name="stem_relu")(x)
    y = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depth")(x)
    y = keras.layers.BatchNormalization(name="depth_bn")(y)
    y = keras.layers.ReLU(6.0, name="depth_relu")(y)
    y = keras.layers.Conv2D(8, 1, name="project")(y)
    x = keras.layers.Add(name="join")([x, y])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax", name="out")(x))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return load_float(Path(folder) / "model.keras"), CONTRACT


def float_file(network: Any) -> bytes:
    from convert.quantization.quantize import float_tflite

    return float_tflite(network)


def test_which_images_set_the_ranges(sound: Diagnosis) -> None:
    """Ranges by hand: one image reaches twice as far as all others, at both layers."""
    layers = [replace_range(layer, 3) for layer in sound.findings.layers if layer.own_range]
    names = [f"image {n}" for n in range(len(layers[0].lows))]
    found = calibrated(layers, names, None)
    assert found.extremes[0] == ("image 3", 2)
    assert found.growth[-1] == (len(names), 1.0)
    widths = [width for _, width in found.growth]
    assert widths == sorted(widths) and widths[0] == pytest.approx(0.5 + 0.5 / len(names), abs=0.06)
    assert found.exceeded == 2 and all(one.any_image == 0 for one in found.ranges)


def replace_range(layer: Any, outlier: int) -> Any:
    highs = np.ones(len(layer.highs))
    highs[outlier] = 2.0
    return replace(layer, lows=np.zeros(len(highs)), highs=highs, held=(0.0, 1.0))


def test_rules_are_known_and_ranked(sound: Diagnosis) -> None:
    from convert.diagnosis import causes

    used = set(re.findall(r'Cause\(\s*"([a-z-]+)"', python_inspect.getsource(causes)))
    assert used == set(RULES)
