"""The device's abstentions: what gates, network and threshold answer and refuse, on fields and on other images.

`evaluate_abstention` asks and counts; `to_text` and `models.report.abstention_figure` show the record.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import FrameError, ImageFileError
from edge.inference.answer import BatchAnswers
from edge.inference.benign import as_labels, in_words, recorded
from edge.inference.contract import InputContract, Pixels
from edge.inference.images import images_in, read_image
from edge.inference.tiles import prepare_field
from edge.system.progress import Progress
from models.data.dataset import load_pixels
from models.decision.abstention_record import (
    AbstentionRecord,
    Auroc,
    DecisionUsed,
    FieldAnswers,
    OtherAnswers,
    OtherImages,
    Separation,
)
from models.decision.device_decision import DeviceDecision, GateFindings, answers, ask_gates
from models.decision.fit import calibration_change
from models.decision.temperature import Outputs
from models.evaluation.evaluation_set import EvaluationSet
from models.statistics.formatting import percent, safety_count
from models.statistics.intervals import Interval
from models.statistics.share import Share

RECORD_FORMAT = 1
_DECIMALS = 12


@dataclass(frozen=True)
class OodSet:
    """Images that are no fields of the set: name of the folder, prepared pixels uint8 (N, H, W, 3), how many files
    could not be read or have too few pixels for the contract's tiles, and what gates see, where not `pixels`."""

    name: str
    pixels: Pixels
    unreadable: int
    whole: Pixels | None = None


def read_ood(folder: Path, contract: InputContract) -> OodSet:
    """Every image below `folder`, as the device would prepare it.

    Raises:
        UsageError: no such folder, or no image in it.
    """
    prepared, whole, unreadable = [], [], 0
    for path in images_in([folder]):
        try:
            frame = read_image(path)
            prepared.append(prepare_field(contract, frame))
            whole.append(contract.prepare(frame))
        except (ImageFileError, FrameError):
            unreadable += 1
    pixels, for_gates = (np.stack(each) if each else load_pixels((), contract) for each in (prepared, whole))
    return OodSet(folder.resolve().name, pixels, unreadable, None if contract.tiles is None else for_gates)


def evaluate_abstention(
    dataset: EvaluationSet,
    device: DeviceDecision,
    ood: Sequence[OodSet] = (),
    progress: bool = True,
) -> AbstentionRecord:
    """Ask gates and networks about fields and other images, and count.

    Args:
        dataset: fields that nothing was chosen by.
        device: gates, networks and decision.
        ood: sets that should be refused.
        progress: a bar on a terminal.
    """
    with Progress("device decision", 1 + len(ood), progress) as bar:
        own, said = ask_gates(device.gates, dataset.for_gates()), device.outputs(dataset.pixels)
        bar.advance()
        sets = {}
        for each in ood:
            sets[each.name] = _ood(dataset, device, own, said, each)
            bar.advance()
    decision = device.decision
    return AbstentionRecord(
        format=RECORD_FORMAT,
        labels=tuple(dataset.labels),
        benign=recorded(dataset.benign),
        images=len(dataset.truth),
        decision=DecisionUsed(decision.temperature, dict(zip(dataset.labels, decision.answer_from, strict=True))),
        gates=device.gates.names,
        fields={name: _fields(dataset, device.answers(own.reasons, outputs)) for name, outputs in said.items()},
        calibration={n: calibration_change(o, decision.temperature, dataset.truth) for n, o in said.items()},
        ood=sets,
    )


def auroc(own: npt.ArrayLike, strange: npt.ArrayLike) -> Auroc:
    """The chance that a strange image's score exceeds a field's, ties counting half, with a 95 % interval.

    Args:
        own, strange: scores, float (N,) and (M,), higher for what should be refused.

    Source: Hanley and McNeil (1982), Radiology 143:29, whose standard error the interval has, cut off at 0 and 1.
    """
    from scipy.stats import rankdata

    # Equal int8 outputs add up in different orders, to sums that differ in the last bit: they are ties all the same.
    first, second = (np.round(np.asarray(scores, np.float64), _DECIMALS) for scores in (own, strange))
    n, m = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    area = float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (n * m)
    reach = 1.96 * max(variance, 0.0) ** 0.5
    return Auroc(area, Interval(max(0.0, area - reach), min(1.0, area + reach)))


def to_text(record: AbstentionRecord) -> str:
    """Two lines a network, then a line a set and network, for a terminal."""
    lines = []
    for name, found in record.fields.items():
        change, missed = record.calibration[name], found.malignant_to_benign
        lines.append(
            f"{name}: {record.images} fields: refused {_says(found.refused)}; right {_says(found.right)}; "
            f"wrong {_says(found.wrong)}; malignant answered {in_words(as_labels(record.benign))} "
            f"{safety_count(None if missed is None else missed.count)}"
        )
        lines.append(f"  refused by {_reasons(found)}")
        lines.append(f"  calibration error {percent(change.before.ece)} before, {percent(change.after.ece)} after")
    for folder, images in record.ood.items():
        confidence = images.auroc.confidence or {}
        for name, one in images.networks.items():
            answered = ", ".join(f"{label} {s.count}" for label, s in one.answered.items() if s.count) or "-"
            lines.append(
                f"{folder}, {name}: {images.images} images: refused {_says(one.refused)} by {_reasons(one)}; "
                f"answered {answered}; AUROC of confidence alone {confidence[name].auroc:.3f}"
            )
    return "\n".join(lines)


def _ood(
    dataset: EvaluationSet,
    device: DeviceDecision,
    own: GateFindings,
    said: Mapping[str, Outputs],
    ood: OodSet,
) -> OtherImages:
    count = len(ood.pixels)
    if not count:
        return OtherImages(count, ood.unreadable, {}, Separation())
    theirs = ask_gates(device.gates, ood.pixels if ood.whole is None else ood.whole)
    networks, confidence = {}, {}
    for name, outputs in device.outputs(ood.pixels).items():
        found = device.answers(theirs.reasons, outputs)
        answered = Counter(found.called[found.answered].tolist())
        networks[name] = OtherAnswers(
            Share.counted(int((~found.answered).sum()), count),
            _refused_by(found),
            {label: Share.counted(answered[k], count) for k, label in enumerate(dataset.labels)},
        )
        scores = (-answers(o, device.decision.temperature).confidence for o in (said[name], outputs))
        confidence[name] = auroc(*scores)
    gates = {name: auroc(own.scores[name], theirs.scores[name]) for name in device.gates.names}
    return OtherImages(count, ood.unreadable, networks, Separation(confidence, gates))


def _fields(dataset: EvaluationSet, found: BatchAnswers) -> FieldAnswers:
    count, answered = len(dataset.truth), found.answered
    right = found.called == dataset.truth
    malignant, missed, benign_refused = dataset.is_malignant(), None, None
    if dataset.benign:
        taken = answered & malignant & dataset.are_benign(found.called)
        missed = Share.counted(int(taken.sum()), int(malignant.sum()))
        benign_refused = Share.counted(int((~answered & ~malignant).sum()), int((~malignant).sum()))
    return FieldAnswers(
        refused=Share.counted(int((~answered).sum()), count),
        refused_by=_refused_by(found),
        right=Share.counted(int((answered & right).sum()), count),
        wrong=Share.counted(int((answered & ~right).sum()), count),
        right_of_answered=Share.counted(int((answered & right).sum()), int(answered.sum())),
        malignant_to_benign=missed,
        benign_refused=benign_refused,
    )


def _refused_by(found: BatchAnswers) -> dict[str, Share]:
    tally = Counter(reason for reason in found.reasons if reason is not None)
    return {reason: Share.counted(number, len(found.reasons)) for reason, number in sorted(tally.items())}


def _says(share: Share) -> str:
    if share.share is None or share.interval is None:
        return "0 of 0"
    low, high = share.interval
    return f"{share.count} ({percent(share.share)}, {100 * low:.2f} to {100 * high:.2f})"


def _reasons(found: FieldAnswers | OtherAnswers) -> str:
    return ", ".join(f"{reason} {share.count}" for reason, share in found.refused_by.items()) or "nothing"
