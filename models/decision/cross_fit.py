"""Cross-fitting of a decision: thresholds chosen on some microscope fields, tried on others.

A threshold that was chosen on a set does better there than on the next field: it was moved to where the set's own
errors end. So fields are dealt into folds, all images of a microscope field into one; temperature and thresholds are
fitted to all folds but one and tried on that one. What they do there is what to expect of the decision fitted to all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from edge.inference.benign import indices
from models.decision.device_decision import answers
from models.decision.operating_point import Judged, OperatingPoint, Validation, budget, choose
from models.decision.temperature import Outputs, fit_temperature
from models.errors import EvaluationError
from models.evaluation.evaluation_set import Answers
from models.statistics.share import Share
from models.statistics.validation import Floats, Indices
from models.support.keyed_random import draw

FOLDS = 5
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """What one network said of fields and of degraded forms of them.

    Attributes:
        probabilities: float (M, C), not calibrated; least: what a 0 counts as.
        field: int (M,), whose image it is. clean: bool (M,), the unaltered image. passed: bool (M,), not refused by a
            gate. Every field has one unaltered image.
    """

    probabilities: Floats
    least: float
    field: Indices
    clean: Mask
    passed: Mask

    def of(self, rows: Mask) -> "Asked":
        """Some of the rows."""
        return Asked(self.probabilities[rows], self.least, self.field[rows], self.clean[rows], self.passed[rows])


@dataclass(frozen=True)
class Fitted:
    """Temperature and thresholds."""

    temperature: float
    point: OperatingPoint


class Expected(Struct, frozen=True, kw_only=True):
    """What to expect of a decision on fields it was not fitted to; counts of all folds together.

    Attributes:
        folds: that the fields were dealt into; answer_from: thresholds of each fold, by label.
        gates, not_sure: unaltered fields without an answer, by a gate's doing, and by the thresholds'.
        unanswered: both together. wrong: of the unaltered fields, answered wrongly.
        missed: malignant fields answered benign; missed_forms: degraded forms of them. None: no label is benign.
    """

    folds: int
    fields: int
    gates: int
    not_sure: int
    unanswered: Share
    wrong: int
    missed: int | None
    forms: int
    missed_forms: int | None
    answer_from: dict[str, tuple[float, ...]]


def fitted(
    labels: tuple[str, ...], benign: Sequence[str], networks: Mapping[str, Asked], truth: Indices
) -> tuple[Fitted, dict[str, Validation]]:
    """The decision of all these fields, and what each network said of those that the gates let through.

    Args:
        truth: int, of every field that `Asked.field` counts through.

    Raises:
        EvaluationError: no network, or no field to choose by.
    """
    outputs = {name: Outputs(one.probabilities[one.clean], one.least) for name, one in networks.items()}
    if not outputs:
        raise EvaluationError("thresholds need at least one network, and fields that the gates let through")
    any_one = next(iter(networks.values()))
    whole = truth[any_one.field[any_one.clean]]
    temperature = fit_temperature(labels, outputs, whole)
    validation = {name: _validation(one, truth, temperature) for name, one in networks.items()}
    refused = int((any_one.clean & ~any_one.passed).sum())
    return Fitted(temperature, choose(labels, benign, validation, budget(len(whole), refused))), validation


def deal(groups: Sequence[str], folds: int = FOLDS) -> Indices:
    """int (N,): the fold of every field, all of a group in one; by the groups' names alone, groups evenly."""
    names = sorted(set(groups), key=lambda name: (draw("cross-fit", name).random(), name))
    place = {name: number % folds for number, name in enumerate(names)}
    return np.array([place[group] for group in groups], np.intp)


def cross_fitted(
    labels: tuple[str, ...],
    benign: Sequence[str],
    networks: Mapping[str, Asked],
    truth: Indices,
    groups: Sequence[str],
    *,
    folds: int = FOLDS,
    judged: Mask | None = None,
) -> dict[str, Expected]:
    """By network, what thresholds fitted without a field do with it.

    Args:
        labels: in output order; benign: the benign ones.
        truth: int (N,), of every field. groups: N microscope fields.
        judged: bool (N,), fields that count; the others only fit. None counts all.

    Raises:
        EvaluationError: there are fewer groups than folds, or a fold leaves nothing to fit to.
    """
    if len(set(groups)) < folds:
        raise EvaluationError(f"cross-fitting needs {folds} microscope fields or more; got {len(set(groups))}")
    counts = np.ones(len(truth), np.bool_) if judged is None else judged
    fold_of = deal(groups, folds)
    tallies = {name: np.zeros(7, np.int64) for name in networks}
    thresholds: list[tuple[float, ...]] = []
    for fold in range(folds):
        held = fold_of == fold
        rest = {name: one.of(~held[one.field]) for name, one in networks.items()}
        decision, _ = fitted(labels, benign, rest, truth)
        thresholds.append(decision.point.answer_from)
        for name, one in networks.items():
            tallies[name] += _tally(one.of((held & counts)[one.field]), truth, decision, indices(labels, benign))
    by_label = {label: tuple(point[k] for point in thresholds) for k, label in enumerate(labels)}
    return {name: _expected(found, folds, bool(benign), by_label) for name, found in tallies.items()}


def _validation(one: Asked, truth: Indices, temperature: float) -> Validation:
    said = answers(Outputs(one.probabilities, one.least), temperature)

    def judged(rows: Mask) -> Judged:
        return Judged(Answers(said.called[rows], said.confidence[rows]), truth[one.field[rows]])

    return Validation(judged(one.passed & one.clean), judged(one.passed))


def _tally(one: Asked, truth: Indices, decision: Fitted, benign: Sequence[int]) -> npt.NDArray[np.int64]:
    """Of one fold: fields, those refused by a gate, not sure enough, wrong, and missed; forms, and those missed."""
    said = answers(Outputs(one.probabilities, one.least), decision.temperature)
    sure = said.confidence >= np.asarray(decision.point.answer_from)[said.called]
    answered, true = one.passed & sure, truth[one.field]
    missed = answered & np.isin(said.called, benign) & ~np.isin(true, benign)
    return np.array(
        [
            one.clean.sum(),
            (one.clean & ~one.passed).sum(),
            (one.clean & one.passed & ~sure).sum(),
            (one.clean & answered & (said.called != true)).sum(),
            (one.clean & missed).sum(),
            (~one.clean).sum(),
            (~one.clean & missed).sum(),
        ],
        np.int64,
    )


def _expected(
    tally: npt.NDArray[np.int64], folds: int, has_benign: bool, answer_from: dict[str, tuple[float, ...]]
) -> Expected:
    fields, gates, not_sure, wrong, missed, forms, missed_forms = tally.tolist()
    return Expected(
        folds=folds,
        fields=fields,
        gates=gates,
        not_sure=not_sure,
        unanswered=Share.counted(gates + not_sure, fields),
        wrong=wrong,
        missed=missed if has_benign else None,
        forms=forms,
        missed_forms=missed_forms if has_benign else None,
        answer_from=answer_from,
    )
