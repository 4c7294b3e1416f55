"""The answer to a frame at its boundaries: gates before the network, and the last probability that is not enough."""

import math
from typing import Any

import numpy as np
import pytest

from edge.errors import ContractError
from edge.inference.answer import Answer, answer, answer_batch, answer_frame
from edge.inference.classifier import Verdict
from edge.inference.decision import LEAST_PROBABILITY, Decision
from edge.inference.gates.base import GateReport, Gates, Reading
from edge.inference.gates.quality import CalibratedGate

EVIDENCE: dict[str, Any] = {
    "command": "c",
    "network_sha256": "0" * 64,
    "split_sha256": "f" * 64,
    "images": 1,
    "counts": {},
}
BLACK = np.zeros((16, 16, 3), np.uint8)
SURE = Verdict("Pre", 2, (0.0, 0.1, 0.9, 0.0), margin=0.8, latency_ms=4.0)
UNSURE = Verdict("Pre", 2, (0.0, 0.5, 0.5, 0.0), margin=0.0, latency_ms=4.0, detail="not sure enough")
PASSED = Reading("light", 9.0, 1.0, "grey level", refused=False, detail="light 9")
DARK = Reading("dark", 0.0, 1.0, "grey level", refused=True, detail="too dark")


def decision(*answer_from: float, temperature: float = 1.0) -> Decision:
    return Decision(temperature, answer_from, EVIDENCE)


# --- gates, network, threshold ------------------------------------------------------------------------------


def test_a_gate_that_refuses_outweighs_a_network_that_is_sure() -> None:
    for verdict in (SURE, UNSURE, None):
        found = answer(GateReport((PASSED, DARK)), verdict)
        assert found == Answer(None, "dark", "too dark", None, {"light": 9.0, "dark": 0.0})


def test_a_class_only_where_the_network_is_sure() -> None:
    assert answer(GateReport((PASSED,)), SURE) == Answer("Pre", None, None, SURE.probabilities, {"light": 9.0})
    unsure = Answer(None, "low_confidence", "not sure enough", UNSURE.probabilities, {"light": 9.0})
    assert answer(GateReport((PASSED,)), UNSURE) == unsure
    with pytest.raises(ValueError, match="verdict must be the network's"):
        answer(GateReport((PASSED,)), None)


class Asked:
    """A classifier that counts its frames."""

    def __init__(self) -> None:
        self.frames = 0

    def classify_prepared(self, pixels: object) -> Verdict:
        self.frames += 1
        return SURE


@pytest.mark.parametrize(("value", "label", "frames"), [(1.0, "Pre", 1), (0.0, None, 0)])
def test_the_network_is_asked_of_frames_that_pass_and_of_no_others(
    value: float, label: str | None, frames: int
) -> None:
    asked = Asked()
    gates = Gates([CalibratedGate("dark", "dark", lambda view: value, 1.0, False, "", "{}")])
    assert answer_frame(gates, asked, BLACK).label == label  # type: ignore[arg-type]
    assert asked.frames == frames


def test_many_frames_are_answered_by_the_threshold_of_the_class_called() -> None:
    called, below = np.array([0, 0, 1, 1, 0]), math.nextafter(0.9, 0)
    confidence = np.array([0.9, below, 0.6, math.nextafter(0.6, 0), 1.0])
    found = answer_batch(decision(0.9, 0.6), [None, None, None, None, "dark"], called, confidence)
    assert found.reasons == (None, "low_confidence", None, "low_confidence", "dark")
    assert found.answered.tolist() == [True, False, True, False, False] and found.answered.dtype == np.bool_
    assert found.called is called
    assert answer_batch(decision(0.0, 0.0), [None], np.array([1]), np.array([math.nan])).reasons == ("low_confidence",)


def test_without_a_decision_whatever_passes_the_gates_is_answered() -> None:
    found = answer_batch(None, [None, "dark", None], np.array([3, 1, 0]), np.array([0.0, 1.0, 0.25]))
    assert found.reasons == (None, "dark", None)
    assert answer_batch(None, [], np.array([], np.intp), np.array([])).reasons == ()


def test_columns_of_unequal_length_are_refused() -> None:
    for refused_by in ([None], [None] * 3):
        with pytest.raises(ValueError, match="zip"):
            answer_batch(None, refused_by, np.array([0, 0]), np.array([0.5, 0.5]))


# --- calibrated probabilities and the sentence --------------------------------------------------------------


def test_calibrated_probabilities_by_hand() -> None:
    assert decision(0.5, 0.5).calibrated([0.75, 0.25]) == [0.75, 0.25]
    assert decision(0.5, 0.5, temperature=0.5).calibrated([0.75, 0.25]) == [0.9, 0.1]
    assert decision(0.5, 0.5, temperature=2.0).calibrated([0.9, 0.1]) == pytest.approx([0.75, 0.25])
    assert decision(0.5, 0.5).calibrated([1.0, 0.0]) == [1 / (1 + 1e-12), 1e-12 / (1 + 1e-12)]
    assert decision(0.5, 0.5).calibrated([0.75, 0.0], least=0.25) == [0.75, 0.25] and LEAST_PROBABILITY == 1e-12


@pytest.mark.parametrize(
    ("needed", "probability", "said"),
    [
        (0.9, 0.9, None),
        (0.9, 0.8999, "not sure enough: Pre 0.8999, at least 0.9"),
        (0.9, math.nextafter(0.9, 0), "not sure enough: Pre 0.8999, at least 0.9"),
        (0.95, 0.94999, "not sure enough: Pre 0.9499, at least 0.95"),
        (0.9, 0.12345678, "not sure enough: Pre 0.1234, at least 0.9"),
        (0.9, 0.85009, "not sure enough: Pre 0.8500, at least 0.9"),
        (0.9, 0.0, "not sure enough: Pre 0.0000, at least 0.9"),
        (1.0, math.nextafter(1.0, 0), "not sure enough: Pre 0.9999, at least 1"),
        (0.0, 0.0, None),
        (0.12345, 0.12344, "not sure enough: Pre 0.1234, at least 0.12345"),
    ],
)
def test_what_is_not_enough_is_never_shown_as_enough(needed: float, probability: float, said: str | None) -> None:
    assert decision(0.5, needed).abstention("Pre", 1, probability) == said


# --- what is no decision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.05, 20.0, 1])
@pytest.mark.parametrize("threshold", [0, 1, 0.0, 1.0])
def test_ends_of_the_ranges_are_decisions(temperature: float, threshold: float) -> None:
    made = Decision(temperature, (threshold, 0.5), EVIDENCE)
    record = made.to_record()
    assert record == {"temperature": temperature, "answer_from": [threshold, 0.5], "evidence": EVIDENCE}
    assert Decision.from_record(record) == made and hash(made) == hash(
        Decision(temperature, (threshold, 0.5), {**EVIDENCE, "images": 2})
    )


@pytest.mark.parametrize(
    "temperature", [math.nextafter(0.05, 0), math.nextafter(20.0, 21), math.nan, math.inf, True, "1", None]
)
def test_what_is_no_temperature_is_refused(temperature: Any) -> None:
    with pytest.raises(ContractError, match=r"temperature must be a number in 0.05..20; got "):
        Decision(temperature, (0.5,), EVIDENCE)


@pytest.mark.parametrize("threshold", [math.nextafter(0.0, -1), math.nextafter(1.0, 2), 1.5, math.nan, True, "1", None])
@pytest.mark.parametrize("place", [0, 2])
def test_what_is_no_threshold_is_refused_also_the_last_one(threshold: Any, place: int) -> None:
    answer_from = [0.5, 0.5, 0.5]
    answer_from[place] = threshold
    with pytest.raises(ContractError, match="answer_from must be probabilities"):
        Decision(1.0, tuple(answer_from), EVIDENCE)


def test_no_thresholds_are_refused() -> None:
    with pytest.raises(ContractError, match="answer_from must be probabilities"):
        Decision(1.0, (), EVIDENCE)


@pytest.mark.parametrize("record", [None, [], "decision", 0.5])
def test_a_record_is_an_object(record: Any) -> None:
    with pytest.raises(ContractError, match="decision must be a JSON object"):
        Decision.from_record(record)


@pytest.mark.parametrize("name", ["temperature", "answer_from", "evidence"])
def test_a_record_has_three_fields_and_no_other(name: str) -> None:
    record = decision(0.5).to_record()
    with pytest.raises(ContractError, match="decision fields must be"):
        Decision.from_record({each: value for each, value in record.items() if each != name})
    with pytest.raises(ContractError, match="decision fields must be"):
        Decision.from_record({**record, f"{name}s": 1})
    with pytest.raises(ContractError, match="answer_from must be a list"):
        Decision.from_record({**record, "answer_from": (0.5,)})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("command", ["", " ", "a\nb", 1, None]),
        ("network_sha256", ["0" * 63, "0" * 65, "G" * 64, 0, None, "0" * 64 + "\n"]),
        ("split_sha256", ["0" * 63, "0" * 65, "A" * 64, 0, None]),
        ("images", [0, -1, True, 1.0, "1", None]),
        ("counts", [[], "", 0, None]),
    ],
)
def test_evidence_is_complete_and_typed(name: str, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ContractError, match=f"evidence {name} must be "):
            Decision(1.0, (0.5,), {**EVIDENCE, name: value})
    without = {each: value for each, value in EVIDENCE.items() if each != name}
    with pytest.raises(ContractError, match=f"evidence must have {name}, "):
        Decision(1.0, (0.5,), without)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, np.float32(1)])
def test_evidence_is_json(value: Any) -> None:
    with pytest.raises(ContractError, match="evidence must be JSON"):
        Decision(1.0, (0.5,), {**EVIDENCE, "more": value})
    for other in (None, "text", [EVIDENCE]):
        with pytest.raises(ContractError, match="evidence must be a JSON object"):
            Decision(1.0, (0.5,), other)  # type: ignore[arg-type]
