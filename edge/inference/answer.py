"""The answer to a frame: the gates decide first, then the network, then the threshold of its decision.

This rule stands here only. `answer_frame` asks everything about one frame; the pipeline, whose stages run on different
threads, puts together with `answer` what gates and network found; `answer_batch` serves evaluation, where the outputs
for many frames are there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.inference.classifier import Classifier, Verdict
from edge.inference.contract import Pixels
from edge.inference.decision import LOW_CONFIDENCE, Decision
from edge.inference.gates.base import GateReport, Gates


@dataclass(frozen=True)
class Answer:
    """A class, or the reason why none; exactly one of `label` and `reason` is None.

    Attributes:
        label: the class.
        reason: a stable name: that of the gate that refuses the frame, or LOW_CONFIDENCE.
        detail: the reason for a person; None with a class.
        probabilities: one a label, 0..1, also where the network was not sure enough; None when a gate refused.
        gates: measured value by gate.

    >>> answer(GateReport(()), Verdict("Pre", 2, (0.0, 0.1, 0.9, 0.0), margin=0.8, latency_ms=4.0)).label
    'Pre'
    """

    label: str | None
    reason: str | None
    detail: str | None
    probabilities: tuple[float, ...] | None
    gates: Mapping[str, float]


@dataclass(frozen=True)
class BatchAnswers:
    """The answers to N frames.

    Attributes:
        reasons: as `Answer.reason`; None where a class is answered.
        called: int (N,), the likeliest class, answered or not.

    >>> BatchAnswers((None, "dark"), np.array([2, 0])).answered.tolist()
    [True, False]
    """

    reasons: tuple[str | None, ...]
    called: npt.NDArray[np.intp]

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """bool (N,)."""
        return np.array([reason is None for reason in self.reasons], np.bool_)


def answer_frame(gates: Gates, classifier: Classifier, pixels: Pixels) -> Answer:
    """Ask the gates about prepared pixels, uint8 (height, width, 3) RGB, and the network where none refuses.

    Raises:
        FrameError: the gates' limits are for frames of another size.
    """
    report = gates.check(pixels)
    return answer(report, None if report.refusal else classifier.classify_prepared(pixels))


def answer(report: GateReport, verdict: Verdict | None) -> Answer:
    """What gates and network found, put together.

    Args:
        verdict: the network's; None only where a gate refused, and unused there.
    """
    refusal = report.refusal
    if refusal is not None:
        return Answer(None, refusal.gate, refusal.detail, None, report.values)
    if verdict is None:
        raise ValueError("verdict must be the network's, since no gate refuses the frame; got None")
    reason = _reason(None, not verdict.abstains)
    label = verdict.label if reason is None else None
    return Answer(label, reason, verdict.detail, verdict.probabilities, report.values)


def answer_batch(
    decision: Decision | None,
    refused_by: Sequence[str | None],
    called: npt.NDArray[np.intp],
    confidence: npt.NDArray[np.float64],
) -> BatchAnswers:
    """The answers to N frames of which gates and network have been asked.

    Args:
        decision: None answers whatever the gates let through.
        refused_by: the gate that refuses the frame, or None.
        called: int (N,), the likeliest class, also of frames that a gate refuses; confidence: float (N,), its
            calibrated probability.
    """
    least = np.zeros(1 + called.max(initial=0)) if decision is None else np.asarray(decision.answer_from)
    sure = confidence >= least[called]
    return BatchAnswers(tuple(_reason(*each) for each in zip(refused_by, sure, strict=True)), called)


def _reason(refused_by: str | None, sure: bool) -> str | None:
    return refused_by or (None if sure else LOW_CONFIDENCE)
