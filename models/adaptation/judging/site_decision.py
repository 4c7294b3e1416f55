"""Temperature and thresholds of a site's network, by cross-fitting over slides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import to_builtins

from edge.inference.decision import LEAST_PROBABILITY, Decision
from models.decision.cross_fit import Asked, Expected, Fitted, cross_fitted, fitted
from models.networks.model_pair import FLOAT


@dataclass(frozen=True, eq=False)
class SiteDecision:
    """Temperature and thresholds, and what to expect of them on other slides of the site."""

    fitted: Fitted
    expected: Expected
    fields: int

    def decision(self, command: str, network_sha256: str, split_sha256: str) -> Decision:
        """As it goes into the contract."""
        evidence: dict[str, Any] = {
            "command": command,
            "network_sha256": network_sha256,
            "split_sha256": split_sha256,
            "images": self.fields,
            "counts": {FLOAT: {"gates": self.expected.gates, "not_sure": self.expected.not_sure}},
            "expected": to_builtins({FLOAT: self.expected}),
        }
        return Decision(self.fitted.temperature, self.fitted.point.answer_from, evidence)


def decide(
    labels: tuple[str, ...],
    benign: Sequence[str],
    probabilities: npt.NDArray[np.float64],
    truth: npt.NDArray[np.intp],
    slides: Sequence[str],
    passed: npt.NDArray[np.bool_],
) -> SiteDecision:
    """Fit the decision to fields by heads that were made without their slides.

    Args:
        probabilities: (N, classes), pooled over tiles. passed: bool (N,), not refused by a gate fitted without them.

    Raises:
        EvaluationError: fewer than five slides, or no field that the gates let through.
    """
    asked = {
        FLOAT: Asked(
            probabilities,
            LEAST_PROBABILITY,
            np.arange(len(truth), dtype=np.intp),
            np.ones(len(truth), np.bool_),
            passed,
        )
    }
    decision, _ = fitted(labels, benign, asked, truth)
    expected = cross_fitted(labels, benign, asked, truth, slides)[FLOAT]
    return SiteDecision(decision, expected, len(truth))
