"""When a model's answer is given: calibrated probabilities, and the least that each class must reach.

A decision is part of the contract (`contract.json`), since a verdict follows from it as it does from the labels' order.
`models calibrate` makes one from validation images; without one a model's outputs stand as they are, and every frame
that the gates let through gets a class.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.errors import ContractError

LOW_CONFIDENCE = "low_confidence"  # the reason's stable name in a record
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
# What a float probability of 0 counts as: 0 has no logarithm, and any power of it stays 0.
LEAST_PROBABILITY = 1e-12
_FIELDS = ("temperature", "answer_from", "evidence")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Decision:
    """How outputs become a verdict, or none.

    Attributes:
        temperature: T > 0 of temperature scaling. Calibrated probabilities are p^(1/T), renormalized: for a softmax
            that is softmax(logits / T). Above 1 the model was too sure, below 1 not sure enough; the order of the
            classes never changes.
        answer_from: one a label, in the contract's order, 0..1: a class is answered when its calibrated probability is
            at least this.
        evidence: JSON object that says what both were chosen from: `command`, `network_sha256` (of the float network),
            `split_sha256`, `images` (how many), `counts` (an object), and whatever else the command adds.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.
    """

    temperature: float
    answer_from: tuple[float, ...]
    evidence: Mapping[str, Any] = field(hash=False)

    def __post_init__(self) -> None:
        if not _is_number(self.temperature) or not LEAST_TEMPERATURE <= self.temperature <= MOST_TEMPERATURE:
            raise ContractError(
                f"decision temperature must be a number in {LEAST_TEMPERATURE:g}..{MOST_TEMPERATURE:g}; "
                f"got {self.temperature!r}"
            )
        if not self.answer_from or not all(_is_number(p) and 0 <= p <= 1 for p in self.answer_from):
            raise ContractError(
                f"decision answer_from must be probabilities in 0..1, one a label; got {list(self.answer_from)}"
            )
        _check_evidence(self.evidence)

    def calibrated(self, probabilities: Sequence[float], least: float = LEAST_PROBABILITY) -> list[float]:
        """Calibrated probabilities of one frame, 0..1, adding up to 1.

        Args:
            probabilities: as the model gave them (int8: dequantized), one a label, 0..1.
            least: what smaller ones count as, 0 among them; > 0. For int8 half a step: the true value of an output
                of 0 lies between 0 and that.
        """
        exponent = 1 / self.temperature
        powers = [max(p, least) ** exponent for p in probabilities]
        total = sum(powers)
        return [power / total for power in powers]

    def abstention(self, label: str, index: int, probability: float) -> str | None:
        """Why class `index` is not answered at this calibrated probability, for a person; None when it is."""
        needed = self.answer_from[index]
        if probability >= needed:
            return None
        shown = math.floor(probability * 1e4) / 1e4
        if shown >= needed:  # the product was rounded up, and would show what would have been enough
            shown -= 1e-4
        return f"not sure enough: {label} {shown:.4f}, at least {needed:g}"

    def to_record(self) -> dict[str, Any]:
        """As it stands in `contract.json`."""
        return {
            "temperature": self.temperature,
            "answer_from": list(self.answer_from),
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_record(cls, record: Any) -> "Decision":
        """Read `to_record`; ContractError by name on a missing, unknown or impossible field."""
        if not isinstance(record, dict):
            raise ContractError(f"contract decision must be a JSON object; got {record!r}")
        if set(record) != set(_FIELDS):
            raise ContractError(f"decision fields must be {sorted(_FIELDS)}; got {sorted(record)}")
        if not isinstance(record["answer_from"], list):
            raise ContractError(f"decision answer_from must be a list; got {record['answer_from']!r}")
        return cls(record["temperature"], tuple(record["answer_from"]), record["evidence"])


def _is_number(value: object) -> bool:
    """Ranges are checked by comparing: NaN is in none, and no integer is too large to compare."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_evidence(evidence: object) -> None:
    if not isinstance(evidence, Mapping):
        raise ContractError(f"decision evidence must be a JSON object; got {evidence!r}")
    for name, says, fits in (
        ("command", "the command that made it", lambda v: isinstance(v, str) and v.strip() and "\n" not in v),
        ("network_sha256", "64 hex digits", _is_digest),
        ("split_sha256", "64 hex digits", _is_digest),
        ("images", "a whole number >= 1", lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1),
        ("counts", "a JSON object", lambda v: isinstance(v, Mapping)),
    ):
        if name not in evidence:
            raise ContractError(f"decision evidence must have {name}, {says}; got {sorted(map(str, evidence))}")
        if not fits(evidence[name]):
            raise ContractError(f"decision evidence {name} must be {says}; got {evidence[name]!r}")
    try:
        json.dumps(evidence, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ContractError(f"decision evidence must be JSON without NaN or infinity: {error}") from error


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
