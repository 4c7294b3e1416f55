"""Parity of what the device says: gates, calibrated probabilities and thresholds, float against int8."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from convert.errors import ParityError
from convert.parity.flips import Flip, FlipCount, counted, turned
from edge.inference.answer import BatchAnswers, answer_batch
from edge.inference.contract import InputContract
from edge.inference.decision import LEAST_PROBABILITY
from models.decision.device_decision import answers
from models.decision.temperature import Outputs
from models.statistics.intervals import Interval, paired_difference, wilson
from models.statistics.validation import Indices

CONFIDENCE = 0.95
_NEED_LABELS = (
    "wrong_float",
    "wrong_int8",
    "malignant",
    "malignant_answered_benign_float",
    "malignant_answered_benign_int8",
    "malignant_to_benign",
)


class AnswerChange(msgspec.Struct, frozen=True):
    """An image of which the two devices say different things: a class, or why there is none.

    >>> AnswerChange("a.png", "Pro", "Pro", None, None, "low_confidence").what
    'lost'
    """

    name: str
    true: str | None
    float_answer: str | None
    float_reason: str | None
    int8_answer: str | None
    int8_reason: str | None

    @property
    def what(self) -> Literal["changed", "gained", "lost"]:
        """Another class, an answer only by int8, or one only by float."""
        if self.float_answer is None:
            return "gained"
        return "lost" if self.int8_answer is None else "changed"


class Unanswered(msgspec.Struct, frozen=True):
    """Images of a class that only one network names rightly, of which the device answers none in either form."""

    lost: int
    gained: int


class DeviceParity(msgspec.Struct, frozen=True, kw_only=True):
    """What a device with the float network would say, and one with the int8 file, of the same images.

    Attributes:
        gates: those that were asked, in order; both devices ask the same ones about the same pixels.
        refused_by_gates: images.
        answered_float, answered_int8, answered_both: images that get a class.
        same: images of which both say the same, no answer included; `changed`: both answer, another class;
            `gained`, `lost`: only int8, only float answers.
        answers_fall_interval: of (lost - gained) / images, 95 %.
        wrong_float, wrong_int8: images answered wrongly; None without labels.
        malignant: truly malignant images; None without labels, or if no label is benign.
        malignant_answered_benign_float, malignant_answered_benign_int8: of them.
        malignant_to_benign: of them, those that int8 answers benign and float does not.
        label_changes_unanswered: images whose label changed, of which neither device answers.
        unanswered: of those, by true class, what counts for its recall; empty without labels.
        forbidden: the policy's flips among answers.
        changes: every image of which the two say different things.
    """

    images: int
    gates: tuple[str, ...]
    refused_by_gates: int
    answered_float: int
    answered_int8: int
    answered_both: int
    same: int
    same_share: float
    same_interval: Interval
    changed: int
    gained: int
    lost: int
    answers_fall_interval: Interval
    wrong_float: int | None
    wrong_int8: int | None
    malignant: int | None
    malignant_answered_benign_float: int | None
    malignant_answered_benign_int8: int | None
    malignant_to_benign: int | None
    label_changes_unanswered: int
    unanswered: dict[str, Unanswered]
    changes: tuple[AnswerChange, ...]
    forbidden: tuple[FlipCount, ...] = ()


def device_answers(
    contract: InputContract, refused_by: Sequence[str | None], probabilities: npt.ArrayLike, least: float
) -> BatchAnswers:
    """What a device says of images that its gates and a network have been asked about.

    Args:
        contract: with the decision; without one every image that the gates let through gets a class.
        refused_by: the gate that refuses the image, or None.
        probabilities: float (N, C), not calibrated. least: what a 0 counts as (`zero_counts_as`).
    """
    temperature = 1.0 if contract.decision is None else contract.decision.temperature
    said = answers(Outputs(np.asarray(probabilities, np.float64), least), temperature)
    return answer_batch(contract.decision, refused_by, said.called, said.confidence)


def compare_devices(
    contract: InputContract,
    gates: Sequence[str],
    refused_by: Sequence[str | None],
    float_probabilities: npt.ArrayLike,
    int8_probabilities: npt.ArrayLike,
    int8_least: float,
    truth: Indices | None = None,
    *,
    names: Sequence[str] | None = None,
    forbidden: Sequence[Flip] = (),
) -> DeviceParity:
    """Count what changes for whoever reads the device's answers.

    Args:
        contract: labels, benign labels and decision of both.
        gates: names of those asked. refused_by: the gate that refuses image i, or None.
        float_probabilities, int8_probabilities: float (N, C). int8_least: what a 0 of int8 counts as.
        truth: int (N,), or None.
        names: N names; "#0", "#1", ... when None. forbidden: flips to count.

    Raises:
        ParityError: arguments are not of the same images.
    """
    before, after = (np.asarray(p, np.float64) for p in (float_probabilities, int8_probabilities))
    images = len(refused_by)
    if not images or before.shape != after.shape or before.shape != (images, len(contract.labels)):
        raise ParityError(
            f"refused_by and both probabilities must be of the same images, >= 1; got {images}, {before.shape} and "
            f"{after.shape}"
        )
    was = device_answers(contract, refused_by, before, LEAST_PROBABILITY)
    now = device_answers(contract, refused_by, after, int8_least)
    first, second, both = was.answered, now.answered, was.answered & now.answered
    differs = (first != second) | (both & (was.called != now.called))
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    same = images - int(differs.sum())
    silent = ~first & ~second & (was.called != now.called)
    # A device that gives no answer names none: outside all classes, so that no flip counts it.
    said_before, said_after = np.where(first, was.called, -1), np.where(second, now.called, -1)
    return DeviceParity(
        images=images,
        gates=tuple(gates),
        refused_by_gates=sum(reason is not None for reason in refused_by),
        answered_float=int(first.sum()),
        answered_int8=int(second.sum()),
        answered_both=int(both.sum()),
        same=same,
        same_share=same / images,
        same_interval=wilson(same, images, CONFIDENCE),
        changed=int((both & differs).sum()),
        gained=gained,
        lost=lost,
        answers_fall_interval=paired_difference(lost, gained, images, CONFIDENCE),
        label_changes_unanswered=int(silent.sum()),
        changes=_changes(contract.labels, names, truth, was, now, differs),
        forbidden=tuple(counted(contract.labels, flip, said_before, said_after, truth) for flip in forbidden),
        **_labelled(contract, was, now, said_before, said_after, silent, truth),
    )


def _labelled(
    contract: InputContract,
    was: BatchAnswers,
    now: BatchAnswers,
    said_before: Indices,
    said_after: Indices,
    silent: npt.NDArray[np.bool_],
    truth: Indices | None,
) -> dict[str, Any]:
    """The fields that need true labels, and those that need a benign one as well."""
    if truth is None:
        return {**dict.fromkeys(_NEED_LABELS), "unanswered": {}}
    labels, benign = contract.labels, contract.benign_labels
    ill = [label for label in labels if label not in benign]
    nothing = np.full(len(truth), -1)
    missed = [turned(labels, ill, benign, nothing, said, truth) for said in (said_before, said_after)]
    counted_ones = int(sum((truth == labels.index(label)).sum() for label in ill))
    return {
        "wrong_float": int((was.answered & (was.called != truth)).sum()),
        "wrong_int8": int((now.answered & (now.called != truth)).sum()),
        "malignant": counted_ones if benign else None,
        "malignant_answered_benign_float": missed[0] if benign else None,
        "malignant_answered_benign_int8": missed[1] if benign else None,
        "malignant_to_benign": turned(labels, ill, benign, said_before, said_after, truth) if benign else None,
        "unanswered": {
            label: Unanswered(
                int((silent & (truth == k) & (was.called == k)).sum()),
                int((silent & (truth == k) & (now.called == k)).sum()),
            )
            for k, label in enumerate(labels)
        },
    }


def _changes(
    labels: Sequence[str],
    names: Sequence[str] | None,
    truth: Indices | None,
    was: BatchAnswers,
    now: BatchAnswers,
    differs: npt.NDArray[np.bool_],
) -> tuple[AnswerChange, ...]:
    return tuple(
        AnswerChange(
            name=f"#{i}" if names is None else names[i],
            true=None if truth is None else labels[truth[i]],
            float_answer=labels[was.called[i]] if was.reasons[i] is None else None,
            float_reason=was.reasons[i],
            int8_answer=labels[now.called[i]] if now.reasons[i] is None else None,
            int8_reason=now.reasons[i],
        )
        for i in np.flatnonzero(differs).tolist()
    )
