"""The answer to a frame: the gates decide first, then the network, then the threshold of its decision, then what the
licence allows.

This rule stands here only. `answer_field` asks everything about one frame; the pipeline, whose stages run on different
threads, puts together with `answer` what gates and network found; `answer_batch` serves evaluation, where the outputs
for many frames are there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.errors import FrameError
from edge.inference.classifier import Classifier, Verdict
from edge.inference.contract import InputContract, Pixels
from edge.inference.decision import LOW_CONFIDENCE, Decision
from edge.inference.gates.base import GateReport, Gates, Reading
from edge.inference.licence import NOT_LICENSED, UNBOUND, Licence
from edge.inference.shrinking import Scratch
from edge.inference.tiles import MOST_ENLARGED, prepare_tiles

SMALL_FRAME = "small_frame"  # the reason's stable name: too few pixels for the contract's tiles


@dataclass(frozen=True)
class Answer:
    """A class, or the reason why none; exactly one of `label` and `reason` is None.

    Attributes:
        label: the class.
        reason: a stable name: that of the gate that refuses the frame, SMALL_FRAME, LOW_CONFIDENCE, or NOT_LICENSED.
        detail: the reason for a person; None with a class.
        probabilities: one a label, 0..1, also where the network was not sure enough; None when a gate refused.
        gates: measured value by gate.
        tiles: the network's own outputs of each tile, as `Verdict.tiles`; None without tiles or when a gate refused.

    >>> answer(GateReport(()), Verdict("Pre", 2, (0.0, 0.1, 0.9, 0.0), margin=0.8, latency_ms=4.0)).label
    'Pre'
    """

    label: str | None
    reason: str | None
    detail: str | None
    probabilities: tuple[float, ...] | None
    gates: Mapping[str, float]
    tiles: tuple[tuple[float, ...], ...] | None = None


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


def answer_field(gates: Gates, classifier: Classifier, frame: Pixels, licence: Licence = UNBOUND) -> Answer:
    """Ask the gates about a field, uint8 (H, W, 3) RGB as a camera or file gives it, and the network where none
    refuses: gates see the whole field prepared to the contract's size, the network its tiles where there are any.

    Raises:
        FrameError: no such frame, or the gates' limits are for frames of another size.
    """
    contract = classifier.contract
    prepared = contract.prepare(frame)
    report = gates.check(prepared)
    if contract.tiles is None or report.refusal is not None:
        return answer(report, None if report.refusal else classifier.classify_prepared(prepared), licence)
    report, views = cut(contract, frame, report)
    return answer(report, None if views is None else classifier.classify_prepared(views), licence)


def answer_frame(gates: Gates, classifier: Classifier, pixels: Pixels, licence: Licence = UNBOUND) -> Answer:
    """As `answer_field`, of pixels that are prepared already, uint8 (height, width, 3) RGB.

    Raises:
        FrameError: the gates' limits are for frames of another size, or the contract has tiles: those are cut from the
            frame itself.
    """
    report = gates.check(pixels)
    return answer(report, None if report.refusal else classifier.classify_prepared(pixels), licence)


def cut(
    contract: InputContract,
    frame: Pixels,
    report: GateReport,
    scratch: Scratch | None = None,
    into: Pixels | None = None,
) -> tuple[GateReport, Pixels | None]:
    """The tiles of a frame that no gate refuses, as `prepare_tiles` gives them; None where it has too few pixels for
    them, which the report then says by the name SMALL_FRAME: it is refused like any other frame."""
    try:
        return report, prepare_tiles(contract, frame, scratch, into)
    except FrameError as error:
        columns, rows = contract.tiles or (1, 1)
        least = (frame.shape[1] / columns / contract.size[0], frame.shape[0] / rows / contract.size[1])
        small = Reading(SMALL_FRAME, min(least), 1 / MOST_ENLARGED, "of the network's side", True, str(error))
        return GateReport((*report.readings, small)), None


def answer(report: GateReport, verdict: Verdict | None, licence: Licence = UNBOUND) -> Answer:
    """What gates and network found, put together.

    Args:
        verdict: the network's; None only where a gate refused, and unused there.
        licence: what may be answered.
    """
    refusal = report.refusal
    if refusal is not None:
        return Answer(None, refusal.gate, refusal.detail, None, report.values)
    if verdict is None:
        raise ValueError("verdict must be the network's, since no gate refuses the frame; got None")
    reason = _reason(None, not verdict.abstains)
    if reason is not None:
        return Answer(None, reason, verdict.detail, verdict.probabilities, report.values, verdict.tiles)
    called = Answer(verdict.label, None, None, verdict.probabilities, report.values, verdict.tiles)
    return licensed(called, licence)


def licensed(found: Answer, licence: Licence) -> Answer:
    """What may be said of an answer that nothing licensed yet."""
    if found.label is None:
        return found
    label = licence.answered(found.label)
    if label is None:
        return replace(found, label=None, reason=NOT_LICENSED, detail=licence.why)
    return replace(found, label=label)


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
