"""How many more images would decide, at the bounds; counts of devices whose benign class is not the first."""

import numpy as np
import pytest

from convert.parity import evidence
from convert.parity.check import Check
from convert.parity.device import CONFIDENCE, compare_devices
from convert.parity.evidence import MOST, more_for_bound, more_for_fall
from convert.parity.summary import SEARCH, cure, summary
from edge.inference.contract import InputContract
from models.statistics.intervals import paired_difference_lower, paired_difference_upper

UNDECIDED = InputContract((32, 32), ("Early", "Benign", "Pre"))


def check(name: str, outcome: str, more: int | None = 0, subject: str | None = None) -> Check:
    return Check(name, outcome, 1.0, 1.0, "points", "at most", name, subject=subject, more=more)  # type: ignore[arg-type]


# --- more images


def test_a_million_images_and_no_more_are_thought_of() -> None:
    assert MOST == 1_000_000


def test_so_many_more_are_just_enough_and_one_less_is_not() -> None:
    more = more_for_bound(0, 0, 180, 1.0, 0.95)
    assert more == 88
    assert (
        100 * paired_difference_upper(0, 0, 180 + more, 0.95)
        <= 1
        < 100 * paired_difference_upper(0, 0, 180 + more - 1, 0.95)
    )
    worse = more_for_bound(6, 0, 100, 1.0, 0.95)
    assert worse is not None, "it will be beyond the limit for certain"
    lost = round(6 * (100 + worse) / 100)
    assert 100 * paired_difference_lower(lost, 0, 100 + worse, 0.95) > 1
    fall = more_for_fall(3, 0, 100, 1.0, 0.95)
    assert fall is not None and fall > 0
    assert 100 * paired_difference_lower(round(3 * (100 + fall) / 100), 0, 100 + fall, 0.95) > 1


def test_shares_are_kept_lost_and_gained() -> None:
    """As many gained as lost: no number of images shows a fall."""
    assert more_for_fall(5, 5, 100, 1.0, 0.95) is None
    gained = more_for_bound(5, 5, 100, 1.0, 0.95)
    assert gained is not None and gained > more_for_bound(0, 0, 100, 1.0, 0.95)  # type: ignore[operator]


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_an_end_on_the_limit_itself(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upper end at the limit is within it; a lower one at the limit is not beyond it."""
    monkeypatch.setattr(evidence, "paired_difference_upper", lambda *_: 0.01 if bound == "upper" else 1.0)
    monkeypatch.setattr(evidence, "paired_difference_lower", lambda *_: 0.01 if bound == "lower" else -1.0)
    assert more_for_bound(1, 0, 100, 1.0, 0.95) == (0 if bound == "upper" else None)
    assert more_for_fall(1, 0, 100, 1.0, 0.95) is None


def test_the_search_doubles_up_to_the_most_and_halves_to_the_image() -> None:
    def enough(images: int) -> list[int]:
        asked: list[int] = []

        def decided(_lost: int, _gained: int, total: int) -> bool:
            asked.append(total)
            return total >= images

        return [evidence._more(1, 1, 100, decided) or -1, *asked]

    assert enough(137)[0] == 37
    assert enough(137)[1:4] == [100, 200, 150]
    assert [enough(count)[0] for count in range(101, 401)] == list(range(1, 301))
    assert evidence._more(1, 0, MOST // 4, lambda *of: of[2] >= MOST) == MOST - MOST // 4, "the most itself is asked"
    assert evidence._more(1, 0, 100, lambda *_: False) is None


# --- devices


def asked(before: list[list[float]], after: list[list[float]], truth: list[int] | None, refused: list[str | None]):
    true = None if truth is None else np.array(truth)
    return compare_devices(UNDECIDED, ("blur",), refused, before, after, 1e-3, true)


def test_no_answer_is_none_of_the_classes_also_where_benign_is_the_second() -> None:
    early, benign, pre = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
    refused = ["blur", None, None, "blur", None, None]
    before = [early, early, benign, benign, pre, early]
    after = [benign, benign, benign, early, benign, early]
    found = asked(before, after, [0, 0, 0, 2, 2, 1], refused)
    assert (found.malignant, found.malignant_answered_benign_float, found.malignant_answered_benign_int8) == (5, 1, 3)
    assert found.malignant_to_benign == 2
    assert (found.same, found.changed, found.gained, found.lost) == (4, 2, 0, 0)
    assert found.same_share == 4 / 6
    assert found.label_changes_unanswered == 2, "the refused ones alone: of the others both answer"
    assert (found.wrong_float, found.wrong_int8) == (2, 4)
    lower, upper = found.same_interval
    assert lower < 4 / 6 < upper and CONFIDENCE == 0.95
    assert found.unanswered["Early"].lost == 1 and found.unanswered["Early"].gained == 0


# --- the summary


class _Parity:
    images, agreed = 300, 300

    @property
    def device(self) -> object:
        from msgspec import UNSET

        return UNSET


def said(*checks: Check) -> str:
    return summary(_Parity(), "inconclusive", checks)  # type: ignore[arg-type]


def test_what_no_number_of_images_decides_is_said() -> None:
    assert said(check("a", "inconclusive", None), check("b", "inconclusive", 7)) == (
        "certain: no rule fails at 300 images; not certain: a, b; no number of images like these would decide"
    )


def test_images_of_a_class_are_among_those_that_all_need() -> None:
    classes = (
        check("recall", "inconclusive", 40, "Pre"),
        check("recall", "inconclusive", 30, "Pre"),
        check("recall", "inconclusive", 20, "Pro"),
    )
    assert said(*classes).endswith(
        "recall of Pre, recall of Pro; about 60 more images like these would decide (40 of Pre, 20 of Pro among them)"
    )
    assert "about 90 more images like these" in said(check("all", "inconclusive", 90), *classes)
    assert "about 60 more images like these" in said(check("all", "inconclusive", 50), *classes)
    assert said(check("all", "inconclusive", 1)).endswith("all; about 1 more image like these would decide")


def test_a_search_helps_where_labels_changed_and_not_where_images_are_few() -> None:
    assert cure([check("agreement", "fail")]) == SEARCH
    assert cure([check("agreement", "inconclusive")]) == SEARCH
    assert cure([check("agreement", "fail")], searched=True) == ""
    assert cure([check("agreement", "pass")]) == ""
    for name in ("images", "decided-images", "class-images", "called-class-images"):
        assert cure([check(name, "inconclusive"), check("agreement", "pass")]) == ""
