"""Operating points: the least probability at which each class is answered, from answers that were right and wrong.

The rule, for float and int8 together, over fields that the gates let through:

1. Benign classes, the worst to be wrong about, are answered as late as half of the budget allows. If a malignant field,
   unaltered or degraded, was called benign, the threshold is at least twice (MARGIN) the odds of the surest of them,
   whatever the budget says.
2. The other classes share one threshold: the smallest at which RIGHT of their answers, degraded fields included, are
   right; at least MAJORITY, and no more than the rest of the budget allows, nor than Benign needs.

The budget is in unaltered fields that may stay without an answer: see `budget`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.inference.benign import indices
from models.errors import EvaluationError
from models.evaluation.evaluation_set import Answers
from models.statistics.validation import Floats, Indices

REFUSED = 0.01  # of the unaltered fields, for not being sure enough
REFUSED_WITH_GATES = 0.02  # of the unaltered fields, for whatever reason
MARGIN = 2.0  # a factor of the odds
RIGHT = 0.995
MAJORITY = 0.5  # a class that is not likelier than all others together is not answered
_DIGITS = 3  # of 1 - threshold
_NOISE = 1e-9  # of a digit


@dataclass(frozen=True)
class Judged:
    """Calibrated answers about N fields that the gates let through, and the truth, int (N,)."""

    answers: Answers
    truth: Indices

    def answered(self, answer_from: Sequence[float]) -> npt.NDArray[np.bool_]:
        """bool (N,): not abstained from."""
        return np.asarray(self.answers.confidence >= np.asarray(answer_from)[self.answers.called])

    def missed(self, benign: Sequence[int]) -> npt.NDArray[np.bool_]:
        """bool (N,): malignant and called benign, however surely."""
        return np.isin(self.answers.called, benign) & ~np.isin(self.truth, benign)


@dataclass(frozen=True)
class Validation:
    """What one network said of unaltered fields, and of those together with their degraded forms."""

    clean: Judged
    every: Judged


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds, and what they follow from.

    Attributes:
        answer_from: one a label.
        surest_missed: highest probability of the benign class that a malignant field was called; None if none was.
        benign_allowed: highest threshold for benign classes within their share of the budget; None if there is none.
        others_needed: threshold at which the other classes reach RIGHT; others_allowed: the highest in the budget.
    """

    answer_from: tuple[float, ...]
    surest_missed: float | None
    benign_allowed: float | None
    others_needed: float
    others_allowed: float


def budget(fields: int, refused: int) -> int:
    """How many unaltered fields may stay unanswered, of which the gates refuse `refused`: one at least, so that benign
    is never answered as lightly as the least sure field would have it."""
    return max(1, min(math.floor(REFUSED * fields), math.floor(REFUSED_WITH_GATES * fields) - refused))


def choose(
    labels: Sequence[str], benign: Sequence[str], networks: Mapping[str, Validation], allowance: int
) -> OperatingPoint:
    """Thresholds by the rule above.

    Args:
        labels: in output order.
        benign: the labels of rule 1, which share one threshold; without them all labels are "other classes".
        networks: by name; one set of thresholds must do for all.
        allowance: from `budget`.

    Raises:
        EvaluationError: no network, or no field to choose by.
    """
    if not networks or any(not len(found.clean.truth) for found in networks.values()):
        raise EvaluationError("thresholds need at least one network, and fields that the gates let through")
    own, missed, allowed, threshold = indices(labels, benign), None, None, 0.0
    if own:
        missed = _surest_missed(own, networks)
        share = math.ceil(allowance / 2)
        allowed = min(_allowed(_confidences(found.clean, own, of_it=True), share) for found in networks.values())
        threshold = _benign_threshold(missed, allowed)
    needed = max(_needed(found.every, own) for found in networks.values())
    others_allowed = min(
        _allowed(
            _confidences(found.clean, own, of_it=False),
            allowance - int((_confidences(found.clean, own, of_it=True) < threshold).sum()),
        )
        for found in networks.values()
    )
    others = _rounded(min(max(MAJORITY, needed), others_allowed, threshold if own else 1.0), up=False)
    answer_from = tuple(threshold if k in own else others for k in range(len(labels)))
    return OperatingPoint(answer_from, missed, allowed, needed, others_allowed)


def _confidences(judged: Judged, own: Sequence[int], *, of_it: bool) -> Floats:
    """Confidence of the fields called one of `own`, or of all others."""
    called = np.isin(judged.answers.called, own)
    return np.asarray(judged.answers.confidence[called if of_it else ~called], np.float64)


def _surest_missed(benign: Sequence[int], networks: Mapping[str, Validation]) -> float | None:
    missed = [found.every.answers.confidence[found.every.missed(benign)] for found in networks.values()]
    together = np.concatenate(missed)
    return float(together.max()) if len(together) else None


def _allowed(confidences: Floats, refused: int) -> float:
    """The highest threshold under which at most `refused` of these are; 1 when all may be."""
    refused = max(0, refused)
    return float(np.sort(confidences)[refused]) if refused < len(confidences) else 1.0


def _benign_threshold(missed: float | None, allowed: float) -> float:
    least = _rounded(max(MAJORITY, allowed), up=False)
    if missed is None:
        return least
    log_odds = _log_odds(missed) + math.log(MARGIN)
    return max(least, _rounded(1 / (1 + math.exp(-log_odds)), up=True))


def _needed(judged: Judged, benign: Sequence[int]) -> float:
    """The smallest threshold at which RIGHT of the answers other than benign are right; 1 when there is none."""
    others = ~np.isin(judged.answers.called, benign)
    confidence = judged.answers.confidence[others]
    order = np.argsort(-confidence, kind="stable")
    right = (judged.answers.called == judged.truth)[others][order]
    share = np.cumsum(right) / np.arange(1, len(right) + 1)
    falling = confidence[order]
    last = np.append(falling[1:] < falling[:-1], True)[: len(falling)]  # a threshold takes all of equal confidence
    enough = np.flatnonzero((share >= RIGHT) & last)
    return float(falling[enough[-1]]) if len(enough) else 1.0


def _log_odds(probability: float) -> float:
    held = min(max(probability, 1e-9), 1 - 1e-9)  # what is certain has no finite odds
    return math.log(held / (1 - held))


def _rounded(threshold: float, *, up: bool) -> float:
    """To _DIGITS digits of what it leaves to 1, which is what matters near 1: 0.99973, 0.942."""
    rest = 1 - threshold
    if rest <= 0:
        return 1.0
    unit = 10.0 ** (math.floor(math.log10(rest)) - _DIGITS + 1)
    if up:
        return min(1.0, max(threshold, round(1 - math.floor(rest / unit + _NOISE) * unit, 12)))
    return max(0.0, min(threshold, round(1 - math.ceil(rest / unit - _NOISE) * unit, 12)))
