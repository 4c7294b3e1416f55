"""Float against int8: figures by independent means, verdicts by hand, and every gate failed on purpose."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from sklearn.metrics import accuracy_score, recall_score

from convert.errors import LatencyError, ParityError
from convert.parity.check import Check
from convert.parity.comparison import compare
from convert.parity.evidence import more_for_bound, more_for_fall
from convert.parity.latency import latency_ratio
from convert.parity.policy import Policy
from convert.parity.summary import SEARCH, cure
from convert.parity.verdict import Judgement, _excused, judge
from edge.inference.contract import FLOAT32, Quantization
from edge.inference.runtime.interpreters import TensorSpec
from models.statistics.intervals import (
    mcnemar_exact,
    paired_difference,
    paired_difference_lower,
    paired_difference_upper,
    wilson,
)

LABELS = ("Benign", "Early", "Pre", "Pro")
POLICY = Policy.default()


def outputs(indices: np.ndarray, sure: float = 0.9, classes: int = 4) -> np.ndarray:
    """Softmax outputs (N, C) that call image i `indices[i]` with probability `sure`."""
    rows = np.full((len(indices), classes), (1 - sure) / (classes - 1))
    rows[np.arange(len(indices)), indices] = sure
    return rows


def quantized(probabilities: np.ndarray) -> np.ndarray:
    """As an int8 softmax gives them: steps of 1/256, at most 255/256."""
    return np.clip(np.round(probabilities * 256), 0, 255) / 256


def balanced(each: int = 200) -> np.ndarray:
    return np.repeat(np.arange(4), each)


def verdict(float_rows: np.ndarray, int8_rows: np.ndarray, truth: np.ndarray | None = None) -> Judgement:
    return judge(compare(LABELS, float_rows, int8_rows, truth), POLICY)


def failed(judgement: Judgement) -> set[str]:
    return {check.name for check in judgement.checks if check.outcome == "fail"}


def undecided(judgement: Judgement) -> set[str]:
    return {check.name for check in judgement.checks if check.outcome == "inconclusive"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 150), st.floats(0, 1))
def test_figures_by_independent_means(seed: int, images: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    before = rng.dirichlet(np.full(4, 0.4), images)
    after = (before + noise * rng.dirichlet(np.ones(4), images)) / (1 + noise)
    truth = rng.integers(0, 4, images)
    found = compare(LABELS, before, after, truth)
    was, now = before.argmax(1), after.argmax(1)
    assert found.agreement == pytest.approx(accuracy_score(was, now))
    assert found.agreement_interval == wilson(int((was == now).sum()), images)
    assert found.accuracy_float == pytest.approx(accuracy_score(truth, was))
    assert found.accuracy_int8 == pytest.approx(accuracy_score(truth, now))
    assert found.lost is not None and found.gained is not None
    assert found.accuracy_drop == pytest.approx(accuracy_score(truth, was) - accuracy_score(truth, now))
    assert found.accuracy_drop_interval == paired_difference(found.lost, found.gained, images)
    assert found.mcnemar_p == mcnemar_exact(found.lost, found.gained)
    recalls = recall_score(truth, now, labels=range(4), average=None, zero_division=np.nan)
    for entry, recall in zip(found.classes.values(), recalls, strict=True):
        assert (entry.recall_int8 is None and np.isnan(recall)) or entry.recall_int8 == pytest.approx(recall)
    ordered = np.sort(before, axis=1)
    decided = ordered[:, -1] - ordered[:, -2] >= 0.1
    assert found.decided_images == decided.sum()
    if decided.any():
        assert found.decided_agreement == pytest.approx(accuracy_score(was[decided], now[decided]))
    flips = sum(t != 0 and w != 0 and n == 0 for t, w, n in zip(truth, was, now, strict=True))
    assert found.malignant_to_benign == flips
    assert found.drift_worst == pytest.approx(np.abs(before - after).max())
    assert len(found.changed) == images - found.agreed == np.sum(found.transitions) - np.trace(found.transitions)
    record = json.loads(json.dumps(msgspec.to_builtins(found), allow_nan=False))
    assert record["images"] == images and record["judged"] == "labels"


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 100))
def test_a_model_agrees_with_itself(seed: int, images: int) -> None:
    rows = np.random.default_rng(seed).dirichlet(np.ones(4), images)
    found = compare(LABELS, rows, rows, rows.argmax(1))
    assert (found.agreement, found.accuracy_drop, found.drift_worst, found.changed) == (1.0, 0.0, 0.0, ())
    assert not failed(judge(found, POLICY))


def test_equal_models_pass() -> None:
    truth = balanced()
    judgement = verdict(outputs(truth), quantized(outputs(truth)), truth)
    assert (judgement.verdict, judgement.exit_code, judgement.reasons) == ("pass", 0, ())


def test_record_has_the_stable_names() -> None:
    """DESIGN: machine-readable output."""
    truth = balanced()
    record = msgspec.to_builtins(compare(LABELS, outputs(truth), outputs(truth), truth, kind="xnnpack"))
    assert record["images"] == 800
    assert record["agreement"] == record["decided_agreement"] == 1.0
    assert record["accuracy_float"] == record["accuracy_int8"] == 1.0
    assert record["malignant_to_benign"] == 0
    assert record["kind"] == "xnnpack"
    assert record["classes"]["Early"]["recall_fall"] == 0.0


def test_changed_images_are_named() -> None:
    truth = balanced()
    called = truth.copy()
    called[201] = 2
    names = [f"image {i}" for i in range(800)]
    found = compare(LABELS, outputs(truth), outputs(called, 0.6), truth, names=names)
    assert [msgspec.to_builtins(c) for c in found.changed] == [
        {
            "name": "image 201",
            "true": "Early",
            "float": "Early",
            "int8": "Pre",
            "float_probability": 0.9,
            "int8_probability": 0.6,
            "float_margin": pytest.approx(0.9 - 0.1 / 3),
        }
    ]
    assert found.drift_worst_name == "image 201"


# Negative controls: what must never pass, and by which name it fails.


def test_swapped_labels_fail() -> None:
    truth = balanced()
    swapped = outputs(truth)[:, [0, 2, 1, 3]]
    assert failed(verdict(outputs(truth), swapped, truth)) >= {"agreement", "accuracy-drop", "recall"}


def test_shuffled_outputs_fail() -> None:
    truth = balanced()
    shuffled = outputs(np.random.default_rng(0).permutation(truth))
    judgement = verdict(outputs(truth), shuffled, truth)
    assert judgement.verdict == "fail"
    assert failed(judgement) >= {
        "agreement",
        "decided-agreement",
        "accuracy-drop",
        "accuracy-drop-bound",
        "recall",
        "malignant-to-benign",
    }
    assert any(reason.startswith("malignant-to-benign: ") for reason in judgement.reasons)


def test_one_malignant_image_called_benign_fails_and_nothing_else_does() -> None:
    truth = balanced()
    called = truth.copy()
    called[300] = 0
    judgement = verdict(outputs(truth), outputs(called), truth)
    assert judgement.verdict == "fail" and failed(judgement) == {"malignant-to-benign"}
    assert judgement.reasons == (
        "malignant-to-benign: 1 malignant image that float called malignant became Benign, 0 allowed",
    )


def test_a_flip_fails_even_a_tiny_set() -> None:
    """A definite failure beats inconclusive."""
    truth = np.repeat([0, 1, 2, 3], 3)
    called = truth.copy()
    called[3] = 0
    judgement = verdict(outputs(truth), outputs(called), truth)
    assert judgement.verdict == "fail"
    assert failed(judgement) == {"malignant-to-benign"}
    assert judgement.reasons[0].startswith("malignant-to-benign")


def test_a_benign_image_corrected_is_no_flip() -> None:
    truth = balanced()
    float_called = truth.copy()
    float_called[0] = 1  # a benign image that float calls Early and int8 rightly Benign
    found = compare(LABELS, outputs(float_called), outputs(truth), truth)
    assert found.malignant_to_benign == 0 and found.called_malignant_to_benign == 1
    assert found.accuracy_drop == pytest.approx(-1 / 800)
    assert judge(found, POLICY).verdict == "pass"


def test_decided_disagreement_fails_where_undecided_does_not() -> None:
    """Six changes of 800 are within agreement; among decided images they are too many."""
    truth = balanced()
    called = truth.copy()
    called[[210, 220, 410, 420, 610, 620]] = [2, 2, 3, 3, 1, 1]
    judgement = verdict(outputs(truth), outputs(called), None)
    assert failed(judgement) == {"decided-agreement"}
    unsure = outputs(truth)
    unsure[called != truth] = [0.1, 0.31, 0.30, 0.29]
    unsure[called != truth] = outputs(truth, 0.31)[called != truth]  # margin 0.08
    assert verdict(unsure, outputs(called), None).verdict == "pass"


def test_recall_of_one_class_fails_alone() -> None:
    """Pre called Pro: three are 0.375 points of accuracy and 1.5 of recall, which chance may be; seven of 2,000 and
    2,000 elsewhere are proven."""
    truth = balanced()
    called = truth.copy()
    called[[400, 401, 402]] = 3
    judgement = verdict(outputs(truth), outputs(called), truth)
    assert judgement.verdict == "inconclusive" and undecided(judgement) == {"recall"}
    assert "recall of Pre falls by 1.50 points (3 lost, 0 gained of 200)" in judgement.reasons[0]
    lower = 100 * paired_difference_lower(3, 0, 200)
    assert 0 < lower < 1 and f"by {lower:.2f} or more" in judgement.reasons[0]
    upper = 100 * paired_difference_upper(3, 0, 200)
    assert upper > 1.5 and f"and {upper:.2f} or less, at most 1 allowed" in judgement.reasons[0]
    [recall] = [check for check in judgement.checks if check.outcome != "pass"]
    assert recall.more == more_for_fall(3, 0, 200, 1.0, 0.95)
    many = np.concatenate([np.repeat([0, 1, 3], 1000), np.full(200, 2)])
    called = many.copy()
    called[3000:3007] = 3
    assert 100 * paired_difference_lower(7, 0, 200) > 1
    assert failed(verdict(outputs(many), outputs(called), many)) == {"recall"}


def test_a_recall_limit_of_nothing_takes_no_loss_at_all() -> None:
    truth = balanced()
    called = truth.copy()
    called[400] = 3
    none = replace(POLICY, max_recall_fall_points=0.0)
    assert failed(judge(compare(LABELS, outputs(truth), outputs(called), truth), none)) == {"recall"}
    assert failed(judge(compare(LABELS, outputs(truth), outputs(truth), truth), none)) == set()


def test_gains_do_not_hide_a_loss_of_agreement() -> None:
    """Ten lost, ten gained: accuracy stands still, the models do not agree."""
    truth = balanced()
    before, after = truth.copy(), truth.copy()
    before[200:210], after[210:220] = 2, 2
    judgement = verdict(outputs(before), outputs(after), truth)
    assert "agreement" in failed(judgement) and "accuracy-drop" not in failed(judgement)


# Too few images to say.


def test_too_few_images_are_inconclusive() -> None:
    truth = np.repeat(np.arange(4), 20)
    judgement = verdict(outputs(truth), outputs(truth), truth)
    assert (judgement.verdict, judgement.exit_code) == ("inconclusive", 3)
    assert undecided(judgement) == {"images", "decided-images", "class-images", "accuracy-drop-bound"}


def test_a_class_without_images_counts_none() -> None:
    truth = np.repeat([0, 1, 2], 300)
    checks = verdict(outputs(truth), outputs(truth), truth).checks
    [absent] = [check for check in checks if check.name == "class-images" and check.outcome != "pass"]
    assert (absent.subject, absent.measured, absent.more) == ("Pro", 0, POLICY.min_class_images)


def test_a_drop_among_few_images_asks_for_the_rest() -> None:
    """Two lost of 299 are 0.67 points: chance may be it. Of 300, which the policy says are enough, they fail."""

    def drop(images: int) -> Check:
        truth = np.arange(images) % 4
        called = truth.copy()
        called[[1, 2]] = [2, 3]
        checks = verdict(outputs(truth), outputs(called), truth).checks
        return next(check for check in checks if check.name == "accuracy-drop")

    assert (drop(299).outcome, drop(299).more) == ("inconclusive", 1)
    assert (drop(300).outcome, drop(300).more) == ("fail", UNSET)
    assert drop(100).more == 200


def test_the_bound_alone_asks_for_more_images() -> None:
    """One image lost of 360: a drop of 0.28 points, at most 1.27 with 95 % confidence."""
    truth = balanced(90)
    called = truth.copy()
    called[100] = 2
    judgement = judge(
        compare(LABELS, outputs(truth), outputs(called), truth), replace(POLICY, max_recall_fall_points=5.0)
    )
    assert judgement.verdict == "inconclusive" and undecided(judgement) == {"accuracy-drop-bound"}


def test_one_image_of_a_small_class_decides_nothing() -> None:
    """One of 60 is 1.67 points: below what the class can show. Two may be chance; seven are not."""
    truth = np.concatenate([np.zeros(60, int), np.repeat([1, 2, 3], 900)])

    def lost(count: int) -> Judgement:
        called = truth.copy()
        called[:count] = 1
        return verdict(outputs(truth), outputs(called), truth)

    one = lost(1)
    assert one.verdict == "pass" and one.reasons == ()
    assert (
        "one image cannot tell, with 100 of the class it could" in {c.subject: c.message for c in one.checks}["Benign"]
    )
    assert undecided(lost(2)) == {"recall"} and lost(2).verdict == "inconclusive"
    assert failed(lost(7)) == {"recall"}


# The first line: what is certain, what is not, and how many more images would decide.


def test_the_first_line_of_a_small_set() -> None:
    truth = np.repeat(np.arange(4), [20, 10, 60, 60])
    judgement = verdict(outputs(truth), outputs(truth), truth)
    assert judgement.summary.startswith("certain: no rule fails at 150 images; not certain: images, decided-images, ")
    assert "class-images of Benign, class-images of Early, accuracy-drop-bound" in judgement.summary
    assert "about 150 more images like these would decide (30 of Benign, 40 of Early among them)" in judgement.summary
    assert cure(judgement.checks) == SEARCH, "the bound on accuracy is not proven"
    assert cure(judgement.checks, searched=True) == ""
    enough = balanced()
    assert verdict(outputs(enough), outputs(enough), enough).summary == "certain: every rule holds at 800 images"
    assert cure(verdict(outputs(enough), outputs(enough), enough).checks) == ""


def test_the_first_line_of_a_failure_names_what_is_certain_first() -> None:
    truth = np.repeat([0, 1, 2, 3], 3)
    called = truth.copy()
    called[3] = 0
    judgement = verdict(outputs(truth), outputs(called), truth)
    assert judgement.summary.startswith("certain: it fails malignant-to-benign at 12 images; not certain: ")
    assert cure(judgement.checks) == SEARCH


def test_so_many_more_images_do_decide() -> None:
    for lost, images in ((0, 100), (1, 300)):
        more = more_for_bound(lost, 0, images, 1.0, 0.95)
        assert more is not None
        grown = round(lost * (images + more) / images)
        assert 100 * paired_difference_upper(grown, 0, images + more) <= 1.0
        fewer = images + more - max(2, more // 10)
        assert 100 * paired_difference_upper(round(lost * fewer / images), 0, fewer) > 1.0
    assert more_for_bound(1, 0, 100, 1.0, 0.95) is None, "a share on its limit is decided by no number"
    more = more_for_fall(3, 0, 200, 1.0, 0.95)
    assert more is not None and 100 * paired_difference_lower(round(3 + 3 * more / 200), 0, 200 + more) > 1


def test_one_disagreement_among_ten_is_no_failure_but_ten_are() -> None:
    truth = np.repeat(np.arange(4), 3)
    called = truth.copy()
    called[-1] = 2
    judgement = verdict(outputs(truth), outputs(called), truth)
    assert judgement.verdict == "inconclusive" and "agreement" in undecided(judgement)
    assert failed(verdict(outputs(truth), outputs((truth + 1) % 4), None)) >= {
        "agreement",
        "decided-agreement",
    }


def test_undecided_float_is_inconclusive() -> None:
    truth = balanced()
    judgement = verdict(outputs(truth, 0.28), outputs(truth, 0.28), truth)
    assert undecided(judgement) == {"decided-images", "decided-agreement"}


# Without labels.


def test_without_labels_only_agreement_is_judged() -> None:
    found = compare(LABELS, outputs(balanced()), outputs(balanced()))
    record = msgspec.to_builtins(found)
    assert record["judged"] == "agreement"
    for name in (
        "accuracy_float",
        "accuracy_int8",
        "accuracy_drop",
        "malignant_to_benign",
        "ece_int8",
        "mcnemar_p",
    ):
        assert record[name] is None
    judgement = judge(found, POLICY)
    assert judgement.verdict == "pass"
    assert {c.name for c in judgement.checks} == {
        "images",
        "decided-images",
        "called-class-images",
        "agreement",
        "decided-agreement",
    }


def test_a_class_never_called_is_not_certified_without_labels() -> None:
    rows = outputs(np.repeat([0, 1, 2], 200))
    judgement = verdict(rows, rows)
    assert judgement.verdict == "inconclusive"
    assert judgement.reasons == ("called-class-images: 0 images that float calls Pro, 1 needed to say",)


# The gate itself.


def test_limits_are_inclusive() -> None:
    """Exactly 0.5 points lost, exactly 99 % agreement: the value on the limit passes."""
    truth = balanced(1000)
    called = truth.copy()
    called[1000:1010], called[2000:2010] = 2, 3
    loose = replace(POLICY, max_malignant_to_benign=0, max_recall_fall_points=1.0)
    judgement = judge(compare(LABELS, outputs(truth), outputs(called), truth), loose)
    assert judgement.verdict == "pass", judgement.reasons
    called[3000:3001] = 1
    assert failed(judge(compare(LABELS, outputs(truth), outputs(called), truth), loose)) >= {"accuracy-drop"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 400), st.integers(0, 12))
def test_one_more_lost_image_never_helps(seed: int, images: int, lost: int) -> None:
    order = {"pass": 0, "inconclusive": 1, "fail": 2}
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, images)
    which = rng.permutation(images)[: lost + 1]
    worse = truth.copy()
    worse[which] = (worse[which] + 1) % 4
    better = worse.copy()
    better[which[0]] = truth[which[0]]
    first, second = (verdict(outputs(truth), outputs(rows), truth).verdict for rows in (better, worse))
    assert order[first] <= order[second]


def test_a_margin_on_its_limits_is_taken() -> None:
    """0 calls every image decided, 1 those alone of which float is certain."""
    certain = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert compare(LABELS, certain, certain, decided_margin=0.0).decided_images == 2
    assert compare(LABELS, certain, certain, decided_margin=1.0).decided_images == 1
    for margin in (-0.001, 1.001, float("nan")):
        with pytest.raises(ParityError, match="decided_margin"):
            compare(LABELS, certain, certain, decided_margin=margin)


def test_another_margin_than_the_policy_is_refused() -> None:
    found = compare(LABELS, outputs(balanced()), outputs(balanced()), decided_margin=0.2)
    with pytest.raises(ParityError, match="decided_margin"):
        judge(found, POLICY)


def test_models_without_a_benign_class() -> None:
    truth = balanced()
    found = compare(("a", "b", "c", "d"), outputs(truth), outputs(truth), truth, benign=())
    assert msgspec.to_builtins(found)["malignant_to_benign"] is None
    assert judge(found, POLICY).verdict == "pass"


ROWS = outputs(balanced(5))


@pytest.mark.parametrize(
    ("arguments", "options", "named"),
    [
        ((LABELS, ROWS, ROWS[:-1]), {}, "float_probabilities and int8_probabilities"),
        ((LABELS, ROWS[:, :3], ROWS), {}, "float_probabilities"),
        ((LABELS, ROWS, ROWS[:, :3]), {}, "int8_probabilities"),
        ((LABELS, ROWS, ROWS * 256), {}, "int8_probabilities"),
        ((LABELS, ROWS, (ROWS * 255).astype(np.int8)), {}, "int8_probabilities"),
        ((LABELS, ROWS[:0], ROWS[:0]), {}, "float_probabilities"),
        ((LABELS, ROWS, ROWS, balanced(4)), {}, "truth"),
        ((("a", "b", "c", "d"), ROWS, ROWS), {"benign": ("Benign",)}, "benign"),
        ((LABELS, ROWS, ROWS), {"benign": "Benign"}, "benign"),
        ((LABELS, ROWS, ROWS), {"names": ["a"]}, "names"),
        ((LABELS, ROWS, ROWS), {"decided_margin": 2.0}, "decided_margin"),
    ],
)
def test_what_does_not_fit_is_named(arguments: tuple, options: dict, named: str) -> None:
    with pytest.raises(ParityError, match=named):
        compare(*arguments, **options)


class Metronome:
    """An interpreter whose every inference takes the same time on a clock of its own."""

    runtime, version, kind = "litert", "2.3.0", "xnnpack"

    def __init__(self, time: list[int], nanoseconds: int, log: list[str], name: str, threads: int = 1) -> None:
        self.time, self.nanoseconds, self.log, self.name, self.threads = time, nanoseconds, log, name, threads
        self.input = TensorSpec((1, 8, 8, 3), FLOAT32)
        self.output = TensorSpec((1, 4), Quantization("int8", 1 / 256, -128))

    def invoke(self, tensor: np.ndarray) -> np.ndarray:
        self.time[0] += self.nanoseconds
        self.log.append(self.name)
        return np.zeros(4, np.int8)


def metronomes(threads: int = 1) -> tuple[Metronome, Metronome, list[int], list[str]]:
    time, log = [0], []
    slow = Metronome(time, 9_000_000, log, "float", threads)
    return slow, Metronome(time, 3_000_000, log, "int8"), time, log


def test_latency_is_interleaved() -> None:
    slow, fast, time, log = metronomes()
    tensor = np.zeros((1, 8, 8, 3))
    found = latency_ratio(slow, fast, [(tensor, tensor)], repeats=4, clock=lambda: time[0])
    assert (found.float_ms, found.int8_ms, found.ratio, found.ratio_min) == (9.0, 3.0, 3.0, 3.0)
    assert log[-8:] == ["float", "int8", "int8", "float"] * 2
    assert json.loads(json.dumps(msgspec.to_builtins(found)))["ratio"] == 3.0


def test_latency_refuses_what_is_no_comparison() -> None:
    pair = [(np.zeros(1), np.zeros(1))]
    slow, fast, *_ = metronomes()
    with pytest.raises(LatencyError, match="repeats"):
        latency_ratio(slow, fast, pair, repeats=1)
    with pytest.raises(LatencyError, match="tensors"):
        latency_ratio(slow, fast, [])
    with pytest.raises(LatencyError, match="float_interpreter must run on one thread; got 4"):
        latency_ratio(metronomes(4)[0], fast, pair)
    slow.runtime = "tf_lite"
    with pytest.raises(LatencyError, match="one runtime"):
        latency_ratio(slow, fast, pair)


def test_an_excuse_holds_up_to_the_limit_itself() -> None:
    """Five lost and one gained of 100; of the lost two were undecided: two points are left."""
    assert _excused((5, 1), 100, 2.0, 2, 0).startswith("2 of the lost were undecided")
    assert _excused((5, 1), 100, 1.999, 2, 0) == "" == _excused((1, 0), 100, 2.0, 0, 0)


def test_the_bound_is_in_points_and_one_image_net_cannot_tell() -> None:
    truth, before, after = balanced(50), balanced(50), balanced(50)
    after[100:102], before[102] = 3, 3
    checks = {check.name: check for check in verdict(outputs(before), outputs(after), truth).checks}
    assert checks["accuracy-drop-bound"].measured == 100 * paired_difference_upper(2, 1, 200)
    told = {c.subject: c for c in verdict(outputs(before), outputs(after), truth).checks if c.name == "recall"}["Pre"]
    assert told.outcome == "pass" and "one image cannot tell" in told.message
