"""Taking TFLite files apart: what is there is told, what is broken refused in one line and bounded time."""

import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.errors import BrokenModelError
from convert.tflite.inspection import inspect, inspect_file
from convert.tflite.metadata import with_metadata
from edge.errors import FlatbufferError
from edge.inference.tflite.flatbuffer import Buffer
from tests.convert.keras_models import CONTRACT, edited

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="reads names from LiteRT's schema")
MUTATIONS = 300


@pytest.fixture(scope="module")
def small() -> bytes:
    """A hand-made int8 classifier with metadata, without TensorFlow: RESHAPE, FULLY_CONNECTED, SOFTMAX."""
    import flatbuffers

    def tensor(name, shape, kind, buffer=0, *, scales=(0.5,), zeros=(0,)):
        made, quantization = schema.TensorT(), schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = list(scales), list(zeros)
        made.name, made.shape, made.type, made.buffer = name, list(shape), kind, buffer
        made.quantization = quantization if scales else None
        return made

    def operator(code, inputs, outputs):
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
        return made

    def code(number, version):
        made = schema.OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), version
        return made

    def buffer(array=None):
        made = schema.BufferT()
        made.data = None if array is None else np.frombuffer(array.tobytes(), np.uint8)
        return made

    kinds = schema.TensorType
    tree, graph = schema.ModelT(), schema.SubGraphT()
    weights = np.arange(4 * 192, dtype=np.int8).reshape(4, 192)
    graph.tensors = [
        tensor("image", (1, 8, 8, 3), kinds.INT8, scales=(1 / 128,)),
        tensor("flat", (1, 192), kinds.INT8, scales=(1 / 128,)),
        tensor("weights", (4, 192), kinds.INT8, 1, scales=(0.1, 0.2, 0.3, 0.4), zeros=(0, 0, 0, 0)),
        tensor("scores", (1, 4), kinds.INT8),
        tensor("probabilities", (1, 4), kinds.INT8, scales=(1 / 256,), zeros=(-128,)),
    ]
    graph.operators = [operator(0, [0], [1]), operator(1, [1, 2, -1], [3]), operator(2, [3], [4])]
    graph.inputs, graph.outputs, graph.name = [0], [4], "main"
    tree.version, tree.subgraphs, tree.description = 3, [graph], "made by hand"
    tree.operatorCodes = [code(22, 1), code(9, 4), code(25, 2)]
    tree.buffers = [buffer(), buffer(weights)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return with_metadata(bytes(builder.Output()), CONTRACT)


def test_everything_is_told(small):
    seen = inspect(small)
    assert seen.operators == (("RESHAPE", 1, 1), ("FULLY_CONNECTED", 4, 1), ("SOFTMAX", 2, 1))
    assert [(t.name, t.dtype, t.shape) for t in seen.inputs + seen.outputs] == [
        ("image", "int8", (1, 8, 8, 3)),
        ("probabilities", "int8", (1, 4)),
    ]
    assert seen.nodes[1].inputs == (1, 2, -1)
    assert (seen.full_int8, seen.edgetpu_compiled, seen.schema_version) == (True, False, 3)
    assert seen.tensor(2).constant_bytes == 4 * 192
    np.testing.assert_allclose(seen.tensor(2).scales, [0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    assert seen.info.labels == CONTRACT.labels


def test_record_is_json_and_complete(small):
    record = json.loads(json.dumps(inspect(small).to_record(), allow_nan=False))
    assert record["full_int8"] is True
    assert record["operators"][1] == {"name": "FULLY_CONNECTED", "version": 4, "count": 1}
    assert record["inputs"][0]["quantization"] == {"per": "tensor", "scale": 1 / 128, "zero_point": 0}
    assert record["tensors"][2]["quantization"]["channels"] == 4
    assert record["model_info"]["labels"] == list(CONTRACT.labels)
    assert record["bytes"] == len(small)


def test_text_names_what_matters(small):
    text = inspect(small).to_text()
    for part in ("full-int8", "FULLY_CONNECTED v4", "1x8x8x3", "scale 0.0078125 zero point 0", "alpha, beta"):
        assert part in text


def test_agrees_with_the_generated_reader(small):
    """LiteRT's own object API as an independent reading."""
    tree = schema.ModelT.InitFromPackedBuf(small, 0)
    seen = inspect(small)
    for own, other in zip(seen.tensors, tree.subgraphs[0].tensors, strict=True):
        assert own.name == other.name.decode()
        assert own.shape == tuple(other.shape)
        assert own.zero_points.tolist() == list(other.quantization.zeroPoint)
    assert [list(n.outputs) for n in seen.nodes] == [list(o.outputs) for o in tree.subgraphs[0].operators]
    assert seen.description == tree.description.decode()


def test_float_and_custom_are_seen(small):
    def to_float(tree):
        tree.subgraphs[0].tensors[3].type = schema.TensorType.FLOAT32

    def to_edgetpu(tree):
        code = tree.operatorCodes[2]
        code.builtinCode = code.deprecatedBuiltinCode = 32
        code.customCode = "edgetpu-custom-op"
        tree.subgraphs[0].operators[2].customOptions = np.zeros(77, np.uint8)

    assert not inspect(edited(small, to_float)).full_int8
    assert inspect(edited(small, to_float)).float_tensors[0].name == "scores"
    compiled = inspect(edited(small, to_edgetpu))
    assert compiled.edgetpu_compiled
    assert compiled.to_record()["custom_bytes"] == 77
    assert "compiled for the Edge TPU" in compiled.to_text()


def test_newer_operators_keep_their_names(small):
    def change(tree):
        tree.operatorCodes[2].builtinCode, tree.operatorCodes[2].deprecatedBuiltinCode = 150, 127  # GELU

    assert inspect(edited(small, change)).operators[2][0] == "GELU"

    def unknown(tree):
        tree.operatorCodes[2].builtinCode, tree.operatorCodes[2].deprecatedBuiltinCode = 9999, 127

    assert inspect(edited(small, unknown)).operators[2][0] == "BUILTIN_9999"


def test_names_cannot_drive_the_terminal(small):
    def change(tree):
        tree.subgraphs[0].tensors[0].name = "\x1b[2Jimage\x07"

    text = inspect(edited(small, change)).to_text()
    assert "\x1b" not in text
    assert "\x07" not in text


def test_scales_that_are_no_numbers_stay_json(small):
    def change(tree):
        tree.subgraphs[0].tensors[0].quantization.scale = [float("nan")]
        tree.subgraphs[0].tensors[2].quantization.scale = [float("inf")] * 4

    seen = inspect(edited(small, change))
    json.dumps(seen.to_record(), allow_nan=False)
    seen.to_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tree: setattr(tree.subgraphs[0], "inputs", [99]), "beyond the 5 tensors"),
        (lambda tree: setattr(tree.subgraphs[0].operators[0], "inputs", [-2]), "beyond the 5 tensors"),
        (lambda tree: setattr(tree.subgraphs[0].operators[0], "opcodeIndex", 9), "code 9 of 3"),
        (lambda tree: setattr(tree.subgraphs[0].tensors[0], "buffer", 99), "buffer 99"),
        (lambda tree: setattr(tree.subgraphs[0].tensors[0], "shape", [-7]), "the shape"),
        (lambda tree: setattr(tree.subgraphs[0].tensors[0], "shape", [1] * 40), "40 dimensions"),
        (lambda tree: setattr(tree, "subgraphs", []), "no subgraph"),
    ],
)
def test_impossible_contents(small, change, said):
    with pytest.raises(BrokenModelError, match=said):
        inspect(edited(small, change))


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0\0\0\0TFL3", b"PK\x03\x04 a zip", bytes(1000), b"\xff" * 64])
def test_not_a_model(data):
    with pytest.raises(BrokenModelError, match="not a readable TFLite file") as caught:
        inspect(data, "some.tflite")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("some.tflite: ")


def test_paths(tmp_path, small):
    (tmp_path / "a.tflite").write_bytes(small)
    assert inspect_file(tmp_path / "a.tflite").full_int8
    with pytest.raises(BrokenModelError, match="a folder"):
        inspect_file(tmp_path)
    with pytest.raises(BrokenModelError, match="No such file"):
        inspect_file(tmp_path / "b.tflite")


def survives(data: bytes) -> bool:
    """Inspect as the command does; True when it was readable. Anything but our error escapes."""
    try:
        seen = inspect(data)
        json.dumps(seen.to_record(), allow_nan=False)
        seen.to_text()
    except BrokenModelError as error:
        assert "\n" not in str(error)
        return False
    return True


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A copy with bytes overwritten, words set to extreme values, a stretch moved or cut off."""
    body = bytearray(data)
    kind = int(rng.integers(4))
    if kind == 0:
        for place in rng.integers(0, len(body), int(rng.integers(1, 20))):
            body[place] = int(rng.integers(256))
    elif kind == 1:
        words = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(body), len(body) // 4]
        for place in rng.integers(0, len(body) // 4 - 1, int(rng.integers(1, 4))) * 4:
            body[place : place + 4] = int(rng.choice(words)).to_bytes(4, "little")
    elif kind == 2:
        start, end = sorted(rng.integers(0, len(body), 2))
        target = int(rng.integers(0, len(body)))
        body[target : target + end - start] = body[start:end]
    else:
        del body[int(rng.integers(len(body))) :]
    return bytes(body)


def test_mutated_files_never_crash_hang_or_grow(small):
    rng = np.random.default_rng(20)
    tracemalloc.start()
    started, readable = time.monotonic(), 0
    for _ in range(MUTATIONS):
        readable += survives(damaged(small, rng))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < readable < MUTATIONS  # the damage is neither always fatal nor never seen
    assert time.monotonic() - started < 20
    assert peak < 20 * 2**20


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_behind_a_right_header(tail):
    survives(b"\x10\x00\x00\x00TFL3" + tail)


def test_a_list_that_repeats_one_table_is_stopped():
    """Every list entry leads to the same list again: more work than the size of the file explains."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    shape = 30_000
    builder.StartVector(4, shape, 4)
    for _ in range(shape):
        builder.PrependInt32(1)
    vector = builder.EndVector()
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    table = builder.EndObject()
    builder.StartVector(4, 30_000, 4)
    for _ in range(30_000):
        builder.PrependUOffsetTRelative(table)
    tables = builder.EndVector()
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(0, tables, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    data = bytes(builder.Output())
    started = time.monotonic()
    with pytest.raises(FlatbufferError, match="repeat beyond"):
        for entry in Buffer(data).root(b"TFL3").tables(0):
            entry.array(0, "i4")
    assert time.monotonic() - started < 5


# Models that Coral published


@pytest.fixture(scope="module")
def coral(shared_dir):
    folder = shared_dir / "fixtures" / "edgetpu"
    if not folder.is_dir():
        pytest.skip("the models that Coral published are not here")
    return folder


@pytest.mark.parametrize(
    ("name", "compiled", "operators"),
    [
        ("mobilenet_v1_0.25_128_quant.tflite", False, 5),
        ("mobilenet_v1_0.25_128_quant_edgetpu.tflite", True, 1),
        ("split_concat.tflite", False, 2),
        ("split_concat_edgetpu.tflite", True, 1),
    ],
)
def test_published_models(coral, name, compiled, operators):
    seen = inspect_file(coral / name)
    assert seen.full_int8
    assert seen.edgetpu_compiled == compiled
    assert len(seen.operators) == operators
    assert (seen.to_record()["custom_bytes"] > 0) == compiled


def test_published_metadata(coral):
    info = inspect_file(coral / "mobilenet_v1_0.25_128_quant.tflite").info
    assert (info.name, info.mean, info.std) == ("ImageClassifier", (127.5,), (127.5,))
    assert len(info.labels) == 1001


def test_a_model_that_fails_when_run_can_be_inspected(coral):
    seen = inspect_file(coral / "model_invoking_error.tflite")
    assert not seen.full_int8
    assert seen.operators == (("fake-op-double", 1, 1),)
