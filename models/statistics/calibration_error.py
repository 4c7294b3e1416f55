"""Expected calibration error and its bins: whether a network that says 0.9 is right nine times in ten."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import EvaluationError
from models.statistics.intervals import Interval, bootstrap, wilson
from models.statistics.validation import Floats, Indices, validate

CALIBRATION_BINS = 15  # Guo et al. (2017), On Calibration of Modern Neural Networks


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose confidence lies in (low, high]; shares are 0..1."""

    low: float
    high: float
    images: int
    mean_confidence: float
    accuracy: float
    accuracy_interval: Interval


def expected_calibration_error(
    probabilities: npt.ArrayLike, truth: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of confidence, weighted by images; 0..1.

    A finite set overstates it: a perfectly calibrated network measured on 600 images shows about 0.016.

    Args:
        probabilities: float (N, C), softmax outputs, N >= 1.
        truth: integer (N,).
        bins: number of bins over 0..1, >= 1.

    Source: Naeini et al. (2015); Guo et al. (2017), equation 3.
    """
    values, indices = _checked(probabilities, truth, bins)
    return float(_binned_gap(*_gaps(values, indices, bins), bins))


def reliability_bins(
    probabilities: npt.ArrayLike, truth: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> tuple[ReliabilityBin, ...]:
    """The bins the calibration error is summed over, lowest confidence first; empty ones are left out."""
    values, indices = _checked(probabilities, truth, bins)
    gap, which = _gaps(values, indices, bins)
    confidence = values.max(axis=1)
    found = []
    for k in np.unique(which).astype(int):
        inside = which == k
        right, images = round(float((gap + confidence)[inside].sum())), int(inside.sum())
        mean = float(confidence[inside].mean())
        found.append(ReliabilityBin(k / bins, (k + 1) / bins, images, mean, right / images, wilson(right, images)))
    return tuple(found)


def calibration_error_interval(
    probabilities: Floats, truth: Indices, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Basic bootstrap interval of the expected calibration error (15 bins), cut off at 0.

    Resampling biases this statistic upwards, so percentile limits miss the true value: in simulations (600
    images, true error 0.0175) they held it in 75 % of the runs, BCa limits in 87 %, the basic ones, which
    reflect the resampled values about the estimate, in 93 %. The estimate, itself biased upwards, may lie
    above the interval.
    """
    gap, which = _gaps(probabilities, truth, CALIBRATION_BINS)
    limits = bootstrap(
        lambda g, w, axis: _binned_gap(g, w, CALIBRATION_BINS),
        gap,
        which,
        confidence=confidence,
        resamples=resamples,
        method="basic",
        seed=seed,
    )
    return Interval(max(0.0, limits.low), max(0.0, limits.high))


def _checked(probabilities: npt.ArrayLike, truth: npt.ArrayLike, bins: int) -> tuple[Floats, Indices]:
    columns = np.asarray(probabilities)
    count = columns.shape[1] if columns.ndim == 2 else 0
    if bins < 1:
        raise EvaluationError(f"bins must be >= 1; got {bins}")
    return validate([str(k) for k in range(count)], probabilities, truth, at_least=1)


def _gaps(probabilities: Floats, truth: Indices, bins: int) -> tuple[Floats, Floats]:
    """Per image: right (1 or 0) minus confidence, and the bin of its confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    # Bins are (low, high], as in the source: a confidence on an edge belongs below it.
    which = np.clip(np.ceil(confidence * bins - 1e-9) - 1, 0, bins - 1)
    return right - confidence, which


def _binned_gap(gap: Floats, which: Floats, bins: int) -> Floats:
    """Sum over bins of |sum of gaps|, divided by N; reduces (..., N) to (...)."""
    rows = gap.reshape(-1, gap.shape[-1])
    cells = which.reshape(rows.shape).astype(np.intp) + bins * np.arange(len(rows))[:, None]
    sums = np.bincount(cells.ravel(), rows.ravel(), bins * len(rows)).reshape(len(rows), bins)
    reduced: Floats = (np.abs(sums).sum(axis=1) / rows.shape[1]).reshape(gap.shape[:-1])
    return reduced
