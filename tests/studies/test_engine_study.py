"""`docs.studies.engine.comparison`: wrong options, a missing engine, a stand-in for it, and what is read off files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.errors import DiagnoseError, EngineUnavailable, FloatModelError, QuantizationError
from docs.studies.engine.comparison import BlowUp, blown_up, study
from docs.studies.engine.facts import decisions, file_facts, reached_ranges, unlike
from docs.studies.engine.runs import LITERT, ROWS, Inputs, check_engine, real_values, run_engine
from edge.errors import UsageError
from edge.inference.contract import FLOAT32
from models.data.parts import Part
from tests.commands import is_one_line
from tests.convert.diagnosis.test_diagnose import residual_network
from tests.convert.keras_models import edited
from tests.paths import ROOT
from tests.small_world import CONTRACT, LABELS, SIZE, World, draw
from tests.studies.fake_litert_quantizer import VERSION, StandIn

PIXELS = np.stack([draw(label, n) for label in LABELS for n in range(6)])
WORDS = {"model": "m.keras", "data": "images", "python": "python"}


class Pair:
    """A network of branches as float and int8 file, with an engine that hands the latter out."""

    def __init__(self, folder: Path) -> None:
        from convert.quantization.quantize import float_tflite, quantize, reach_both_ends

        self.network, _ = residual_network()
        self.pixels = PIXELS.copy()
        for index, image in reach_both_ends(PIXELS, CONTRACT).items():
            self.pixels[index] = image
        self.plain, self.int8 = float_tflite(self.network), quantize(self.network, CONTRACT, self.pixels)
        self.engine = StandIn(folder, self.int8)
        (folder / "inputs").mkdir()
        self.inputs = Inputs.write(folder / "inputs", self.plain, self.pixels, CONTRACT)
        self.reached = reached_ranges(self.plain, self.pixels, CONTRACT)

    def facts(self, int8: bytes) -> dict[str, Any]:
        return file_facts(int8, self.plain, self.reached, CONTRACT)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("engines"))


def asked(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a user gives it."""
    command = [sys.executable, "-m", "docs.studies.engine.comparison", "run", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"rows": "tf,gptq"}, "--rows must be of tf, tf-measured, litert"),
        ({"rows": "litert,tf"}, "tf first"),
        ({"rows": "tf,litert,litert"}, "each once"),
        ({"images": "0"}, "--images"),
        ({"rounds": "two"}, "--rounds"),
        ({"blow_up": "norm:reader:3"}, "NORM:READER:CHANNEL:BY"),
        ({"blow_up": "norm::3:64"}, "NORM:READER:CHANNEL:BY"),
        ({"blow_up": "norm:reader:-1:64"}, "--blow-up"),
        ({"blow_up": "norm:reader:0:1"}, "--blow-up"),
        ({"json": "perhaps"}, "--json"),
    ],
)
def test_wrong_words(words: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        study(**{**WORDS, **words})


def test_a_python_without_the_engine_is_said_with_how_to_get_it(tmp_path: Path) -> None:
    """Before anything is loaded: the model named does not even exist."""
    done = asked("none.keras", "--data", tmp_path, "--python", sys.executable)
    assert done.returncode == 4 and is_one_line(done.stderr)
    assert "has no litert-quantizer (ModuleNotFoundError" in done.stderr
    assert "pip install litert-quantizer" in done.stderr


@pytest.mark.parametrize("path", ["nowhere/bin/python", "tests", "README.md"])
def test_no_such_python(path: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"--python .*pip install litert-quantizer") as found:
        check_engine(ROOT / path)
    assert found.value.exit_code == 4


def test_what_the_engine_is_told(pair: Pair) -> None:
    assert check_engine(pair.engine.python) == VERSION
    made = run_engine("litert", pair.engine.python, pair.inputs)
    assert made.model == pair.int8 and made.version == VERSION
    assert set(made.seconds) == {"import", "calibrate", "quantize", "processor", "whole"}
    assert made.seconds["whole"] > sum(made.seconds[k] for k in ("import", "calibrate", "quantize")) > 0
    assert 10 < made.peak_mb < 2000
    told = pair.engine.told
    assert (told["mode"], told["update"]) == ("CALIBRATION_PRESERVE_ALL_TENSORS", "min_max_update")
    assert told["recipe"][0][:3] == ["ALL_SUPPORTED", 8, 8]
    assert {entry[0]: tuple(entry[3:]) for entry in told["recipe"][1:]} == {
        "CONV_2D": ("CHANNELWISE", "MIN_MAX_UNIFORM_QUANT"),
        "DEPTHWISE_CONV_2D": ("CHANNELWISE", "MIN_MAX_UNIFORM_QUANT"),
        "FULLY_CONNECTED": ("TENSORWISE", "MIN_MAX_UNIFORM_QUANT"),
    }
    real = [CONTRACT.encode(image, FLOAT32).astype(np.float64).sum() for image in pair.pixels]
    assert told["sums"] == pytest.approx(real, abs=1e-6)
    assert (told["images"], told["shape"], told["dtype"]) == (24, [1, SIZE, SIZE, 3], "float32")
    assert (told["low"], told["high"]) == (-1.0, pytest.approx(127 / 128))


@pytest.mark.parametrize(
    ("row", "mode", "update", "dense"),
    [
        ("litert-default", "CALIBRATION_PRESERVE_ALL_TENSORS", "moving_average_update", "CHANNELWISE"),
        ("litert-profiler", "CALIBRATION_PROFILER_BASED", "min_max_update", "TENSORWISE"),
        ("litert-octav", "CALIBRATION_PROFILER_BASED", "min_max_update", "TENSORWISE"),
        ("litert-mse", "CALIBRATION_PROFILER_BASED", "min_max_update", "TENSORWISE"),
    ],
)
def test_each_row_is_its_own(pair: Pair, row: str, mode: str, update: str, dense: str) -> None:
    run_engine(row, pair.engine.python, pair.inputs)
    told = pair.engine.told
    assert (told["mode"], told["update"], told["recipe"][-1][3]) == (mode, update, dense)
    assert told["recipe"][-1][4] == LITERT[row]["algorithm"]


def test_an_engine_that_fails_ends_in_its_own_last_line(pair: Pair) -> None:
    calibrator = pair.engine.package / "calibrator.py"
    sound = calibrator.read_text()
    calibrator.write_text(sound.replace("[(signature, images)] =", 'raise RuntimeError("out of shape")\n        ='))
    try:
        with pytest.raises(QuantizationError, match=r"^litert: the engine failed: SyntaxError"):
            run_engine("litert", pair.engine.python, pair.inputs)
        calibrator.write_text(sound.replace("count = len", 'raise RuntimeError("out of shape")\n        count = len'))
        with pytest.raises(QuantizationError, match=r"RuntimeError: out of shape$"):
            run_engine("litert", pair.engine.python, pair.inputs)
    finally:
        calibrator.write_text(sound)


def test_channels_in_the_contracts_order(tmp_path: Path) -> None:
    from dataclasses import replace

    turned = replace(CONTRACT, channel_order="BGR", scale=(1 / 128, 1 / 64, 1 / 32))
    Inputs.write(tmp_path, b"", PIXELS, turned)
    laid = real_values(turned)[np.load(tmp_path / "pixels.npy")[3], np.arange(3)][np.newaxis]
    assert (laid == turned.encode(PIXELS[3], FLOAT32)).all()


@pytest.mark.slow
def test_tensorflow_from_the_float_file_and_with_measured_ranges(pair: Pair) -> None:
    """The first is what `convert.quantization.quantize` writes. Its calibrator sees what feeds an ADD after the sum was
    written over it; the second does not."""
    usual = run_engine("tf", Path("unused"), pair.inputs)
    assert unlike(usual.model, pair.int8) == {"weights": 0, "biases": 0, "ranges": 0}
    facts = pair.facts(usual.model)
    assert (facts["ranges_too_wide"], facts["range_worst_layer"]) == (1, "project") and facts["range_worst"] > 1.5
    measured = run_engine("tf-measured", Path("unused"), pair.inputs)
    assert unlike(measured.model, pair.int8)["ranges"] == 1
    facts = pair.facts(measured.model)
    assert (facts["ranges_too_wide"], facts["verify"], facts["edgetpu"]["verdict"]) == (0, "passed", "mapped")


def test_facts_of_a_sound_file_and_of_altered_ones(pair: Pair) -> None:
    before = pair.facts(pair.int8)
    assert before["verify"] == "passed" and before["edgetpu"] == {
        "verdict": "mapped",
        "mapped": 7,
        "cpu": 0,
        "refused": 0,
    }
    assert before["biases_at_the_end_of_int32"] == 0 and before["bias_worst_output_steps"] < 1

    def wide(tree: Any) -> None:
        stem = tree.subgraphs[0].operators[0].outputs[0]
        held = tree.subgraphs[0].tensors[stem].quantization
        held.scale = held.scale * np.float32(1.5)

    def overflowing(tree: Any) -> None:
        bias = tree.subgraphs[0].tensors[tree.subgraphs[0].operators[0].inputs[2]]
        values = np.asarray(tree.buffers[bias.buffer].data, np.uint8).view(np.int32).copy()
        values[2] = np.iinfo(np.int32).max
        tree.buffers[bias.buffer].data = values.view(np.uint8)

    facts = pair.facts(edited(pair.int8, wide))
    assert facts["ranges_too_wide"] == before["ranges_too_wide"] + 1
    assert unlike(edited(pair.int8, wide), pair.int8) == {"weights": 0, "biases": 0, "ranges": 1}
    facts = pair.facts(edited(pair.int8, overflowing))
    layers = facts["biases_at_the_end_of_int32"]  # several may share one buffer
    assert layers >= 1 and facts["bias_worst_output_steps"] > 16
    assert unlike(edited(pair.int8, overflowing), pair.int8) == {"weights": 0, "biases": layers, "ranges": 0}


def test_constants_behind_the_flatbuffer_are_found_and_said(pair: Pair) -> None:
    """As litert-quantizer lays them: a reader of the older schema finds the buffer empty."""
    kept: list[bytes] = []

    def move(tree: Any) -> None:
        weights = tree.subgraphs[0].tensors[tree.subgraphs[0].operators[0].inputs[1]]
        buffer = tree.buffers[weights.buffer]
        kept.append(np.asarray(buffer.data, np.uint8).tobytes())
        buffer.data, buffer.offset, buffer.size = None, 1 << 30, len(kept[0])

    moved = edited(pair.int8, move)
    at = len(moved) + -len(moved) % 16

    def point(tree: Any) -> None:
        weights = tree.subgraphs[0].tensors[tree.subgraphs[0].operators[0].inputs[1]]
        tree.buffers[weights.buffer].offset = at

    moved = edited(moved, point)
    assert len(moved) <= at
    moved += bytes(at - len(moved)) + kept[0]
    facts, before = pair.facts(moved), pair.facts(pair.int8)
    assert (facts["constant_bytes_outside"], before["constant_bytes_outside"]) == (len(kept[0]), 0)
    assert unlike(moved, pair.int8) == {"weights": 0, "biases": 0, "ranges": 0}
    wrong = moved[:-1] + bytes([moved[-1] ^ 64])
    assert unlike(wrong, pair.int8)["weights"] == 1


def test_files_of_two_networks_are_not_counted_against_each_other(pair: Pair) -> None:

    def cut(tree: Any) -> None:
        tree.subgraphs[0].operators = tree.subgraphs[0].operators[:-1]

    with pytest.raises(DiagnoseError, match="same operators"):
        unlike(edited(pair.int8, cut), pair.int8)


def test_decisions_by_hand(pair: Pair) -> None:
    """A file that names everything as float does, and float probabilities turned by one class."""
    truth = np.arange(4).repeat(6)
    judged = Part((), PIXELS, truth)
    before = pair.network.predict(np.concatenate([CONTRACT.encode(p, FLOAT32) for p in PIXELS]))
    same = decisions(pair.int8, CONTRACT, judged, before)
    turned = decisions(pair.int8, CONTRACT, judged, np.roll(before, 1, axis=1))
    assert same["agreed"] > turned["agreed"] and same["drift_mean"] < 0.05
    assert same["correct"] == turned["correct"]


def test_a_network_blown_up_is_the_same_function() -> None:
    import keras

    network, _ = residual_network()
    inputs = np.concatenate([CONTRACT.encode(p, FLOAT32) for p in PIXELS])
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, use_bias=False, name="wide")(image)
    x = keras.layers.BatchNormalization(name="wide_bn", beta_initializer="random_normal")(x)
    inner = keras.Model(image, x, name="inner")
    y = keras.layers.Conv2D(6, 1, name="reads")(inner(image))
    y = keras.layers.GlobalAveragePooling2D()(y)
    network = type(network)(
        keras.Model(image, keras.layers.Dense(4, activation="softmax")(y)), Path("m"), "0" * 64, "m", (SIZE, SIZE), 4
    )
    before, widest = network.predict(inputs), np.abs(np.asarray(inner(inputs))).max()
    after = blown_up(network, BlowUp("wide_bn", "reads", 2, 64))
    assert (after.predict(inputs) == before).all()
    assert np.abs(np.asarray(inner(inputs))[..., 2]).max() > 5 * widest
    for change, said in (
        (BlowUp("wide_bn", "nothing", 0, 2), "has no layer 'nothing'"),
        (BlowUp("wide_bn", "reads", 4, 2), "has 4 channels; got 4"),
        (BlowUp("reads", "wide_bn", 0, 2), "does not read"),
    ):
        with pytest.raises(FloatModelError, match=said):
            blown_up(network, change)


@pytest.mark.slow
def test_the_whole_study(pair: Pair, tmp_path: Path) -> None:
    """With the stand-in handing out a file of another network, then one of this."""
    from convert.quantization.float_model import load_float
    from convert.quantization.quantize import quantize

    world = World.build(tmp_path)
    int8 = quantize(load_float(world.model), CONTRACT, pair.pixels)
    pair.engine.gives(int8)
    out = tmp_path / "study.json"
    words = [world.model, "--data", world.data, "--python", pair.engine.python, "--images", "24", "--rounds", "1"]
    try:
        done = asked(*words, "--rows", "tf,litert", "--out", out, "--json")
        assert done.returncode == 0, done.stderr
        pair.engine.gives(b"no TFLite file")
        refused = asked(*words, "--rows", "litert")
    finally:
        pair.engine.gives(pair.int8)
    assert refused.returncode == 2 and is_one_line(refused.stderr)
    record = json.loads(done.stdout)
    assert record == json.loads(out.read_text())
    ours, theirs = record["rows"]
    assert (ours["row"], theirs["row"], theirs["version"]) == ("tf", "litert", VERSION)
    assert ours["unlike_convert_quantize"] == {"weights": 0, "biases": 0, "ranges": 0}
    assert theirs["unlike_tf"]["ranges"] > 0 and theirs["inference_as_fast"] > 0
    for part in ("validation", "test"):
        assert 0 < ours[part]["correct"] <= record["images"][part]
        assert ours[part]["agreed"] >= 0.9 * record["images"][part]


def test_every_row_has_its_script() -> None:
    assert set(ROWS) == {"tf", "tf-measured", *LITERT} and ROWS[0] == "tf"
    assert {entry["update"] for entry in LITERT.values()} == {"min_max", "moving_average"}
