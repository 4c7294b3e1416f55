"""The measures of the search one by one: each does what it says, and leaves alone what it must."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.errors import RecoveryError
from convert.quantization.float_model import load_float
from convert.quantization.quantize import calibrated, quantize, quantized, reach_both_ends
from convert.recovery.activation_statistics import BINS, Seen, collect, runs
from convert.recovery.bias_correction import correct_biases, rounded
from convert.recovery.equalization import HEADROOM, equalize, groups
from convert.recovery.range_estimators import (
    FIXED_SCALE,
    MIN_MAX,
    SAME_SCALE,
    Clipping,
    least_error_range,
    percentile_range,
    set_ranges,
)
from convert.tflite.float_file import BIAS, WEIGHTED, WEIGHTS, FloatFile
from convert.tflite.matching import Runner
from edge.errors import ModelFileError
from edge.inference.contract import FLOAT32
from tests.convert.keras_models import CONTRACT as SMALL
from tests.convert.keras_models import edited, small_network, smear_pixels
from tests.convert.recovery.residual import CONTRACT, PRODUCERS, blow_up, pixels, residual_network

keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")
FACTOR = 300.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The residual network, whole and with one channel blown up."""
    folder = tmp_path_factory.mktemp("residual")
    network = residual_network()
    network.save(folder / "whole.keras")
    blow_up(network, FACTOR)
    network.save(folder / "hard.keras")
    return folder


@pytest.fixture(scope="module")
def hard(folder) -> bytes:
    return calibrated(load_float(folder / "hard.keras"), CONTRACT, pixels())


@pytest.fixture(scope="module")
def seen(hard):
    return collect(hard, image, 40)


def image(number: int) -> np.ndarray:
    return np.asarray(CONTRACT.encode(pixels()[number], FLOAT32))


def answers(model: bytes, count: int = 12) -> np.ndarray:
    runner = Runner(model, keep_all=False)
    return np.concatenate([runner.run([image(n)]) for n in range(count)])


def tensors(model: bytes) -> list[tuple]:
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    found = []
    for tensor in tree.subgraphs[0].tensors:
        data, quantization = tree.buffers[tensor.buffer].data, tensor.quantization
        scales = None if quantization is None or quantization.scale is None else tuple(quantization.scale)
        found.append((tensor.name, tensor.type, None if data is None else bytes(np.asarray(data)), scales))
    return found


# --- the two halves of a conversion


@pytest.mark.parametrize("io", ["int8", "uint8"])
def test_both_halves_make_what_the_converter_makes(folder, io) -> None:
    model = load_float(folder / "whole.keras")
    halves = quantized(calibrated(model, CONTRACT, pixels(count=8)), io)
    assert tensors(halves) == tensors(quantize(model, CONTRACT, pixels(count=8), io))


def test_a_damaged_file_never_reaches_the_quantizer(hard) -> None:
    with pytest.raises(ModelFileError) as caught:  # it would end the process
        quantized(hard[: len(hard) // 2])
    assert "\n" not in str(caught.value)


# --- the file that is changed


def test_a_file_packed_again_answers_the_same(hard) -> None:
    assert np.array_equal(answers(FloatFile(hard).pack()), answers(hard))


def test_weights_of_one_layer_change_alone_even_where_a_tensor_is_shared(hard) -> None:
    def share(tree):
        graph = tree.subgraphs[0]
        biased = [op for op in graph.operators if len(op.inputs) > BIAS]
        same = [op for op in biased if tuple(graph.tensors[op.inputs[BIAS]].shape) == (16,)]
        same[1].inputs = [*same[1].inputs[:BIAS], same[0].inputs[BIAS]]

    file = FloatFile(edited(hard, share))
    readers = [op for op in file.operators if len(op.inputs) > BIAS and file.shape(op.inputs[BIAS]) == (16,)]
    first, second = readers[0], readers[1]
    assert first.inputs[BIAS] == second.inputs[BIAS]
    before = file.constant(second.inputs[BIAS])
    file.set_input(first, BIAS, np.full(16, 9, np.float32))
    again = FloatFile(file.pack()).operators
    assert np.array_equal(FloatFile(file.pack()).constant(again[second.place].inputs[BIAS]), before)
    assert (FloatFile(file.pack()).constant(again[first.place].inputs[BIAS]) == 9).all()


def test_a_file_does_not_grow_with_its_changes(hard) -> None:
    file = FloatFile(hard)
    for _ in range(3):
        for operator in file.operators:
            if operator.kind in WEIGHTED:
                weights = file.constant(operator.inputs[WEIGHTS])
                file.set_input(operator, WEIGHTS, weights * np.float32(0.5))
    assert len(file.pack()) < 1.2 * len(FloatFile(hard).pack())


def test_wrong_values_and_ranges_are_refused_by_name(hard) -> None:
    file = FloatFile(hard)
    operator = next(op for op in file.operators if op.kind in WEIGHTED)
    with pytest.raises(RecoveryError, match="must be"):
        file.set_input(operator, WEIGHTS, np.zeros((1, 2), np.float32))
    for low, high in ((1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(RecoveryError, match="finite and ordered"):
            file.set_range(operator.outputs[0], low, high)


def test_control_flow_is_refused(hard) -> None:
    def second_subgraph(tree):
        tree.subgraphs.append(tree.subgraphs[0])

    with pytest.raises(RecoveryError, match="one subgraph"):
        FloatFile(edited(hard, second_subgraph))


# --- statistics


def test_statistics_are_those_of_the_values(hard, seen) -> None:
    file, runner = FloatFile(hard), Runner(hard, keep_all=True)
    values: dict[int, list[np.ndarray]] = {tensor: [] for tensor in file.activations}
    for number in range(40):
        runner.run([image(number)])
        for tensor, own in values.items():
            own.append(runner.tensor(tensor).copy())
    for tensor, own in values.items():
        every, stats = np.concatenate(own), seen[tensor]
        assert stats.low == every.min() and stats.high == every.max()
        rows = every.reshape(-1, every.shape[-1])
        np.testing.assert_allclose(stats.channel_mean, rows.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stats.channel_peak, np.abs(rows).max(axis=0), rtol=1e-6)
        assert stats.counts is not None and stats.counts.sum() == (every.size if stats.high > stats.low else 0)


def test_own_extremes_are_those_that_the_converter_saw(hard) -> None:
    """On the images as the converter gets them, a pixel moved to the end of the range. TensorFlow 2.21 records for what
    an ADD reads and computes in place the range of the sum: wider than the values are."""
    shots = pixels()
    shots = np.stack([reach_both_ends(shots, CONTRACT).get(n, shot) for n, shot in enumerate(shots)])
    stats = collect(hard, lambda n: np.asarray(CONTRACT.encode(shots[n], FLOAT32)), len(shots), histograms=False)
    file = FloatFile(hard)
    added = {i for op in file.operators if op.kind == "ADD" for i in op.inputs}
    for tensor in file.activations:
        own, recorded = (stats[tensor].low, stats[tensor].high), file.range(tensor)
        if tensor in added:
            assert recorded is not None and recorded[0] <= own[0] * 0.999 and own[1] <= recorded[1] * 1.001
        else:
            assert recorded == pytest.approx(own, rel=1e-4, abs=1e-5)


def test_progress_is_called_as_often_as_announced(hard) -> None:
    calls: list[None] = []
    collect(hard, image, 5, progress=lambda: calls.append(None))
    assert len(calls) == runs(5) == 10 and runs(5, histograms=False) == 5


# --- ranges


def spread(values: np.ndarray) -> Seen:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, BINS, (low, high))
    halves = np.array_split(values, 2)
    return Seen(
        np.array([h.min() for h in halves]),
        np.array([h.max() for h in halves]),
        np.array([np.abs(values).max()]),
        np.array([values.mean()]),
        counts,
    )


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / 255
    return float(((np.clip(np.rint((values - low) / step), 0, 255) * step + low - values) ** 2).mean())


@given(st.integers(0, 10_000), st.floats(0.0, 30.0), st.booleans())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_least_error_range_is_no_worse_than_min_max(seed, outlier, positive) -> None:
    rng = np.random.default_rng(seed)
    values = np.append(rng.normal(0, 1, 4000), outlier)
    values = np.abs(values) if positive else values
    low, high = least_error_range(spread(values))
    least, greatest = min(values.min(), 0), max(values.max(), 0)
    assert least <= low <= 0 <= high <= greatest
    # a step^2 / 12 is what rounding costs on average: of 4,000 values it may be a tenth off
    assert squared_error(values, low, high) <= 1.2 * squared_error(values, least, greatest)


def test_an_outlier_is_clipped_where_that_costs_less() -> None:
    values = np.append(np.random.default_rng(1).normal(0, 1, 200_000), 60.0)
    low, high = least_error_range(spread(values))
    assert high < 50 and squared_error(values, low, high) < 0.9 * squared_error(values, values.min(), 60.0)
    low, high = percentile_range(spread(values), 1e-3)
    assert abs(low + 3.1) < 0.2 and abs(high - 3.1) < 0.2


def test_the_input_and_fixed_scales_keep_their_range_and_reshapes_follow(tmp_path) -> None:
    small_network().save(tmp_path / "net.keras")
    shots = smear_pixels(12)
    model = calibrated(load_float(tmp_path / "net.keras"), SMALL, shots)
    stats = collect(model, lambda n: np.asarray(SMALL.encode(shots[n], FLOAT32)), 12)
    file, before = FloatFile(model), FloatFile(model)
    set_ranges(file, stats, Clipping("percentile", 0.05))
    moved = 0
    for operator in file.operators:
        output = operator.outputs[0]
        if operator.kind in SAME_SCALE:
            assert file.range(output) == file.range(operator.inputs[0])
        elif operator.kind in FIXED_SCALE:
            assert file.range(output) == before.range(output)
        else:
            moved += file.range(output) != before.range(output)
    assert file.range(file.inputs[0]) == before.range(file.inputs[0]) and moved == 2
    assert quantized(file.pack())


@pytest.mark.parametrize("words", [("percentile", 0.0), ("mse", 0.1), ("percentile", 0.5), ("median", 0.0)])
def test_a_clipping_that_makes_no_sense_is_refused(words) -> None:
    with pytest.raises(ValueError, match="must be"):
        Clipping(*words)


# --- equalization


def test_equalization_takes_the_blown_up_channel_back_and_changes_no_answer(hard, seen) -> None:
    file = FloatFile(hard)
    assert equalize(file, seen) >= 1
    equal = file.pack()
    np.testing.assert_allclose(answers(equal), answers(hard), atol=1e-4)
    again = collect(equal, image, 40)
    tied = max((g for g in groups(FloatFile(hard)) if not g.why_not), key=lambda g: len(g.tensors))
    assert len(tied.tensors) == 1 + len(PRODUCERS)  # stem, project, and their sum
    reach = [
        max(stats[t].channel_peak.max() / np.median(stats[t].channel_peak) for t in tied.tensors)
        for stats in (seen, again)
    ]
    assert reach[0] > 50 and reach[1] < 20


@pytest.fixture
def six(tmp_path) -> bytes:
    """Convolution with ReLU6, mean, dense; a channel of the convolution 50 times too small, its dense weights as much
    too large."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.ReLU(6.0)(keras.layers.Conv2D(8, 3, name="conv")(inputs))
    x = keras.layers.Dense(4, activation="softmax", name="dense")(keras.layers.GlobalAveragePooling2D()(x))
    network = keras.Model(inputs, x)
    for name, at, factor in (("conv", (..., 1), 1 / 50), ("dense", (1, ...), 50)):
        weights, bias = network.get_layer(name).get_weights()
        weights[at] *= factor
        network.get_layer(name).set_weights([weights, bias])
    network.save(tmp_path / "six.keras")
    return calibrated(load_float(tmp_path / "six.keras"), CONTRACT, pixels(count=16))


def test_what_relu6_bounds_is_left_alone_unless_asked(six) -> None:
    [behind] = [g for g in groups(FloatFile(six)) if g.bounded]
    assert behind.bounded and not behind.why_not and behind.consumers[0].kind == "FULLY_CONNECTED"  # through the mean
    assert equalize(FloatFile(six), collect(six, image, 16)) == 0


def test_channels_that_relu6_never_clips_are_equalized_when_asked(six) -> None:
    file, before = FloatFile(six), collect(six, image, 16)
    assert equalize(file, before, bounded=True) == 1
    equal = file.pack()
    np.testing.assert_allclose(answers(equal), answers(six), atol=1e-4)  # on the images that were seen
    dense = FloatFile(equal).operators[-2]
    weights = np.abs(FloatFile(equal).constant(dense.inputs[WEIGHTS])).max(axis=0)
    assert weights.max() / np.median(weights) < 10
    [group] = [g for g in groups(FloatFile(equal)) if g.bounded]
    output = group.producers[0].outputs[0]
    peaks, were = collect(equal, image, 16)[output].channel_peak, before[output].channel_peak
    assert (peaks[were < 5.7] <= 6 / HEADROOM + 1e-4).all() and peaks[1] > 10 * were[1]


def test_a_channel_that_relu6_clips_keeps_its_scale(six) -> None:
    file, stats = FloatFile(six), collect(six, image, 16)
    [group] = [g for g in groups(file) if g.bounded]
    for tensor in group.tensors:
        stats[tensor].channel_peak[0] = 6.0
    before = file.constant(group.producers[0].inputs[WEIGHTS])
    equalize(file, stats, bounded=True)
    after = file.constant(file.operators[group.producers[0].place].inputs[WEIGHTS])
    assert np.array_equal(after[0], before[0]) and not np.array_equal(after[1], before[1])


def test_pooling_and_flattening_tie_channels(tmp_path) -> None:
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.MaxPooling2D(4)(keras.layers.Conv2D(6, 3, activation="relu", name="conv")(inputs))
    x = keras.layers.Dense(4, activation="softmax", name="dense")(keras.layers.Flatten()(x))
    network = keras.Model(inputs, x)
    weights, bias = network.get_layer("conv").get_weights()
    weights[..., 1] *= 100
    network.get_layer("conv").set_weights([weights, bias])
    network.save(tmp_path / "flat.keras")
    model = calibrated(load_float(tmp_path / "flat.keras"), CONTRACT, pixels(count=8))
    file = FloatFile(model)
    assert equalize(file, collect(model, image, 8)) == 1
    np.testing.assert_allclose(answers(file.pack()), answers(model), atol=1e-5)


def test_a_constant_that_is_added_stops_it(tmp_path) -> None:
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(6, 3)(inputs)
    x = keras.layers.Multiply()([x, keras.layers.Activation("sigmoid")(x)])
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(x))
    keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x)).save(tmp_path / "gate.keras")
    file = FloatFile(calibrated(load_float(tmp_path / "gate.keras"), CONTRACT, pixels(count=4)))
    first = next(g for g in groups(file) if g.producers and g.producers[0].place == 0)
    assert first.why_not


# --- bias correction


def test_rounding_is_the_quantizers_own(hard) -> None:
    from ai_edge_litert import schema_py_generated as schema

    file = FloatFile(hard)
    tree = schema.ModelT.InitFromPackedBuf(quantized(hard), 0)
    by_name = {t.name: t for t in tree.subgraphs[0].tensors}
    compared = 0
    for operator in file.operators:
        if operator.kind not in WEIGHTED:
            continue
        tensor = by_name[file.name(operator.inputs[WEIGHTS]).encode()]
        codes = np.asarray(tree.buffers[tensor.buffer].data).view(np.int8).reshape(tensor.shape).astype(np.float64)
        scales = np.asarray(tensor.quantization.scale)
        shape = [1] * codes.ndim
        shape[tensor.quantization.quantizedDimension] = len(scales)
        weights = file.constant(operator.inputs[WEIGHTS])
        assert weights is not None
        off = np.abs(codes * scales.reshape(shape) - rounded(operator, weights))
        assert (off <= 1.01 * scales.reshape(shape)).all() and (
            off > 1e-3 * scales.max()
        ).mean() < 0.01  # halves: either way
        compared += 1
    assert compared == 6


def test_corrected_biases_bring_the_mean_back(folder) -> None:
    """Of a layer with few weights codes: the mean of its rounded outputs is float's, where it was not before."""
    model = calibrated(load_float(folder / "whole.keras"), CONTRACT, pixels())
    stats, file = collect(model, image, 40), FloatFile(model)
    assert correct_biases(file, stats) == 6
    again = FloatFile(file.pack())
    for before, after in zip(FloatFile(model).operators, again.operators, strict=True):
        if before.kind != "CONV_2D" or file.shape(before.inputs[WEIGHTS])[1:3] != (1, 1):
            continue  # without padding the mean is exact
        weights, mean = FloatFile(model).constant(before.inputs[WEIGHTS]), stats[before.inputs[0]].channel_mean
        shift = (rounded(before, weights) - weights).reshape(len(weights), -1).astype(np.float64) @ mean
        moved = FloatFile(model).constant(before.inputs[BIAS]) - again.constant(after.inputs[BIAS])
        np.testing.assert_allclose(moved, shift, atol=1e-5 + 1e-4 * np.abs(shift).max())
        assert np.abs(shift).max() > 0


def test_grouped_convolutions_are_corrected_group_by_group(tmp_path) -> None:
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 5, activation="relu")(inputs)
    x = keras.layers.Conv2D(8, 1, groups=2, name="grouped")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x)).save(tmp_path / "groups.keras")
    model = calibrated(load_float(tmp_path / "groups.keras"), CONTRACT, pixels(count=6))
    file = FloatFile(model)
    assert correct_biases(file, collect(model, image, 6)) >= 2
    assert np.isfinite(answers(file.pack())).all()


def test_min_max_is_the_default() -> None:
    assert Clipping() == MIN_MAX and str(Clipping("percentile", 1e-3)) == "percentile 99.9"
