"""`convert inspect --edgetpu --plain`: true twins of every shape pass, false ones and unreadable ones do not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.commands.inspect import PreflightRequest
from convert.edgetpu.compiled import Compiled, read_compiled
from convert.edgetpu.executable import Layer
from convert.edgetpu.source_match import _layer_problem
from convert.errors import BrokenModelError
from convert.tflite.inspection import TensorInfo
from tests.convert.edgetpu.compiled import compiled, option_map, several_chips
from tests.convert.edgetpu.models import Net, classifier
from tests.convert.keras_models import edited

Change = Callable[[Any], None]


def look(made: bytes, plain: bytes) -> Compiled:
    return read_compiled(made, "made", plain, "plain")


def differs(seen: Compiled) -> list[str]:
    return [each.name for each in seen.twin or () if not each.agrees]


# --- what the compiler changes, and a twin may differ in ------------------------------------------------------------


def other_versions(tree: Any) -> None:
    for code in tree.operatorCodes:
        code.version = 1


def other_description(tree: Any) -> None:
    tree.description = "Exported from Subgraph."


def no_metadata(tree: Any) -> None:
    tree.metadata, tree.signatureDefs = [], []


def other_buffers(tree: Any) -> None:
    """All buffers in reverse order, behind the empty one."""
    count = len(tree.buffers)
    tree.buffers[1:] = tree.buffers[:0:-1]
    for tensor in tree.subgraphs[0].tensors:
        if tensor.buffer:
            tensor.buffer = count - tensor.buffer


def no_signature(tree: Any) -> None:
    for tensor in tree.subgraphs[0].tensors:
        tensor.shapeSignature = None


def dropped_tensors(tree: Any) -> None:
    """Those that nobody uses are gone, and the others have moved."""
    graph = tree.subgraphs[0]
    used = sorted({int(t) for op in graph.operators for t in (*op.inputs, *op.outputs)} | set(map(int, graph.outputs)))
    new = {old: n for n, old in enumerate(used)}
    graph.tensors = [graph.tensors[n] for n in used]
    graph.inputs, graph.outputs = [new[int(t)] for t in graph.inputs], [new[int(t)] for t in graph.outputs]
    for operator in graph.operators:
        operator.inputs, operator.outputs = (
            [new[int(t)] for t in operator.inputs],
            [new[int(t)] for t in operator.outputs],
        )


@pytest.mark.parametrize(
    "change", [other_versions, other_description, no_metadata, other_buffers, no_signature, dropped_tensors]
)
@pytest.mark.parametrize("outside", [0, 2])
def test_what_the_writer_changes_makes_no_other_model(change: Change, outside: int) -> None:
    plain = classifier()
    seen = look(edited(compiled(plain, outside=outside), change), plain)
    assert seen.belongs is True, seen.twin


def detector(*, quantized_ends: bool = False) -> bytes:
    """As TensorFlow's detection exports: two heads, custom post-processing whose outputs have no shape in the file."""
    net = Net()
    image = net.tensor((1, 8, 8, 8), "uint8", name="image")
    x = net.conv(image, 8)
    ends = []
    for _ in range(2):
        rows = [
            net.op("RESHAPE", [net.conv(x, 8), net.numbers([1, 64, 8])], [net.tensor((1, 64, 8))]) for _ in range(2)
        ]
        joined = net.op("CONCATENATION", rows, [net.tensor((1, 128, 8))], axis=1)
        ends.append(joined)
    if not quantized_ends:
        ends = [net.op("DEQUANTIZE", [end], [net.tensor((1, 128, 8), "float32")], 2) for end in ends]
    anchors = net.numbers([[0.5] * 4] * 128, "float32")
    names = [f"TFLite_Detection_PostProcess{part}" for part in ("", ":1", ":2", ":3")]
    found = [net.tensor((), "float32", name=name) for name in names]
    net.op("", [*ends, anchors], found, custom="TFLite_Detection_PostProcess")
    return net.build([image], found)


@pytest.mark.parametrize("quantized_ends", [False, True])
def test_outputs_that_get_their_shape_from_a_run(quantized_ends: bool) -> None:
    plain = detector(quantized_ends=quantized_ends)

    def run_once(tree: Any) -> None:
        graph = tree.subgraphs[0]
        shapes = ([1, 10, 4], [1, 10], [1, 10], [1])
        for number, shape in zip(graph.outputs, shapes, strict=True):
            tensor = graph.tensors[int(number)]
            tensor.shape, tensor.quantization = shape, schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [0.0], [0]

    seen = look(edited(compiled(plain, outside=1 if quantized_ends else 3), run_once), plain)
    assert (seen.belongs, seen.verdict) == (True, "partly"), seen.twin


def test_a_compiled_part_in_the_middle_and_several_of_them() -> None:
    plain = classifier()  # 6 operators
    middle = look(compiled(plain, spans=[(1, 4)]), plain)
    assert (middle.belongs, middle.mapped) == (True, 3)
    assert [o.name for o in middle.outside] == ["CONV_2D", "FULLY_CONNECTED", "SOFTMAX"]
    several = look(compiled(plain, spans=[(0, 2), (3, 5)]), plain)
    assert (several.belongs, several.mapped, len(several.packages)) == (True, 4, 2)
    whole = look(compiled(plain, spans=[(0, 3), (3, 6)]), plain)
    assert (whole.belongs, whole.mapped, whole.verdict) == (True, 6, "mapped")


def test_a_program_that_stands_alone_streams_everything() -> None:
    seen = look(compiled(classifier(), alone=True, parameter_bytes=70_000), classifier())
    (package,) = seen.packages
    assert seen.belongs and [each.kind for each in package.executables] == ["stand-alone"]
    assert (package.cached_bytes, package.streamed_bytes) == (0, 70_000)


# --- what no compiler changes ---------------------------------------------------------------------------------------


def test_another_operator_outside_is_noticed() -> None:
    plain = classifier()

    def other(tree: Any) -> None:
        softmax = schema.BuiltinOperator.SOFTMAX
        code = next(code for code in tree.operatorCodes if code.builtinCode == softmax)
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LOGISTIC

    assert differs(look(edited(compiled(plain, outside=1), other), plain)) == ["operators"]


def trained(seed: int, dtype: str = "uint8") -> tuple[bytes, list[bytes]]:
    """A chain of convolutions and its biases."""
    rng, net = np.random.default_rng(seed), Net()
    image = x = net.tensor((1, 4, 4, 16), dtype, name="image")
    biases = []
    for _ in range(6):
        values = rng.integers(-20_000, 20_000, 16).astype(np.int32)
        biases.append(values.tobytes())
        weights = net.tensor((16, 1, 1, 16), dtype, data=rng.integers(0, 100, (16, 1, 1, 16)).astype(dtype))
        x = net.op("CONV_2D", [x, weights, net.tensor((16,), "int32", data=values)], [net.tensor((1, 4, 4, 16), dtype)])
    return net.build([image], [x]), biases


def test_biases_tell_one_training_from_another() -> None:
    plain, biases = trained(1)
    made = compiled(plain, parameters=b"weights ".join(biases), runtime=12)
    assert look(made, plain).belongs
    assert differs(look(made, trained(2)[0])) == ["biases"]


@pytest.mark.parametrize(("dtype", "runtime"), [("int8", 12), ("uint8", 14)])
def test_biases_that_may_be_kept_in_another_way_speak_against_no_twin(dtype: str, runtime: int) -> None:
    plain, _ = trained(1, dtype)
    assert look(compiled(plain, runtime=runtime), plain).belongs


def test_a_published_pair_with_another_training(shared_dir: Path) -> None:
    """Negative control: the same architecture, every bias a little different."""
    folder = shared_dir / "fixtures" / "edgetpu"
    if not folder.is_dir():
        pytest.skip("the models that Coral published are not here")

    def retrained(tree: Any) -> None:
        for tensor in tree.subgraphs[0].tensors:
            data = tree.buffers[tensor.buffer].data
            if tensor.type == schema.TensorType.INT32 and data is not None:
                tree.buffers[tensor.buffer].data = (np.asarray(data, np.uint8).view(np.int32) + 7).view(np.uint8)

    made = (folder / "mobilenet_v1_0.25_128_quant_edgetpu.tflite").read_bytes()
    plain = (folder / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    assert look(made, plain).belongs
    assert differs(look(made, edited(plain, retrained))) == ["biases"]


# --- what cannot be read --------------------------------------------------------------------------------------------


def truncated(package: bytes) -> bytes:
    return option_map(package[: len(package) // 2])


def other_identifier(package: bytes) -> bytes:
    return option_map(package.replace(b"DWN1", b"DWN2"))


def other_key(package: bytes) -> bytes:
    return option_map(package, "8")


def no_package(package: bytes) -> bytes:
    return option_map(b"text")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (truncated, "byte"),
        (other_identifier, "DWN1"),
        (other_key, "no package under key 4 (keys that can be read: 1, 5, 8)"),
        (no_package, "DWN1"),
        (several_chips, "made for 2 chips together"),
    ],
)
def test_an_executable_of_another_layout_is_said_to_be_unreadable(
    tmp_path: Path, options: Callable[[bytes], bytes], said: str
) -> None:
    """The file is still read: what stays outside, and how many compiled operators there are."""
    plain, made = tmp_path / "a.tflite", tmp_path / "a_edgetpu.tflite"
    plain.write_bytes(classifier())
    made.write_bytes(compiled(classifier(), outside=2, options=options))
    outcome = PreflightRequest(made, None, False).execute()
    assert outcome.code == 1
    assert "executable that cannot be read: " in outcome.text and said in outcome.text
    assert said in outcome.record["packages"][0]["problem"] and outcome.record["cpu"] == 2
    json.dumps(outcome.record, allow_nan=False)
    compared = PreflightRequest(made, plain, False).execute()
    assert compared.code == 1 and "nothing shows whose it is" in compared.text


def test_options_that_are_no_options_are_damage() -> None:
    with pytest.raises(BrokenModelError):
        read_compiled(compiled(classifier(), options=lambda package: package))


@pytest.mark.parametrize(
    ("dtype", "there", "agrees"),
    [("int16", 32768, True), ("int16", 0, True), ("int16", 128, False), ("int8", 128, True), ("int8", 32768, False)],
)
def test_the_chip_counts_the_states_of_an_lstm_from_0(dtype: str, there: int, agrees: bool) -> None:
    """Coral's own LSTM pair has int16 states, 32768 apart."""
    state = TensorInfo(0, 0, "state", dtype, (1, 20), (), np.float32([0.5]), np.int64([0]), 0, 0)
    layer = Layer("state", (1, 1, 20), 20, 0.5, there)
    assert (_layer_problem(layer, state) == "") == agrees
