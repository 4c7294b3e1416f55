"""Temperature scaling: one number that makes a network as sure as it is right, for float and int8 outputs alike.

The model files end in a softmax, so the logits are taken back from its outputs: p^(1/T), renormalized, is
softmax(logits / T). Source: Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.inference.decision import LEAST_TEMPERATURE, MOST_TEMPERATURE
from models.statistics.validation import Floats, Indices, validate

# A set without a mistake is explained best by T = 0, which would call everything certain. So the logarithm of T has a
# normal prior of this deviation about 0: it weighs as much as one image, and is lost among hundreds with a mistake.
PRIOR_DEVIATION = 1.0


@dataclass(frozen=True)
class Outputs:
    """What one network said of N images: probabilities float (N, C), not calibrated; `least` is what a 0 counts as."""

    probabilities: Floats
    least: float

    def calibrated(self, temperature: float) -> Floats:
        """float64 (N, C): rows add up to 1; the same numbers as `edge.inference.decision.Decision.calibrated`."""
        return np.exp(_log_calibrated(np.log(np.maximum(self.probabilities, self.least)), temperature))


def fit_temperature(labels: tuple[str, ...], networks: Mapping[str, Outputs], truth: npt.ArrayLike) -> float:
    """The T that all `networks` share: least negative log-likelihood, averaged over them, with PRIOR_DEVIATION.

    One for float and int8: the contract that both run under holds one, and they are the same classifier.

    Args:
        labels: in output order.
        networks: what each said of the same N images.
        truth: int (N,), index of the true label.

    Returns:
        Within LEAST_TEMPERATURE..MOST_TEMPERATURE, rounded to four digits.

    Raises:
        EvaluationError: probabilities and truth do not fit.
    """
    from scipy.optimize import minimize_scalar

    logs, checked = [], np.empty(0, np.intp)
    for name, outputs in networks.items():
        values, checked = validate(labels, outputs.probabilities, truth, name)
        logs.append(np.log(np.maximum(values, outputs.least)))

    def loss(log_temperature: float) -> float:
        likelihoods = [_mean_log_likelihood(log, checked, math.exp(log_temperature)) for log in logs]
        prior = (log_temperature / PRIOR_DEVIATION) ** 2 / 2 / len(checked)
        return prior - float(np.mean(likelihoods))

    limits = (math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE))
    found = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-6})
    return min(max(float(f"{math.exp(found.x):.4g}"), LEAST_TEMPERATURE), MOST_TEMPERATURE)


def negative_log_likelihood(probabilities: Floats, truth: Indices) -> float:
    """Mean over images, in nats, of calibrated probabilities (N, C), all above 0."""
    return -float(np.log(probabilities[np.arange(len(truth)), truth]).mean())


def _mean_log_likelihood(logs: Floats, truth: Indices, temperature: float) -> float:
    return float(_log_calibrated(logs, temperature)[np.arange(len(truth)), truth].mean())


def _log_calibrated(logs: Floats, temperature: float) -> Floats:
    scaled = logs / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)  # no power overflows or vanishes
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)), np.float64)
