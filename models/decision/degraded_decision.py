"""The device's answers on degraded fields: every corruption of `models.evaluation.corruptions`.

Gates, network and threshold decide as on the device, so a wrong answer counts here only if it is given.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from edge.inference.answer import BatchAnswers
from edge.inference.decision import LOW_CONFIDENCE
from models.decision.device_decision import DeviceDecision, ask_gates
from models.evaluation.corruptions import CORRUPTIONS, SEVERITIES, USUAL
from models.evaluation.evaluation_set import EvaluationSet
from models.evaluation.robustness import degraded
from models.support.progress import Progress

RANGES = {"usual": USUAL, "all": SEVERITIES}
Tally = Counter[str]


def evaluate_degraded(
    dataset: EvaluationSet,
    device: DeviceDecision,
    progress: bool = True,
) -> dict[str, Any]:
    """Ask gates and networks about every field in every degraded form.

    Returns:
        JSON-safe: by range of severities (`usual`, `all`), `severities`, `forms` and by network the counts `gates` (no
        answer, a gate's doing), `low_confidence`, `right`, `wrong`, `malignant_to_benign` (null without such a class),
        and `malignant`, how many forms could have been that. Without intervals: forms of one field are not independent.
    """
    tallies: dict[str, dict[int, Tally]] = {name: {s: Counter() for s in SEVERITIES} for name in device.networks}
    with Progress("degraded fields", len(CORRUPTIONS) * len(SEVERITIES), progress) as bar:
        for corruption in CORRUPTIONS:
            for severity in SEVERITIES:
                pixels = degraded(dataset, corruption, severity)
                refused_by = ask_gates(device.gates, pixels).reasons
                for name, outputs in device.outputs(pixels).items():
                    tallies[name][severity] += _tally(dataset, device.answers(refused_by, outputs))
                bar.advance()
    return {key: _range(dataset, severities, tallies) for key, severities in RANGES.items()}


def to_text(record: Mapping[str, Any]) -> str:
    """A line a range and network, for a terminal."""
    lines = []
    for found in record.values():
        first, last = found["severities"][0], found["severities"][-1]
        for name, one in found["networks"].items():
            missed = "-" if one["malignant_to_benign"] is None else one["malignant_to_benign"]
            lines.append(
                f"degraded, severities {first} to {last}, {name}: {found['forms']} forms: refused by gates "
                f"{one['gates']}, low_confidence {one['low_confidence']}; right {one['right']}; wrong {one['wrong']}; "
                f"malignant answered Benign {missed} of {one['malignant']}"
            )
    return "\n".join(lines)


def _tally(dataset: EvaluationSet, found: BatchAnswers) -> Tally:
    right = found.called == dataset.truth
    counts = Counter(
        gates=sum(reason not in (None, LOW_CONFIDENCE) for reason in found.reasons),
        low_confidence=sum(reason == LOW_CONFIDENCE for reason in found.reasons),
        right=int((found.answered & right).sum()),
        wrong=int((found.answered & ~right).sum()),
    )
    if dataset.benign is not None:
        benign = found.called == dataset.labels.index(dataset.benign)
        counts["malignant_to_benign"] = int((found.answered & dataset.is_malignant() & benign).sum())
    return counts


def _range(
    dataset: EvaluationSet, severities: tuple[int, ...], tallies: Mapping[str, Mapping[int, Tally]]
) -> dict[str, Any]:
    per_field = len(CORRUPTIONS) * len(severities)
    networks = {}
    for name, tally in tallies.items():
        counts = sum((tally[severity] for severity in severities), Tally())
        missed = None if dataset.benign is None else counts["malignant_to_benign"]
        networks[name] = {
            **{key: counts[key] for key in ("gates", "low_confidence", "right", "wrong")},
            "malignant_to_benign": missed,
            "malignant": per_field * int(dataset.is_malignant().sum()),
        }
    return {"severities": list(severities), "forms": per_field * len(dataset.truth), "networks": networks}
