"""What the device says, float against int8: counts by hand, limits on both sides, and flips that a policy forbids."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from convert.errors import ParityError, PolicyError
from convert.parity.comparison import compare
from convert.parity.device import DeviceParity, compare_devices
from convert.parity.flips import Flip, turned
from convert.parity.policy import DeviceLimits, Policy
from convert.parity.verdict import Judgement, judge
from edge.inference.contract import InputContract
from edge.inference.decision import Decision

LABELS = ("Benign", "Early", "Pre", "Pro")
POLICY = Policy.default()
EVIDENCE = {"command": "c", "network_sha256": "0" * 64, "split_sha256": "0" * 64, "images": 1, "counts": {}}
CONTRACT = InputContract((32, 32), LABELS, decision=Decision(1.0, (0.9, 0.6, 0.6, 0.6), EVIDENCE))


def rows(*said: tuple[int, float]) -> np.ndarray:
    """Outputs that call image i said[i][0] with probability said[i][1]."""
    found = np.array([[(1 - p) / 3] * 4 for _, p in said])
    found[np.arange(len(said)), [k for k, _ in said]] = [p for _, p in said]
    return found


def devices(
    before: np.ndarray,
    after: np.ndarray,
    truth: list[int] | None,
    refused: dict[int, str] | None = None,
    contract: InputContract = CONTRACT,
    **options: object,
) -> DeviceParity:
    refused_by = [(refused or {}).get(i) for i in range(len(before))]
    true = None if truth is None else np.array(truth, np.intp)
    return compare_devices(contract, ("blur",), refused_by, before, after, 1 / 512, true, **options)  # type: ignore[arg-type]


def test_counts_by_hand() -> None:
    before = rows((0, 0.95), (1, 0.7), (1, 0.7), (2, 0.55), (3, 0.9), (1, 0.7), (2, 0.55), (2, 0.95))
    after = rows((0, 0.95), (1, 0.55), (0, 0.95), (2, 0.7), (3, 0.9), (2, 0.7), (1, 0.55), (0, 0.95))
    found = devices(before, after, [0, 1, 1, 2, 3, 1, 2, 2], {4: "blur", 7: "blur"})
    assert (found.images, found.refused_by_gates) == (8, 2)
    assert (found.answered_float, found.answered_int8, found.answered_both) == (4, 4, 3)
    assert (found.changed, found.gained, found.lost, found.same) == (2, 1, 1, 4)
    assert [(c.name, c.what) for c in found.changes] == [
        ("#1", "lost"),
        ("#2", "changed"),
        ("#3", "gained"),
        ("#5", "changed"),
    ]
    assert found.changes[0].int8_reason == "low_confidence" and found.changes[0].int8_answer is None
    assert (found.wrong_float, found.wrong_int8) == (0, 2)
    assert (found.malignant, found.malignant_answered_benign_float, found.malignant_answered_benign_int8) == (7, 0, 1)
    assert found.malignant_to_benign == 1, "image 7 is refused, so that nothing is said of it"
    assert found.label_changes_unanswered == 2, "images 6 and 7"
    assert found.unanswered["Pre"].lost == 2 and found.unanswered["Pre"].gained == 0
    record = msgspec.to_builtins(found)
    assert msgspec.convert(record, DeviceParity) == found


def test_a_value_on_the_threshold_is_answered() -> None:
    exact = replace(CONTRACT, decision=Decision(1.0, (0.5, 0.5, 0.5, 0.5), EVIDENCE))
    half = np.array([[0.5, 0.5, 0.0, 0.0]])
    assert devices(half, half, None, contract=exact).answered_float == 0, "what is 0 counts as a little"
    half = np.array([[0.5 + 3e-12, 0.5, 0.0, 0.0]])
    assert devices(half, half, None, contract=exact).answered_float == 1
    higher = replace(CONTRACT, decision=Decision(1.0, (0.501, 0.5, 0.5, 0.5), EVIDENCE))
    assert devices(half, half, None, contract=higher).answered_float == 0


def test_the_temperature_decides_too() -> None:
    unsure = rows((1, 0.55))
    warm = replace(CONTRACT, decision=Decision(0.5, (0.9, 0.6, 0.6, 0.6), EVIDENCE))
    assert devices(unsure, unsure, None).answered_float == 0
    assert devices(unsure, unsure, None, contract=warm).answered_float == 1


def test_without_a_decision_the_gates_alone_keep_silent() -> None:
    unsure = rows((1, 0.3), (2, 0.3))
    found = devices(unsure, unsure, None, {0: "blur"}, CONTRACT.undecided())
    assert (found.answered_float, found.answered_int8) == (1, 1)
    assert (found.wrong_int8, found.malignant, found.malignant_to_benign, found.unanswered) == (None, None, None, {})


def test_without_a_benign_label_nothing_is_counted_as_safe() -> None:
    contract = replace(CONTRACT, labels=("a", "b", "c", "d"))
    found = devices(rows((0, 0.95)), rows((0, 0.95)), [1], contract=contract)
    assert found.malignant is None and found.malignant_answered_benign_int8 is None and found.wrong_int8 == 1
    named = devices(rows((0, 0.95)), rows((0, 0.95)), [1], contract=replace(contract, benign=("a",)))
    assert (named.malignant, named.malignant_answered_benign_int8, named.malignant_to_benign) == (1, 1, 0)


def test_arguments_must_be_of_the_same_images() -> None:
    with pytest.raises(ParityError, match="of the same images"):
        devices(rows((0, 0.9), (1, 0.9)), rows((0, 0.9)), None)
    with pytest.raises(ParityError, match="of the same images"):
        devices(np.empty((0, 4)), np.empty((0, 4)), None)


# --- the verdict on both --------------------------------------------------------------------------------------


def balanced(each: int = 200) -> np.ndarray:
    return np.repeat(np.arange(4), each)


def verdict(
    truth: np.ndarray, before: np.ndarray, after: np.ndarray, policy: Policy = POLICY, **options: object
) -> Judgement:
    found = devices(before, after, truth.tolist(), forbidden=policy.forbidden, **options)  # type: ignore[arg-type]
    return judge(compare(LABELS, before, after, truth, device=found, forbidden=policy.forbidden), policy)


def outcomes(judgement: Judgement) -> dict[str, str]:
    """Checks that did not pass."""
    return {check.name: check.outcome for check in judgement.checks if check.outcome != "pass"}


def sure(called: np.ndarray) -> np.ndarray:
    return rows(*[(int(k), 0.95) for k in called])


def test_undecided_images_that_change_label_fail_nothing() -> None:
    """Two Benign fields of 147 that neither device answers turn Early: 1.36 points of recall."""
    truth = np.concatenate([np.zeros(147, int), np.repeat([1, 2, 3], 300)])
    before, after = sure(truth), sure(truth)
    before[:2], after[:2] = rows((0, 0.5), (0, 0.5)), rows((1, 0.5), (1, 0.5))
    judgement = verdict(truth, before, after)
    assert judgement.verdict == "pass"
    assert "only undecided images changed label: 2" in judgement.summary
    told = next(check.message for check in judgement.checks if check.name == "recall")
    assert "falls by 1.36 points" in told and "2 of the lost were undecided" in told
    before[:2], after[:2] = rows((0, 0.95), (0, 0.95)), rows((1, 0.95), (1, 0.95))
    answered = verdict(truth, before, after)
    assert outcomes(answered) == {"recall": "inconclusive"} and "only undecided" not in answered.summary


def test_a_drop_of_accuracy_by_undecided_images_passes_and_says_so() -> None:
    """Five of 800 are 0.63 points, where 0.5 are allowed; the device answers none of them in either form."""
    truth = balanced()
    where, into = [0, 200, 201, 400, 600], [1, 2, 2, 3, 1]
    before, after = sure(truth), sure(truth)
    before[where], after[where] = rows(*[(int(truth[i]), 0.3) for i in where]), rows(*[(k, 0.3) for k in into])
    judgement = verdict(truth, before, after)
    assert outcomes(judgement) == {"accuracy-drop-bound": "inconclusive"}
    told = next(check for check in judgement.checks if check.name == "accuracy-drop")
    assert told.outcome == "pass" and "5 of the lost were undecided" in told.message
    before[0], after[0] = rows((0, 0.95))[0], rows((1, 0.95))[0]
    assert "accuracy-drop" not in outcomes(verdict(truth, before, after)), "one of 800 alone is within the limit"
    before[where[:4]], after[where[:4]] = sure(truth[where[:4]]), sure(np.array(into[:4]))
    before[610], after[610] = rows((1, 0.3))[0], rows((3, 0.3))[0]
    found = outcomes(verdict(truth, before, after))
    assert "accuracy-drop" not in found, "four that are answered are exactly on the limit"
    before[210], after[210] = sure(np.array([1]))[0], sure(np.array([2]))[0]
    assert outcomes(verdict(truth, before, after))["accuracy-drop"] == "fail"


def test_a_proven_fall_of_undecided_images_fails_all_the_same() -> None:
    truth = balanced()
    before, after = sure(truth), sure(truth)
    before[:14], after[:14] = rows(*[(0, 0.5)] * 14), rows(*[(1, 0.5)] * 14)
    assert outcomes(verdict(truth, before, after))["recall"] == "fail"


def test_a_malignant_answer_that_turns_benign_fails() -> None:
    """Also where the network's label was Benign already, and only the threshold kept the float device silent."""
    truth = balanced()
    before, after = sure(truth), sure(truth)
    before[300], after[300] = rows((0, 0.89))[0], rows((0, 0.91))[0]
    judgement = verdict(truth, before, after)
    assert outcomes(judgement) == {"malignant-answered-benign": "fail"}
    assert "1 malignant image is answered Benign with int8 and not with float" in judgement.reasons[0]
    assert judgement.verdict == "fail"


def test_answers_that_are_lost_are_judged_by_their_interval() -> None:
    truth = balanced()
    before, after = sure(truth), sure(truth)
    after[:8] = rows(*[(0, 0.85)] * 8)  # 1.00 points: on the limit
    assert outcomes(verdict(truth, before, after)) == {}
    after[8] = rows((0, 0.85))[0]
    found = verdict(truth, before, after)
    assert outcomes(found) == {"answers": "fail", "answers-lost": "inconclusive"}
    after[:30] = rows(*[(0, 0.85)] * 30)
    assert outcomes(verdict(truth, before, after)) == {"answers": "fail", "answers-lost": "fail"}


def test_answers_that_change_fail_where_labels_are_loose() -> None:
    truth = balanced()
    called = truth.copy()
    called[[210, 220, 410, 420, 610]] = [2, 2, 3, 3, 1]
    loose = replace(POLICY, min_agreement_percent=0.0, min_decided_agreement_percent=0.0, max_accuracy_drop_points=50.0,
                    max_accuracy_drop_bound_points=60.0, max_recall_fall_points=60.0)  # fmt: skip
    assert outcomes(verdict(truth, sure(truth), sure(called), loose)) == {"answered-alike": "fail"}
    called[610] = 3
    assert outcomes(verdict(truth, sure(truth), sure(called), loose)) == {}, "4 of 800: on the limit of 99.5 %"


def test_a_policy_without_the_table_judges_single_images_alone() -> None:
    older = replace(POLICY, device=None)
    assert Policy.from_record(older.to_record()) == older and "device" not in older.to_record()
    truth = balanced()
    before, after = sure(truth), sure(truth)
    after[:100] = rows(*[(0, 0.85)] * 100)
    assert outcomes(verdict(truth, before, after, older)) == {}
    after[300] = rows((0, 0.95))[0]
    assert "malignant-answered-benign" in outcomes(verdict(truth, before, after, older))


def test_a_device_that_answers_nothing_cannot_be_judged() -> None:
    truth = balanced()
    everything = dict.fromkeys(range(len(truth)), "blur")
    assert outcomes(verdict(truth, sure(truth), sure(truth), refused=everything)) == {"answered-alike": "inconclusive"}


# --- flips that a policy names --------------------------------------------------------------------------------

WOLF = Flip(("Pre",), ("Early", "Pro"))


def test_a_forbidden_flip_fails_by_label_and_by_answer() -> None:
    policy = replace(POLICY, forbidden=(WOLF,))
    truth = balanced()
    called = truth.copy()
    called[410] = 3
    judgement = verdict(truth, sure(truth), sure(called), policy)
    assert outcomes(judgement) == {"forbidden-flip": "fail", "forbidden-answer": "fail"}
    assert "1 images turned from Pre to Early or Pro, 0 allowed" in judgement.reasons[0]
    one = replace(policy, forbidden=(Flip(("Pre",), ("Early", "Pro"), 1),))
    assert outcomes(verdict(truth, sure(truth), sure(called), one)) == {}
    called[410], called[210] = 2, 3
    assert outcomes(verdict(truth, sure(truth), sure(called), policy)) == {}, "Early may turn Pro"


def test_flips_by_hand() -> None:
    truth, was, now = (np.array(v) for v in ([0, 0, 0, 1, 1, 2], [0, 1, 0, 1, 1, 0], [1, 1, 0, 0, 1, 1]))
    assert turned(LABELS, ("Benign",), ("Early",), was, now, truth) == 1
    assert turned(LABELS, ("Benign",), ("Early",), was, now, None) == 2
    assert turned(LABELS, ("Benign", "Pre"), ("Early",), was, now, truth) == 2
    assert turned(LABELS, ("Early",), ("Benign", "Pre"), was, now, truth) == 1


def test_a_flip_of_unknown_labels_is_refused() -> None:
    with pytest.raises(ParityError, match="names 'dog'; the labels are Benign"):
        verdict(balanced(), sure(balanced()), sure(balanced()), replace(POLICY, forbidden=(Flip(("dog",), ("Pro",)),)))


FLIP = '[[forbidden]]\nfrom = "Pre"\nto = ["Early", "Pro"]\n'


def test_forbidden_flips_are_read_from_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from convert.parity.policy import DEFAULT_POLICY

    path = tmp_path / "policy.toml"
    path.write_text(DEFAULT_POLICY.read_text() + FLIP)
    policy = Policy.load(path)
    assert policy.forbidden == (WOLF,) and Policy.from_record(policy.to_record()) == policy
    assert policy.device == DeviceLimits(99.0, 99.5, 1.0)
    for wrong, said in (
        (FLIP.replace("to", "into"), "no key 'into'"),
        (FLIP.replace('from = "Pre"\n', ""), "missing from"),
        (FLIP.replace('"Pre"', '"Pro"'), "share no label"),
        (FLIP.replace('"Pre"', "3"), "a label or a list of labels"),
        (FLIP.replace('"Pre"', "[]"), "must name labels"),
        (FLIP + "max_images = -1\n", "max_images must be"),
        (FLIP + "max_images = 0.5\n", "whole number"),
        ('[forbidden]\nfrom = "Pre"\n', r"tables \[\[forbidden\]\]"),
    ):
        path.write_text(DEFAULT_POLICY.read_text() + wrong)
        with pytest.raises(PolicyError, match=said):
            Policy.load(path)


@pytest.mark.parametrize("value", [-1, 100.1, float("nan"), "99", True])
@pytest.mark.parametrize("key", ["min_same_percent", "min_answered_alike_percent", "max_lost_points"])
def test_limits_on_the_device_are_percentages(key: str, value: object) -> None:
    record = POLICY.to_record()
    record["device"] = {**record["device"], key: value}
    with pytest.raises(PolicyError, match=f"device.{key} must be"):
        Policy.from_record(record)
