"""Temperature, thresholds and the whole device decision: known truths, counted by hand, and through the commands."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from msgspec import to_builtins

import convert.cli
import models.cli
from edge.commands.command_line import main
from edge.inference.contract import InputContract, Pixels
from edge.inference.decision import LOW_CONFIDENCE, Decision
from edge.inference.gates.base import Gates
from edge.inference.gates.quality import CalibratedGate
from models.decision.abstention import OodSet, auroc, evaluate_abstention, read_ood, to_text
from models.decision.abstention_record import AbstentionRecord
from models.decision.degraded_decision import evaluate_degraded
from models.decision.degraded_decision import to_text as degraded_text
from models.decision.device_decision import DeviceDecision, answers, ask_gates
from models.decision.fit import FORMS, Calibrated, calibrate, drawn_forms, risk_coverage
from models.decision.operating_point import REFUSED, Judged, Validation, budget, choose
from models.decision.temperature import Outputs, fit_temperature
from models.errors import EvaluationError
from models.evaluation.corruptions import CORRUPTIONS, USUAL
from models.evaluation.evaluation_set import Answers, EvaluationSet
from models.evaluation.robustness import degraded
from models.networks.model_pair import FLOAT, INT8
from models.report.abstention_figure import abstention_figure
from models.report.decision_figure import decision_figure
from models.report.figure_style import render
from models.statistics.calibration_error import expected_calibration_error
from models.support.records import as_json
from tests.small_world import CONTRACT, LABELS, World, draw

EVIDENCE = {
    "command": "models calibrate dots",
    "network_sha256": "0" * 64,
    "split_sha256": "0" * 64,
    "images": 16,
    "counts": {},
}


# --- temperature --------------------------------------------------------------------------------------------


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def honest() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Logits (4000, 4) whose softmax is the true chance of each class, and a truth drawn by it."""
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 2.5, (4000, 4))
    truth = np.array([rng.choice(4, p=p) for p in softmax(logits)])
    return logits, truth


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(honest: Any, factor: float) -> None:
    logits, truth = honest
    outputs = Outputs(softmax(logits * factor), 1e-12)
    temperature = fit_temperature(LABELS, {"float": outputs}, truth)
    assert temperature == pytest.approx(factor, rel=0.06)
    assert np.allclose(outputs.calibrated(temperature), softmax(logits), atol=0.04)
    before, after = (expected_calibration_error(outputs.calibrated(t), truth) for t in (1.0, temperature))
    assert after < 0.02 and (factor == 1.0 or after < before / 2)


def test_int8_outputs_are_calibrated_like_float_ones(honest: Any) -> None:
    logits, truth = honest
    exact = softmax(logits * 1.5)
    steps = np.clip(np.round(exact * 256), 0, 255) / 256
    both = {"float": Outputs(exact, 1e-12), "int8": Outputs(steps, 1 / 512)}
    temperature = fit_temperature(LABELS, both, truth)
    assert temperature == pytest.approx(1.5, rel=0.06)
    for outputs in both.values():
        assert expected_calibration_error(outputs.calibrated(temperature), truth) < 0.02


def test_without_a_mistake_the_temperature_stays_moderate() -> None:
    truth = np.arange(4).repeat(80)
    sure = Outputs(softmax(np.eye(4)[truth] * 6.0), 1e-12)
    temperature = fit_temperature(LABELS, {"float": sure}, truth)
    assert 0.2 < temperature < 1, "sharper, since all is right, but not certain"
    wrong = fit_temperature(LABELS, {"float": sure}, np.roll(truth, 80))
    assert wrong == pytest.approx(20, rel=0.01), "all wrong: as unsure as may be"


def test_host_and_device_calibrate_alike() -> None:
    rng = np.random.default_rng(3)
    rows = rng.dirichlet([0.2] * 4, 200)
    rows[:20, 0] = 0
    for temperature, least in ((0.37, 1e-12), (1.0, 1 / 512), (2.2, 1 / 512)):
        device = Decision(temperature, (0.5,) * 4, EVIDENCE)
        expected = [device.calibrated(row.tolist(), least) for row in rows]
        assert np.allclose(Outputs(rows, least).calibrated(temperature), expected, rtol=1e-9, atol=1e-15)


def test_truth_that_does_not_fit_is_refused() -> None:
    outputs = {"float": Outputs(np.full((5, 4), 0.25), 1e-12)}
    with pytest.raises(EvaluationError, match="truth"):
        fit_temperature(LABELS, outputs, np.array([0, 1, 2, 3, 4]))
    with pytest.raises(EvaluationError, match="truth"):
        fit_temperature(LABELS, outputs, np.array([0, 1]))


# --- thresholds ---------------------------------------------------------------------------------------------


def judged(*fields: tuple[int, int, float]) -> Judged:
    """Fields as (truth, called, confidence)."""
    truth, called, confidence = (np.array(column) for column in zip(*fields, strict=True))
    return Judged(Answers(called, confidence.astype(float)), truth)


SURE = [(k, k, 0.999) for k in range(4)] * 50


def test_the_budget_leaves_room_for_the_gates() -> None:
    assert budget(1000, 0) == 10 and budget(1000, 12) == 8 and budget(1000, 19) == 1
    assert budget(1000, 500) == 1 and budget(30, 0) == 1


def test_benign_needs_twice_the_odds_of_the_surest_missed_field() -> None:
    clean = judged(*SURE)
    every = judged(*SURE, (1, 0, 0.8), (2, 0, 0.9), (0, 1, 0.95))
    point = choose(LABELS, ("Benign",), {"a": Validation(clean, clean), "b": Validation(clean, every)}, 2)
    assert point.surest_missed == 0.9
    assert point.answer_from[0] == 0.999, "unaltered fields allow more than 18 : 1"
    unsure = judged(*SURE, *[(0, 0, 0.7)] * 40)
    point = choose(LABELS, ("Benign",), {"b": Validation(unsure, every)}, 2)
    assert point.answer_from[0] == pytest.approx(18 / 19, abs=1e-3) and point.answer_from[0] >= 18 / 19
    assert not every.answered(point.answer_from)[every.missed(0)].any()


def test_a_network_that_misses_surely_answers_no_benign() -> None:
    clean = judged(*SURE)
    certain = judged(*SURE, (3, 0, 1.0))
    point = choose(LABELS, ("Benign",), {"a": Validation(clean, certain)}, 2)
    assert point.answer_from[0] > 0.9999 and not clean.answered(point.answer_from)[clean.truth == 0].any()


def test_the_threshold_must_do_for_every_network() -> None:
    good = Validation(judged(*SURE), judged(*SURE))
    bad = Validation(judged(*SURE), judged(*SURE, (2, 0, 0.9995)))
    alone, together = (choose(LABELS, ("Benign",), nets, 2) for nets in ({"a": good}, {"a": good, "b": bad}))
    assert alone.surest_missed is None and together.answer_from[0] > 0.9995 > alone.answer_from[0]


def test_benign_is_answered_as_late_as_half_the_budget_allows() -> None:
    clean = judged(*SURE, (0, 0, 0.6), (0, 0, 0.8), (0, 0, 0.95), (0, 0, 0.97))
    point = choose(LABELS, ("Benign",), {"a": Validation(clean, clean)}, 4)
    assert point.answer_from[0] == 0.95
    assert (~clean.answered(point.answer_from)).sum() == 2


def test_other_classes_are_answered_when_995_of_1000_are_right() -> None:
    doubtful = [(1, 2, 0.7)] * 4 + [(1, 1, 0.65)] * 4
    clean = judged(*SURE * 5, *[(2, 2, 0.66)] * 20)
    every = judged(*SURE * 5, *doubtful)
    point = choose(LABELS, ("Benign",), {"a": Validation(clean, every)}, 40)
    assert point.others_needed == 0.999 and point.others_allowed == 0.999
    assert point.answer_from[1:] == (0.999,) * 3
    held = choose(LABELS, ("Benign",), {"a": Validation(clean, every)}, 4)
    assert held.others_needed == 0.999 and held.answer_from[1:] == (0.66,) * 3, "no more than the budget allows"
    easy = choose(LABELS, ("Benign",), {"a": Validation(clean, clean)}, 40)
    assert easy.answer_from[1:] == (0.66,) * 3, "all are right, so from the least sure on"


def test_no_class_needs_more_than_benign() -> None:
    clean = judged(*[(k, k, 0.9) for k in range(4)] * 50, *[(0, 0, 0.6)] * 9)
    wrong = judged(*[(k, k, 0.9) for k in range(4)] * 50, *[(1, 2, 0.85)] * 9)
    point = choose(LABELS, ("Benign",), {"a": Validation(clean, wrong)}, 2)
    assert point.others_needed == 0.9 and point.answer_from == (0.6,) * 4


def test_without_a_benign_class_all_share_one_threshold() -> None:
    clean = judged(*SURE, (0, 1, 0.7))
    point = choose(LABELS, (), {"a": Validation(clean, clean)}, 5)
    assert len(set(point.answer_from)) == 1 and point.surest_missed is None and point.benign_allowed is None


def test_thresholds_need_fields() -> None:
    none = Judged(Answers(np.empty(0, np.intp), np.empty(0)), np.empty(0, np.intp))
    for networks in ({}, {"a": Validation(none, none)}):
        with pytest.raises(EvaluationError, match="at least one network"):
            choose(LABELS, ("Benign",), networks, 1)


def test_the_curve_counts_errors_among_the_surest() -> None:
    points = risk_coverage(judged((0, 0, 0.9), (1, 1, 0.8), (2, 1, 0.8), (3, 3, 0.6)))
    assert [(p.threshold, p.coverage) for p in points] == [(0.9, 0.25), (0.8, 0.75), (0.6, 1.0)]
    assert [p.risk for p in points] == pytest.approx([0, 1 / 3, 1 / 4])
    many = judged(*[(k % 4, k % 3, 0.5 + k / 4000) for k in range(2000)])
    assert len(risk_coverage(many)) == 100 and risk_coverage(many)[-1].coverage == 1


# --- all of it, with networks whose faults are known --------------------------------------------------------


@pytest.fixture(scope="module")
def dataset() -> EvaluationSet:
    truth = np.arange(4).repeat(5)
    pixels = np.stack([draw(LABELS[k], n) for n, k in enumerate(truth)])
    return EvaluationSet(LABELS, ("Benign",), pixels, truth, tuple(f"image {n}" for n in range(len(truth))))


def marked(dataset: EvaluationSet) -> EvaluationSet:
    """The same images, each with its class written into a corner as a brightness, for a network to read."""
    pixels = dataset.pixels.copy()
    pixels[:, -4:, :4] = (40 + 50 * dataset.truth)[:, None, None, None]
    return EvaluationSet(dataset.labels, dataset.benign, pixels, dataset.truth, dataset.keys)


def reads(dark_is_benign: float = 0.0) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """Names the written class at 0.97; calls what is dark Benign at `dark_is_benign`, if above 0."""

    def predict(pixels: Pixels) -> npt.NDArray[np.float32]:
        level = pixels[:, -4:, :4].mean(axis=(1, 2, 3))
        rows = np.full((len(pixels), 4), 0.01, np.float32)
        rows[np.arange(len(pixels)), np.clip(np.round((level - 40) / 50), 0, 3).astype(int)] = 0.97
        dark = pixels.mean(axis=(1, 2, 3)) < 150
        if dark_is_benign:
            rows[dark] = (1 - dark_is_benign) / 3
            rows[dark, 0] = dark_is_benign
        return rows

    return predict


LEAST = {FLOAT: 1e-12, INT8: 1 / 512}


@pytest.fixture(scope="module")
def found(dataset: EvaluationSet) -> Calibrated:
    networks = {FLOAT: reads(), INT8: reads(0.93)}
    return calibrate(marked(dataset), networks, LEAST, Gates(()), forms=6, progress=False)


def test_a_fault_under_degradation_moves_the_threshold(dataset: EvaluationSet, found: Calibrated) -> None:
    assert found.point.surest_missed is not None, "int8 calls dark fields Benign"
    blameless = calibrate(marked(dataset), {FLOAT: reads()}, LEAST, Gates(()), forms=6, progress=False)
    record = json.loads(json.dumps(as_json(found.to_record()), allow_nan=False))
    for name, counts in found.counts().items():
        assert counts.every_missed == counts.clean_missed == 0
        assert counts.clean == 20 and record["networks"][name]["counts"] == as_json(counts)
    assert found.counts()[INT8].every == 20 + 5 * 6 + 15 * 54, "all forms of malignant fields, some of the others"
    assert found.counts()[FLOAT].every == 20 + 20 * 6
    assert blameless.forms.made == 20 * 6 and found.forms.made == 5 * 6 + 15 * 54
    assert record["answer_from"]["Benign"] == found.point.answer_from[0]
    assert set(record["calibration"][INT8]) == {"before", "after"} and record["gates_refused"] == {}


def test_how_the_benign_label_is_spelt_changes_nothing(dataset: EvaluationSet, found: Calibrated) -> None:
    """Lower case was once taken for no such class: 0 missed was printed, and its threshold was a third lower."""
    networks = {FLOAT: reads(), INT8: reads(0.93)}
    for contract in (
        InputContract((32, 32), ("benign", *LABELS[1:])),
        InputContract((32, 32), ("healthy", *LABELS[1:]), benign=("healthy",)),
    ):
        same = replace(marked(dataset), labels=contract.labels, benign=contract.benign_labels)
        other = calibrate(same, networks, LEAST, Gates(()), forms=6, progress=False)
        assert other.point == found.point and other.counts() == found.counts()
        assert f"malignant answered {contract.labels[0]}: 0" in other.to_text()


def test_without_a_benign_label_nothing_reads_as_safe(dataset: EvaluationSet, found: Calibrated) -> None:
    same = replace(marked(dataset), labels=("healthy", *LABELS[1:]), benign=())
    other = calibrate(same, {FLOAT: reads(), INT8: reads(0.93)}, LEAST, Gates(()), forms=6, progress=False)
    assert {(c.clean_missed, c.every_missed) for c in other.counts().values()} == {(None, None)}
    assert other.to_text().count("malignant answered benign: not counted; with degraded forms not counted") == 2
    assert other.to_record().benign is None and found.to_record().benign == "Benign"


def test_two_benign_labels_share_a_threshold() -> None:
    clean = judged((0, 0, 0.9), (1, 1, 0.8), (2, 2, 0.7), (3, 3, 0.7))
    every = judged((0, 1, 0.95), (2, 0, 0.6), (3, 1, 0.75))
    point = choose(LABELS, LABELS[:2], {"a": Validation(clean, every)}, 2)
    assert point.surest_missed == 0.75, "Early called Benign is no malignant field missed"
    assert point.answer_from[0] == point.answer_from[1] > point.answer_from[2] == point.answer_from[3]


def test_a_gate_that_refuses_the_fault_spares_the_threshold(dataset: EvaluationSet) -> None:
    dark = CalibratedGate("dark", "dark", lambda v: float(v.pixels.mean()), 150.0, False, "grey level", "{:.0f}")
    networks = {INT8: reads(0.999)}
    gated = calibrate(marked(dataset), networks, LEAST, Gates([dark]), forms=6, progress=False)
    assert gated.forms.refused > 0 and gated.forms.asked[INT8] == gated.forms.made - gated.forms.refused
    missed = gated.point.surest_missed
    ungated = calibrate(marked(dataset), networks, LEAST, Gates(()), forms=6, progress=False).point.surest_missed
    assert ungated is not None and (missed is None or missed < ungated)


def test_forms_are_drawn_by_the_key_alone() -> None:
    assert drawn_forms("a", FORMS) == drawn_forms("a", FORMS) != drawn_forms("b", FORMS)
    assert len(set(drawn_forms("a", 54))) == 54 == len(drawn_forms("a", 99))
    assert {severity for _, severity in drawn_forms("a", 54)} == set(USUAL)


def test_a_decision_says_what_it_rests_on(found: Calibrated) -> None:
    decision = found.decision("models calibrate dots", {"network_sha256": "1" * 64, "split_sha256": "2" * 64})
    assert decision.temperature == found.temperature and decision.answer_from == found.point.answer_from
    assert decision.evidence["images"] == 20 and decision.evidence["counts"] == to_builtins(found.counts())
    contract = InputContract((32, 32), LABELS, decision=decision)
    assert InputContract.from_json(contract.to_json()) == contract


def test_it_says_no_when_too_few_would_be_answered(dataset: EvaluationSet) -> None:
    hopeless = calibrate(marked(dataset), {INT8: reads(0.999999)}, LEAST, Gates(()), forms=6, progress=False)
    assert not hopeless.holds and "no: " in hopeless.to_text()
    assert hopeless.counts()[INT8].every_missed == 0, "a wrong Benign is worse than no answer"
    assert hopeless.counts()[INT8].clean_refused > REFUSED * 20


def test_figures_are_drawn_and_alike_each_time(found: Calibrated, dataset: EvaluationSet) -> None:
    first, again = (render(decision_figure(found, "dots")) for _ in range(2))
    assert first == again and first.startswith(b"\x89PNG")


# --- abstention ---------------------------------------------------------------------------------------------


def test_a_gate_comes_before_the_threshold() -> None:
    decision = Decision(1.0, (0.9, 0.5, 0.5, 0.5), EVIDENCE)
    rows = np.array([[0.85, 0.05, 0.05, 0.05], [0.95, 0.02, 0.02, 0.01], [0.1, 0.8, 0.05, 0.05], [0.3, 0.4, 0.2, 0.1]])
    found = DeviceDecision({}, {}, Gates(()), decision).answers(["dark", None, None, None], Outputs(rows, 1e-12))
    assert found.reasons == ("dark", None, None, LOW_CONFIDENCE) and found.called.tolist() == [0, 0, 1, 1]
    found = DeviceDecision({}, {}, Gates(()), decision).answers([None] * 4, Outputs(rows, 1e-12))
    assert found.reasons == (LOW_CONFIDENCE, None, None, LOW_CONFIDENCE)


def test_the_device_decides_as_the_tally_says() -> None:
    """`DeviceDecision.answers` against `edge.inference.classifier` on the same outputs, int8, thresholds among them."""
    from edge.inference.classifier import Classifier
    from tests.edge.inference.test_decision import Says

    decision = Decision(0.7, (0.95, 0.6, 0.6, 0.6), EVIDENCE)
    contract = InputContract((32, 32), LABELS, decision=decision)
    rng = np.random.default_rng(12)
    steps = np.clip(np.round(rng.dirichlet([0.25] * 4, 300) * 256), 0, 255)
    found = DeviceDecision({}, {}, Gates(()), decision).answers([None] * 300, Outputs(steps / 256, 1 / 512))
    for row, reason, called in zip(steps, found.reasons, found.called, strict=True):
        verdict = Classifier(contract, Says(row - 128)).classify_prepared(np.zeros((32, 32, 3), np.uint8))
        assert verdict.abstains == (reason == LOW_CONFIDENCE) and verdict.index == called
    assert 20 < sum(reason is not None for reason in found.reasons) < 280


def test_auroc_is_sklearns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    own, strange = rng.integers(0, 20, 300).astype(float), rng.integers(5, 30, 120).astype(float)
    found = auroc(own, strange)
    expected = metrics.roc_auc_score([0] * 300 + [1] * 120, np.concatenate([own, strange]))
    assert found.auroc == pytest.approx(expected)
    assert found.interval.low < found.auroc < found.interval.high
    assert auroc([0, 1], [2, 3]).auroc == 1 and auroc([1, 1], [1, 1]).auroc == 0.5


@pytest.fixture(scope="module")
def abstained(dataset: EvaluationSet) -> AbstentionRecord:
    dark = CalibratedGate("dark", "dark", lambda v: float(v.pixels.mean()), 150.0, False, "grey level", "{:.0f}")
    decision = Decision(1.0, (0.98, 0.5, 0.5, 0.5), EVIDENCE)
    shown = marked(dataset)
    black = OodSet("night", np.zeros((7, 32, 32, 3), np.uint8), 2)
    grey = OodSet("paper", np.full((9, 32, 32, 3), 190, np.uint8), 0)
    empty = OodSet("nothing", np.empty((0, 32, 32, 3), np.uint8), 3)
    device = DeviceDecision({FLOAT: reads(), INT8: reads()}, LEAST, Gates([dark]), decision)
    return evaluate_abstention(shown, device, [black, grey, empty], progress=False)


def test_abstention_counts_by_hand(abstained: AbstentionRecord) -> None:
    record = as_json(abstained)
    json.dumps(record, allow_nan=False)
    for name in (FLOAT, INT8):
        fields = record["fields"][name]
        assert fields["refused"]["count"] == 5 and fields["refused_by"][LOW_CONFIDENCE]["of"] == 20  # Benign at 0.97
        assert fields["right"]["count"] == 15 and fields["wrong"]["count"] == 0
        assert fields["malignant_to_benign"] == {**fields["malignant_to_benign"], "count": 0, "of": 15}
        assert fields["benign_refused"]["count"] == fields["benign_refused"]["of"] == 5
        night, paper = (record["ood"][folder]["networks"][name] for folder in ("night", "paper"))
        assert night["refused_by"]["dark"]["count"] == 7 and night["answered"]["Benign"]["count"] == 0
        assert paper["refused"]["count"] == 0 and paper["answered"]["Pro"]["count"] == 9
    assert record["ood"]["night"]["unreadable"] == 2 and record["ood"]["night"]["auroc"]["gates"]["dark"]["auroc"] == 1
    assert record["ood"]["paper"]["auroc"]["confidence"][FLOAT]["auroc"] == 0.5
    assert record["ood"]["nothing"]["networks"] == {} and record["ood"]["nothing"]["unreadable"] == 3
    text = to_text(abstained)
    assert "night, int8: 7 images: refused 7" in text and "low_confidence 5" in text
    first, again = (render(abstention_figure(abstained, "dots")) for _ in range(2))
    assert first == again and first.startswith(b"\x89PNG")


def test_degraded_fields_by_hand(dataset: EvaluationSet) -> None:
    """A network that calls everything Benign, a gate that refuses what is dark, a threshold that one network fails."""
    dark = CalibratedGate("dark", "dark", lambda v: float(v.pixels.mean()), 150.0, False, "grey level", "{:.0f}")
    benign = np.array([0.97, 0.01, 0.01, 0.01], np.float32)
    networks = {FLOAT: lambda pixels: np.tile(benign, (len(pixels), 1)), INT8: reads()}
    decision = Decision(1.0, (0.9, 0.5, 0.5, 0.5), EVIDENCE)
    ranges = evaluate_degraded(dataset, DeviceDecision(networks, LEAST, Gates([dark]), decision), progress=False)
    found = to_builtins(ranges)
    malignant = int(dataset.is_malignant().sum())
    for key, severities in (("usual", (1, 2, 3)), ("all", (1, 2, 3, 4, 5))):
        forms = [degraded(dataset, name, s) for name in CORRUPTIONS for s in severities]
        refused = np.stack([pixels.mean(axis=(1, 2, 3)) < 150.0 for pixels in forms])
        one = found[key]["networks"][FLOAT]
        assert found[key]["forms"] == refused.size and one["gates"] == refused.sum() > 0
        assert one["malignant"] == malignant * len(forms) and one["low_confidence"] == 0
        assert one["malignant_to_benign"] == (~refused & dataset.is_malignant()).sum() == one["wrong"]
        other = found[key]["networks"][INT8]
        assert other["gates"] == one["gates"]
        assert sum(other[k] for k in ("gates", "low_confidence", "right", "wrong")) == refused.size
    strict = replace(decision, answer_from=(0.99,) * 4)
    ranges = evaluate_degraded(dataset, DeviceDecision(networks, LEAST, Gates([]), strict), progress=False)
    unsure = to_builtins(ranges)
    assert unsure["all"]["networks"][FLOAT]["low_confidence"] == unsure["all"]["forms"]
    assert unsure["all"]["networks"][FLOAT]["malignant_to_benign"] == 0
    assert "malignant answered Benign 0 of" in degraded_text(ranges, dataset.benign)
    json.dumps(found, allow_nan=False)


def test_what_speaks_for_a_refusal_points_up_for_floors_and_ceilings(dataset: EvaluationSet) -> None:
    def gate(name: str, limit: float, is_ceiling: bool) -> CalibratedGate:
        return CalibratedGate(name, name, lambda v: float(v.pixels.mean()), limit, is_ceiling, "", "{:.0f}")

    found = ask_gates(Gates([gate("floor", 100.0, False), gate("ceiling", 220.0, True)]), dataset.pixels)
    assert np.allclose(found.scores["floor"], -found.scores["ceiling"]) and found.passed.any()


def test_ood_folders_are_read_like_the_device_reads(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "deep" / "er" / "a.png"), draw("Pro", 1, 64))
    (tmp_path / "deep" / "b.jpg").write_text("no image")
    (tmp_path / "deep" / "label.txt").write_text("1")
    found = read_ood(tmp_path / "deep", CONTRACT)
    assert (found.name, found.pixels.shape, found.unreadable) == ("deep", (1, 32, 32, 3), 1)


# --- the commands -------------------------------------------------------------------------------------------


def run(*words: object) -> int:
    return main("models", models.cli.COMMANDS, [*map(str, words)])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """With a validation part: a third of what would have trained."""
    made = World.build(tmp_path_factory.mktemp("decision"))
    rows = made.split.read_text().splitlines()
    train = [i for i, row in enumerate(rows) if row.startswith("train")]
    for i in train[::3]:
        rows[i] = rows[i].replace("train", "validation", 1)
    made.split.write_text("\n".join(rows) + "\n")
    return made


def quantize(world: World, out: Path) -> int:
    words = [world.model, *world.images, "--out", out, "--policy", world.policy, "--calibration-images", "24"]
    return main("convert", convert.cli.COMMANDS, ["quantize", "--int8", *map(str, words)])


@pytest.mark.slow
def test_calibrate_seal_and_judge(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, bundle = world.model.parent, tmp_path / "dots-int8"
    judge = ["evaluate", folder, *world.images, "--bundle", bundle, "--abstention", "--out", tmp_path / "a.json"]
    assert quantize(world, tmp_path) == 0
    assert run(*judge) == 2 and "`models calibrate dots` makes one" in capsys.readouterr().err
    assert run("calibrate", folder, *world.images, "--bundle", bundle) in (0, 1)
    decided = InputContract.load(folder / "contract.json")
    record = json.loads((folder / "decision.json").read_text())
    assert decided.undecided() == CONTRACT and decided.decision is not None
    assert list(record["answer_from"].values()) == list(decided.decision.answer_from)
    assert record["split"]["part"] == "validation" and record["images"] == decided.decision.evidence["images"]
    assert decided.decision.evidence["network_sha256"] == record["model_sha256"]
    assert (folder / "decision.png").read_bytes().startswith(b"\x89PNG")
    assert run(*judge) == 2 and "must carry the network's decision" in capsys.readouterr().err
    before = (bundle / "model.tflite").read_bytes()
    assert quantize(world, tmp_path) == 0
    assert (bundle / "model.tflite").read_bytes() == before, "the same model under another contract"
    assert (bundle / "contract.json").read_text() == (folder / "contract.json").read_text()
    certificate = json.loads((bundle / "certificate.json").read_text())
    assert certificate["contract"]["decision"]["temperature"] == decided.decision.temperature
    assert f"temperature {decided.decision.temperature:g}" in (bundle / "report.html").read_text()
    stray = tmp_path / "stray"
    stray.mkdir()
    cv2.imwrite(str(stray / "noise.png"), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert run(*judge, "--ood", stray, "--degraded") == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert set(found["degraded"]["all"]["networks"]) == {FLOAT, INT8}
    assert found["ood"]["stray"]["images"] == 1 and set(found["fields"]) == {FLOAT, INT8}
    assert found["split"]["part"] == "test" and (tmp_path / "a.png").is_file()
    # calibrating again starts from the network, not from the decision that is there
    first = (folder / "decision.json").read_bytes()
    assert run("calibrate", folder, *world.images, "--bundle", bundle) in (0, 1)
    again = json.loads((folder / "decision.json").read_bytes())
    assert {**again, "bundle": None} == {**json.loads(first), "bundle": None}


def test_a_decision_of_another_network_is_not_converted(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = Decision(1.0, (0.9,) * 4, EVIDENCE).to_record()
    other = world.variant("stale", decision=stale)
    words = [other, *world.images, "--out", tmp_path, "--policy", world.policy]
    assert main("convert", convert.cli.COMMANDS, ["quantize", "--int8", *map(str, words)]) == 2
    assert "its decision was made for a network with sha256 000000000000" in capsys.readouterr().err
    assert not (tmp_path / "stale-int8").exists()
    assert run("evaluate", other.parent, *world.images, "--abstention") == 2
    assert "must be made for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--abstention", "--corruptions"], "give one of them"),
        (["--ood", "."], "--ood belongs to --abstention"),
        (["--abstention", "--ood", "no/such/folder"], "--ood must name folders"),
        (["--abstention", "--ood", "tests,docs/../tests"], "called differently"),
        (["--abstention", "--sample", "8"], "--sample belongs to"),
        (["--bundle", "x"], "--bundle belongs to"),
    ],
)
def test_wrong_words(words: list[str], said: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", world.model.parent, *world.images, *words) == 2
    assert said in capsys.readouterr().err


def test_answers_take_the_class_from_the_models_own_outputs() -> None:
    rows = np.array([[0.5, 0.5, 0.0, 0.0], [0.2, 0.3, 0.3, 0.2]])
    assert answers(Outputs(rows, 1 / 512), 3.0).called.tolist() == [0, 1]
