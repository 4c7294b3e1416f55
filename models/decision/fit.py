"""Calibration of a network's decision from validation fields, as they are and degraded.

`calibrate` asks, fits the temperature (`models.decision.temperature`), then chooses the thresholds
(`models.decision.operating_point`).
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, to_builtins

from edge.inference.benign import in_words, indices, recorded
from edge.inference.decision import Decision
from edge.inference.gates.base import Gates
from edge.system.progress import Progress
from models.data.split import DEFAULT_FRACTIONS
from models.decision.cross_fit import FOLDS, Asked, Expected, cross_fitted, fitted
from models.decision.decision_record import (
    Calibration,
    CalibrationChange,
    Counts,
    Coverage,
    CurvePoint,
    DecisionRecord,
    Forms,
    NetworkDecision,
    Rule,
)
from models.decision.device_decision import GateFindings, ask_gates
from models.decision.operating_point import (
    MAJORITY,
    MARGIN,
    REFUSED,
    REFUSED_WITH_GATES,
    RIGHT,
    Judged,
    OperatingPoint,
    Validation,
)
from models.decision.temperature import PRIOR_DEVIATION, Outputs, negative_log_likelihood
from models.errors import EvaluationError
from models.evaluation.corruptions import CORRUPTIONS, USUAL
from models.evaluation.evaluation_set import EvaluationSet
from models.evaluation.robustness import degraded_one
from models.networks.model_pair import INT8
from models.networks.prediction import Predict
from models.statistics.calibration_error import calibration_error_interval, expected_calibration_error
from models.statistics.formatting import percent_range, safety_count
from models.statistics.share import Share
from models.statistics.validation import Floats, Indices
from models.support.keyed_random import draw

_log = logging.getLogger(__name__)

RECORD_FORMAT = 1
FORMS = 7  # of the 54 degraded forms of each field: all corruptions at severities 1 to 3
THOROUGH = (INT8,)  # asked about all forms of malignant fields; the float network takes several times as long
_BATCH = 64  # forms in memory at once
_DECIMALS = 12  # of a confidence: sums of equal numbers in another order differ beyond that
_CURVE = 100  # points of a risk-coverage curve
_RULE = Rule(
    severities=USUAL,
    forms_a_field=FORMS,
    most_refused=REFUSED,
    most_refused_with_gates=REFUSED_WITH_GATES,
    margin_odds=MARGIN,
    right=RIGHT,
    majority=MAJORITY,
    prior_deviation=PRIOR_DEVIATION,
)
_EVERY_FORM = tuple((name, severity) for name in CORRUPTIONS for severity in USUAL)


@dataclass(frozen=True)
class Calibrated:
    """What `calibrate` came to.

    Attributes:
        temperature, point: the decision. clean: what each network said of all unaltered fields, not calibrated.
        refused: reason -> unaltered fields. forms: how many degraded ones.
        validation: by network, over what the gates let through.
        expected: by network, what to expect on other fields, by cross-fitting; None where it was not asked for.
    """

    dataset: EvaluationSet
    temperature: float
    point: OperatingPoint
    clean: Mapping[str, Outputs]
    refused: Mapping[str, int]
    forms: Forms
    validation: Mapping[str, Validation]
    expected: Mapping[str, Expected] | None = None

    @property
    def holds(self) -> bool:
        """Whether every network answers enough unaltered fields and no malignant one as benign."""
        counts = self.counts().values()
        return all(c.clean_refused <= REFUSED * c.clean and not c.every_missed for c in counts)

    def counts(self) -> dict[str, Counts]:
        """By network."""
        return {name: self._counts(found) for name, found in self.validation.items()}

    def decision(self, command: str, origins: Mapping[str, Any]) -> Decision:
        """As it goes into the contract. `origins`: network_sha256, split_sha256 and whatever else should be there."""
        evidence = {
            "command": command,
            **origins,
            "images": len(self.dataset.truth),
            "gates_refused": sum(self.refused.values()),
            "counts": to_builtins(self.counts()),
            **({} if self.expected is None else {"expected": to_builtins(dict(self.expected))}),
        }
        return Decision(self.temperature, self.point.answer_from, evidence)

    def to_record(self) -> DecisionRecord:
        """The rule, the thresholds, and what they do."""
        labels, point = self.dataset.labels, self.point
        return DecisionRecord(
            format=RECORD_FORMAT,
            labels=tuple(labels),
            benign=recorded(self.dataset.benign),
            images=len(self.dataset.truth),
            temperature=self.temperature,
            answer_from=dict(zip(labels, point.answer_from, strict=True)),
            holds=self.holds,
            rule=_RULE,
            surest_missed=point.surest_missed,
            benign_allowed=point.benign_allowed,
            others_needed=point.others_needed,
            others_allowed=point.others_allowed,
            gates_refused=dict(self.refused),
            forms=self.forms,
            calibration=self.calibration(),
            networks={name: self._network(name) for name in self.validation},
            expected=UNSET if self.expected is None else dict(self.expected),
        )

    def calibration(self) -> dict[str, CalibrationChange]:
        """By network, over all unaltered fields."""
        truth = self.dataset.truth
        return {name: calibration_change(outputs, self.temperature, truth) for name, outputs in self.clean.items()}

    def to_text(self) -> str:
        """For a terminal."""
        thresholds = ", ".join(
            f"{label} {p:g}" for label, p in zip(self.dataset.labels, self.point.answer_from, strict=True)
        )
        lines = [f"temperature {self.temperature:g}; answered from: {thresholds}"]
        calibration, benign = self.calibration(), in_words(self.dataset.benign)
        for name, c in self.counts().items():
            change = calibration[name]
            before, after = (percent_range(one.ece, one.ece_interval) for one in (change.before, change.after))
            lines.append(
                f"{name}: calibration error {before} before, {after} after; of {c.clean} "
                f"fields that the gates let through {c.clean_refused} not sure enough, {c.clean_wrong} answered "
                f"wrongly, malignant answered {benign}: {safety_count(c.clean_missed)}; with degraded forms "
                f"{safety_count(c.every_missed, c.every)}"
            )
        lines.append(
            f"the gates refused {sum(self.refused.values())} of {len(self.dataset.truth)} unaltered fields, and "
            f"{self.forms.refused} of {self.forms.made} degraded forms"
        )
        for name, one in (self.expected or {}).items():
            lines.append(
                f"{name}: expected on other fields ({one.folds}-fold, by microscope field): without an answer "
                f"{one.unanswered}, by gates {one.gates}; malignant answered {benign} "
                f"{safety_count(one.missed)}, degraded {safety_count(one.missed_forms, one.forms)}"
            )
        if not self.holds:
            lines.append(
                f"no: these thresholds leave more than {100 * REFUSED:g} % of the unaltered fields without an answer; "
                f"the network confuses degraded malignant fields with {benign} too surely"
            )
            if len(self.dataset.truth) * REFUSED < 1:
                lines.append(too_few(len(self.dataset.truth)))
        return "\n".join(lines)

    def _counts(self, found: Validation) -> Counts:
        benign = indices(self.dataset.labels, self.dataset.benign)
        counts: list[int | None] = []
        for judged in (found.clean, found.every):
            answered = judged.answered(self.point.answer_from)
            counts += [
                len(answered),
                int((~answered).sum()),
                int((answered & (judged.answers.called != judged.truth)).sum()),
                int((answered & judged.missed(benign)).sum()) if benign else None,
            ]
        return Counts(*counts)  # type: ignore[arg-type]  # None where the counts may be

    def _network(self, name: str) -> NetworkDecision:
        found, c = self.validation[name], self._counts(self.validation[name])
        return NetworkDecision(
            c,
            _coverage(found.clean, c.clean, c.clean_refused, c.clean_wrong),
            _coverage(found.every, c.every, c.every_refused, c.every_wrong),
        )


def calibrate(
    dataset: EvaluationSet,
    networks: Mapping[str, Predict],
    least: Mapping[str, float],
    gates: Gates,
    *,
    groups: Sequence[str] | None = None,
    forms: int = FORMS,
    progress: bool = True,
) -> Calibrated:
    """Ask every network about the fields and degraded forms of them, then decide.

    Args:
        dataset: validation fields, which nothing but early stopping has seen.
        networks: by name, with `least`, what a probability of 0 counts as.
        gates: the device's; forms that they refuse choose no threshold.
        groups: the microscope field of each image, for what to expect on other fields; None leaves that out.
        forms: of each field, drawn by the field's key alone. Those of THOROUGH are asked about all forms of malignant
            fields as well.
        progress: a bar on a terminal.
    """
    findings = ask_gates(gates, dataset.for_gates())
    degraded, counted = _ask_degraded(dataset, networks, gates, forms, progress)
    asked = {
        name: _all_asked(_asked(predict, dataset.pixels), degraded[name], findings.passed, least[name])
        for name, predict in networks.items()
    }
    labels, benign, truth = dataset.labels, dataset.benign, np.asarray(dataset.truth, np.intp)
    if groups is not None and len(set(groups)) < FOLDS:
        _log.warning(f"{len(set(groups))} microscope fields are too few to say what to expect on others")
        groups = None
    decision, validation = fitted(labels, benign, asked, truth)
    return Calibrated(
        dataset=dataset,
        temperature=decision.temperature,
        point=decision.point,
        clean={name: Outputs(one.probabilities[one.clean], one.least) for name, one in asked.items()},
        refused=_tally(findings),
        forms=counted,
        validation=validation,
        expected=None if groups is None else cross_fitted(labels, benign, asked, truth, groups),
    )


def _all_asked(
    clean: Floats, degraded: Sequence[tuple[int, Floats]], passed: npt.NDArray[np.bool_], least: float
) -> Asked:
    """Unaltered fields, and the degraded forms that the gates let through."""
    which = [index for index, _ in degraded]
    forms = np.stack([values for _, values in degraded]) if degraded else np.empty((0, clean.shape[1]))
    return Asked(
        np.concatenate([clean, forms]),
        least,
        np.array([*range(len(clean)), *which], np.intp),
        np.arange(len(clean) + len(forms)) < len(clean),
        np.concatenate([passed, np.ones(len(forms), np.bool_)]),
    )


def calibration_change(outputs: Outputs, temperature: float, truth: Indices) -> CalibrationChange:
    """How well confidence agrees with accuracy before and after the temperature; all fields, gates left out."""
    return CalibrationChange(*(_calibration(outputs.calibrated(value), truth) for value in (1.0, temperature)))


def risk_coverage(judged: Judged, points: int = _CURVE) -> tuple[CurvePoint, ...]:
    """The share answered and the share of errors among it as one threshold for all classes rises: least coverage
    first, at most `points` of them, each with its threshold.

    Source: El-Yaniv and Wiener (2010), On the Foundations of Noise-free Selective Classification, JMLR 11.
    """
    confidence = np.round(judged.answers.confidence, _DECIMALS)
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum((judged.answers.called != judged.truth)[order])
    confidence = confidence[order]
    last = np.flatnonzero(np.append(confidence[1:] < confidence[:-1], True))  # equal confidence is answered together
    chosen = last[np.unique(np.linspace(0, len(last) - 1, points).round().astype(int))]
    return tuple(
        CurvePoint(float(confidence[i]), float((i + 1) / len(order)), float(wrong[i] / (i + 1))) for i in chosen
    )


def _calibration(calibrated: Floats, truth: Indices) -> Calibration:
    return Calibration(
        ece=expected_calibration_error(calibrated, truth),
        ece_interval=calibration_error_interval(calibrated, np.asarray(truth, np.intp)),
        negative_log_likelihood=negative_log_likelihood(calibrated, truth),
        mean_confidence=float(calibrated.max(axis=1).mean()),
    )


def _coverage(judged: Judged, total: int, refused: int, wrong: int) -> Coverage:
    answered = Share.counted(total - refused, total)
    risk = Share.counted(wrong, total - refused)
    if answered.share is None or answered.interval is None:
        raise EvaluationError("thresholds need fields that the gates let through")
    return Coverage(answered.share, answered.interval, risk.share, risk.interval, risk_coverage(judged))


def _asked(predict: Predict, pixels: npt.NDArray[np.uint8]) -> Floats:
    return np.asarray(predict(pixels), np.float64)


def _ask_degraded(
    dataset: EvaluationSet, networks: Mapping[str, Predict], gates: Gates, forms: int, progress: bool
) -> tuple[dict[str, list[tuple[int, Floats]]], Forms]:
    """By network: whose form, and what the network said of it, float (C,), for the forms that the gates let through."""
    sampled = {(i, *form) for i, key in enumerate(dataset.keys) for form in drawn_forms(key, forms)}
    planned = sorted(sampled)
    if any(name in THOROUGH for name in networks):
        malignant = np.flatnonzero(dataset.is_malignant()).tolist()
        planned = sorted(sampled | {(i, *form) for i in malignant for form in _EVERY_FORM})
    said: dict[str, list[tuple[int, Floats]]] = {name: [] for name in networks}
    refused = 0
    with Progress("degraded fields", len(planned), progress) as bar:
        for start in range(0, len(planned), _BATCH):
            batch = planned[start : start + _BATCH]
            pixels = np.stack([degraded_one(dataset, *form) for form in batch])
            passed = ask_gates(gates, dataset.for_gates(pixels)).passed
            refused += int((~passed).sum())
            for name, predict in networks.items():
                due = [k for k, form in enumerate(batch) if passed[k] and (name in THOROUGH or form in sampled)]
                if due:
                    values = _asked(predict, pixels[due])
                    said[name] += [(batch[k][0], row) for k, row in zip(due, values, strict=True)]
            bar.advance(len(batch))
    return said, Forms(len(planned), refused, {name: len(found) for name, found in said.items()})


def every_form() -> tuple[tuple[str, int], ...]:
    """(corruption, severity) of all degraded forms that a decision is chosen by."""
    return _EVERY_FORM


def drawn_forms(key: str, forms: int) -> list[tuple[str, int]]:
    """(corruption, severity) of a field's sampled degraded forms: different ones, by its key alone."""
    chosen = draw("decision", key).choice(len(_EVERY_FORM), min(forms, len(_EVERY_FORM)), replace=False)
    return [_EVERY_FORM[i] for i in sorted(chosen.tolist())]


def _tally(findings: GateFindings) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in findings.reasons:
        if reason is not None:
            counts[reason] = counts.get(reason, 0) + 1
    return counts


def too_few(fields: int) -> str:
    """What is said where a single field is more than the limit allows."""
    needed = math.ceil(1 / REFUSED)
    return (
        f"one of {fields} fields without an answer is {100 / fields:.1f} % already: bring {needed} or more "
        f"validation images, about {round(needed / DEFAULT_FRACTIONS['validation'])} images in all"
    )
