"""Each rule of the Edge TPU on a file that meets it, and on the same file after the cure."""

from collections.abc import Callable

import numpy as np
import pytest

from convert.edgetpu.partition import parts
from convert.edgetpu.preflight import Memory, Preflight, preflight
from convert.edgetpu.rules import RULES
from tests.convert.edgetpu.models import Net, classifier
from tests.convert.edgetpu.rules_page import PAGE, page
from tests.convert.keras_models import edited

Make = Callable[[bool], bytes]  # True: meets the rule; False: cured
MAKERS: dict[str, Make] = {}


def meets(rule: str) -> Callable[[Make], Make]:
    """Registers the maker of a rule's files."""

    def register(make: Make) -> Make:
        assert rule not in MAKERS
        MAKERS[rule] = make
        return make

    return register


@meets("model-not-quantized")
def _(bad: bool) -> bytes:
    net = Net()
    kind = "float32" if bad else "int8"
    source, made = net.tensor((1, 4), kind), net.tensor((1, 4), kind)
    return net.build([source], [net.op("RELU", [source], [made])])


@meets("dynamic-tensor")
def _(bad: bool) -> bytes:
    """What a dynamic batch makes of Flatten: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    net = Net()
    image = net.tensor((1, 2, 2, 4))
    x, size = net.conv(image, 4), net.numbers([1, 16])
    if bad:
        shape = net.op("SHAPE", [x], [net.tensor((4,), "int32", scales=None)])
        bounds = [net.numbers([0]), net.numbers([1]), net.numbers([1])]
        batch = net.op("STRIDED_SLICE", [shape, *bounds], [net.tensor((), "int32", scales=None)], shrinkAxisMask=1)
        size = net.op("PACK", [batch, net.numbers(16)], [net.tensor((2,), "int32", scales=None)], 1)
    return net.build([image], [net.op("RESHAPE", [x, size], [net.tensor((1, 16))])])


@meets("op-version")
def _(bad: bool) -> bytes:
    net = Net()
    image = net.tensor((1, 4, 4, 8))
    return net.build([image], [net.conv(image, 8, version=6 if bad else 5)])


@meets("grouped-version")
def _(bad: bool) -> bytes:
    """Filters over half of the channels; the version is that of every CONV_2D."""
    net = Net()
    image = net.tensor((1, 4, 4, 8))
    version = 6 if bad else 3
    x = net.conv(image, 8, version=version)
    weights = net.weights((8, 1, 1, 4 if bad else 8))
    options = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    made = net.op("CONV_2D", [x, weights, -1], [net.tensor((1, 4, 4, 8))], version, **options)
    return net.build([image], [made])


@meets("unknown-operator")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    return net.build([source], [net.like(source, "GELU" if bad else "RELU")])


@meets("unknown-custom-operator")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    x = net.conv(source, 8)
    return net.build([source], [net.op("", [x], [net.tensor((1, 4))], custom="Atan") if bad else x])


@meets("constants-behind")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    model = net.build([source], [net.dense(source, 2)])
    return constants_behind(model) if bad else model


def constants_behind(model: bytes) -> bytes:
    """The same file with every constant behind the FlatBuffer: written twice, since where that is depends on the
    FlatBuffer's own length."""
    moved: list[bytes] = []

    def move(tree):
        place = length
        for buffer in tree.buffers:
            if buffer.data is not None and len(buffer.data):
                moved.append(bytes(np.asarray(buffer.data, np.uint8)))
                buffer.data, buffer.offset, buffer.size = None, place, len(moved[-1])
                place += len(moved[-1])

    length = 2**40  # as long as the real one in the file: offsets are 64 bits
    length = len(edited(model, move))
    moved.clear()
    return edited(model, move) + b"".join(moved)


@meets("second-signature")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    made = net.like(source, "RELU")
    if bad:
        net.second_subgraph()
    return net.build([source], [made])


@meets("second-subgraph")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    made = net.like(source, "RELU")
    if bad:
        net.op("CALL_ONCE", [], [], 1)
        net.second_subgraph()
    return net.build([source], [made])


@meets("order")
def _(bad: bool) -> bytes:
    net = Net()
    source, loop, made = net.tensor((1, 8)), net.tensor((1, 8)), net.tensor((1, 8))
    net.op("ADD", [source, made if bad else source], [loop], 2)
    net.op("ADD", [loop, source], [made], 2)
    return net.build([source], [made])


@meets("unsupported-operator")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    return net.build([source], [net.like(source, "LEAKY_RELU" if bad else "RELU")])


@meets("custom-operator")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    x = net.conv(source, 8)
    made = net.tensor((1, 4), "float32")
    return net.build([source], [net.op("", [x], [made], custom="TFLite_Detection_PostProcess") if bad else x])


@meets("data-type")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    x = net.like(source, "RELU")
    return net.build([source], [net.op("DEQUANTIZE", [x], [net.tensor((1, 8), "float32")], 2) if bad else x])


@meets("no-scale")
def _(bad: bool) -> bytes:
    net = Net()
    source, other = net.tensor((1, 8), scales=None if bad else (0.1,)), net.tensor((1, 8))
    return net.build([source], [net.op("RELU", [source], [other])])


@meets("quantize-from-float")
def _(bad: bool) -> bytes:
    net = Net()
    source, made = net.tensor((1, 8), "float32" if bad else "uint8"), net.tensor((1, 8))
    return net.build([source], [net.like(net.op("QUANTIZE", [source], [made]), "RELU")])


@meets("rank")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((30 if bad else 1, 4, 4, 8))
    return net.build([source], [net.conv(source, 8)])


@meets("constant-parameters")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    weights = net.tensor((8, 8)) if bad else net.weights((8, 8))
    made = net.op("FULLY_CONNECTED", [source, weights, -1], [net.tensor((1, 8))], 4)
    return net.build([source, weights] if bad else [source], [made])


@meets("fused-activation")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    return net.build([source], [net.like(source, "AVERAGE_POOL_2D", 2, fusedActivationFunction=int(bad))])


@meets("concat-constant")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8), zero=3)
    constant = net.tensor((1, 8), zero=3, data=np.full((1, 8), 4 if bad else 3, np.int8))
    return net.build([source], [net.op("CONCATENATION", [source, constant], [net.tensor((1, 16), zero=3)], 2, axis=1)])


@meets("dilation")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8, 8, 8))
    return net.build([source], [net.conv(source, 8, dilationWFactor=2, dilationHFactor=1 if bad else 2)])


@meets("grouped-convolution")
def _(bad: bool) -> bytes:
    net = Net()
    source, weights = net.tensor((1, 4, 4, 8)), net.weights((8, 1, 1, 2 if bad else 8))
    return net.build([source], [net.op("CONV_2D", [source, weights, -1], [net.tensor((1, 4, 4, 8))], 3)])


@meets("dense-format")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 8))
    return net.build([source], [net.dense(source, 4, weightsFormat=int(bad))])


@meets("dense-output")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((5 if bad else 1, 8))
    return net.build([source], [net.dense(source, 4)])


@meets("dense-width")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 1))
    return net.build([source], [net.dense(source, 100_000 if bad else 98_000)])


@meets("softmax-width")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 16_385 if bad else 16_384))
    return net.build([source], [net.like(source, "SOFTMAX", 2)])


@meets("batch-axis")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    paddings = net.numbers([[int(bad), 0], [0, 0], [1, 1], [0, 0]])
    made = net.tensor((1, 4, 6, 8))  # of the bad one too: the rule looks at the paddings
    return net.build([source], [net.op("PAD", [source, paddings], [made], 2)])


@meets("mean-depth")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 6 if bad else 8))
    return net.build([source], [net.op("MEAN", [source, net.numbers([1, 2, 3])], [net.tensor((1,))], 2)])


@meets("mean-size")
def _(bad: bool) -> bytes:
    """google-coral/edgetpu#461: 256x128 stayed outside, 64x128 was mapped."""
    net = Net()
    source = net.tensor((1, 256 if bad else 64, 128, 3))
    return net.build([source], [net.op("MEAN", [source, net.numbers([1, 2])], [net.tensor((1, 3))], 2)])


@meets("resize-rank")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((4, 4, 8) if bad else (1, 4, 4, 8))
    made = net.tensor((8, 8, 8) if bad else (1, 8, 8, 8))
    return net.build([source], [net.op("RESIZE_BILINEAR", [source, net.numbers([8, 8])], [made], 3)])


@meets("resize-factor")
def _(bad: bool) -> bytes:
    """Image pooling as in Coral's DeepLab."""
    net, side = Net(), 1 if bad else 2
    source, made = net.tensor((1, side, side, 8)), net.tensor((1, 33, 33, 8))
    return net.build([source], [net.op("RESIZE_BILINEAR", [source, net.numbers([33, 33])], [made], 3)])


@meets("resize-size")
def _(bad: bool) -> bytes:
    """google-coral/edgetpu#31: to 512x512x32 stayed outside, to 128x128x32 was mapped."""
    net, side = Net(), 512 if bad else 128
    source = net.tensor((1, side // 2, side // 2, 32))
    made = net.tensor((1, side, side, 32))
    return net.build([source], [net.op("RESIZE_BILINEAR", [source, net.numbers([side, side])], [made], 3)])


@meets("reshape-size")
def _(bad: bool) -> bytes:
    net, side = Net(), 80 if bad else 40  # google-coral/edgetpu#356 and #560
    source = net.tensor((1, side, side, 546))
    size = [1, side * side * 6, 91]
    return net.build([source], [net.op("RESHAPE", [source, net.numbers(size)], [net.tensor(size)])])


@meets("strided-slice")
def _(bad: bool) -> bytes:
    net = Net()
    source, made = net.tensor((1, 8)), net.tensor((1, 4))
    bounds = [net.numbers([0, 0]), net.numbers([1, 8]), net.numbers([1, 2 if bad else 1])]
    return net.build([source], [net.op("STRIDED_SLICE", [source, *bounds], [made], 2)])


@meets("prelu-alpha")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    alpha = net.weights((4, 4, 8) if bad else (1, 1, 8))
    return net.build([source], [net.like(source, "PRELU", extra=[alpha])])


@meets("after-unmapped")
def _(bad: bool) -> bytes:
    net = Net()
    source = net.tensor((1, 4, 4, 8))
    x = net.like(net.conv(source, 8), "LEAKY_RELU" if bad else "RELU")
    return net.build([source], [net.conv(x, 8)])


def rules_met(found: Preflight) -> set[str]:
    return {each.placement.rule for each in found.placed if each.placement.rule}


@pytest.mark.parametrize("rule", MAKERS)
def test_a_rule_is_met_and_cured(rule: str) -> None:
    met, cured = preflight(MAKERS[rule](True)), preflight(MAKERS[rule](False))
    assert rule in rules_met(met)
    assert {each.placement.status for each in met.placed if each.placement.rule == rule} == {RULES[rule].effect}
    assert met.verdict == ("refused" if RULES[rule].effect == "refused" else met.verdict) != "mapped"
    assert (rules_met(cured), cured.verdict, cured.subgraphs) == (set(), "mapped", 1)


def test_every_rule_that_decides_has_its_files() -> None:
    assert set(MAKERS) == {name for name, rule in RULES.items() if rule.effect != "note"}


def test_the_page_of_rules_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_a_report_names_rule_cure_certainty_and_source() -> None:
    text = preflight(MAKERS["resize-size"](True)).to_text()
    rule = RULES["resize-size"]
    assert rule.says in text and f"cure: {rule.cure}" in text
    assert "logged (a public log" in text and rule.sources[0] in text
    assert "to 8,388,608 bytes" in text


def test_a_record_counts_operators_and_is_whole() -> None:
    record = preflight(MAKERS["after-unmapped"](True)).to_record()
    assert (record["mapped"], record["cpu"], record["refused"]) == (1, 2, 0)
    assert (record["verdict"], record["subgraphs"], record["subgraphs_possible"]) == ("partly", 1, 2)
    assert [each["rule"] for each in record["operators"]] == [None, "unsupported-operator", "after-unmapped"]
    assert set(record["rules"]) == {"unsupported-operator", "after-unmapped"}


def test_a_refused_file_shows_what_would_become_of_the_rest() -> None:
    found = preflight(MAKERS["dynamic-tensor"](True))
    assert (found.verdict, found.subgraphs, found.counts["mapped"]) == ("refused", 0, 1)


def test_parameters_against_the_memory_on_the_chip() -> None:
    small, large = preflight(classifier()).memory, preflight(classifier(wide=True)).memory
    assert (small.fits, small.streamed_at_least) == ("yes", 0)
    assert large.fits == "no" and large.streamed_at_least == large.parameters - 8 * 2**20 > 2 * 2**20
    assert "streams" in {rule for rule, _ in preflight(classifier(wide=True)).notes}


@pytest.mark.parametrize(
    ("parameters", "activation", "fits"),
    [(4, 1, "yes"), (5, 1, "perhaps"), (4, 2, "perhaps"), (2, 2, "yes"), (8, 1, "perhaps"), (9, 1, "no")],
)
def test_how_sure_it_is_that_parameters_stay_on_the_chip(parameters: int, activation: int, fits: str) -> None:
    """MiB of parameters and of the largest activation, which share the room."""
    assert Memory(parameters << 20, activation << 20).fits == fits


@pytest.mark.parametrize(("unusual", "fits"), [(True, "perhaps"), (False, "yes")])
def test_constants_that_may_be_sent_though_there_is_room(unusual: bool, fits: str) -> None:
    wide, net = Net(), Net()
    source = wide.tensor((1, 5000 if unusual else 3000))
    assert preflight(wide.build([source], [wide.dense(source, 16)])).memory.fits == fits
    source = net.tensor((1, 2, 2, 8))
    extra = [net.weights((1, 1, 8))]
    made = net.like(source, "PRELU", extra=extra) if unusual else net.like(source, "RELU")
    assert preflight(net.build([source], [made])).memory.fits == fits


def test_the_largest_activation_is_one_of_the_mapped_part() -> None:
    net = Net()
    source = net.tensor((1, 4, 4, 8), "float32")
    x = net.op("QUANTIZE", [source], [net.tensor((1, 4, 4, 8))])
    x = net.conv(x, 16)
    found = preflight(net.build([source], [net.op("DEQUANTIZE", [x], [net.tensor((1, 4, 4, 16), "float32")], 2)]))
    assert found.memory.largest_activation == 4 * 4 * 16
    assert found.to_record()["memory"]["largest_activation_bytes"] == 4 * 4 * 16


def test_a_constant_shared_by_two_operators_is_one() -> None:
    net = Net()
    source, weights = net.tensor((1, 64)), net.weights((64, 64))
    x = net.op("FULLY_CONNECTED", [source, weights, -1], [net.tensor((1, 64))], 4)
    y = net.op("FULLY_CONNECTED", [x, weights, -1], [net.tensor((1, 64))], 4)
    assert preflight(net.build([source], [y])).memory.parameters == 64 * 64


@pytest.mark.parametrize(("shape", "rules"), [((2, 8), {"dense-output"}), ((1, 2, 8), set())])
def test_a_softmax_of_a_batch_is_not_mapped_and_one_of_rows_is(shape: tuple[int, ...], rules: set[str]) -> None:
    net = Net()
    source = net.tensor(shape)
    found = preflight(net.build([source], [net.like(source, "SOFTMAX", 2)]))
    assert rules_met(found) == rules
    assert [name for name, _ in found.notes] == ([] if rules else ["softmax-rows"])


@pytest.mark.parametrize(("bias", "said"), [(False, "2 scales"), (True, "2 scales and a bias")])
def test_a_dense_layer_of_many_scales_is_mapped_and_said(bias: bool, said: str) -> None:
    net = Net()
    source, weights = net.tensor((1, 8)), net.weights((2, 8), (0.1, 0.2))
    extra = net.tensor((2,), "int32", scales=(0.01, 0.02), data=np.zeros(2)) if bias else -1
    made = net.op("FULLY_CONNECTED", [source, weights, extra], [net.tensor((1, 2))], 4)
    found = preflight(net.build([source], [made]))
    [(rule, detail)] = found.notes
    assert (found.verdict, rule) == ("mapped", "per-channel-dense")
    assert detail.partition(": ")[2].startswith(said) and ("bias" in detail) == bias


@pytest.mark.parametrize(("side", "verdict"), [(1, "mapped"), (2, "cpu")])
def test_a_single_position_may_be_tiled(side: int, verdict: str) -> None:
    """Coral's DeepLab: 1x1 to 33x33."""
    net = Net()
    source = net.tensor((1, side, side, 8))
    made = net.op("TILE", [source, net.numbers([1, 33, 33, 1])], [net.tensor((1, 33 * side, 33 * side, 8))], 2)
    found = preflight(net.build([source], [made]))
    assert found.verdict == verdict
    assert ("single-tile" in dict(found.notes)) == (side == 1)


@pytest.mark.parametrize(("parts", "verdict"), [(1, "mapped"), (2, "cpu")])
def test_a_split_into_one_part_is_no_operation(parts: int, verdict: str) -> None:
    net = Net()
    source = net.tensor((2, 8))
    made = [net.tensor((2 // parts, 8)) for _ in range(parts)]
    net.op("SPLIT", [net.numbers(0), source], made, 2, numSplits=parts)
    assert preflight(net.build([source], made)).verdict == verdict


@pytest.mark.parametrize(("inputs", "fits"), [(4096, "perhaps"), (2048, "yes")])
def test_a_large_dense_layer_may_be_sent_though_there_is_room(inputs: int, fits: str) -> None:
    """Eight networks for 128x128 pixels sent 524,288 bytes: 4,096 inputs and 128 outputs."""
    net = Net()
    source = net.tensor((1, inputs))
    assert preflight(net.build([source], [net.dense(source, 128)])).memory.fits == fits


def test_an_open_batch_in_the_signature_alone_is_said_and_not_refused() -> None:
    net = Net()
    source = net.tensor((1, 4, 4, 8), signature=(-1, 4, 4, 8))
    found = preflight(net.build([source], [net.conv(source, 8)]))
    assert (found.verdict, [rule for rule, _ in found.notes]) == ("mapped", ["open-batch"])


def test_an_empty_constant_is_one() -> None:
    """The shape of a scalar has no entries, and so no bytes."""
    net = Net()
    source = net.tensor((1, 1))
    made = net.op("RESHAPE", [source, net.numbers(np.zeros(0))], [net.tensor(())])
    assert preflight(net.build([source], [made])).verdict == "mapped"


def test_a_constant_without_entries_in_a_file_without_buffers() -> None:
    net = Net()
    source, nothing = net.tensor((1, 8)), net.tensor((1, 0))
    made = net.op("CONCATENATION", [source, nothing], [net.tensor((1, 8))], 2, axis=1)
    model = edited(net.build([source], [made]), lambda tree: setattr(tree, "buffers", []))
    assert preflight(model).verdict == "mapped"


def test_the_states_of_an_lstm_may_be_int16() -> None:
    """They keep their values between runs; activations of int16 are not mapped."""
    for variable in (True, False):
        net = Net()
        source, state = net.tensor((1, 28, 28)), net.tensor((1, 20), "int16", variable=variable)
        parameters = [net.weights((20, 28)) for _ in range(4)]
        made = net.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [source, *parameters, state], [net.tensor((1, 28, 20))])
        found = preflight(net.build([source] if variable else [source, state], [made]))
        assert rules_met(found) == (set() if variable else {"data-type"})


@pytest.mark.parametrize(("size", "rule"), [((1, 90, 90, 100), "large-reshape"), ((1, 8, 8, 8), None)])
def test_what_no_log_settles_is_a_note(size: tuple[int, ...], rule: str | None) -> None:
    net = Net()
    source, shape = net.tensor(size), [1, int(np.prod(size))]
    found = preflight(net.build([source], [net.op("RESHAPE", [source, net.numbers(shape)], [net.tensor(shape)])]))
    assert found.verdict == "mapped"
    assert [name for name, _ in found.notes] == ([rule] if rule else [])


# --- the cut into parts -----------------------------------------------------------------------------------------


def test_a_chain_is_cut_where_its_kind_changes() -> None:
    assert parts([[0], [1], [2], [3]], [[1], [2], [3], [4]], [False, True, False, True]) == [[0], [1], [2], [3]]


def test_a_branch_that_needs_nothing_from_the_cpu_stays_with_the_first_part() -> None:
    """0 feeds 1 (CPU) and 2; 3 joins them."""
    assert parts([[0], [1], [1], [2, 3]], [[1], [2], [3], [4]], [True, False, True, True]) == [[0, 2], [1], [3]]


def test_a_cycle_is_in_no_part_and_ends() -> None:
    assert parts([[0, 3], [1]], [[1], [3]], [True, True]) == []


def test_a_long_alternating_chain_takes_linear_time() -> None:
    count = 200_000
    cut = parts([[n] for n in range(count)], [[n + 1] for n in range(count)], [n % 2 == 0 for n in range(count)])
    assert len(cut) == count
