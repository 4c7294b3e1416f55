"""The device's answers on degraded fields: every corruption of `models.evaluation.corruptions`.

Gates, network and threshold decide as on the device, so a wrong answer counts here only if it is given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from edge.inference.answer import BatchAnswers
from edge.inference.benign import in_words
from edge.inference.decision import LOW_CONFIDENCE
from edge.system.progress import Progress
from models.decision.abstention_record import DegradedCounts, DegradedRange
from models.decision.device_decision import DeviceDecision, ask_gates
from models.evaluation.corruptions import CORRUPTIONS, SEVERITIES, USUAL
from models.evaluation.evaluation_set import EvaluationSet
from models.evaluation.robustness import degraded
from models.statistics.formatting import safety_count

RANGES = {"usual": USUAL, "all": SEVERITIES}
Tally = Counter[str]


def evaluate_degraded(
    dataset: EvaluationSet,
    device: DeviceDecision,
    progress: bool = True,
) -> dict[str, DegradedRange]:
    """Ask gates and networks about every field in every degraded form; by range of severities, "usual" and "all"."""
    tallies: dict[str, dict[int, Tally]] = {name: {s: Counter() for s in SEVERITIES} for name in device.networks}
    with Progress("degraded fields", len(CORRUPTIONS) * len(SEVERITIES), progress) as bar:
        for corruption in CORRUPTIONS:
            for severity in SEVERITIES:
                pixels = degraded(dataset, corruption, severity)
                refused_by = ask_gates(device.gates, dataset.for_gates(pixels)).reasons
                for name, outputs in device.outputs(pixels).items():
                    tallies[name][severity] += _tally(dataset, device.answers(refused_by, outputs))
                bar.advance()
    return {key: _range(dataset, severities, tallies) for key, severities in RANGES.items()}


def to_text(record: Mapping[str, DegradedRange], benign: Sequence[str]) -> str:
    """A line a range and network, for a terminal."""
    return "\n".join(
        f"degraded, severities {found.severities[0]} to {found.severities[-1]}, {name}: {found.forms} forms: refused "
        f"by gates {one.gates}, low_confidence {one.low_confidence}; right {one.right}; wrong {one.wrong}; "
        f"malignant answered {in_words(benign)} {safety_count(one.malignant_to_benign, one.malignant)}"
        for found in record.values()
        for name, one in found.networks.items()
    )


def _tally(dataset: EvaluationSet, found: BatchAnswers) -> Tally:
    right = found.called == dataset.truth
    counts = Counter(
        gates=sum(reason not in (None, LOW_CONFIDENCE) for reason in found.reasons),
        low_confidence=sum(reason == LOW_CONFIDENCE for reason in found.reasons),
        right=int((found.answered & right).sum()),
        wrong=int((found.answered & ~right).sum()),
    )
    taken = found.answered & dataset.is_malignant() & dataset.are_benign(found.called)
    counts["malignant_to_benign"] = int(taken.sum())
    return counts


def _range(
    dataset: EvaluationSet, severities: tuple[int, ...], tallies: Mapping[str, Mapping[int, Tally]]
) -> DegradedRange:
    per_field = len(CORRUPTIONS) * len(severities)
    networks = {}
    for name, tally in tallies.items():
        counts = sum((tally[severity] for severity in severities), Tally())
        networks[name] = DegradedCounts(
            gates=counts["gates"],
            low_confidence=counts["low_confidence"],
            right=counts["right"],
            wrong=counts["wrong"],
            malignant_to_benign=counts["malignant_to_benign"] if dataset.benign else None,
            malignant=per_field * int(dataset.is_malignant().sum()) if dataset.benign else None,
        )
    return DegradedRange(severities, per_field * len(dataset.truth), networks)
