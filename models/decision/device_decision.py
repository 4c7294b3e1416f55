"""The device's gates and its answers, for many fields at once (`edge.inference.answer`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.inference.answer import BatchAnswers, answer_batch
from edge.inference.contract import Pixels
from edge.inference.decision import Decision
from edge.inference.gates.base import Gates
from models.decision.temperature import Outputs
from models.evaluation.evaluation_set import Answers
from models.networks.prediction import Predict
from models.statistics.validation import Floats


@dataclass(frozen=True)
class GateFindings:
    """What the gates found on N fields.

    Attributes:
        reasons: the gate that refuses, or None; one a field.
        scores: by gate, float (N,): the measured value with its sign such that more speaks for a refusal.
    """

    reasons: tuple[str | None, ...]
    scores: dict[str, Floats]

    @property
    def passed(self) -> npt.NDArray[np.bool_]:
        """bool (N,)."""
        return np.array([reason is None for reason in self.reasons], np.bool_)


@dataclass(frozen=True)
class DeviceDecision:
    """All that decides on a device, for several networks behind the same gates.

    Attributes:
        networks: by name; least: by name, what a probability of 0 counts as.
        gates: the device's; decision: temperature and thresholds of the contract.
    """

    networks: Mapping[str, Predict]
    least: Mapping[str, float]
    gates: Gates
    decision: Decision

    def outputs(self, pixels: Pixels) -> dict[str, Outputs]:
        """What each network says of prepared pixels, uint8 (N, H, W, 3) RGB, whatever the gates say."""
        return {
            name: Outputs(np.asarray(predict(pixels), np.float64), self.least[name])
            for name, predict in self.networks.items()
        }

    def answers(self, refused_by: Sequence[str | None], outputs: Outputs) -> BatchAnswers:
        """The device's answers; `outputs` are about all fields, also those that a gate refuses."""
        said = answers(outputs, self.decision.temperature)
        return answer_batch(self.decision, refused_by, said.called, said.confidence)


def ask_gates(gates: Gates, pixels: Pixels) -> GateFindings:
    """Ask the gates about prepared pixels, uint8 (N, H, W, 3) RGB."""
    reasons: list[str | None] = []
    values: dict[str, list[float]] = {name: [] for name in gates.names}
    for image in pixels:
        report = gates.check(image)
        reasons.append(None if report.refusal is None else report.refusal.gate)
        for reading in report.readings:
            # Refused and above the limit, or passed and below it: a ceiling.
            is_ceiling = (reading.value > reading.limit) == reading.refused
            values[reading.gate].append(reading.value if is_ceiling else -reading.value)
    return GateFindings(tuple(reasons), {name: np.array(found, np.float64) for name, found in values.items()})


def answers(outputs: Outputs, temperature: float) -> Answers:
    """The likeliest class, by the model's own outputs as on the device, and its calibrated probability."""
    called = outputs.probabilities.argmax(axis=1)
    calibrated = outputs.calibrated(temperature)
    return Answers(called, calibrated[np.arange(len(called)), called])
