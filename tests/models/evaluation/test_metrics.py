"""Evaluation against scikit-learn, by hand, and on what must be refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from models.errors import EvaluationError
from models.evaluation.metrics import evaluate
from models.statistics.calibration_error import calibration_error_interval, expected_calibration_error, reliability_bins
from models.support.records import as_json

LABELS = ("Benign", "Early", "Pre", "Pro")
QUICK = {"resamples": 100}


def predictions(seed: int, images: int, skill: float, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Softmax outputs (N, C) of a network of some skill, and the truth (N,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes)) + skill * np.eye(classes)[truth]
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), truth


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 120), st.floats(0, 4), st.integers(2, 6))
def test_scores_are_scikit_learn(seed: int, images: int, skill: float, classes: int) -> None:
    probabilities, truth = predictions(seed, images, skill, classes)
    labels = [f"class {k}" for k in range(classes)]
    found = evaluate(labels, probabilities, truth, benign=(), **QUICK)
    called = probabilities.argmax(axis=1)
    assert found.accuracy == pytest.approx(accuracy_score(truth, called))
    assert found.accuracy in found.accuracy_interval
    assert np.array_equal(found.confusion, confusion_matrix(truth, called, labels=range(classes)))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, called, labels=range(classes), zero_division=np.nan
    )
    for k, score in enumerate(found.classes.values()):
        assert score.images == support[k]
        for ours, theirs in ((score.precision, precision[k]), (score.recall, recall[k]), (score.f1, f1[k])):
            assert (ours is None and math.isnan(theirs)) or ours == pytest.approx(theirs)
    assert found.macro_f1 == pytest.approx(np.nanmean(f1))
    json.dumps(as_json(found), allow_nan=False)


def _calibration_error_by_loops(probabilities: np.ndarray, truth: np.ndarray, bins: int) -> float:
    """The definition, an image at a time."""
    inside: dict[int, list[tuple[float, bool]]] = {}
    for row, true in zip(probabilities, truth, strict=True):
        inside.setdefault(max(0, math.ceil(row.max() * bins) - 1), []).append((row.max(), row.argmax() == true))
    return sum(
        len(pairs) / len(truth) * abs(np.mean([c for c, _ in pairs]) - np.mean([r for _, r in pairs]))
        for pairs in inside.values()
    )


@given(st.integers(0, 10**6), st.integers(1, 80), st.sampled_from([1, 5, 15, 20]))
def test_calibration_error_by_definition(seed: int, images: int, bins: int) -> None:
    probabilities, truth = predictions(seed, images, 1.5)
    expected = _calibration_error_by_loops(probabilities, truth, bins)
    assert expected_calibration_error(probabilities, truth, bins) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    truth = np.array([0, 1, 1, 1])  # 0.9 said, 0.5 right; 0.6 said, 1.0 right
    assert expected_calibration_error(probabilities, truth) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    bins = reliability_bins(probabilities, truth)
    assert [(b.images, b.accuracy, b.mean_confidence) for b in bins] == [
        (2, 1.0, pytest.approx(0.6)),
        (2, 0.5, pytest.approx(0.9)),
    ]


def test_bins_make_up_the_calibration_error() -> None:
    probabilities, truth = predictions(5, 400, 2.0)
    gaps = [b.images * abs(b.accuracy - b.mean_confidence) for b in reliability_bins(probabilities, truth)]
    assert sum(gaps) / 400 == pytest.approx(expected_calibration_error(probabilities, truth))


def test_calibration_interval_holds_the_truth_of_a_calibrated_network() -> None:
    """A network that is right as often as it says has error 0, and the interval reaches down to it."""
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1.0, 600)
    truth = (rng.random(600) > confidence).astype(int)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    interval = calibration_error_interval(probabilities, truth)
    assert interval.low < 0.01
    overconfident = np.stack([np.full(600, 0.99), np.full(600, 0.01)], axis=1)
    assert calibration_error_interval(overconfident, truth).low > 0.15


def test_by_hand_with_names_and_benign() -> None:
    #         true:  Benign Benign Early Pre  Pro
    rows = np.array(
        [
            [0.7, 0.1, 0.1, 0.1],
            [0.2, 0.6, 0.1, 0.1],
            [0.1, 0.7, 0.1, 0.1],
            [0.9, 0.0, 0.1, 0.0],
            [0.1, 0.1, 0.1, 0.7],
        ]
    )
    found = evaluate(LABELS, rows, [0, 0, 1, 2, 3], names=["a", "b", "c", "d", "e"], **QUICK)
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.malignant_called_benign == 1
    assert found.benign_called_malignant == 1
    assert found.mean_confidence == pytest.approx((0.7 + 0.6 + 0.7 + 0.9 + 0.7) / 5)
    assert [(m.name, m.true, m.predicted) for m in found.errors] == [
        ("d", "Pre", "Benign"),
        ("b", "Benign", "Early"),
    ]
    benign, early, pre, _ = found.classes.values()
    assert (benign.precision, benign.recall) == (0.5, 0.5)
    assert (early.precision, early.recall) == (0.5, 1.0)
    assert (pre.precision, pre.recall, pre.f1) == (None, 0.0, 0.0)
    assert "Benign called malignant: 1" in found.to_text()
    record = as_json(found)
    assert record["errors"][0] == {"name": "d", "true": "Pre", "predicted": "Benign", "probability": 0.9}
    assert record["classes"]["Pre"]["precision"] is None


def test_a_perfect_class_is_not_certain() -> None:
    """The bootstrap of no mistakes is a point; the interval reported is not, and widens with fewer images."""
    few, many = (evaluate(LABELS, *predictions(1, n, 30.0), **QUICK) for n in (40, 4000))
    assert few.accuracy == many.accuracy == 1.0
    assert few.macro_f1_interval.low < many.macro_f1_interval.low < 1.0
    assert (
        next(iter(few.classes.values())).f1_interval is not None
        and next(iter(few.classes.values())).f1_interval.low < 0.9
    )


def test_intervals_hold_the_estimate_and_repeat() -> None:
    probabilities, truth = predictions(9, 300, 2.0)
    first, again = (evaluate(LABELS, probabilities, truth, seed=3) for _ in range(2))
    assert first == again
    assert first.macro_f1 in first.macro_f1_interval
    for score in first.classes.values():
        assert score.f1 is not None and score.f1_interval is not None and score.f1 in score.f1_interval


def test_int8_softmax_rows_are_accepted() -> None:
    """Steps of 1/256 that stop at 255/256 do not sum to 1 exactly."""
    probabilities, truth = predictions(4, 50, 6.0)
    steps = np.clip(np.round(probabilities * 256), 0, 255).astype(np.float32) / 256
    assert evaluate(LABELS, steps, truth, **QUICK).images == 50


GOOD, TRUTH = predictions(0, 6, 1.0)


@pytest.mark.parametrize(
    ("arguments", "options", "named"),
    [
        ((["A"], GOOD, TRUTH), {}, "labels"),
        ((["A", "A", "B", "C"], GOOD, TRUTH), {}, "labels"),
        ((LABELS, GOOD[:, :3], TRUTH), {}, "probabilities"),
        ((LABELS, GOOD[:1], TRUTH[:1]), {}, "probabilities"),
        ((LABELS, np.argmax(GOOD, axis=1), TRUTH), {}, "probabilities"),
        ((LABELS, np.log(GOOD), TRUTH), {}, "probabilities"),
        ((LABELS, GOOD / 2, TRUTH), {}, "probabilities"),
        ((LABELS, GOOD * np.nan, TRUTH), {}, "probabilities"),
        ((LABELS, (GOOD * 256).astype(np.uint8), TRUTH), {}, "probabilities"),
        ((LABELS, GOOD, TRUTH[:-1]), {}, "truth"),
        ((LABELS, GOOD, TRUTH + 4), {}, "truth"),
        ((LABELS, GOOD, TRUTH - 4), {}, "truth"),
        ((LABELS, GOOD, TRUTH.astype(float)), {}, "truth"),
        ((LABELS, GOOD, TRUTH), {"benign": "benign"}, "benign"),
        ((LABELS, GOOD, TRUTH), {"names": ["a"]}, "names"),
    ],
)
def test_what_does_not_fit_is_named(arguments: tuple, options: dict, named: str) -> None:
    with pytest.raises(EvaluationError, match=named):
        evaluate(*arguments, **options)


def test_shuffled_truth_is_noticed() -> None:
    """Negative control: the same outputs against shuffled labels score like chance."""
    probabilities, truth = predictions(8, 400, 6.0)
    assert evaluate(LABELS, probabilities, truth, **QUICK).accuracy > 0.95
    shuffled = np.random.default_rng(0).permutation(truth)
    assert evaluate(LABELS, probabilities, shuffled, **QUICK).accuracy_interval.high < 0.4
