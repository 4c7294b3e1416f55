"""Predictions and truth as arrays known to fit each other; shared by evaluation, parity and figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import EvaluationError

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def validate(
    labels: Sequence[str],
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike | None,
    name: str = "probabilities",
    at_least: int = 2,
) -> tuple[Floats, Indices]:
    """`probabilities` as float64 (N, C) and `truth` as indices (N,), empty when None, or EvaluationError.

    Rows must sum to 1 within what an int8 softmax can miss: half a step of 1/256 a class, its top 255/256.
    """
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise EvaluationError(f"labels must be two or more different names; got {list(labels)}")
    values = np.asarray(probabilities)
    if values.ndim != 2 or values.shape[1] != len(labels) or not np.issubdtype(values.dtype, np.floating):
        raise EvaluationError(f"{name} must be float (N, {len(labels)}), a column a label; got {_shape(values)}")
    if len(values) < at_least:
        raise EvaluationError(f"{name} must hold at least {at_least} images; got {len(values)}")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1 + 1e-6:
        raise EvaluationError(f"{name} must be within 0..1; got {values.min():.4g}..{values.max():.4g}")
    off = float(np.abs(values.sum(axis=1, dtype=np.float64) - 1).max())
    if off > 0.02 + len(labels) / 512:
        raise EvaluationError(f"{name} must sum to 1 in every row (a softmax output); off by up to {off:.3g}")
    return values.astype(np.float64), _validate_truth(truth, len(values), len(labels))


def confusion_matrix(truth: Indices, predicted: Indices, classes: int) -> npt.NDArray[np.int64]:
    """int64 (C, C): rows the true class, columns the predicted one."""
    flat = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def _validate_truth(truth: npt.ArrayLike | None, images: int, classes: int) -> Indices:
    if truth is None:
        return np.empty(0, dtype=np.intp)
    indices = np.asarray(truth)
    if indices.shape != (images,) or not np.issubdtype(indices.dtype, np.integer):
        raise EvaluationError(f"truth must be integer ({images},), an index of a label; got {_shape(indices)}")
    if indices.min() < 0 or indices.max() >= classes:
        raise EvaluationError(f"truth must be within 0..{classes - 1}; got {indices.min()}..{indices.max()}")
    return indices.astype(np.intp)


def _shape(values: npt.NDArray[Any]) -> str:
    return f"{values.dtype} {values.shape}"
