"""The choice of strength and stain variations in slide-disjoint folds, and what each fold's slides are then called.

Nested: the fold that judges takes no part in the choice. A head made without two folds serves both as the other's
inner fold, so that K folds need K (K - 1) / 2 of them. The choice begins at C = 0.05 with variations, and leaves that
only for a setting whose loss by slide is lower by more than a standard error of the difference: among a handful of
slides the lowest loss is mostly luck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.tiles import rule_for
from edge.system.progress import Progress
from models.adaptation.judging.counting import Judged
from models.adaptation.judging.linear_head import LinearHead, fit_heads

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
STRENGTHS = (0.002, 0.01, 0.05, 0.25, 1.25)
START = 0.05  # measured session against session: docs/decisions/0038-adaptation.md


@dataclass(frozen=True)
class Setting:
    """What is chosen: C of the regression, whether stain variations are learned from, and whether the last block learns
    on from that head (`fine_tuning`)."""

    strength: float
    varied: bool
    tuned: bool = False


@dataclass(frozen=True, eq=False)
class Labelled:
    """Fields with what is known of them.

    Attributes:
        labels, benign: as in `Judged`. features: (N, views, tiles, D). truth: (N,). slides: N names.
        folds: (N,) fold of each field, all fields of a slide alike.
    """

    labels: tuple[str, ...]
    benign: tuple[str, ...]
    features: npt.NDArray[Any]
    truth: Indices
    slides: tuple[str, ...]
    folds: Indices

    def heads(self, rows: npt.NDArray[np.bool_], settings: Sequence[Setting]) -> dict[Setting, LinearHead]:
        """A head of each setting from these fields."""
        slides = [slide for slide, taken in zip(self.slides, rows, strict=True) if taken]
        found: dict[Setting, LinearHead] = {}
        for varied in sorted({each.varied for each in settings}):
            strengths = [each.strength for each in settings if each.varied == varied]
            features = self.features[rows] if varied else self.features[rows][:, :1]
            made = fit_heads(features, self.truth[rows], slides, len(self.labels), strengths)
            found |= {Setting(strength, varied): head for strength, head in made.items()}
        return found

    def judged(self, rows: npt.NDArray[np.bool_], probabilities: Floats, *, coarse: bool = False) -> Judged:
        """Answers about some of the fields, (M, classes)."""
        slides = tuple(slide for slide, taken in zip(self.slides, rows, strict=True) if taken)
        return Judged(self.labels, self.benign, probabilities, self.truth[rows], slides, coarse)

    def called(self, rows: npt.NDArray[np.bool_], head: LinearHead) -> Floats:
        """(M, classes) of some of the fields, as they are."""
        rule, benign = rule_for(self.labels, self.benign)
        return head.probabilities(self.features[rows][:, 0], rule, benign)


def settings_of(strengths: Sequence[float], *, varied: bool) -> tuple[Setting, ...]:
    """All settings, those with variations first."""
    kinds = (True, False) if varied else (False,)
    return tuple(Setting(strength, kind) for kind in kinds for strength in strengths)


@dataclass(frozen=True, eq=False)
class Nested:
    """What came out of nested folds.

    Attributes:
        probabilities: setting -> (N, classes), each field by a head made without its fold.
        without: (a, b), a < b -> setting -> (N, classes), rows of folds a and b only, by heads made without both.
        chosen: fold -> the setting that the other folds chose. heads: fold -> the head made without it so.
    """

    labelled: Labelled
    probabilities: Mapping[Setting, Floats]
    without: Mapping[tuple[int, int], Mapping[Setting, Floats]]
    chosen: Mapping[int, Setting]
    heads: Mapping[int, LinearHead] = field(default_factory=dict)

    def judged(self) -> Judged:
        """Every field by the head of its fold's own choice."""
        data = self.labelled
        found = np.zeros((len(data.truth), len(data.labels)))
        for fold, setting in self.chosen.items():
            rows = data.folds == fold
            found[rows] = self.probabilities[setting][rows]
        return data.judged(np.ones(len(data.truth), np.bool_), found)

    def inner(self, fold: int) -> Floats:
        """(N, classes): every field outside `fold` by a head made without its own fold and without `fold`, in the
        setting chosen for `fold`; what the decision of that fold's network may be fitted to. Rows of `fold` are 0."""
        data, setting = self.labelled, self.chosen[fold]
        found = np.zeros((len(data.truth), len(data.labels)))
        for other in self.chosen:
            if other != fold:
                rows = data.folds == other
                found[rows] = self.without[_pair(fold, other)][setting][rows]
        return found


def nested(data: Labelled, settings: Sequence[Setting], start: Setting) -> Nested:
    """Try every setting in nested folds.

    Args:
        data: fields in K >= 3 folds, numbered from 0, each class in two of them or more.
        settings: what may be chosen. start: the one of them that others have to beat.
    """
    folds = sorted(set(data.folds.tolist()))
    pairs = list(combinations(folds, 2))
    probabilities = {each: np.zeros((len(data.truth), len(data.labels))) for each in settings}
    without: dict[tuple[int, int], dict[Setting, Floats]] = {}
    heads: dict[int, dict[Setting, LinearHead]] = {}
    with Progress("heads in slide-disjoint folds", len(folds) + len(pairs)) as bar:
        for fold in folds:
            held = data.folds == fold
            heads[fold] = data.heads(~held, settings)
            for setting, head in heads[fold].items():
                probabilities[setting][held] = data.called(held, head)
            bar.advance()
        for first, second in pairs:
            held = np.isin(data.folds, (first, second))
            without[first, second] = {each: np.zeros_like(probabilities[each]) for each in settings}
            if set(data.truth[~held].tolist()) == set(range(len(data.labels))):
                for setting, head in data.heads(~held, settings).items():
                    without[first, second][setting][held] = data.called(held, head)
            else:  # a class lies in these two folds only: what is left cannot name it
                for values in without[first, second].values():
                    values[held] = 1 / len(data.labels)
            bar.advance()
    chosen = {fold: _chosen(data, without, fold, folds, settings, start) for fold in folds}
    kept = {fold: heads[fold][setting] for fold, setting in chosen.items()}
    return Nested(data, probabilities, without, chosen, kept)


def surely_better(losses: Floats, than: Floats, weights: Floats) -> bool:
    """Whether (S,) losses by slide are lower than others by more than a standard error of the mean difference."""
    difference = than - losses
    mean = float(difference @ weights)
    spread = float(np.sqrt((weights**2 * (difference - mean) ** 2).sum() * len(weights) / max(1, len(weights) - 1)))
    return mean > spread


def _chosen(
    data: Labelled,
    without: Mapping[tuple[int, int], Mapping[Setting, Floats]],
    fold: int,
    folds: Sequence[int],
    settings: Sequence[Setting],
    start: Setting,
) -> Setting:
    rest = data.folds != fold
    losses = {}
    for setting in settings:
        values = np.zeros((len(data.truth), len(data.labels)))
        for other in folds:
            if other != fold:
                rows = data.folds == other
                values[rows] = without[_pair(fold, other)][setting][rows]
        losses[setting], weights = data.judged(rest, values[rest]).slide_losses()
    best = min(settings, key=lambda each: float(losses[each] @ weights))
    return best if surely_better(losses[best], losses[start], weights) else start


def _pair(first: int, second: int) -> tuple[int, int]:
    return (first, second) if first < second else (second, first)
