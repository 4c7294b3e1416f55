"""TensorFlow's converter in a process of its own: the same bytes, and a crash, a hang or a flood that ends it alone."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert.errors import ConverterCrashed, ConverterLimitError, QuantizationError
from convert.quantization.converter import process as converter_process
from convert.quantization.converter import saved_network
from convert.quantization.converter.process import ConverterProcess, shared_converter
from convert.quantization.converter.worker import Task
from convert.quantization.float_model import load_float
from convert.quantization.postcheck import verify
from convert.quantization.quantize import float_tflite, quantize, reach_both_ends
from edge.inference.contract import InputContract
from edge.system.streams import silenced
from tests.convert.keras_models import CONTRACT, LABELS, SIZE, small_network, smear_pixels
from tests.convert.quantization.test_quantize import run_tflite
from tests.paths import ROOT

keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")
SMALL = InputContract((8, 8), LABELS)


def recurrent_network(layer: Any) -> Any:
    """4 steps of 16 values, one for every second row."""
    keras.utils.set_random_seed(7)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    x = layer(keras.layers.Reshape((4, 16))(x))
    return keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))


@pytest.fixture
def process() -> Iterator[ConverterProcess]:
    made = ConverterProcess()
    yield made
    made.close()


def gone(pid: int, seconds: float = 5.0) -> bool:
    """The process ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_the_file_is_that_of_the_bare_converter_byte_for_byte(model, int8):
    import tensorflow as tf

    pixels = smear_pixels(8)
    for number, changed in reach_both_ends(pixels, CONTRACT).items():
        pixels[number] = changed
    image = keras.Input((SIZE, SIZE, 3), batch_size=1, name="image")
    with silenced():
        network = keras.Model(image, model.network(image, training=False), name="fixed_batch")
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        plain = bytes(converter.convert())
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: ([CONTRACT.encode(each)] for each in pixels)
        bare = bytes(converter.convert())
    assert int8 == bare
    assert float_tflite(model) == plain


def test_one_process_serves_one_conversion_after_another(model):
    quantize(model, CONTRACT, smear_pixels(2))
    first = shared_converter()._process.pid
    float_tflite(model)
    assert shared_converter()._process.pid == first


def test_weights_that_changed_are_exported_again(tmp_path):
    small_network().save(tmp_path / "net.keras")
    model = load_float(tmp_path / "net.keras")
    first = saved_network.saved_network(model)
    assert saved_network.saved_network(model) == first
    before = float_tflite(model)
    model.network.layers[1].set_weights([2 * weight for weight in model.network.layers[1].get_weights()])
    assert float_tflite(model) != before


@pytest.mark.parametrize(
    ("kind", "unroll", "said"),
    [
        ("LSTM", False, "its 4 time steps written out"),
        ("GRU", False, "its 4 time steps written out"),
        ("LSTM", True, "a product of its own for each gate"),
    ],
)
def test_a_recurrent_network_converts_and_decides_as_float(tmp_path, kind, unroll, said, caplog):
    """Also one that was built unrolled, as the line about a loop advises."""
    recurrent_network(getattr(keras.layers, kind)(4, name="memory", unroll=unroll)).save(tmp_path / "net.keras")
    model = load_float(tmp_path / "net.keras")
    pixels = smear_pixels(12, size=8)
    with caplog.at_level("INFO"):
        converted = quantize(model, SMALL, pixels)
    assert f"layer memory ({kind}): converted with {said}" in caplog.text
    verify(converted, SMALL)
    wanted = model.predict(np.concatenate([SMALL.encode(image) for image in pixels]))
    got = (run_tflite(converted, (pixels.astype(int) - 128).astype(np.int8)).astype(int) + 128) / 256
    assert np.abs(got - wanted).max() < 0.05


def test_a_crash_is_one_line_with_the_layer_and_the_next_conversion_works(tmp_path, monkeypatch, model):
    """Negative control of unrolling: as TensorFlow alone would have it, the process ends with SIGSEGV."""
    monkeypatch.setattr(saved_network, "in_safe_forms", lambda network: (network, ()))
    recurrent_network(keras.layers.LSTM(4, name="memory")).save(tmp_path / "net.keras")
    with pytest.raises(ConverterCrashed) as caught:
        quantize(load_float(tmp_path / "net.keras"), SMALL, smear_pixels(2, size=8))
    said = str(caught.value)
    assert "TensorFlow's converter crashed (SIGSEGV) while it calibrated; layer memory (LSTM): " in said
    assert "unroll=True" in said and "\n" not in said
    assert caught.value.exit_code == 1
    assert quantize(model, CONTRACT, smear_pixels(2))


def test_the_command_ends_with_the_line_and_its_exit_code(tmp_path, monkeypatch, capfd):
    from convert.cli import COMMANDS
    from edge.commands.command_line import main

    monkeypatch.setattr(saved_network, "in_safe_forms", lambda network: (network, ()))
    recurrent_network(keras.layers.LSTM(4, name="memory")).save(tmp_path / "net.keras")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    for number, pixels in enumerate(smear_pixels(48, size=16)):
        folder = tmp_path / "images" / LABELS[number % 4]
        folder.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / f"{number}.png"), pixels)
    words = ["quantize", "--int8", str(tmp_path / "net.keras"), "--data", str(tmp_path / "images")]
    code = main("convert", COMMANDS, [*words, "--out", str(tmp_path)])
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert code == 1
    assert last.startswith("error: ") and "crashed (SIGSEGV)" in last and "layer memory (LSTM)" in last
    assert not (tmp_path / "net-int8").exists()


def test_a_saved_model_with_a_loop_names_its_cure(tmp_path):
    with silenced():
        recurrent_network(keras.layers.GRU(4)).export(tmp_path / "saved", verbose=False)
    with pytest.raises(QuantizationError, match="holds a loop") as caught:
        quantize(load_float(tmp_path / "saved"), SMALL, smear_pixels(2, size=8))
    assert "unroll=True" in str(caught.value) and "loc(" not in str(caught.value)


@pytest.mark.slow
def test_a_layer_that_crashes_alone_is_found(tmp_path, monkeypatch, model):
    """With nothing known about recurrent layers, each layer is converted alone in turn."""
    from convert.quantization.converter import crash_cause

    monkeypatch.setattr(saved_network, "in_safe_forms", lambda network: (network, ()))
    monkeypatch.setattr(crash_cause, "recurrent", lambda layer: None)
    recurrent_network(keras.layers.SimpleRNN(4, name="memory")).save(tmp_path / "net.keras")
    with pytest.raises(ConverterCrashed, match=r"layer memory \(SimpleRNN\): converted alone, it crashes"):
        quantize(load_float(tmp_path / "net.keras"), SMALL, smear_pixels(2, size=8))


def test_too_much_memory(process):
    process._memory_mb = 1
    with pytest.raises(ConverterLimitError, match=r"held .* MB of memory while it started, .* the 1 MB") as caught:
        process.run(Task("nowhere"))
    assert caught.value.exit_code == 4
    assert process._process is None


def test_too_long_without_a_sign_of_life(process, monkeypatch):
    monkeypatch.setenv(converter_process.TIME_VARIABLE, "0.3")
    with pytest.raises(ConverterLimitError, match=r"no sign of life for 0\.3 s while it started"):
        process.run(Task("nowhere"))
    assert process._process is None


@pytest.mark.parametrize("text", ["", "none", "-3", "nan"])
def test_a_limit_that_is_no_number_is_none(monkeypatch, text):
    monkeypatch.setenv(converter_process.TIME_VARIABLE, text)
    assert converter_process._number(converter_process.TIME_VARIABLE) is None


def killed_soon(process: ConverterProcess, number: int) -> threading.Thread:
    process.start()
    thread = threading.Thread(target=lambda: (time.sleep(0.3), os.kill(process._process.pid, number)))
    thread.start()
    return thread


def test_killed_by_the_kernel(process):
    thread = killed_soon(process, signal.SIGKILL)
    with pytest.raises(ConverterLimitError, match="was killed while it started, as the kernel does where memory"):
        process.run(Task("nowhere"))
    thread.join()


def test_an_interrupt_ends_the_process(process):
    process.start()
    pid = process._process.pid
    timer = threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        process.run(Task("nowhere"))
    timer.join()
    assert process._process is None and gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_ends_with_its_parent():
    script = (
        "from convert.quantization.converter.process import shared_converter as s\n"
        "s().start(); print(s()._process.pid, flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(1.5)  # until it has asked to be ended
        parent.kill()
    ended = gone(pid, 20)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert ended
