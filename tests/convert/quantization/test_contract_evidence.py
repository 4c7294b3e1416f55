"""Labelled images correct a contract that nobody gave, never one that was given, and say when they are too few."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convert.errors import PreprocessingError, TooFewImagesError
from convert.quantization.contract_evidence import settle, values_of
from convert.quantization.contract_inference import RANGES, Inferred
from convert.quantization.preprocessing_check import with_range
from edge.inference.contract import InputContract

CONTRACT = InputContract((16, 16), ("a", "b", "c"))
ASSUMED = Inferred(CONTRACT, ("values: assumed",), given=False, certain=False)


def images(count: int) -> tuple[Any, Any]:
    """A class is the channel that is brightest."""
    truth = np.arange(count) % 3
    pixels = np.where(np.arange(3) == truth[:, None, None, None], 200, 60).astype(np.uint8)
    return pixels.repeat(16, 1).repeat(16, 2), truth


class Eye:
    """Wants `values` in `order`: names the brightest channel of the mean, and guesses where that lies elsewhere."""

    input_shape = (16, 16, 3)

    def __init__(self, values: str, order: str = "RGB", blind: float = 0.0, confidence: float = 0.9) -> None:
        scale, offset = RANGES[values]  # type: ignore[index]
        self.low, self.high, self.order = offset, offset + 255 * scale, order
        self.blind, self.confidence = blind, confidence

    def predict(self, inputs: Any) -> Any:
        means = inputs.mean(axis=(1, 2))
        right = means.min() >= self.low and self.low + 0.5 * (self.high - self.low) < means.max() <= self.high
        called = means.argmax(axis=1) if right else np.zeros(len(means), int)
        if self.order == "BGR":
            called = 2 - called
        called = np.where(np.random.default_rng(0).random(len(called)) < self.blind, (called + 1) % 3, called)
        rest = (1 - self.confidence) / 2
        return np.where(np.eye(3)[called] > 0, self.confidence, rest).astype(np.float32)


@pytest.mark.parametrize("values", ["0..255", "0..1"])
def test_images_find_the_values_that_a_network_wants(values: str) -> None:
    found, entry = settle(Eye(values), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert entry is not None and values_of(found.contract) == values == entry.values
    assert (entry.by, entry.images) == ("images", 60) and entry.tried[f"{values} RGB"] == 1
    assert entry.tried["-1..1 RGB"] == pytest.approx(1 / 3, abs=1e-3)
    assert any(values in note and "33.3 %" in note for note in found.notes)


def test_images_find_the_channel_order() -> None:
    found, entry = settle(Eye("-1..1", "BGR"), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert found.contract.channel_order == "BGR" and entry is not None and entry.channel_order == "BGR"


@pytest.mark.parametrize(("blind", "tried"), [(0.0, 1), (0.1, 6)])
def test_what_was_assumed_rightly_stays(blind: float, tried: int) -> None:
    """Nothing else is tried where the network is nearly always right."""
    found, entry = settle(Eye("-1..1", blind=blind), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert found.contract == CONTRACT and entry is not None and entry.by in ("images", "assumed")
    assert len(entry.tried) == tried and (entry.by == "images") is (tried == 1)


@pytest.mark.parametrize("blind", [0.2, 0.4])
def test_a_mediocre_network_keeps_its_contract_and_says_so(blind: float) -> None:
    found, entry = settle(Eye("-1..1", blind=blind), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert found.contract == CONTRACT and entry is not None and entry.by == "assumed"
    assert "warning: values -1..1 are assumed" in found.notes[-1]


def test_a_network_at_chance_changes_nothing() -> None:
    """One that is less wrong in likelihood with red and blue exchanged, and names a third of three classes anyway."""

    class Lost:
        input_shape = (16, 16, 3)

        def predict(self, inputs: Any) -> Any:
            sure = 0.99 if inputs[0, 0, 0, 0] >= inputs[0, 0, 0, 2] else 0.4
            return np.tile(np.array([sure, (1 - sure) / 2, (1 - sure) / 2], np.float32), (len(inputs), 1))

    found, entry = settle(Lost(), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert found.contract == CONTRACT and entry is not None and entry.by == "assumed"


class Misnamed(Eye):
    """An `Eye` whose output k + 1 is class k; fed 0..1 it names `lucky` of the classes by their own number instead."""

    def __init__(self, values: str, lucky: float, turn: int = 1, classes: int = 3) -> None:
        super().__init__(values)
        self.lucky, self.turn, self.classes = lucky, turn, classes

    def predict(self, inputs: Any) -> Any:
        seen = inputs.mean(axis=(1, 2)).argmax(axis=1) % self.classes
        called = (seen + self.turn) % self.classes
        means = inputs.mean(axis=(1, 2))
        if not (means.min() >= self.low and self.low + 0.5 * (self.high - self.low) < means.max() <= self.high):
            lucky = np.random.default_rng(0).random(len(seen)) < self.lucky * bool(0 <= inputs.min() < means.max() <= 1)
            called = np.where(lucky, seen, 0)
        rest = 0.1 / (self.classes - 1)
        return np.where(np.eye(self.classes)[called] > 0, 0.9, rest).astype(np.float32)


@pytest.mark.parametrize("values", ["-1..1", "0..255"])
def test_labels_in_another_order_are_refused_and_the_right_order_is_named(values: str) -> None:
    """With the labels as they are, 0..1 would be taken, since it is right on most images."""
    with pytest.raises(PreprocessingError, match=r"^label-order: with labels a, b, c ") as caught:
        settle(Misnamed(values, 0.7), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert f"100.0 % with {values} RGB if its outputs are called c, a, b:" in str(caught.value)
    assert caught.value.rule == "label-order" and "\n" not in str(caught.value)
    renamed = replace(ASSUMED, contract=replace(CONTRACT, labels=("c", "a", "b")))
    pixels, truth = images(60)
    found, _ = settle(Misnamed(values, 0.7), renamed, pixels, (truth + 1) % 3)  # type: ignore[arg-type]
    assert values_of(found.contract) == values and found.contract.labels == ("c", "a", "b")


@pytest.mark.parametrize("values", ["-1..1", "0..255"])
def test_labels_in_the_order_of_the_outputs_are_not_refused(values: str) -> None:
    found, _ = settle(Misnamed(values, 0.7, turn=0), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert values_of(found.contract) == values


def test_two_labels_of_one_sigmoid() -> None:
    """Whichever of the two the output is high for; blue is as red, so that exchanging them explains nothing."""
    pixels, truth = images(90)
    pixels, truth = pixels[truth < 2], truth[truth < 2]
    pixels[..., 2] = pixels[..., 0]
    inferred = replace(ASSUMED, contract=replace(CONTRACT, labels=("a", "b"), output="sigmoid"))
    found, _ = settle(Misnamed("0..255", 0.4, turn=0, classes=2), inferred, pixels, truth)  # type: ignore[arg-type]
    assert values_of(found.contract) == "0..255"
    with pytest.raises(PreprocessingError, match=r"100\.0 % with 0\.\.255 RGB if its outputs are called b, a:"):
        settle(Misnamed("0..255", 0.4, turn=1, classes=2), inferred, pixels, truth)  # type: ignore[arg-type]


def test_red_and_blue_exchanged_goes_before_another_order_of_labels() -> None:
    """Both explain it alike; the labels are what somebody wrote down."""
    found, _ = settle(Eye("-1..1", "BGR"), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert found.contract.channel_order == "BGR" and found.contract.labels == CONTRACT.labels


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_guessing_is_no_order_of_labels(classes: int) -> None:
    """Twenty networks that guess: under the best of all orders they are right on more images, by chance."""
    contract = replace(CONTRACT, labels=("a", "b", "c", "d")[:classes])
    pixels, _ = images(15 * classes)
    truth = np.arange(len(pixels)) % classes
    for seed in range(20):
        answers = np.random.default_rng(seed).dirichlet(np.ones(classes), len(pixels)).astype(np.float32)

        class Guess:
            input_shape = (16, 16, 3)
            begun = 0

            def predict(self, inputs: Any, answers: Any = answers) -> Any:
                self.begun += len(inputs)
                return np.roll(answers, -(self.begun - len(inputs)), axis=0)[: len(inputs)]

        found, entry = settle(Guess(), replace(ASSUMED, contract=contract), pixels, truth)  # type: ignore[arg-type]
        assert found.contract == contract and entry is not None and entry.by == "assumed"


def test_too_few_images_a_class_say_nothing_of_the_order_of_labels() -> None:
    found, entry = settle(Misnamed("-1..1", 0.0), ASSUMED, *images(12))  # type: ignore[arg-type]
    assert found.contract == CONTRACT and entry is not None and entry.by == "assumed"


def test_a_given_contract_is_binding() -> None:
    given = replace(ASSUMED, given=True)
    assert settle(Eye("0..255"), given, *images(60)) == (given, None)  # type: ignore[arg-type]


def test_values_that_the_layers_say_are_not_doubted() -> None:
    certain = replace(ASSUMED, certain=True)
    found, entry = settle(Eye("0..255"), certain, *images(60))  # type: ignore[arg-type]
    assert found.contract == CONTRACT and entry is not None and entry.by == "network"
    assert set(entry.tried) == {"-1..1 RGB", "-1..1 BGR"}


def test_twenty_four_images_suffice_where_the_probabilities_are_clear() -> None:
    """66.67 % against 95.8 % on 24 images went through once with the wrong values."""
    found, entry = settle(Eye("0..255", blind=0.05), ASSUMED, *images(24))  # type: ignore[arg-type]
    assert values_of(found.contract) == "0..255" and entry is not None and entry.by == "images"


def test_too_few_images_are_refused_not_sealed() -> None:
    with pytest.raises(
        TooFewImagesError, match=r"6 images cannot tell .* -1\.\.1 RGB .* 0\.\.255 RGB .* a contract"
    ) as caught:
        settle(Eye("0..255"), ASSUMED, *images(6))  # type: ignore[arg-type]
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


class Bold:
    """Answers alike to values of any size, and is only the less sure the smaller they are: a network without biases."""

    input_shape = (16, 16, 3)

    def __init__(self, wanted: float) -> None:
        self.wanted = wanted

    def predict(self, inputs: Any) -> Any:
        means = np.clip(inputs, 0, None).mean(axis=(1, 2))
        called = means.argmax(axis=1) if inputs.min() >= 0 else np.zeros(len(means), int)
        sure = 0.35 + 0.6 * min(1.0, float(inputs.max()) / self.wanted)
        return np.where(np.eye(3)[called] > 0, sure, (1 - sure) / 2).astype(np.float32)


def test_ranges_alike_in_what_they_name_are_told_apart_by_how_surely() -> None:
    found, _ = settle(Bold(200.0), ASSUMED, *images(60))  # type: ignore[arg-type]
    assert values_of(found.contract) == "0..255"
    with pytest.raises(TooFewImagesError, match=r"0\.\.1 RGB|0\.\.255 RGB"):
        settle(Bold(0.5), ASSUMED, *images(60))  # type: ignore[arg-type]


def test_the_usual_order_is_kept_where_the_other_is_no_better() -> None:
    pixels, truth = images(60)
    grey = pixels.mean(axis=3, keepdims=True).astype(np.uint8).repeat(3, axis=3)
    blind = Eye("0..255", blind=0.3)
    found, _ = settle(blind, replace(ASSUMED, certain=True), grey, truth)  # type: ignore[arg-type]
    assert found.contract.channel_order == "RGB"


def test_without_images_an_assumption_is_called_one() -> None:
    found, entry = settle(Eye("-1..1"), ASSUMED, *images(0))  # type: ignore[arg-type]
    assert entry is not None and (entry.by, entry.images, entry.tried) == ("assumed", 0, {})
    assert "no labelled image shows it" in found.notes[-1]


def test_names_of_values() -> None:
    assert {values_of(with_range(CONTRACT, *ends)) for ends in RANGES.values()} == set(RANGES)
    assert values_of(with_range(CONTRACT, 1 / 127.5, -1.0)) == "own"
