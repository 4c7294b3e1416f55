"""The linear head against scikit-learn, its folding, and who weighs what."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.adaptation.judging.linear_head import SPREAD_FLOOR, field_weights, fit_heads


def _fields(count: int = 24, width: int = 6, classes: int = 2) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(1)
    truth = np.arange(count) % classes
    features = rng.normal(0, 1, (count, 2, 3, width)) * np.geomspace(1, 4, width) + 1.5 * truth[:, None, None, None]
    return features.astype(np.float32), truth, [f"s{k // 3}-{truth[k]}" for k in range(count)]


@pytest.mark.parametrize(("width", "classes"), [(6, 2), (400, 2), (6, 3)])
def test_the_head_is_scikit_learns_of_standardized_features(width: int, classes: int) -> None:
    """Also where it is calculated in the rows' own space (400 features of 144 rows)."""
    features, truth, slides = _fields(width=width, classes=classes)
    head = fit_heads(features, truth, slides, classes, [0.05])[0.05]
    plain = features[:, 0].reshape(-1, width).astype(np.float64)
    weights = np.repeat(field_weights(truth, slides), 3)
    mean = np.average(plain, axis=0, weights=weights)
    variance = np.average((plain - mean) ** 2, axis=0, weights=weights)
    scale = np.sqrt(variance + SPREAD_FLOOR**2 * variance.mean())
    rows = (features.reshape(-1, width) - mean) / scale
    model = LogisticRegression(C=0.05, tol=1e-8, max_iter=10_000)
    model.fit(rows, np.repeat(truth, 6), sample_weight=np.repeat(field_weights(truth, slides), 6) / 2)
    tiles = model.predict_proba((plain - mean) / scale).reshape(len(truth), 3, classes)
    np.testing.assert_allclose(head.probabilities(features[:, 0]), tiles.mean(axis=1), atol=2e-4)


def test_folded_it_takes_features_as_they_are() -> None:
    features, truth, slides = _fields(classes=3)
    head = fit_heads(features, truth, slides, 3, [0.25])[0.25]
    kernel, bias = head.folded()
    raw = features[:, 0].reshape(-1, 6).astype(np.float64)
    np.testing.assert_allclose(raw @ kernel + bias, (raw - head.mean) / head.scale @ head.weights + head.bias)


def test_a_slide_weighs_the_same_however_many_fields_it_has() -> None:
    """Each field of one slide three times over: the same head. Negative control: that slide left out."""
    features, truth, slides = _fields()
    again = [k for k, slide in enumerate(slides) if slide == slides[0] for _ in range(2)]
    rows = np.array([*range(len(truth)), *again])
    strength = 0.05 * len(truth) / len(rows)  # weights add up to the number of fields
    once = fit_heads(features, truth, slides, 2, [0.05])[0.05]
    thrice = fit_heads(features[rows], truth[rows], [slides[k] for k in rows], 2, [strength])[strength]
    kept = np.array([slide != slides[0] for slide in slides])
    without = fit_heads(features[kept], truth[kept], [s for s in slides if s != slides[0]], 2, [0.05])[0.05]
    np.testing.assert_allclose(thrice.folded()[0], once.folded()[0], atol=1e-4)
    assert np.abs(without.folded()[0] - once.folded()[0]).max() > 1e-3


def test_equal_fields_give_equal_heads() -> None:
    features, truth, slides = _fields(width=400)
    one, two = (fit_heads(features, truth, slides, 2, [0.05])[0.05] for _ in range(2))
    assert np.array_equal(one.weights, two.weights) and np.array_equal(one.bias, two.bias)


def test_a_feature_that_hardly_varies_gets_no_large_weight() -> None:
    """The dense layer's weights are quantized together: the largest sets the step of all."""
    features, truth, slides = _fields()
    features[..., 0] = 1e-3 * features[..., 0]
    kernel, _ = fit_heads(features, truth, slides, 2, [0.05])[0.05].folded()
    assert np.abs(kernel[0]).max() < np.abs(kernel[1:]).max()
