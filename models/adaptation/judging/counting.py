"""Counts of answers about slides and fields, with exact intervals, and the loss that settings are chosen by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.inference.benign import indices
from models.adaptation.adaptation_record import Counted, ExactShare
from models.statistics.intervals import clopper_pearson

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
LEAST = 1e-6  # probability that a loss counts at least


@dataclass(frozen=True, eq=False)
class Judged:
    """Probabilities of N fields by networks that were made without their slides.

    Attributes:
        labels: in output order; benign: those whose wrong answer is the worst.
        probabilities: (N, classes). truth: (N,). slides: N names, each of one class.
        coarse: only benign or not is known of an answer, not which class.
    """

    labels: tuple[str, ...]
    benign: tuple[str, ...]
    probabilities: Floats
    truth: Indices
    slides: tuple[str, ...]
    coarse: bool = False

    def by_slide(self) -> "Judged":
        """The same of slides: the mean of each slide's fields, slides sorted by name."""
        names = sorted(set(self.slides))
        rows = [np.flatnonzero(np.asarray(self.slides) == name) for name in names]
        probabilities = np.stack([self.probabilities[row].mean(axis=0) for row in rows])
        truth = np.array([self.truth[row[0]] for row in rows], np.intp)
        return Judged(self.labels, self.benign, probabilities, truth, tuple(names), self.coarse)

    def counted(self) -> Counted:
        """Named rightly, sensitivity, specificity, missed, AUROC."""
        called = self.probabilities.argmax(axis=1)
        own = indices(self.labels, self.benign)
        is_benign, says_benign = np.isin(self.truth, own), np.isin(called, own)
        right = called == self.truth
        classes = (
            None
            if self.coarse
            else {
                label: share(int(right[self.truth == k].sum()), int((self.truth == k).sum()))
                for k, label in enumerate(self.labels)
            }
        )
        return Counted(
            right=None if self.coarse else share(int(right.sum()), len(right)),
            sensitivity=share(int((~is_benign & ~says_benign).sum()), int((~is_benign).sum())) if own else None,
            specificity=share(int((is_benign & says_benign).sum()), int(is_benign.sum())) if own else None,
            missed=int((~is_benign & says_benign).sum()) if own else None,
            auroc=auroc(1 - self.probabilities[:, own].sum(axis=1), ~is_benign) if own else None,
            classes=classes,
        )

    def slide_losses(self) -> tuple[Floats, Floats]:
        """(S,) negative log-likelihood of slides in nats, of being benign or not where that is all that is known, and
        (S,) weights that sum to 1, by which classes count alike."""
        slides = self.by_slide()
        truth = slides.truth
        if self.coarse:
            own = indices(self.labels, self.benign)
            benign = slides.probabilities[:, own].sum(axis=1)
            of_truth = np.where(np.isin(truth, own), benign, 1 - benign)
        else:
            of_truth = slides.probabilities[np.arange(len(truth)), truth]
        weights = 1 / np.bincount(truth, minlength=len(self.labels))[truth]
        return -np.log(np.maximum(of_truth, LEAST)), weights / weights.sum()

    def log_loss(self) -> float:
        """Mean over slides, classes alike."""
        losses, weights = self.slide_losses()
        return float(losses @ weights)


def share(count: int, of: int) -> ExactShare:
    """A counted share with its exact interval."""
    return ExactShare(count, of, count / of if of else None, clopper_pearson(count, of) if of else None)


def auroc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float | None:
    """The chance that a positive scores higher than a negative, ties counting half; None without both.

    >>> auroc(np.array([0.1, 0.9, 0.5]), np.array([False, True, False]))
    1.0
    """
    from scipy.stats import rankdata

    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        return None
    ranks = rankdata(np.round(scores, 12))
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def mapped(
    probabilities: Floats, own: Sequence[str], own_benign: Sequence[str], labels: Sequence[str], benign: Sequence[str]
) -> "tuple[Floats, bool] | None":
    """Answers of a network that knows other classes, as the site's.

    Args:
        probabilities: (N, len(own)).

    Returns:
        (N, len(labels)) and whether only benign or not is known; None where nothing corresponds. Where each label of
        the site is the network's, up to the case of letters, those classes; else benign or not, each as the first
        label of that kind.
    """
    place: Mapping[str, int] = {label.casefold(): k for k, label in enumerate(own)}
    if all(label.casefold() in place for label in labels):
        chosen = probabilities[:, [place[label.casefold()] for label in labels]]
        return chosen / np.maximum(chosen.sum(axis=1, keepdims=True), LEAST), False
    if not benign or not own_benign:
        return None
    is_benign = probabilities[:, indices(own, own_benign)].sum(axis=1)
    found = np.zeros((len(probabilities), len(labels)))
    found[:, indices(labels, benign)[0]] = is_benign
    found[:, next(k for k, label in enumerate(labels) if label not in benign)] = 1 - is_benign
    return found, len(labels) > 2
