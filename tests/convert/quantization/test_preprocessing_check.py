"""A wrong contract shows in the accuracy of the float model, and only a wrong one is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convert.errors import PreprocessingError
from convert.quantization.predictions import float_probabilities
from convert.quantization.preprocessing_check import check_preprocessing
from edge.inference.contract import InputContract

LABELS = ("a", "b", "c")
CONTRACT = InputContract((16, 16), LABELS)
RNG = np.random.default_rng(5)
TRUTH = np.arange(90) % 3
# A class is the channel that is brightest, by much: 200 where the others have 60.
PIXELS = np.where(np.arange(3) == TRUTH[:, None, None, None], 200, 60).astype(np.uint8).repeat(16, 1).repeat(16, 2)


class Eye:
    """Names the brightest channel of what it is fed in -1..1; what lies beyond is as bright as 1. Wrong on `blind`."""

    def __init__(self, blind: float = 0.0) -> None:
        self.blind = blind

    def predict(self, inputs: Any) -> Any:
        seen = np.clip(inputs, -1, 1).mean(axis=(1, 2)) + np.array([2e-3, 1e-3, 0])
        answers = np.eye(3, dtype=np.float32)[seen.argmax(axis=1)]
        wrong = np.random.default_rng(0).random(len(answers)) < self.blind
        answers[wrong] = np.roll(answers[wrong], 1, axis=1)
        return answers


def check(contract: InputContract, eye: Any = None, truth: Any = TRUTH) -> None:
    eye = eye or Eye()
    check_preprocessing(eye, contract, PIXELS, truth, float_probabilities(eye, contract, PIXELS))


def test_the_right_contract_is_not_refused() -> None:
    check(CONTRACT)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("channel-order", {"channel_order": "BGR"}),
        ("value-range", {"scale": (1.0,) * 3, "offset": (0.0,) * 3}),
        ("label-order", {"labels": ("b", "c", "a")}),
    ],
)
def test_a_wrong_one_is_refused_by_name(rule: str, change: dict[str, Any]) -> None:
    wrong = replace(CONTRACT, **change)
    truth = np.array([wrong.labels.index(LABELS[k]) for k in TRUTH])
    with pytest.raises(PreprocessingError, match=f"^{rule}: ") as caught:
        check(wrong, truth=truth)
    assert caught.value.rule == rule and caught.value.exit_code == 2


@pytest.mark.parametrize("blind", [0.2, 0.35])
def test_a_mediocre_network_is_not_refused(blind: float) -> None:
    check(CONTRACT, Eye(blind))


@pytest.mark.parametrize("seed", range(20))
def test_guessing_is_not_mistaken_for_a_wrong_contract(seed: int) -> None:
    check(CONTRACT, truth=np.random.default_rng(seed).integers(0, 3, len(TRUTH)))


def test_too_few_images_say_nothing() -> None:
    eye, few = Eye(), slice(0, 6)
    shuffled = (TRUTH[few] + 1) % 3
    check_preprocessing(eye, CONTRACT, PIXELS[few], shuffled, float_probabilities(eye, CONTRACT, PIXELS[few]))


def test_a_few_images_are_enough_for_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Ten of fifteen right only with red and blue exchanged: chance does that in 2 of 1,000 sets."""
    eye, few = Eye(), slice(0, 15)
    for order, said in (
        ("RGB", ""),
        ("BGR", "channel-order: as the contract says, the float model names 33.3 % of 15"),
    ):
        contract = replace(CONTRACT, channel_order=order)
        caplog.clear()
        check_preprocessing(eye, contract, PIXELS[few], TRUTH[few], float_probabilities(eye, contract, PIXELS[few]))
        assert (said in caplog.text) if said else not caplog.records
