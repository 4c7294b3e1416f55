"""Calibrated probabilities and abstention on the device: the contract's field, the classifier, commands and record."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import bundle
from edge.bundle.provenance import Provenance
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.errors import ContractError
from edge.inference.classifier import Classifier, Verdict
from edge.inference.contract import FLOAT32, InputContract, Quantization
from edge.inference.decision import LOW_CONFIDENCE, Decision
from edge.inference.gates.base import Gates
from edge.inference.runtime.interpreters import TensorSpec
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.record.formatting import stored_line, stored_record
from edge.record.image_sampling import ImageSampler
from edge.system.clock import Clock
from tests.edge.instrument.pipeline.parts import CountingCamera, EveryThird, ListStore, NumberJudge
from tests.paths import ROOT
from tests.tiny_bundle import certified

LABELS = ("Benign", "Early", "Pre", "Pro")
PLAIN = InputContract((32, 32), LABELS)
PIXELS = np.zeros((32, 32, 3), np.uint8)
SOFTMAX8 = Quantization("int8", 1 / 256, -128)
EVIDENCE = {
    "command": "models calibrate tiny",
    "network_sha256": "0" * 64,
    "split_sha256": "a" * 64,
    "images": 326,
    "counts": {"int8": {"clean": 320}},
}


def decision(temperature: float = 1.0, answer_from: tuple[float, ...] = (0.9, 0.5, 0.5, 0.5)) -> Decision:
    return Decision(temperature, answer_from, EVIDENCE)


def contract(*words: Any) -> InputContract:
    return replace(PLAIN, decision=decision(*words))


class Says:
    """An interpreter that always gives the same output."""

    runtime, version, kind, threads = "says", "0", "?", 1

    def __init__(self, output: Any, quantization: Quantization = SOFTMAX8) -> None:
        self.answer = np.array(output, quantization.dtype)
        self.input = TensorSpec((1, 32, 32, 3), Quantization("int8", 1 / 128, 0))
        self.output = TensorSpec((1, len(output)), quantization)

    def invoke(self, tensor: np.ndarray) -> np.ndarray:
        return self.answer.copy()


def verdict(made: InputContract, output: Any, quantization: Quantization = SOFTMAX8) -> Verdict:
    return Classifier(made, Says(output, quantization)).classify_prepared(PIXELS)


# --- the contract -------------------------------------------------------------------------------------------


def test_a_contract_without_a_decision_is_the_same_bytes_as_before() -> None:
    assert "decision" not in PLAIN.to_json()
    decided = contract()
    assert decided.undecided().to_json() == PLAIN.to_json() and decided.undecided() == PLAIN
    assert PLAIN.undecided() is PLAIN
    for shipped in sorted((ROOT / "models").glob("*/*/contract.json")):
        assert InputContract.load(shipped).to_json() == shipped.read_text(), shipped


def test_a_decision_survives_json_and_makes_another_contract() -> None:
    made = contract(0.8797, (0.9342, 0.5, 1 / 3, 1))
    again = InputContract.from_json(made.to_json())
    assert again == made and again.to_json() == made.to_json() and again.decision == made.decision
    assert made != PLAIN and made != contract() and len({made, again, PLAIN}) == 2
    other = replace(made, decision=Decision(0.8797, (0.9342, 0.5, 1 / 3, 1), {**EVIDENCE, "images": 327}))
    assert other != made, "another evidence is another contract"


def altered(**changes: Any) -> str:
    """A contract whose decision has fields changed; None takes one away."""
    record = json.loads(contract().to_json())
    record["decision"] |= changes
    record["decision"] = {name: value for name, value in record["decision"].items() if value is not None}
    return json.dumps(record)


def evidence(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**EVIDENCE, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (altered(temperature=0), "temperature"),
        (altered(temperature=0.049), "temperature"),
        (altered(temperature=20.1), "temperature"),
        (altered(temperature=-1), "temperature"),
        (altered(temperature=math.nan), "temperature"),
        (altered(temperature=math.inf), "temperature"),
        (altered(temperature=True), "temperature"),
        (altered(temperature="1"), "temperature"),
        (altered(temperature=10**400), "temperature"),
        (altered(temperature=None), "temperature"),
        (altered(answer_from=[0.9, 0.5, 0.5]), "answer_from must be one a label, 4"),
        (altered(answer_from=[0.9, 0.5, 0.5, 0.5, 0.5]), "answer_from must be one a label, 4"),
        (altered(answer_from=[]), "answer_from"),
        (altered(answer_from=[0.9, 0.5, 0.5, 1.01]), "answer_from"),
        (altered(answer_from=[-0.1, 0.5, 0.5, 0.5]), "answer_from"),
        (altered(answer_from=[math.nan, 0.5, 0.5, 0.5]), "answer_from"),
        (altered(answer_from=["0.9", 0.5, 0.5, 0.5]), "answer_from"),
        (altered(answer_from=[True, 0.5, 0.5, 0.5]), "answer_from"),
        (altered(answer_from=0.9), "answer_from must be a list"),
        (altered(answer_from={"Benign": 0.9}), "answer_from must be a list"),
        (altered(answer_from=None), "answer_from"),
        (altered(evidence=None), "evidence"),
        (altered(evidence="validation"), "evidence must be a JSON object"),
        (altered(evidence=[]), "evidence must be a JSON object"),
        (altered(evidence={}), "evidence must have command"),
        (altered(evidence=evidence(network_sha256=None)), "evidence must have network_sha256"),
        (altered(evidence=evidence(network_sha256="0" * 63)), "network_sha256 must be 64 hex"),
        (altered(evidence=evidence(network_sha256="0" * 64 + "\n")), "network_sha256 must be 64 hex"),
        (altered(evidence=evidence(split_sha256=7)), "split_sha256 must be 64 hex"),
        (altered(evidence=evidence(images=0)), "images must be a whole number"),
        (altered(evidence=evidence(images=True)), "images must be a whole number"),
        (altered(evidence=evidence(counts=[1])), "counts must be a JSON object"),
        (altered(evidence=evidence(command=" ")), "command must be"),
        (altered(evidence=evidence(risk=math.nan)), "without NaN"),
        (altered(threshold=0.5), "threshold"),
        (json.dumps({**json.loads(PLAIN.to_json()), "decision": None}), "decision must be a JSON object"),
        (json.dumps({**json.loads(PLAIN.to_json()), "decision": 0.9}), "decision must be a JSON object"),
        (json.dumps({**json.loads(PLAIN.to_json()), "decisions": {}}), "decisions"),
        ('{"decision": ' + "[" * 100_000 + "]" * 100_000 + "}", "JSON"),
    ],
)
def test_what_is_no_decision_is_named(text: str, named: str) -> None:
    with pytest.raises(ContractError, match=named) as caught:
        InputContract.from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


# --- the classifier -----------------------------------------------------------------------------------------


def test_probabilities_are_powers_renormalized() -> None:
    raw = [0.7, 0.2, 0.08, 0.02]
    for temperature in (0.5, 1.0, 2.0):
        expected = np.array(raw) ** (1 / temperature)
        expected /= expected.sum()
        found = verdict(contract(temperature), raw, FLOAT32).probabilities
        assert np.allclose(found, expected, atol=1e-6) and sum(found) == pytest.approx(1, abs=1e-12)
    # The same as dividing the logits, which is what temperature scaling means.
    logits = np.log(raw)
    scaled = np.exp(logits / 2) / np.exp(logits / 2).sum()
    assert np.allclose(verdict(contract(2.0), raw, FLOAT32).probabilities, scaled, atol=1e-6)


def test_an_int8_zero_counts_as_half_a_step() -> None:
    found = verdict(contract(0.5), [127, -128, -128, -128]).probabilities
    odds = (255 / 0.5) ** 2
    assert found[0] == pytest.approx(odds / (odds + 3)) and found[1] == found[2] == found[3] > 0
    nothing = verdict(contract(1.0), [0.0, 1.0, 0.0, 0.0], FLOAT32).probabilities
    assert nothing[1] == pytest.approx(1) and 0 < nothing[0] < 1e-11


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("quantization", [SOFTMAX8, Quantization("uint8", 1 / 256, 0), FLOAT32])
def test_the_class_never_changes_and_all_stays_finite(temperature: float, quantization: Quantization) -> None:
    made = contract(temperature, (0.0,) * 4)
    rng = np.random.default_rng(8)
    for _ in range(60):
        shares = rng.dirichlet([0.3] * 4)
        output = shares.astype(np.float32)
        if quantization is not FLOAT32:
            output = np.clip(np.round(shares * 256), 0, 255) + quantization.zero_point
        plain, found = verdict(PLAIN, output, quantization), verdict(made, output, quantization)
        assert (found.label, found.index) == (plain.label, plain.index)
        assert all(0 <= p <= 1 for p in found.probabilities) and sum(found.probabilities) == pytest.approx(1)
        assert max(found.probabilities) == found.probabilities[found.index]
        assert not found.abstains


def test_the_models_own_outputs_stay_what_they_are() -> None:
    for made in (PLAIN, contract(0.5), contract(3.0)):
        found = Classifier(made, Says([100, -100, -128, -128])).probabilities(PIXELS)
        assert found.tolist() == [228 / 256, 28 / 256, 0, 0]
    plain = verdict(PLAIN, [100, -100, -128, -128])
    assert plain.probabilities == (228 / 256, 28 / 256, 0, 0) and not plain.abstains and plain.detail is None


def test_a_class_is_answered_from_its_own_threshold_on() -> None:
    unsure_benign, unsure_pro = [0.85, 0.05, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]
    found = verdict(contract(), unsure_benign, FLOAT32)
    assert found.abstains and found.label == "Benign"
    assert found.detail is not None and found.detail.startswith("not sure enough: Benign 0.8")
    assert found.detail.endswith(", at least 0.9")
    assert not verdict(contract(), unsure_pro, FLOAT32).abstains
    assert not verdict(PLAIN, unsure_benign, FLOAT32).abstains
    exactly = verdict(contract(1.0, (0.5,) * 4), [0.5, 0.5, 0.0, 0.0], FLOAT32)
    assert exactly.abstains, "the zeros take their part, so this is just below one half"
    assert exactly.detail == "not sure enough: Benign 0.4999, at least 0.5", "never rounded up to enough"
    assert verdict(contract(1.0, (1.0,) * 4), [0.9, 0.1, 0, 0], FLOAT32).abstains
    assert not verdict(contract(1.0, (0.0,) * 4), [0.25] * 4, FLOAT32).abstains


# --- commands and record ------------------------------------------------------------------------------------


@pytest.fixture
def decided(bundle_parts: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """Makes bundles of the tiny network with a decision."""

    def make(*words: Any) -> Path:
        parts = {**bundle_parts, "contract": replace(bundle_parts["contract"], decision=decision(*words))}
        kind = bundle_parts["certificate"].get("kind", "")
        return bundle.write(tmp_path / "decided" / "tiny-int8", **certified(parts, kind=kind)).path

    return make


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "field.png"
    cv2.imwrite(str(path), np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return path


def classify(*words: object) -> int:
    return main("edge", COMMANDS, ["classify", *map(str, words), "--allow-unsigned"])


def test_classify_abstains_by_name(
    decided: Callable[..., Path], image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = decided(1.0, (1.0,) * 4)
    assert classify(image, "--bundle", path, "--json", "--ungated") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["label"] is None and record["reason"] == LOW_CONFIDENCE == "low_confidence"
    assert record["detail"].startswith("not sure enough: ") and record["detail"].endswith(", at least 1")
    assert sum(record["probabilities"].values()) == pytest.approx(1) and record["latency_ms"] > 0
    assert classify(image, "--bundle", path, "--ungated") == 0
    row, count = capsys.readouterr().out.splitlines()
    assert row.startswith("-") and "not sure enough" in row and count == "1 image, 1 refused"


def test_classify_answers_when_sure_enough(
    decided: Callable[..., Path], tiny_bundle: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(image, "--bundle", tiny_bundle, "--json", "--ungated") == 0
    before = json.loads(capsys.readouterr().out)
    assert classify(image, "--bundle", decided(2.0, (0.0,) * 4), "--json", "--ungated") == 0
    after = json.loads(capsys.readouterr().out)
    assert after["label"] == before["label"] and after["reason"] is None
    assert after["probabilities"][after["label"]] < before["probabilities"][before["label"]], "T = 2 makes it less sure"


def test_a_decision_cannot_be_exchanged_behind_the_certificate(
    decided: Callable[..., Path], image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = decided(1.0, (1.0,) * 4)
    text = (path / "contract.json").read_text()
    (path / "contract.json").write_text(text.replace('"answer_from": [\n      1.0', '"answer_from": [\n      0.0'))
    assert (path / "contract.json").read_text() != text
    assert classify(image, "--bundle", path, "--json") == 2
    assert "contract.json" in capsys.readouterr().err


class Unsure(NumberJudge):
    """Not sure of any frame whose number is odd."""

    def classify_prepared(self, pixels: Any) -> Verdict:
        found = super().classify_prepared(pixels)
        return replace(found, detail="not sure enough: Early 0.4, at least 0.5" if found.index % 2 else None)


def test_an_unsure_verdict_is_recorded_as_a_reason_and_counted_as_refused() -> None:
    store, clock = ListStore(), Clock()
    recorder = Recorder(store, 1, clock=clock, on_stored=lambda s: None, on_state=lambda s: None)  # type: ignore[arg-type]
    running = Pipeline(
        CountingCamera(24),
        Gates([EveryThird()]),
        Unsure(),
        recorder,
        sampler=ImageSampler("none"),
        clock=clock,
        every=True,
    )
    running.start()
    assert running.join(20)
    entries = {stored.entry.sequence: stored.entry for stored in store.stored}
    for number, entry in entries.items():
        expected = "every_third" if number % 3 == 0 else LOW_CONFIDENCE if number % 2 else None
        assert entry.reason == expected and (entry.label is None) == (expected is not None)
        assert (entry.probabilities is None) == (expected == "every_third"), "the model's word is kept"
    counts = running.counts
    assert counts.add_up() and counts.captured == counts.judged == counts.stored == 24
    assert counts.refused == sum(entry.label is None for entry in entries.values()) == 16
    unsure = next(stored for stored in store.stored if stored.entry.reason == LOW_CONFIDENCE)
    tiny = Provenance("tiny-int8", None, "unsigned")
    assert "not sure enough: Early 0.4" in stored_line(unsure, simulated=False, provenance=tiny)
    said = stored_record(unsure, LABELS, simulated=False, provenance=tiny)
    assert said["label"] is None and said["reason"] == LOW_CONFIDENCE and set(said["probabilities"]) == set(LABELS)
