"""Parity of a float and an int8 model on the same prepared images: what changed, counted and with its uncertainty.

`compare` computes a `Parity` and never judges; `convert.parity.verdict.judge` holds it against a policy.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from convert.errors import ParityError
from convert.parity.device import DeviceParity
from convert.parity.flips import Flip, FlipCount, counted, turned
from edge.inference.benign import Recorded, benign_labels, recorded
from models.errors import EvaluationError
from models.statistics.calibration_error import expected_calibration_error
from models.statistics.intervals import Interval, mcnemar_exact, paired_difference, wilson
from models.statistics.validation import Floats, Indices, confusion_matrix, validate

DECIDED_MARGIN = 0.1
CONFIDENCE = 0.95
Matrix = tuple[tuple[int, ...], ...]


class ClassParity(msgspec.Struct, frozen=True):
    """One class. Without labels only `called_*` is known, images each model gives this name.

    `lost` counts images of the class that only float names rightly, `gained` those that only int8 does;
    `recall_fall` is float recall minus int8 recall, (lost - gained) / images.

    >>> ClassParity(called_float=3, called_int8=2).recall_fall is None
    True
    """

    called_float: int
    called_int8: int
    images: int | None = None
    lost: int | None = None
    gained: int | None = None
    recall_float: float | None = None
    recall_int8: float | None = None
    recall_fall: float | None = None
    recall_fall_interval: Interval | None = None


class Changed(msgspec.Struct, frozen=True, rename={"float_label": "float", "int8_label": "int8"}):
    """An image to which the two models give different labels; `true` is None without labels.

    Probabilities are each model's own for its own label; `float_margin` is float's lead over its runner-up.

    >>> msgspec.to_builtins(Changed("a.png", None, "Pro", "Pre", 0.5, 0.6, 0.1))["int8"]
    'Pre'
    """

    name: str
    true: str | None
    float_label: str
    int8_label: str
    float_probability: float
    int8_probability: float
    float_margin: float


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """What `compare` found. Shares are 0..1; what needs true labels is None without them.

    Attributes:
        judged: "labels" when the images' true labels were given, else "agreement".
        kind: kind of arithmetic of the interpreter that ran the int8 model (`edge.inference.runtime.arithmetic`).
        lost, gained: images only float, only int8 names rightly; `accuracy_drop` = (lost - gained) / images.
        malignant_to_benign: malignant images that float called malignant (by any name) and int8 calls benign.
        called_malignant_to_benign: the same by float's word alone; None only if no label is benign.
        drift_mean, drift_worst: over images, of the largest change of any class's probability.
        confusion_float, confusion_int8: rows true, columns called.
        transitions: rows float's label, columns int8's.
        forbidden: the policy's flips among labels; unset where it names none.
        device: the same for the device's answers; unset where none were asked for.

    >>> found = compare(["Benign", "Pro"], [[0.9, 0.1], [0.2, 0.8]], [[0.8, 0.2], [0.6, 0.4]])
    >>> found.agreed, found.changed[0].int8_label
    (1, 'Benign')
    """

    judged: Literal["labels", "agreement"]
    kind: str
    labels: tuple[str, ...]
    benign: Recorded
    images: int
    agreed: int
    agreement: float
    agreement_interval: Interval
    decided_margin: float
    decided_images: int
    decided_agreed: int
    decided_agreement: float | None
    decided_agreement_interval: Interval | None
    drift_mean: float
    drift_worst: float
    drift_worst_name: str
    transitions: Matrix
    called_malignant_to_benign: int | None
    classes: dict[str, ClassParity]
    changed: tuple[Changed, ...]
    lost: int | None = None
    gained: int | None = None
    accuracy_float: float | None = None
    accuracy_float_interval: Interval | None = None
    accuracy_int8: float | None = None
    accuracy_int8_interval: Interval | None = None
    accuracy_drop: float | None = None
    accuracy_drop_interval: Interval | None = None
    mcnemar_p: float | None = None
    malignant_to_benign: int | None = None
    ece_float: float | None = None
    ece_int8: float | None = None
    confusion_float: Matrix | None = None
    confusion_int8: Matrix | None = None
    forbidden: tuple[FlipCount, ...] | UnsetType = UNSET
    device: DeviceParity | UnsetType = UNSET


def compare(
    labels: Sequence[str],
    float_probabilities: npt.ArrayLike,
    int8_probabilities: npt.ArrayLike,
    truth: npt.ArrayLike | None = None,
    *,
    benign: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    kind: str = "?",
    decided_margin: float = DECIDED_MARGIN,
    forbidden: Sequence[Flip] = (),
    device: DeviceParity | UnsetType = UNSET,
) -> Parity:
    """Compare two models' outputs, row i of each for the same prepared pixels.

    Args:
        labels: class names in output order.
        float_probabilities, int8_probabilities: float (N, C), softmax outputs, dequantized, N >= 1.
            A model's label is its largest probability; among equals the first, as on the device.
        truth: integer (N,), index of the true label, or None: then only agreement can be judged.
        benign: the labels that are not malignant, () where there are none; None goes by their spelling.
        names: N names by which changed images are listed; "#0", "#1", ... when None.
        kind: of the interpreter that ran the int8 model.
        decided_margin: float's lead over its runner-up from which on it counts as decided, 0..1.
        forbidden: flips that are counted by name.
        device: what `convert.parity.device.compare_devices` found on the same images.

    Raises:
        ParityError: an argument does not fit, by name.
    """
    before, after, true = _validate(labels, float_probabilities, int8_probabilities, truth)
    worst = benign_labels(labels) if benign is None else tuple(benign)
    if isinstance(benign, str) or set(worst) - set(labels):
        raise ParityError(f"benign must be some of the labels {list(labels)}; got {benign!r}")
    if names is not None and len(names) != len(before):
        raise ParityError(f"names must be one an image, {len(before)}; got {len(names)}")
    if not 0 <= decided_margin <= 1:
        raise ParityError(f"decided_margin must be within 0..1; got {decided_margin}")
    listed = [f"#{i}" for i in range(len(before))] if names is None else list(names)
    was, now = before.argmax(axis=1), after.argmax(axis=1)
    same, margins = was == now, _margins(before)
    decided = margins >= decided_margin
    drift = np.abs(after - before).max(axis=1)
    agreed, decided_images = int(same.sum()), int(decided.sum())
    decided_agreed = int((same & decided).sum())
    return Parity(
        judged="agreement" if true is None else "labels",
        kind=kind,
        labels=tuple(labels),
        benign=recorded(worst),
        images=len(before),
        agreed=agreed,
        agreement=agreed / len(before),
        agreement_interval=wilson(agreed, len(before), CONFIDENCE),
        decided_margin=decided_margin,
        decided_images=decided_images,
        decided_agreed=decided_agreed,
        decided_agreement=decided_agreed / decided_images if decided_images else None,
        decided_agreement_interval=(wilson(decided_agreed, decided_images, CONFIDENCE) if decided_images else None),
        drift_mean=float(drift.mean()),
        drift_worst=float(drift.max()),
        drift_worst_name=listed[int(drift.argmax())],
        transitions=_matrix(was, now, len(labels)),
        called_malignant_to_benign=_flips(labels, worst, was, now, None),
        classes=_classes(labels, was, now, true),
        changed=_changed(labels, listed, before, after, true),
        forbidden=tuple(counted(labels, flip, was, now, true) for flip in forbidden) or UNSET,
        device=device,
        **({} if true is None else _labelled(labels, worst, before, after, true)),
    )


def _validate(
    labels: Sequence[str],
    float_probabilities: npt.ArrayLike,
    int8_probabilities: npt.ArrayLike,
    truth: npt.ArrayLike | None,
) -> tuple[Floats, Floats, Indices | None]:
    try:
        before, true = validate(labels, float_probabilities, truth, "float_probabilities", at_least=1)
        after, _ = validate(labels, int8_probabilities, None, "int8_probabilities", at_least=1)
    except EvaluationError as error:
        raise ParityError(str(error)) from error
    if len(before) != len(after):
        raise ParityError(
            f"float_probabilities and int8_probabilities must be of the same images; got {len(before)} and {len(after)}"
        )
    return before, after, None if truth is None else true


def _labelled(
    labels: Sequence[str], benign: Sequence[str], before: Floats, after: Floats, truth: Indices
) -> dict[str, Any]:
    """The fields of `Parity` that need true labels."""
    was, now, images = before.argmax(axis=1), after.argmax(axis=1), len(truth)
    right_before, right_after = was == truth, now == truth
    lost, gained = int((right_before & ~right_after).sum()), int((~right_before & right_after).sum())
    float_correct, int8_correct = int(right_before.sum()), int(right_after.sum())
    return {
        "lost": lost,
        "gained": gained,
        "accuracy_float": float_correct / images,
        "accuracy_float_interval": wilson(float_correct, images, CONFIDENCE),
        "accuracy_int8": int8_correct / images,
        "accuracy_int8_interval": wilson(int8_correct, images, CONFIDENCE),
        "accuracy_drop": (lost - gained) / images,
        "accuracy_drop_interval": paired_difference(lost, gained, images, CONFIDENCE),
        "mcnemar_p": mcnemar_exact(lost, gained),
        "malignant_to_benign": _flips(labels, benign, was, now, truth),
        "ece_float": expected_calibration_error(before, truth),
        "ece_int8": expected_calibration_error(after, truth),
        "confusion_float": _matrix(truth, was, len(labels)),
        "confusion_int8": _matrix(truth, now, len(labels)),
    }


def _classes(labels: Sequence[str], was: Indices, now: Indices, truth: Indices | None) -> dict[str, ClassParity]:
    found = {}
    for k, label in enumerate(labels):
        called_float, called_int8 = int((was == k).sum()), int((now == k).sum())
        images = 0 if truth is None else int((truth == k).sum())
        if truth is None or images == 0:
            found[label] = ClassParity(called_float, called_int8, images=None if truth is None else 0)
            continue
        inside = truth == k
        kept_before, kept_after = (was == k) & inside, (now == k) & inside
        lost, gained = int((kept_before & ~kept_after).sum()), int((~kept_before & kept_after).sum())
        found[label] = ClassParity(
            called_float,
            called_int8,
            images=images,
            lost=lost,
            gained=gained,
            recall_float=int(kept_before.sum()) / images,
            recall_int8=int(kept_after.sum()) / images,
            recall_fall=(lost - gained) / images,
            recall_fall_interval=paired_difference(lost, gained, images, CONFIDENCE),
        )
    return found


def _changed(
    labels: Sequence[str], names: Sequence[str], before: Floats, after: Floats, truth: Indices | None
) -> tuple[Changed, ...]:
    was, now, margins = before.argmax(axis=1), after.argmax(axis=1), _margins(before)
    return tuple(
        Changed(
            name=names[i],
            true=None if truth is None else labels[truth[i]],
            float_label=labels[was[i]],
            int8_label=labels[now[i]],
            float_probability=float(before[i, was[i]]),
            int8_probability=float(after[i, now[i]]),
            float_margin=float(margins[i]),
        )
        for i in np.flatnonzero(was != now)
    )


def _flips(
    labels: Sequence[str], benign: Sequence[str], was: Indices, now: Indices, truth: Indices | None
) -> int | None:
    """Images float called malignant and int8 calls benign; truly malignant ones where `truth` is known."""
    if not benign:
        return None
    return turned(labels, [label for label in labels if label not in benign], benign, was, now, truth)


def _margins(probabilities: Floats) -> Floats:
    top = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])


def _matrix(rows: Indices, columns: Indices, classes: int) -> Matrix:
    return tuple(tuple(int(n) for n in row) for row in confusion_matrix(rows, columns, classes))
