"""One suite over LiteRT, tflite-runtime and tf.lite; what is not installed skips and says so."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ContractError, InterpreterUnavailable, ModelFileError
from edge.inference.contract import Quantization
from edge.inference.runtime import interpreters
from edge.inference.runtime.interpreters import available_runtimes, kind_of, open_interpreter
from edge.inference.runtime.runtimes import RUNTIMES
from edge.inference.tflite.flatbuffer import Buffer, Table
from edge.inference.tflite.model_file import check_model
from edge.system.streams import stderr_without
from tests.paths import ROOT
from tests.tiny_bundle import TinyModels


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param not in available_runtimes():
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def strange_models() -> dict[str, bytes]:
    """Models that load and run, and are no classifiers of one image."""
    import keras
    import tensorflow as tf

    def image(**options: Any) -> Any:
        return keras.Input((16, 16, 3), **{"batch_size": 1, **options})

    def pooled(x: Any) -> Any:
        return keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))

    def converted(inputs: Any, outputs: Any) -> bytes:
        return bytes(tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, outputs)).convert())

    one, two, free, row = image(), image(), image(batch_size=None), keras.Input((8,), batch_size=1)
    grey = keras.Input((16, 16, 1), batch_size=1)
    sized = keras.Input((None, None, 3), batch_size=1)
    return {
        "two inputs": converted([one, two], pooled(keras.layers.Concatenate()([one, two]))),
        "two outputs": converted(one, [pooled(one), pooled(one)]),
        "dynamic batch": converted(free, pooled(free)),
        "dynamic size": converted(sized, pooled(sized)),
        "a vector": converted(row, keras.layers.Dense(3)(row)),
        "one channel": converted(grey, pooled(grey)),
        "a map": converted(one, keras.layers.Conv2D(4, 3)(one)),
        "one class": converted(
            one, keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalMaxPooling2D()(one))
        ),
    }


def frames(count: int = 6, size: int = 32) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


# --- what all three do alike


@pytest.mark.parametrize("name", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("xnnpack", [True, False])
def test_shapes_and_number_formats(tiny_models: TinyModels, runtime: str, name: str, xnnpack: bool) -> None:
    interpreter = open_interpreter(getattr(tiny_models, name), runtime=runtime, xnnpack=xnnpack)
    assert interpreter.runtime == runtime and interpreter.threads == 1
    assert interpreter.version[0].isdigit()
    assert interpreter.input.shape == (1, 32, 32, 3) and interpreter.output.shape == (1, 4)
    assert interpreter.input.quantization.dtype == interpreter.output.quantization.dtype == name
    raw = interpreter.invoke(tiny_models.contract.encode(frames()[0], interpreter.input.quantization))
    assert raw.shape == (4,) and raw.dtype == name


def test_the_input_range_is_read_from_the_model(tiny_models: TinyModels, runtime: str) -> None:
    interpreter = open_interpreter(tiny_models.int8, runtime=runtime)
    assert interpreter.input.quantization == Quantization("int8", 1 / 128, 0)
    assert interpreter.output.quantization == Quantization("int8", 1 / 256, -128)
    assert open_interpreter(tiny_models.uint8, runtime=runtime).input.quantization == Quantization(
        "uint8", 1 / 128, 128
    )


def test_outputs_are_copies_and_repeatable(tiny_models: TinyModels, runtime: str) -> None:
    interpreter = open_interpreter(tiny_models.int8, runtime=runtime)
    tensors = [tiny_models.contract.encode(frame, interpreter.input.quantization) for frame in frames()]
    first = [interpreter.invoke(tensor) for tensor in tensors]
    kept = [raw.copy() for raw in first]
    again = [interpreter.invoke(tensor) for tensor in tensors]
    assert len({raw.tobytes() for raw in kept}) > 1, "the frames must differ for this test to mean anything"
    for before, now, after in zip(kept, first, again, strict=True):
        assert np.array_equal(before, now) and np.array_equal(before, after)
    assert first[0].flags.writeable


def test_threads_do_not_change_the_answer(tiny_models: TinyModels, runtime: str) -> None:
    one, two = (open_interpreter(tiny_models.int8, runtime=runtime, threads=n) for n in (1, 2))
    tensor = tiny_models.contract.encode(frames()[1], one.input.quantization)
    assert two.threads == 2 and np.array_equal(one.invoke(tensor), two.invoke(tensor))


def test_a_path_is_as_good_as_bytes(tiny_models: TinyModels, runtime: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_models.int8)
    tensor = np.zeros((1, 32, 32, 3), np.int8)
    from_path = open_interpreter(path, runtime=runtime)
    path.unlink()  # nothing is mapped or read later
    assert np.array_equal(from_path.invoke(tensor), open_interpreter(tiny_models.int8, runtime=runtime).invoke(tensor))


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros((1, 32, 32, 3), np.uint8),
        np.zeros((1, 32, 32, 3), np.float32),
        np.zeros((32, 32, 3), np.int8),
        np.zeros((2, 32, 32, 3), np.int8),
    ],
)
def test_a_tensor_of_another_form_is_refused(tiny_models: TinyModels, runtime: str, tensor: np.ndarray) -> None:
    interpreter = open_interpreter(tiny_models.int8, runtime=runtime)
    with pytest.raises(ContractError, match=r"tensor must be int8 \(1, 32, 32, 3\)"):
        interpreter.invoke(tensor)


def test_nothing_is_said_while_loading(
    tiny_models: TinyModels, runtime: str, capfd: pytest.CaptureFixture[str]
) -> None:
    open_interpreter(tiny_models.float32, runtime=runtime)  # float reaches XNNPACK in all three
    capfd.readouterr()
    open_interpreter(tiny_models.float32, runtime=runtime)
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_what_others_say_meanwhile_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with stderr_without(interpreters._GREETING):
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nkeep me\n")
    assert capfd.readouterr().err == "keep me\n"


# --- kinds of arithmetic


def test_runtimes_of_a_kind_agree_to_the_bit_and_kinds_to_one_step(tiny_models: TinyModels) -> None:
    if len(available_runtimes()) < 2:
        pytest.skip("only one runtime is installed")
    answers: dict[str, list[np.ndarray]] = {}
    for runtime in available_runtimes():
        for kernels in ({}, {"xnnpack": False}, {"reference": True}):
            interpreter = open_interpreter(tiny_models.int8, runtime=runtime, **kernels)
            tensors = (tiny_models.contract.encode(frame, interpreter.input.quantization) for frame in frames(32))
            outputs = np.stack([interpreter.invoke(tensor) for tensor in tensors])
            answers.setdefault(interpreter.kind, []).append(outputs)
    assert len(answers.get("reference", [])) >= len(
        available_runtimes()
    )  # the reference kernels are one kind everywhere
    for kind, outputs in answers.items():
        for other in outputs[1:]:
            assert kind == "?" or np.array_equal(outputs[0], other), kind
    firsts = [outputs[0].astype(int) for outputs in answers.values()]
    assert all(np.abs(firsts[0] - other).max() <= 1 for other in firsts)


@pytest.mark.parametrize(
    ("runtime", "machine", "dtype", "xnnpack", "kind"),
    [
        ("litert", "x86_64", "int8", True, "xnnpack"),
        ("litert", "aarch64", "int8", True, "xnnpack"),
        ("tf_lite", "AMD64", "int8", True, "xnnpack"),
        ("litert", "x86_64", "int8", False, "builtin"),
        ("tf_lite", "x86_64", "uint8", False, "builtin"),
        ("tflite_runtime", "x86_64", "int8", True, "builtin"),
        ("tflite_runtime", "x86_64", "int8", False, "builtin"),
        ("tflite_runtime", "aarch64", "int8", True, "reference"),
        ("litert", "aarch64", "int8", False, "builtin-arm"),
        ("tf_lite", "aarch64", "int8", False, "?"),
        ("litert", "x86_64", "float32", True, "?"),
        ("litert", "riscv64", "int8", True, "?"),
    ],
)
def test_kinds_are_what_was_measured(runtime: str, machine: str, dtype: str, xnnpack: bool, kind: str) -> None:
    assert kind_of(runtime, machine, dtype, xnnpack) == kind


# --- what is no classifier


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two inputs", "has one input; this model has 2"),
        ("two outputs", "has one output; this model has 2"),
        ("dynamic batch", r"input shape must be fixed; got \(-1, 16, 16, 3\)"),
        ("dynamic size", r"input shape must be fixed; got \(1, -1, -1, 3\)"),
        ("a vector", r"input must be \(1, height, width, 3\), or 1 channel; got \(1, 8\)"),
        ("a map", r"output must be \(1, classes\)"),
    ],
)
def test_a_model_of_another_kind_is_named(strange_models: dict[str, bytes], runtime: str, name: str, said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        open_interpreter(strange_models[name], runtime=runtime)


def test_files_compiled_for_the_edge_tpu(shared_dir: Path, runtime: str) -> None:
    folder = shared_dir / "fixtures" / "edgetpu"
    assert open_interpreter(folder / "mobilenet_v1_0.25_128_quant.tflite", runtime=runtime).output.shape == (
        1,
        1001,
    )
    with pytest.raises(ModelFileError, match="compiled for the Edge TPU"):
        open_interpreter(folder / "mobilenet_v1_0.25_128_quant_edgetpu.tflite", runtime=runtime)
    with pytest.raises(ModelFileError) as caught:
        open_interpreter(folder / "model_invoking_error.tflite", runtime=runtime)
    assert "\n" not in str(caught.value)


# --- what is no model


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: b"", "not a TFLite file"),
        (lambda data: data[:7], "not a TFLite file"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + data, "not a TFLite file"),
        (lambda data: data[:4] + b"TFL2" + data[8:], "TFL3"),
        (lambda data: data[: len(data) // 2], "truncated or damaged"),
        (lambda data: data[:64], "truncated or damaged"),
        (lambda data: b"\xff\xff\xff\x7f" + data[4:], "truncated or damaged"),
    ],
    ids=["empty", "seven bytes", "png", "other version", "half", "head", "wild root"],
)
def test_bytes_that_are_no_model(
    tiny_models: TinyModels, runtime: str, tmp_path: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(spoil(tiny_models.int8))
    with pytest.raises(ModelFileError, match=said) as caught:
        open_interpreter(path, runtime=runtime)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_no_cut_of_a_model_passes(tiny_models: TinyModels) -> None:
    check_model(tiny_models.int8)
    for length in range(len(tiny_models.int8)):
        with pytest.raises(ModelFileError):
            check_model(tiny_models.int8[:length])


def graph_of(data: bytes) -> tuple[list[Table], list[Table]]:
    """(tensors, operators) of the first subgraph."""
    graph = next(Buffer(data).root(b"TFL3").tables(2))
    return list(graph.tables(0)), list(graph.tables(3))


CONV, POOL, RESHAPE = 0, 1, 2  # operators of the tiny int8 network, in order


def entry(operator: int, slot: int, position: int) -> Callable[[bytes], int]:
    """Where `position` of an operator's list of tensors lies."""
    return lambda data: graph_of(data)[1][operator].span(slot, 4)[0] + 4 * position


def written(slot: int, width: int) -> Callable[[bytes], int]:
    """Where the first entry of a list lies in the quantization of what the convolution writes."""

    def find(data: bytes) -> int:
        tensors, operators = graph_of(data)
        quantization = tensors[int(operators[CONV].array(2, "i4")[0])].table(4)
        assert quantization is not None
        return quantization.span(slot, width)[0]

    return find


def option(operator: int, slot: int) -> Callable[[bytes], int]:
    def find(data: bytes) -> int:
        options = graph_of(data)[1][operator].table(4)
        assert options is not None
        return options._field(slot, 1)

    return find


@pytest.mark.parametrize(
    ("find", "form", "value", "said"),
    [
        (entry(RESHAPE, 1, 1), "i", -1, r"input 1 of an operator \(code 22\) is left out"),
        (entry(CONV, 1, 1), "i", -1, r"input 1 of an operator \(code 3\) is left out"),
        (written(2, 4), "f", 0.0, "a scale of 0"),
        (written(2, 4), "f", 1e-44, "a scale of"),
        (written(2, 4), "f", -0.5, "a scale of -0.5"),
        (written(2, 4), "f", float("nan"), "a scale of nan"),
        (written(2, 4), "f", float("inf"), "a scale of inf"),
        (written(3, 8), "q", -13041792, r"a zero point of -13041792, outside -128\.\.127"),
        (lambda data: graph_of(data)[1][CONV]._field(3, 1), "B", 71, r"without its options \(type 71, not 1\)"),
        (option(POOL, 3), "i", 16, r"a window of \[3, 16\] over an input of \[15, 15\]"),
        (option(POOL, 4), "i", 8, r"an output of \[1, 5, 5, 8\] where the window leads to \[3, 5\]"),
        (option(POOL, 1), "i", 0, "a stride, dilation or window of 0"),
        (entry(RESHAPE, 2, 0), "i", 0, "writes tensor 0, which exists already"),
        (entry(RESHAPE, 1, 0), "i", 7, "reads tensor 7 before anything has written it"),
    ],
)
def test_what_ends_a_kernel_is_refused(
    tiny_models: TinyModels, find: Callable[[bytes], int], form: str, value: float, said: str
) -> None:
    spoiled = bytearray(tiny_models.int8)
    struct.pack_into("<" + form, spoiled, find(tiny_models.int8), value)
    with pytest.raises(ModelFileError, match=said):
        check_model(bytes(spoiled))


def test_a_convolution_may_lack_its_bias(tiny_models: TinyModels) -> None:
    spoiled = bytearray(tiny_models.int8)
    struct.pack_into("<i", spoiled, entry(CONV, 1, 2)(tiny_models.int8), -1)
    check_model(bytes(spoiled))


def test_damage_never_ends_the_process(tiny_models: TinyModels, runtime: str, tmp_path: Path) -> None:
    """Hundreds of damaged copies, opened one after the other in a process of their own."""
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_models.int8)
    if runtime == "tf_lite":
        pytest.skip("runs the verifier that LiteRT runs, and takes seconds to import")
    done = subprocess.run(
        [sys.executable, "-m", "tests.edge.inference.damage", runtime, str(path), "600"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    refused, opened = map(int, done.stdout.split())
    assert refused > 100 and refused + opened == 600


def test_missing_model_and_wrong_requests(tiny_models: TinyModels, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="No such file"):
        open_interpreter(tmp_path / "nowhere.tflite")
    for threads in (0, -1, 65, True, 1.5):
        with pytest.raises(ContractError, match="threads must be"):
            open_interpreter(tiny_models.int8, threads=threads)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="runtime must be one of"):
        open_interpreter(tiny_models.int8, runtime="onnx")


# --- what the machine lacks


def test_the_first_runtime_that_can_be_imported_is_taken(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtimes = available_runtimes()
    assert open_interpreter(tiny_models.int8).runtime == runtimes[0]
    if len(runtimes) < 2:
        pytest.skip("only one runtime is installed")
    broken = interpreters._Backend(runtimes[0], "edge.no_such_module", (), "pip install it")
    monkeypatch.setitem(interpreters._BACKENDS, runtimes[0], broken)
    assert open_interpreter(tiny_models.int8).runtime == runtimes[1]
    with pytest.raises(InterpreterUnavailable, match=r"cannot be imported.*pip install it"):
        open_interpreter(tiny_models.int8, runtime=runtimes[0])


def test_no_runtime_at_all(tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RUNTIMES:
        monkeypatch.setitem(interpreters._BACKENDS, name, interpreters._Backend(name, "no_such_package.x", (), "cure"))
    assert available_runtimes() == ()
    with pytest.raises(InterpreterUnavailable, match="no TFLite interpreter: cure") as caught:
        open_interpreter(tiny_models.int8)
    assert caught.value.exit_code == 4
    with pytest.raises(InterpreterUnavailable, match="not installed"):
        open_interpreter(tiny_models.int8, runtime="litert")


def test_a_runtime_that_fails_later_is_narrowed(tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = open_interpreter(tiny_models.int8)

    def fail() -> None:
        raise RuntimeError("tensor arena\nsecond line")

    monkeypatch.setattr(interpreter._engine, "invoke", fail)  # type: ignore[attr-defined]
    with pytest.raises(ModelFileError, match=r"cannot run it: tensor arena$") as caught:
        interpreter.invoke(np.zeros((1, 32, 32, 3), np.int8))
    assert isinstance(caught.value.__cause__, RuntimeError)
