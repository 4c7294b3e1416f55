"""The linear head: L2 logistic regression on standardized features, folded into a dense layer.

Every slide weighs as much as the others of its class, and every class as much as the others, however many fields they
have: fields of a slide repeat one another. C is as in scikit-learn, with weights of mean 1 a tile; stain variations
share their tile's weight.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import MEAN
from edge.inference.tiles import pool
from models.adaptation.network.backbone import softmax

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
# Added to every feature's spread, as a part of their root mean square. Plainly standardized, features that hardly vary
# get the largest weights: they are noise on the next slide, they lie below a step of the int8 tensor, and they take the
# range of the dense layer's weights, which are quantized together. On drawn slides a third of the int8 answers turned,
# with this none, and the float loss fell from 0.98 to 0.17 as well (docs/decisions/0038-adaptation.md).
SPREAD_FLOOR = 0.5
TOLERANCE, MOST_STEPS = 1e-6, 5000


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logits are `(features - mean) / scale @ weights + bias`.

    Attributes:
        mean, scale: (D,). weights: (D, classes). bias: (classes,).
    """

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def probabilities(self, features: npt.NDArray[Any], rule: str = MEAN, benign: Sequence[int] = ()) -> Floats:
        """(N, classes) of fields: each tile's softmax, pooled as on the device.

        Args:
            features: (N, tiles, D). rule, benign: of `edge.inference.tiles.pool`.
        """
        kernel, bias = self.folded()
        flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
        tiles = softmax(flat @ kernel + bias).reshape(*features.shape[:-1], len(bias))
        return np.asarray(pool(tiles, rule, benign), np.float64)

    def folded(self) -> tuple[Floats, Floats]:
        """Kernel (D, classes) and bias (classes,) of a dense layer that takes features as they are."""
        kernel = self.weights / self.scale[:, None]
        return kernel, self.bias - self.mean @ kernel


def fit_heads(
    features: npt.NDArray[Any],
    truth: Indices,
    slides: Sequence[str],
    classes: int,
    strengths: Sequence[float],
) -> dict[float, LinearHead]:
    """A head for each strength, from the same fields.

    Args:
        features: (N, views, tiles, D) of fields. truth: (N,) class. slides: N names.
        classes: >= 2, each with a field among these.
        strengths: C of the regression, > 0: large ones follow the fields more closely.
    """
    from sklearn.linear_model import LogisticRegression

    _, views, tiles, width = features.shape
    rows = features.reshape(-1, width).astype(np.float64)
    plain = features[:, 0].reshape(-1, width).astype(np.float64)
    by_field = field_weights(truth, slides)
    mean = np.average(plain, axis=0, weights=np.repeat(by_field, tiles))
    variance = np.average((plain - mean) ** 2, axis=0, weights=np.repeat(by_field, tiles))
    floor = SPREAD_FLOOR**2 * variance.mean()
    scale = np.sqrt(variance + floor) if floor > 0 else np.ones(width)
    standard = (rows - mean) / scale
    rotation: Floats | None = None
    if len(standard) < width:  # in the rows' own space: the same minimum, far fewer unknowns
        left, values, right = np.linalg.svd(standard, full_matrices=False)
        kept = values > values[0] * 1e-9
        standard, rotation = left[:, kept] * values[kept], right[kept].T
    weights = np.repeat(by_field, views * tiles) / views
    answers = np.repeat(truth, views * tiles)
    found = {}
    for strength in strengths:
        model = LogisticRegression(C=strength, tol=TOLERANCE, max_iter=MOST_STEPS)
        with one_thread():
            model.fit(standard, answers, sample_weight=weights)
        kernel = model.coef_.T if rotation is None else rotation @ model.coef_.T
        bias = model.intercept_
        if classes == 2:  # one logit for the second class: half of it for, half against
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.concatenate([-bias / 2, bias / 2])
        found[strength] = LinearHead(mean, scale, kernel, bias)
    return found


def one_thread() -> AbstractContextManager[None]:
    """BLAS and OpenMP on one thread: on few rows threads wait for one another, and sums depend on their number."""
    found: AbstractContextManager[None] = _libraries().limit(limits=1)
    return found


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def field_weights(truth: Indices, slides: Sequence[str]) -> Floats:
    """(N,) weights of mean 1: classes alike, slides of a class alike, fields of a slide alike.

    >>> field_weights(np.array([0, 0, 0, 1]), ["a", "a", "b", "c"]).tolist()
    [0.5, 0.5, 1.0, 2.0]
    """
    names = np.asarray(slides)
    weights = np.zeros(len(truth))
    for label in np.unique(truth):
        own = np.unique(names[truth == label])
        for slide in own:
            fields = (truth == label) & (names == slide)
            weights[fields] = 1 / (len(own) * fields.sum())
    return np.asarray(weights * len(truth) / weights.sum(), np.float64)
