"""Evaluation of a network on images it has not seen: scores, each with its interval.

`evaluate` validates and computes an `Evaluation`, which is the record; its `to_text` reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from edge.inference.benign import Recorded, as_labels, benign_labels, in_words, indices, recorded
from models.errors import EvaluationError
from models.statistics.calibration_error import calibration_error_interval, expected_calibration_error
from models.statistics.formatting import safety_count
from models.statistics.intervals import Interval, Statistic, bootstrap, wilson
from models.statistics.validation import Floats, Indices, confusion_matrix, validate

RECORD_FORMAT = 1


class ClassScore(Struct, frozen=True, kw_only=True):
    """One class: `images` truly of it, `predicted` called so; a score with no image behind it is None."""

    images: int
    predicted: int
    correct: int
    precision: float | None
    precision_interval: Interval | None
    recall: float | None
    recall_interval: Interval | None
    f1: float | None
    f1_interval: Interval | None


class Mistake(Struct, frozen=True, kw_only=True):
    """An image called by a wrong name; `probability` is what the network gave the wrong name, 0..1."""

    name: str
    true: str
    predicted: str
    probability: float


class Evaluation(Struct, frozen=True, kw_only=True):
    """What `evaluate` found, as in `evaluation.json`.

    Attributes:
        confidence: of the intervals.
        accuracy, macro_f1, ece, mean_confidence: 0..1; `ece` is the expected calibration error.
        benign: the label or labels whose confusion with the others is counted; None, as the counts then, for none.
        confusion: `confusion[i][j]` counts images of class i called class j.
        classes: by label. errors: most confident first.
    """

    format: int = RECORD_FORMAT
    labels: tuple[str, ...]
    images: int
    confidence: float
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    ece: float
    ece_interval: Interval
    mean_confidence: float
    benign: Recorded
    malignant_called_benign: int | None
    benign_called_malignant: int | None
    confusion: tuple[tuple[int, ...], ...]
    classes: dict[str, ClassScore]
    errors: tuple[Mistake, ...]

    def to_text(self) -> str:
        """As a table for a terminal."""
        return _text(self)


@dataclass(frozen=True)
class _Resampling:
    """How every interval of one evaluation is made."""

    confidence: float
    resamples: int
    seed: int

    def interval(self, statistic: Statistic, *samples: Floats) -> Interval:
        return bootstrap(statistic, *samples, confidence=self.confidence, resamples=self.resamples, seed=self.seed)


def evaluate(
    labels: Sequence[str],
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    names: Sequence[str] | None = None,
    benign: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Score predictions against the truth.

    Args:
        labels: class names in output order, >= 2.
        probabilities: float (N, C), softmax outputs, dequantized if the model is int8. The prediction is the
            largest; among equals (int8 outputs come in steps of 1/256) the first, as on the device.
        truth: integer (N,), index of the true label, N >= 2.
        names: N names to list mistakes by; "#0", "#1", ... when None.
        benign: the labels whose confusion with the others is counted apart, () for none; None goes by their spelling.
        confidence: of every interval, two-sided, in (0, 1).
        resamples, seed: of the bootstrap (F1 and calibration error).

    Raises:
        EvaluationError: an argument does not fit, by name.
    """
    values, indices = validate(labels, probabilities, truth)
    worst = benign_labels(labels) if benign is None else tuple(benign)
    if isinstance(benign, str) or set(worst) - set(labels):
        raise EvaluationError(f"benign must be some of the labels {list(labels)}; got {benign!r}")
    if names is not None and len(names) != len(values):
        raise EvaluationError(f"names must be one an image, {len(values)}; got {len(names)}")
    predicted = values.argmax(axis=1)
    confusion = confusion_matrix(indices, predicted, len(labels))
    correct = int(np.trace(confusion))
    resampling = _Resampling(confidence, resamples, seed)
    classes = [_class_score(k, indices, predicted, resampling) for k in range(len(labels))]
    macro_f1, macro_f1_interval = _macro_f1(classes, indices, predicted, resampling)
    missed, raised = _benign_counts(labels, confusion, worst)
    return Evaluation(
        labels=tuple(labels),
        images=len(values),
        accuracy=correct / len(values),
        accuracy_interval=wilson(correct, len(values), confidence),
        macro_f1=macro_f1,
        macro_f1_interval=macro_f1_interval,
        ece=expected_calibration_error(values, indices),
        ece_interval=calibration_error_interval(values, indices, confidence, resamples, seed),
        mean_confidence=float(values.max(axis=1).mean()),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        classes=dict(zip(labels, classes, strict=True)),
        benign=recorded(worst),
        malignant_called_benign=missed,
        benign_called_malignant=raised,
        errors=_mistakes(labels, values, indices, predicted, names),
        confidence=confidence,
    )


def _f1(hit: Floats, called: Floats, true: Floats, axis: int = -1) -> Any:
    """2 TP / (called + true), along `axis`; 0 where a resample holds none of either."""
    bottom = called.sum(axis=axis) + true.sum(axis=axis)
    return np.where(bottom > 0, 2 * hit.sum(axis=axis) / np.maximum(bottom, 1), 0.0)


def _indicators(k: int, truth: Indices, predicted: Indices) -> tuple[Floats, Floats, Floats]:
    true, called = truth == k, predicted == k
    return (true & called).astype(np.float64), called.astype(np.float64), true.astype(np.float64)


def _class_score(k: int, truth: Indices, predicted: Indices, resampling: _Resampling) -> ClassScore:
    hit, called, true = _indicators(k, truth, predicted)
    tp, calls, images = int(hit.sum()), int(called.sum()), int(true.sum())
    confidence = resampling.confidence
    f1 = 2 * tp / (calls + images) if calls + images else None
    return ClassScore(
        images=images,
        predicted=calls,
        correct=tp,
        precision=tp / calls if calls else None,
        precision_interval=wilson(tp, calls, confidence) if calls else None,
        recall=tp / images if images else None,
        recall_interval=wilson(tp, images, confidence) if images else None,
        f1=f1,
        f1_interval=None if f1 is None else _f1_interval(hit, called, true, resampling),
    )


def _f1_interval(hit: Floats, called: Floats, true: Floats, resampling: _Resampling) -> Interval:
    """Bootstrap; where all is right or all wrong, Wilson's limits of J = TP / (TP + FP + FN).

    F1 = 2 J / (1 + J) grows with J, so limits of J are limits of F1. A bootstrap of a class without a mistake
    would say [1, 1] of five images as of five thousand.
    """
    tp, either = int(hit.sum()), int(called.sum() + true.sum() - hit.sum())
    if tp in (0, either):
        j = wilson(tp, either, resampling.confidence)
        return Interval(2 * j.low / (1 + j.low), 2 * j.high / (1 + j.high))
    return resampling.interval(_f1, hit, called, true)


def _macro_f1(
    classes: Sequence[ClassScore], truth: Indices, predicted: Indices, resampling: _Resampling
) -> tuple[float, Interval]:
    """Mean F1 of the classes that occur, with its interval: bootstrap, or without mistakes the mean limit."""
    present = [k for k, score in enumerate(classes) if score.f1 is not None]
    value = float(np.mean([score.f1 for score in classes if score.f1 is not None]))
    if (truth == predicted).all():
        low = float(np.mean([score.f1_interval.low for score in classes if score.f1_interval is not None]))
        return value, Interval(low, 1.0)
    columns = [column for k in present for column in _indicators(k, truth, predicted)]

    def mean_f1(*samples: Floats, axis: int = -1) -> Any:
        triples = zip(samples[::3], samples[1::3], samples[2::3], strict=True)
        return np.mean([_f1(hit, called, true, axis) for hit, called, true in triples], axis=0)

    return value, resampling.interval(mean_f1, *columns)


def _benign_counts(
    labels: Sequence[str], confusion: npt.NDArray[np.int64], benign: Sequence[str]
) -> tuple[int, int] | tuple[None, None]:
    """Malignant images called benign, and benign images called malignant."""
    if not benign:
        return None, None
    own = np.isin(np.arange(len(labels)), indices(labels, benign))
    return int(confusion[~own][:, own].sum()), int(confusion[own][:, ~own].sum())


def _mistakes(
    labels: Sequence[str], values: Floats, truth: Indices, predicted: Indices, names: Sequence[str] | None
) -> tuple[Mistake, ...]:
    """Most confident first: those are the ones to look at."""
    wrong = [int(i) for i in np.flatnonzero(truth != predicted)]
    wrong.sort(key=lambda i: -values[i, predicted[i]])
    return tuple(
        Mistake(
            name=f"#{i}" if names is None else names[i],
            true=labels[truth[i]],
            predicted=labels[predicted[i]],
            probability=float(values[i, predicted[i]]),
        )
        for i in wrong
    )


def _percent(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{100 * value:.1f} ({100 * interval.low:.1f}-{100 * interval.high:.1f})"


def _text(found: Evaluation) -> str:
    width = max(9, *(len(label) for label in found.labels))
    head = f"{found.images} images, {100 * found.confidence:g} % intervals in brackets, all in percent"
    scores: list[tuple[str, float, Interval]] = [
        ("accuracy", found.accuracy, found.accuracy_interval),
        ("macro F1", found.macro_f1, found.macro_f1_interval),
        ("calibration error", found.ece, found.ece_interval),
    ]
    lines = [head, ""]
    lines += [f"{name:<20}{_percent(value, interval)}" for name, value, interval in scores]
    lines += [f"{'mean confidence':<20}{100 * found.mean_confidence:.1f}"]
    benign = in_words(as_labels(found.benign))
    lines += [f"malignant called {benign}: {safety_count(found.malignant_called_benign)}"]
    lines += [f"{benign} called malignant: {safety_count(found.benign_called_malignant)}"]
    lines += ["", f"{'class':<{width}} {'images':>6}  {'precision':<20}{'recall':<20}{'F1':<20}".rstrip()]
    for label, score in found.classes.items():
        cells = (
            _percent(score.precision, score.precision_interval),
            _percent(score.recall, score.recall_interval),
            _percent(score.f1, score.f1_interval),
        )
        lines.append(f"{label:<{width}} {score.images:>6}  {cells[0]:<20}{cells[1]:<20}{cells[2]}")
    lines += ["", f"{'true / called':<{width}} " + " ".join(f"{label:>{width}}" for label in found.labels)]
    for label, row in zip(found.labels, found.confusion, strict=True):
        lines.append(f"{label:<{max(width, 13)}} " + " ".join(f"{n:>{width}}" for n in row))
    return "\n".join(lines)
