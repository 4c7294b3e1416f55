"""Thresholds at their boundaries, rules of the operating point one by one, and cross-fitting by hand."""

import math

import numpy as np
import pytest

from edge.errors import ContractError
from edge.inference.answer import answer_batch
from edge.inference.classifier import Verdict
from edge.inference.decision import Decision
from models.decision.cross_fit import Asked, cross_fitted, deal, fitted
from models.decision.operating_point import (
    MAJORITY,
    MARGIN,
    REFUSED,
    REFUSED_WITH_GATES,
    RIGHT,
    Judged,
    OperatingPoint,
    Validation,
    _rounded,
    budget,
    choose,
)
from models.errors import EvaluationError
from models.evaluation.evaluation_set import Answers

LABELS = ("Benign", "Early", "Pre", "Pro")
BENIGN = LABELS[:1]
EVIDENCE = {"command": "c", "network_sha256": "0" * 64, "split_sha256": "0" * 64, "images": 1, "counts": {}}


def judged(*fields: tuple[int, int, float]) -> Judged:
    """Fields as (truth, called, confidence)."""
    truth, called, confidence = (np.array(column) for column in zip(*fields, strict=True))
    return Judged(Answers(called, confidence.astype(float)), truth)


def chosen(clean: Judged, every: Judged | None = None, allowance: int = 2) -> OperatingPoint:
    return choose(LABELS, BENIGN, {"a": Validation(clean, every or clean)}, allowance)


SURE = [(k, k, 0.999) for k in range(4)] * 50


# --- the answer -----------------------------------------------------------------------------------------------


def test_the_threshold_itself_is_answered_and_the_next_number_below_is_not() -> None:
    decision = Decision(1.0, (0.9, 0.6, 0.6, 0.6), EVIDENCE)
    below = math.nextafter(0.9, 0)
    found = answer_batch(decision, [None, None, "blur", None], np.array([0, 0, 0, 3]), np.array([0.9, below, 1.0, 0.6]))
    assert found.reasons == (None, "low_confidence", "blur", None)
    assert found.answered.tolist() == [True, False, False, True]
    assert decision.abstention("Benign", 0, 0.9) is None
    assert decision.abstention("Benign", 0, below) == "not sure enough: Benign 0.8999, at least 0.9"
    assert not Verdict("a", 0, (1.0,), margin=1.0, latency_ms=0.0).abstains


def test_what_is_not_a_number_is_never_sure_enough() -> None:
    decision = Decision(1.0, (0.0, 0.6, 0.6, 0.6), EVIDENCE)
    assert answer_batch(decision, [None], np.array([1]), np.array([np.nan])).reasons == ("low_confidence",)
    assert answer_batch(decision, [None], np.array([0]), np.array([0.0])).reasons == (None,)
    assert answer_batch(None, [None, "dark"], np.array([1, 1]), np.array([0.0, 1.0])).reasons == (None, "dark")
    assert answer_batch(None, [], np.array([], np.intp), np.array([])).reasons == ()


@pytest.mark.parametrize("temperature", [0.05, 20.0])
@pytest.mark.parametrize("threshold", [0, 1, 0.0, 1.0])
def test_limits_of_a_decision_are_allowed(temperature: float, threshold: float) -> None:
    assert Decision(temperature, (threshold,), EVIDENCE).temperature == temperature


@pytest.mark.parametrize("temperature", [0.0499, 20.01, math.nan, True, "1", 0, math.inf])
def test_temperatures_beyond_are_refused(temperature: object) -> None:
    with pytest.raises(ContractError, match="temperature"):
        Decision(temperature, (0.5,), EVIDENCE)  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [-0.0001, 1.0001, math.nan, True, "1"])
def test_thresholds_beyond_are_refused(threshold: object) -> None:
    with pytest.raises(ContractError, match="answer_from"):
        Decision(1.0, (0.5, threshold), EVIDENCE)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="answer_from"):
        Decision(1.0, (), EVIDENCE)


# --- rules of the operating point ---------------------------------------------------------------------------


def test_constants_of_the_rule() -> None:
    """A change of one of them changes every shipped contract: it is a decision, not a slip."""
    assert (REFUSED, REFUSED_WITH_GATES, MARGIN, RIGHT, MAJORITY) == (0.01, 0.02, 2.0, 0.995, 0.5)


@pytest.mark.parametrize(
    ("fields", "refused", "allowed"),
    [(1000, 10, 10), (1000, 11, 9), (1000, 18, 2), (1000, 19, 1), (1000, 20, 1), (99, 0, 1), (200, 0, 2), (299, 0, 2)],
)
def test_the_budget_at_its_edges(fields: int, refused: int, allowed: int) -> None:
    assert budget(fields, refused) == allowed


def test_an_odd_budget_gives_benign_the_larger_half() -> None:
    clean = judged(*SURE, (0, 0, 0.6), (0, 0, 0.7), (0, 0, 0.8))
    assert chosen(clean, allowance=1).benign_allowed == 0.7
    assert chosen(clean, allowance=2).benign_allowed == 0.7
    assert chosen(clean, allowance=3).benign_allowed == 0.8
    assert chosen(clean, allowance=0).benign_allowed == 0.6


def test_a_budget_larger_than_the_class_asks_for_certainty() -> None:
    clean = judged((0, 0, 0.6), *[(k, k, 0.999) for k in (1, 2, 3)] * 50)
    assert chosen(clean, allowance=2).benign_allowed == 1.0
    assert chosen(clean, allowance=2).answer_from[0] == 1.0


def test_benign_needs_a_majority_at_least() -> None:
    clean = judged(*SURE, (0, 0, 0.3), (0, 0, 0.31))
    assert chosen(clean).answer_from[0] == 0.5


def test_what_benign_refuses_is_taken_from_the_others_budget() -> None:
    """Four may stay silent. Where a missed field makes Benign refuse three, one is left for the others."""
    unsure = [(1, 1, 0.7), (1, 1, 0.75), (2, 2, 0.8), (3, 3, 0.85), (3, 3, 0.9)]
    benign = [(0, 0, 0.55), (0, 0, 0.56), (0, 0, 0.57)]
    clean = judged(*SURE, *unsure, *benign)
    wrong = judged(*SURE, *unsure, *benign, *[(1, 2, 0.95)] * 40)
    free = chosen(clean, wrong, 4)
    assert free.others_allowed == 0.8, "two for Benign, two for the others"
    missed = judged(*SURE, *unsure, *benign, *[(1, 2, 0.95)] * 40, (1, 0, 0.9))
    assert chosen(clean, missed, 4).others_allowed == 0.75


def test_a_missed_field_moves_benign_by_the_margin_of_its_odds() -> None:
    clean = judged(*SURE)
    for confidence in (0.6, 0.9, 0.99):
        every = judged(*SURE, (2, 0, confidence))
        point = chosen(clean, every, 0)
        odds = MARGIN * confidence / (1 - confidence)
        assert point.surest_missed == confidence
        assert point.answer_from[0] >= max(0.999, 0.5) or point.answer_from[0] == pytest.approx(
            odds / (1 + odds), abs=2e-3
        )
    low = judged(*[(k, k, 0.6) for k in range(4)] * 50)
    point = chosen(low, judged((2, 0, 0.9), *[(k, k, 0.6) for k in range(4)] * 50), 0)
    assert point.answer_from[0] == 0.9474 > 18 / 19, "rounded away from the missed field"


def test_a_certain_miss_answers_no_benign() -> None:
    assert chosen(judged(*SURE), judged(*SURE, (2, 0, 1.0))).answer_from[0] >= 1 - 1e-9


def test_others_take_the_smallest_threshold_at_which_enough_are_right() -> None:
    right = [(1, 1, 0.9)] * 199
    clean = judged(*right, (0, 0, 0.999))
    exact = judged(*right, (2, 1, 0.6), (0, 0, 0.999))
    assert chosen(clean, exact, 300).others_needed == 0.6, "199 of 200 are 0.995"
    more = judged(*right, (2, 1, 0.6), (2, 1, 0.7), (0, 0, 0.999))
    assert chosen(clean, more, 300).others_needed == 0.7
    tied = judged(*right, (2, 1, 0.9), (2, 1, 0.9), (1, 1, 0.95), (0, 0, 0.999))
    assert chosen(clean, tied, 300).others_needed == 0.95, "answers of equal confidence are given together"
    none = judged((2, 1, 0.9), (0, 0, 0.999))
    assert chosen(clean, none, 300).others_needed == 1.0


def test_others_never_need_more_than_allowed_nor_than_benign() -> None:
    clean = judged(*SURE, (1, 1, 0.6))
    wrong = judged(*SURE, *[(1, 2, 0.95)] * 40)
    assert chosen(clean, wrong, 0).answer_from[1] == pytest.approx(0.6)
    unsure = judged(*SURE, (1, 1, 0.3))
    assert chosen(unsure, unsure, 4).answer_from[1] == MAJORITY


def test_no_class_is_held_back_longer_than_benign() -> None:
    """Two wrong answers at 0.98 would have the others answered from 0.99; Benign is answered from 0.6."""
    low = [(0, 0, 0.6)] * 20
    clean = judged(*low, *[(1, 1, 0.99)] * 20)
    wrong = judged(*low, *[(1, 1, 0.99)] * 20, (2, 1, 0.98), (2, 1, 0.98))
    assert chosen(clean, wrong, 30).answer_from == (0.6, 0.6, 0.6, 0.6)
    alone = choose(LABELS, (), {"a": Validation(judged(*[(1, 1, 0.99)] * 20), wrong)}, 30)
    assert alone.answer_from == (0.99,) * 4 and alone.benign_allowed is None and alone.surest_missed is None


def test_thresholds_are_rounded_so_that_what_set_them_is_still_answered() -> None:
    clean = judged(*[(0, 0, 0.912345)] * 20, *[(1, 1, 0.812345)] * 20)
    point = chosen(clean, allowance=0)
    assert point.answer_from == (0.9123, 0.812, 0.812, 0.812)
    assert clean.answered(point.answer_from).all()


@pytest.mark.parametrize("value", [0.5, 0.9, 0.948, 0.9474, 0.514, 0.666, 0.99984, 0.999843, 0.0, 1.0])
def test_a_threshold_that_is_round_stays_as_it_is(value: float) -> None:
    """Whatever the last bit of 1 - threshold says."""
    for up in (False, True):
        assert _rounded(value, up=up) == value


@pytest.mark.parametrize(("value", "down", "up"), [(0.94735, 0.9473, 0.9474), (0.51234, 0.512, 0.513), (1.5, 1.0, 1.0)])
def test_thresholds_are_rounded_away_from_what_set_them(value: float, down: float, up: float) -> None:
    assert (_rounded(value, up=False), _rounded(value, up=True)) == (down, up)


def test_a_field_on_its_threshold_counts_as_answered() -> None:
    found = judged((0, 0, 0.9), (0, 0, 0.8999), (1, 1, 0.5), (1, 1, 0.4999))
    assert found.answered((0.9, 0.5, 0.5, 0.5)).tolist() == [True, False, True, False]
    assert judged((1, 0, 0.9), (0, 0, 0.9), (0, 1, 0.9)).missed([0]).tolist() == [True, False, False]


def test_every_network_must_have_fields() -> None:
    good = Validation(judged(*SURE), judged(*SURE))
    empty = Judged(Answers(np.array([], np.intp), np.array([])), np.array([], np.intp))
    for networks in ({}, {"a": Validation(empty, empty)}, {"a": good, "b": Validation(empty, empty)}):
        with pytest.raises(EvaluationError, match="at least one network"):
            choose(LABELS, BENIGN, networks, 1)


# --- cross-fitting --------------------------------------------------------------------------------------------


def asked(said: list[tuple[int, float]], field: list[int], clean: list[bool], passed: list[bool]) -> Asked:
    rows = np.array([[(1 - p) / 3] * 4 for _, p in said])
    rows[np.arange(len(said)), [k for k, _ in said]] = [p for _, p in said]
    return Asked(rows, 1e-12, np.array(field, np.intp), np.array(clean), np.array(passed))


def test_folds_keep_groups_together_and_are_the_same_every_time() -> None:
    groups = [f"g{n // 3}" for n in range(60)]
    folds = deal(groups, 5)
    assert all(len({folds[i] for i in range(len(groups)) if groups[i] == group}) == 1 for group in set(groups))
    assert np.bincount(folds).tolist() == [12] * 5
    order = np.random.default_rng(0).permutation(60)
    assert deal([groups[i] for i in order], 5).tolist() == folds[order].tolist()


def test_a_field_is_tried_under_thresholds_that_never_saw_it() -> None:
    """One malignant field is called Benign at 0.9. Fitted with it, Benign is answered from above that; without it from
    far less, and it is missed: that is what to expect of the next such field."""
    truth = np.array([k % 4 for k in range(80)], np.intp)
    said = [(int(k), 0.97 if k else 0.7) for k in truth]
    said[1] = (0, 0.9)
    network = asked(said, list(range(80)), [True] * 80, [True] * 80)
    groups = [f"g{n}" for n in range(80)]
    everything, _ = fitted(LABELS, BENIGN, {"a": network}, truth)
    assert everything.point.surest_missed is not None
    found = cross_fitted(LABELS, BENIGN, {"a": network}, truth, groups)["a"]
    assert (found.fields, found.missed, found.gates) == (80, 1, 0)
    lowest = min(found.answer_from["Benign"])
    assert lowest < everything.point.answer_from[0] and len(found.answer_from["Benign"]) == 5
    assert found.unanswered.count == found.not_sure and found.unanswered.of == 80
    together = ["one" if n in (1, 5) else f"g{n}" for n in range(80)]
    said[5] = (0, 0.9)
    twice = asked(said, list(range(80)), [True] * 80, [True] * 80)
    assert cross_fitted(LABELS, BENIGN, {"a": twice}, truth, together)["a"].missed == 2
    fold = deal([f"g{n}" for n in range(80)])
    apart = cross_fitted(LABELS, BENIGN, {"a": twice}, truth, [f"g{n}" for n in range(80)])["a"]
    assert fold[1] != fold[5] and apart.missed == 0, "each is warned of by the other"


def test_gates_forms_and_judged_fields_are_counted_apart() -> None:
    truth = np.array([k % 4 for k in range(40)], np.intp)
    said = [(int(k), 0.97) for k in truth] + [(0, 0.99)]
    passed = [True] * 41
    passed[2] = passed[3] = False
    network = asked(said, [*range(40), 1], [True] * 40 + [False], passed)
    groups = [f"g{n}" for n in range(40)]
    found = cross_fitted(LABELS, BENIGN, {"a": network}, truth, groups)["a"]
    assert (found.gates, found.forms, found.missed_forms, found.missed) == (2, 1, 1, 0)
    assert found.unanswered.count == found.gates + found.not_sure
    only = np.arange(40) < 3
    part = cross_fitted(LABELS, BENIGN, {"a": network}, truth, groups, judged=only)["a"]
    assert (part.fields, part.gates, part.forms) == (3, 1, 1)
    blind = cross_fitted(LABELS, (), {"a": network}, truth, groups)["a"]
    assert blind.missed is None and blind.missed_forms is None
    with pytest.raises(EvaluationError, match="5 microscope fields or more; got 4"):
        cross_fitted(LABELS, BENIGN, {"a": network}, truth, [f"g{n % 4}" for n in range(40)])
    assert cross_fitted(LABELS, BENIGN, {"a": network}, truth, [f"g{n % 5}" for n in range(40)])["a"].folds == 5
    with pytest.raises(EvaluationError, match="at least one network"):
        fitted(LABELS, BENIGN, {}, truth)


def test_wrong_answers_are_counted_where_they_are_given() -> None:
    truth = np.array([k % 4 for k in range(40)], np.intp)
    said = [(int(k), 0.97) for k in truth]
    said[6] = (3, 0.97)
    found = cross_fitted(
        LABELS,
        BENIGN,
        {"a": asked(said, list(range(40)), [True] * 40, [True] * 40)},
        truth,
        [f"g{n}" for n in range(40)],
    )["a"]
    assert found.wrong == 1 and found.missed == 0
