"""`convert diagnose`: faults that show in biases, in one layer's noise, in the output's step, or in no single place.

Each is planted in the int8 file or in the network, and a smaller one of the same kind is left in peace.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.diagnosis.causes import HURT_DB
from convert.diagnosis.job import Diagnosis
from convert.tflite.inspection import inspect
from tests.convert.diagnosis.test_diagnose import Bench, top
from tests.convert.keras_models import edited
from tests.small_world import CONTRACT

FIRST, HEAD = "CONV_2D", "FULLY_CONNECTED"  # the operators of the small network's two layers


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("rules"))


def rules(found: Diagnosis) -> list[str]:
    """Of the causes of weight."""
    return [cause.rule for cause in found.causes if cause.of_weight]


def node(model: bytes, operator: str) -> Any:
    return next(n for n in inspect(model).nodes if n.operator == operator)


def constant(model: bytes, operator: str, place: int, change: Callable[[Any], Any]) -> bytes:
    """`model` with the constant input `place` of its first `operator` after `change` (values in their own dtype)."""
    index = node(model, operator).inputs[place]

    def put(tree: Any) -> None:
        tensor = tree.subgraphs[0].tensors[index]
        dtype = {2: np.int32, 9: np.int8}[tensor.type]
        values = np.asarray(tree.buffers[tensor.buffer].data, np.uint8).view(dtype).copy()
        tree.buffers[tensor.buffer].data = np.ascontiguousarray(change(values), dtype).view(np.uint8)

    return edited(model, put)


def shifted(model: bytes, operator: str, channel: int, steps: float) -> bytes:
    """One bias moved by so many steps of its layer's output."""
    seen = inspect(model)
    bias, out = seen.tensor(node(model, operator).inputs[2]), seen.tensor(node(model, operator).outputs[0])
    scale = float(bias.scales[channel % len(bias.scales)])

    def change(values: Any) -> Any:
        values[channel] += round(steps * float(out.scales[0]) / scale)
        return values

    return constant(model, operator, 2, change)


def noisy(model: bytes, operator: str, db: float) -> bytes:
    """Weights with noise of their own, so many decibel below them."""

    def change(values: Any) -> Any:
        real = values.astype(np.float64)
        noise = np.random.default_rng(5).normal(0, 1, real.shape)
        noise *= np.sqrt((real**2).sum() / (noise**2).sum() / 10 ** (db / 10))
        return np.clip(np.rint(real + noise), -127, 127)

    return constant(model, operator, 1, change)


def converted(bench: Bench, name: str, change: Callable[[Any], None]) -> tuple[Path, bytes]:
    """The network after `change`, and its int8 file."""
    from convert.quantization.float_model import load_float

    path = bench.changed(name, change)
    return path, bench.quantize(load_float(path), CONTRACT, bench.training)


@pytest.mark.parametrize(("operator", "layer"), [(FIRST, "first"), (HEAD, "head")])
def test_a_bias_that_is_not_the_networks(bench: Bench, operator: str, layer: str) -> None:
    cause = top(bench.diagnose(shifted(bench.sound, operator, 2, 40)))
    assert (cause.rule, cause.layer) == ("bias", layer)
    assert cause.evidence == pytest.approx(40, abs=1)
    assert f"a bias of {layer} is 40 output steps" in cause.message and "convert quantize" in cause.cure


@pytest.mark.parametrize("operator", [FIRST, HEAD])
def test_a_bias_moved_as_bias_correction_moves_it_is_no_fault(bench: Bench, operator: str) -> None:
    assert "bias" not in rules(bench.diagnose(shifted(bench.sound, operator, 2, 4)))


def test_a_bias_that_ran_over_int32(bench: Bench) -> None:
    """What a quantizer leaves that gives a channel of tiny weights a scale to match, and its bias none."""

    def change(values: Any) -> Any:
        values[3] = np.iinfo(np.int32).min
        return values

    cause = top(bench.diagnose(constant(bench.sound, FIRST, 2, change)))
    assert (cause.rule, cause.layer, cause.evidence) == ("bias", "first", 1)
    assert "1 of the 8 biases of first are at the end of int32" in cause.message


def test_a_channel_of_tiny_weights_is_converted_without_harm(bench: Bench) -> None:
    """The converter widens such a channel's scale until the bias fits."""

    def change(network: Any) -> None:
        kernel, bias = network.get_layer("first").get_weights()
        kernel[..., 3] *= 1e-9
        bias[3] = 0.5
        network.get_layer("first").set_weights([kernel, bias])

    model, int8 = converted(bench, "tiny", change)
    found = bench.diagnose(int8, model)
    assert found.record.verdict == "sound", [cause.message for cause in found.causes]


def test_noise_in_one_layers_weights(bench: Bench) -> None:
    """Still the network's weights by their correlation, and the answer is spoiled."""
    found = bench.diagnose(noisy(bench.sound, HEAD, 8))
    cause = top(found)
    assert (cause.rule, cause.layer) == ("layer-noise", "head")
    assert cause.evidence > 0.9 and found.record.logits_db < HURT_DB
    assert "head alone in int8 leaves the logits" in cause.message


@pytest.mark.parametrize(("operator", "db"), [(HEAD, 20), (FIRST, 9)])
def test_noise_that_the_answer_survives_is_no_fault(bench: Bench, operator: str, db: float) -> None:
    """Little of it, or more where many weights are summed."""
    found = bench.diagnose(noisy(bench.sound, operator, db))
    assert rules(found) == [] and found.record.logits_db > HURT_DB


def lifted(network: Any) -> None:
    """A channel of the first layer that is always high up, and that nothing reads."""
    kernel, bias = network.get_layer("first").get_weights()
    bias[3] = 800.0
    head, ends = network.get_layer("head").get_weights()
    head.reshape(-1, 8, head.shape[1])[:, 3] = 0
    network.get_layer("first").set_weights([kernel, bias])
    network.get_layer("head").set_weights([head, ends])


def test_one_channels_bias_sets_a_layers_range(bench: Bench) -> None:
    """Nothing in the weights tells; what the other channels say is rounded away."""
    model, int8 = converted(bench, "lifted", lifted)
    cause = top(bench.diagnose(int8, model))
    assert (cause.rule, cause.layer) == ("layer-noise", "first")
    assert "of 256 codes: one channel (number 3" in cause.message


def test_probabilities_closer_than_a_step_of_the_output(bench: Bench) -> None:
    def change(network: Any) -> None:
        head, bias = network.get_layer("head").get_weights()
        network.get_layer("head").set_weights([head * 0.001, bias * 0.001])

    model, int8 = converted(bench, "undecided", change)
    found = bench.diagnose(int8, model)
    cause = top(found)
    assert (cause.rule, cause.layer) == ("output-step", "output"), [(c.rule, c.message) for c in found.causes]
    assert cause.evidence == found.findings.ends.ties > 0.1
    assert "one output step (0.0039)" in cause.message and "abstain" in cause.cure


def test_probabilities_some_steps_apart_are_no_fault(bench: Bench) -> None:
    def change(network: Any) -> None:
        head, bias = network.get_layer("head").get_weights()
        network.get_layer("head").set_weights([head * 0.01, bias * 0.01])

    model, int8 = converted(bench, "less-undecided", change)
    found = bench.diagnose(int8, model)
    assert rules(found) == [], [(c.rule, c.message) for c in found.causes]
    assert found.findings.ends.ties <= 0.1


def alike(network: Any) -> None:
    """Two classes that the network hardly tells apart, beside two that it does."""
    head, bias = network.get_layer("head").get_weights()
    head[:, 1] = head[:, 0] + 0.05 * (head[:, 1] - head[:, 0])
    bias[1] = bias[0] + 0.05 * (bias[1] - bias[0])
    network.get_layer("head").set_weights([head, bias])


def test_disagreement_that_no_rule_explains(bench: Bench) -> None:
    """The logits are kept well for their size; what tells two classes apart is less than their error."""
    model, int8 = converted(bench, "alike", alike)
    found = bench.diagnose(noisy(int8, HEAD, 14), model)
    cause = top(found)
    assert found.record.logits_db >= HURT_DB and found.record.agreement < 0.95
    assert (cause.rule, cause.layer) == ("disagreement", "head"), [c.message for c in found.causes]
    assert cause.evidence == pytest.approx(found.record.agreement, abs=1e-3)
    assert "no rule names one layer" in cause.message and "convert parity" in cause.cure


def test_the_same_network_soundly_converted_agrees(bench: Bench) -> None:
    model, int8 = converted(bench, "alike", alike)
    found = bench.diagnose(int8, model)
    assert rules(found) == [], [(c.rule, c.message) for c in found.causes]
    assert found.record.agreement >= 0.95
