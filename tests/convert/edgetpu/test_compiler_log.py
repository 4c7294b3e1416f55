"""Recorded logs of Coral's compiler: what is recognized in them, and that the preflight says the same."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.edgetpu.compiler_log import MAPPED_STATUS, CompilerLog, parse
from convert.edgetpu.preflight import Memory, preflight
from tests.convert.edgetpu.models import Net
from tests.convert.edgetpu.test_rules import MAKERS
from tests.convert.keras_models import edited

FOLDER = Path(__file__).parent / "logs"
LOGS = sorted(path.stem for path in FOLDER.glob("*.log"))


def recorded(name: str) -> str:
    """A log without the comments on its source."""
    lines = (FOLDER / f"{name}.log").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


def log(name: str) -> CompilerLog:
    return parse(recorded(name))


# --- what is recognized ---------------------------------------------------------------------------------------------


def test_every_log_names_its_source() -> None:
    assert len(LOGS) >= 20
    for name in LOGS:
        assert (FOLDER / f"{name}.log").read_text(encoding="utf-8").startswith("# source: https://"), name


def test_a_success_is_read_whole() -> None:
    seen = log("efficientdet_lite0")
    assert (seen.version, seen.succeeded, seen.complaints) == ("16.0.384591198", True, ())
    assert (seen.subgraphs, seen.operations, seen.on_tpu, seen.on_cpu, seen.milliseconds) == (1, 267, 264, 3, 1524)
    assert (seen.cached_bytes, seen.remaining_bytes, seen.streamed_bytes) == (4414505, 3449815, 0)
    assert len(seen.rows) == 11 and sum(seen.counted_by_operator().values()) == 267
    assert sum(seen.mapped_by_operator().values()) == 264
    assert seen.contradiction == ""


def test_parameters_that_stream() -> None:
    assert log("parameters_streamed").streamed_bytes == round(15.73 * 2**20)


def test_rows_of_one_operator_add_up() -> None:
    assert log("tiny_yolo_release_14").counted_by_operator()["QUANTIZE"] == 4
    assert log("tiny_yolo_release_14").mapped_by_operator() == Counter(MAX_POOL_2D=6, CONV_2D=11, QUANTIZE=2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exp_version_2", "'EXP' version '2'"),
        ("builtin_out_of_range", "out of range: 151"),
        ("dynamic_tensors", "static-sized"),
        ("not_quantized", "Model not quantized"),
        ("internal_error", "Internal compiler error"),
        ("internal_out_of_range", "std::out_of_range"),
        ("large_activations", "large activation"),
        ("failure_without_reason", "Compilation failed!"),
    ],
)
def test_failures_are_failures_with_their_lines(name: str, said: str) -> None:
    seen = log(name)
    assert not seen.succeeded and seen.recognized
    assert any(said in line for line in seen.complaints)


def test_a_table_that_contradicts_its_summary_is_noticed() -> None:
    """Negative control: a row less, a row more."""
    text = recorded("efficientdet_lite0")
    assert parse(
        text.replace("LOGISTIC                       1          Mapped", "LOGISTIC  1  Not mapped")
    ).contradiction
    assert parse(text + "ADD  9  Mapped to Edge TPU\n").contradiction


def test_success_that_is_taken_back_is_none() -> None:
    assert not parse(recorded("parameters_streamed") + "\nInternal compiler error. Aborting! \n").succeeded
    assert not parse("").recognized and not parse("Segmentation fault").recognized


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.integers(0, 900))
def test_any_text_is_parsed(noise: str, cut: int) -> None:
    text = recorded("efficientdet_lite0")
    for each in (noise, text[:cut] + noise, text[:cut] + noise + text[cut:]):
        assert isinstance(parse(each), CompilerLog)


# --- that the preflight agrees --------------------------------------------------------------------------------------
# The models behind the logs are not at hand: these have the operators, in the order such a network has them.


def mobilenet_v2_float_ends() -> bytes:
    """Float in, float out: 35 convolutions, 17 depthwise, 10 additions, 5 paddings, mean, dense, softmax."""
    net = Net()
    image = net.tensor((1, 8, 8, 8), "float32")
    x = net.op("QUANTIZE", [image], [net.tensor((1, 8, 8, 8))])
    for block in range(17):
        if block < 5:
            x = net.op("PAD", [x, net.numbers([[0, 0], [0, 0], [0, 0], [0, 0]])], [net.tensor((1, 8, 8, 8))], 2)
        y = net.conv(net.conv(net.conv(x, 8), 8, name="DEPTHWISE_CONV_2D"), 8)
        x = net.op("ADD", [x, y], [net.tensor((1, 8, 8, 8))], 2) if block < 10 else y
    x = net.conv(x, 8)
    x = net.op("MEAN", [x, net.numbers([1, 2])], [net.tensor((1, 8))], 2)
    x = net.like(net.dense(x, 4), "SOFTMAX", 2)
    return net.build([image], [net.op("DEQUANTIZE", [x], [net.tensor((1, 4), "float32")], 2)])


def efficientdet_lite0() -> bytes:
    """Two heads that end in one DEQUANTIZE each and meet in the custom post-processing."""
    net = Net()
    image = net.tensor((1, 8, 8, 8), "uint8")
    x = net.op("QUANTIZE", [image], [net.tensor((1, 8, 8, 8))])
    for _ in range(102):
        x = net.conv(x, 8)
    for _ in range(80):
        x = net.conv(x, 8, name="DEPTHWISE_CONV_2D")
    for _ in range(42):
        x = net.op("ADD", [x, x], [net.tensor((1, 8, 8, 8))], 2)
    for _ in range(14):
        x = net.like(x, "MAX_POOL_2D", 2)
    for _ in range(12):
        x = net.op("RESIZE_NEAREST_NEIGHBOR", [x, net.numbers([8, 8])], [net.tensor((1, 8, 8, 8))], 3)
    ends = []
    for head in range(2):
        rows = [net.op("RESHAPE", [x, net.numbers([1, 64, 8])], [net.tensor((1, 64, 8))]) for _ in range(5)]
        joined = net.op("CONCATENATION", rows, [net.tensor((1, 320, 8))], 2, axis=1)
        if head:
            joined = net.like(joined, "LOGISTIC", 2)
        ends.append(net.op("DEQUANTIZE", [joined], [net.tensor((1, 320, 8), "float32")], 2))
    anchors = net.numbers([[0.5] * 4] * 320, "float32")
    found = [net.tensor((1, 25, 4), "float32"), net.tensor((1, 25), "float32")]
    net.op("", [*ends, anchors], found, custom="TFLite_Detection_PostProcess")
    return net.build([image], found)


def ssd_mobilenet_v2() -> bytes:
    """Of 2019: uint8, the post-processing on quantized tensors. Only the rows that the log shows."""
    net = Net()
    image = net.tensor((1, 8, 8, 8))
    x = image
    for count, name in ((55, "CONV_2D"), (17, "DEPTHWISE_CONV_2D")):
        for _ in range(count):
            x = net.conv(x, 8, name=name, version=1)
    for _ in range(10):
        x = net.op("ADD", [x, x], [net.tensor((1, 8, 8, 8))])
    ends = [net.op("CONCATENATION", [x, x], [net.tensor((1, 8, 16, 8))], axis=2) for _ in range(2)]
    found = [net.tensor((1, 10, 4), "float32")]
    net.op("", ends, found, custom="TFLite_Detection_PostProcess")
    return net.build([image], found)


def nothing_mapped() -> bytes:
    """Weights of 8 bits, everything else float."""
    net = Net()
    x = source = net.tensor((1, 16), "float32")
    for _ in range(10):
        x = net.op("RESHAPE", [x, net.numbers([1, 16])], [net.tensor((1, 16), "float32")])
    x = net.op("FULLY_CONNECTED", [x, net.weights((4, 16)), -1], [net.tensor((1, 4), "float32")], 3)
    return net.build([source], [x])


def efficientnet_edgetpu_m() -> bytes:
    """uint8 in and out, int8 between: a requantization at each end, all on the chip."""
    net = Net()
    image = net.tensor((1, 8, 8, 8), "uint8")
    x = net.op("QUANTIZE", [image], [net.tensor((1, 8, 8, 8))])
    for count, name in ((50, "CONV_2D"), (14, "DEPTHWISE_CONV_2D")):
        for _ in range(count):
            x = net.conv(x, 8, name=name)
    for _ in range(17):
        x = net.op("ADD", [x, x], [net.tensor((1, 8, 8, 8))], 2)
    x = net.op("MEAN", [x, net.numbers([1, 2])], [net.tensor((1, 8))], 2)
    x = net.like(net.dense(x, 4), "SOFTMAX", 2)
    return net.build([image], [net.op("QUANTIZE", [x], [net.tensor((1, 4), "uint8")])])


def mobilenet_v2_inat_bird() -> bytes:
    """As the converter wrote quantization-aware models in 2018: uint8 throughout, every version 1."""
    net = Net()
    x = image = net.tensor((1, 8, 8, 8))
    for count, name in ((35, "CONV_2D"), (17, "DEPTHWISE_CONV_2D")):
        for _ in range(count):
            x = net.conv(x, 8, name=name, version=1)
    for _ in range(10):
        x = net.op("ADD", [x, x], [net.tensor((1, 8, 8, 8))])
    x = net.op("AVERAGE_POOL_2D", [x], [net.tensor((1, 1, 1, 8))], filterWidth=8, filterHeight=8)
    flat = net.tensor((1, 4))
    weights = net.weights((4, 8))
    x = net.op("FULLY_CONNECTED", [x, weights, -1], [flat])
    return edited(net.build([image], [net.like(x, "SOFTMAX")]), _unsigned)


def _unsigned(tree: Any) -> None:
    int8, uint8 = schema.TensorType.INT8, schema.TensorType.UINT8
    for tensor in tree.subgraphs[0].tensors:
        tensor.type = uint8 if tensor.type == int8 else tensor.type


def quantized_depthwise() -> bytes:
    """One depthwise convolution between two requantizations."""
    net = Net()
    image = net.tensor((1, 8, 8, 8), "uint8")
    x = net.conv(net.op("QUANTIZE", [image], [net.tensor((1, 8, 8, 8))]), 8, name="DEPTHWISE_CONV_2D")
    return net.build([image], [net.op("QUANTIZE", [x], [net.tensor((1, 8, 8, 8), "uint8")])])


def mnist(float_ends: bool) -> bytes:
    """Two convolutions, two dense layers."""
    net = Net()
    image = x = net.tensor((1, 8, 8, 8), "float32" if float_ends else "int8")
    if float_ends:
        x = net.op("QUANTIZE", [image], [net.tensor((1, 8, 8, 8))])
    for side in (4, 2):
        pooled = net.tensor((1, side, side, 8))
        x = net.op("MAX_POOL_2D", [net.conv(x, 8)], [pooled], 2, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    x = net.op("RESHAPE", [x, net.numbers([1, 32])], [net.tensor((1, 32))])
    x = net.like(net.dense(net.dense(x, 16), 4), "SOFTMAX", 2)
    ends = net.op("DEQUANTIZE", [x], [net.tensor((1, 4), "float32")], 2) if float_ends else x
    return net.build([image], [ends])


AGREES: dict[str, Callable[[], bytes]] = {
    "mobilenet_v2_float_ends": mobilenet_v2_float_ends,
    "efficientdet_lite0": efficientdet_lite0,
    "ssd_mobilenet_v2": ssd_mobilenet_v2,
    "efficientnet_edgetpu_m": efficientnet_edgetpu_m,
    "mobilenet_v2_inat_bird": mobilenet_v2_inat_bird,
    "quantized_depthwise": quantized_depthwise,
    "mnist_float_ends": lambda: mnist(True),
    "mnist_integer_ends": lambda: mnist(False),
    "dense_with_two_dimensions": lambda: MAKERS["dense-output"](True),
}


@pytest.mark.parametrize("name", AGREES)
def test_the_preflight_maps_what_the_log_maps(name: str) -> None:
    seen, found = log(name), preflight(AGREES[name]())
    counted = Counter(each.operator.name for each in found.placed)
    assert counted == seen.counted_by_operator()
    assert found.mapped_by_operator() == seen.mapped_by_operator()


def test_the_preflight_maps_nothing_of_a_float_graph() -> None:
    seen, found = log("nothing_mapped"), preflight(nothing_mapped())
    assert (found.verdict, found.subgraphs) == ("cpu", seen.subgraphs)
    statuses = {each.placement.rule for each in found.placed if each.operator.name == "RESHAPE"}
    assert statuses == {"data-type"} and "unsupported data type" in seen.rows[0].status


def versioned(name: str, version: int) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    if name == "CONV_2D":
        return net.build([source], [net.conv(source, 8, version=version)])
    extra = [net.numbers([1, 4, 4, 8]), net.weights((8, 1, 1, 8)), source] if name == "TRANSPOSE_CONV" else [source]
    return net.build([source], [net.op(name, extra, [net.tensor((1, 4, 4, 8))], version)])


@pytest.mark.parametrize(
    ("name", "operator", "version"),
    [
        ("exp_version_2", "EXP", 2),
        ("quantize_version_3", "QUANTIZE", 3),
        ("transpose_conv_version_4", "TRANSPOSE_CONV", 4),
        ("conv_version_6", "CONV_2D", 6),
    ],
)
def test_versions_that_logs_show_refused_are_refused_and_the_one_before_is_not(
    name: str, operator: str, version: int
) -> None:
    seen = log(name)
    assert not seen.succeeded and f"'{operator}' version '{version}'" in seen.complaints[0]
    assert preflight(versioned(operator, version)).placed[0].placement.rule == "op-version"
    assert preflight(versioned(operator, version - 1)).placed[0].placement.rule != "op-version"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("dynamic_tensors", "dynamic-tensor"),
        ("not_quantized", "model-not-quantized"),
        ("builtin_out_of_range", "unknown-operator"),
    ],
)
def test_refusals_of_whole_files_are_predicted(name: str, rule: str) -> None:
    assert not log(name).succeeded
    assert preflight(MAKERS[rule](True)).verdict == "refused"


def test_a_batch_is_left_to_the_cpu() -> None:
    assert "Tensor has unsupported rank" in recorded("batch_of_thirty")
    assert preflight(MAKERS["rank"](True)).placed[0].placement.rule == "rank"


def test_several_rows_of_softmax_and_a_gather() -> None:
    """Of yolov9-t: three SOFTMAX mapped, six GATHER not, and what follows those is not either."""
    net = Net()
    source = net.tensor((1, 16, 8))
    x = net.like(source, "SOFTMAX", 2)
    x = net.op("GATHER", [x, net.numbers([0, 2])], [net.tensor((1, 2, 8))], axis=1)
    found = preflight(net.build([source], [net.like(x, "MUL", 2, [x])]))
    rows = {(row.operator, row.status) for row in log("yolov9_t").rows}
    assert [each.placement.rule for each in found.placed] == ["", "unsupported-operator", "after-unmapped"]
    assert {("SOFTMAX", MAPPED_STATUS), ("GATHER", "Operation not supported")} <= rows
    assert ("MUL", "More than one subgraph is not supported") in rows
    assert [name for name, _ in found.notes] == ["softmax-rows"]


def plain_bytes(name: str) -> int | None:
    """The size of the file that the compiler was given."""
    found = re.search(r"^Input size: ([\d.]+)MiB", recorded(name), re.MULTILINE)
    return round(float(found[1]) * 2**20) if found else None


def test_what_streams_is_within_the_bounds_given() -> None:
    """By the file's size, a little more than its parameters; files with much that is not mapped are left out."""
    tried = []
    for name in LOGS:
        size, seen = plain_bytes(name), log(name)
        if size is None or seen.cached_bytes is None or seen.streamed_bytes is None:
            continue
        if seen.cached_bytes + seen.streamed_bytes < 0.8 * size:
            continue
        one_layer = name == "memory_one_large_layer"  # 3.4 of its 4 MiB, says the code in the issue
        memory = Memory(size, unusual=one_layer or "PRELU" in seen.counted_by_operator())
        assert memory.streamed_at_least <= seen.streamed_bytes, name
        assert not (memory.fits == "yes" and seen.streamed_bytes > 2**16), name
        assert not (memory.fits == "no" and not seen.streamed_bytes), name
        tried.append(memory.fits)
    assert len(tried) >= 14 and {"yes", "no", "perhaps"} == set(tried), tried
