"""The checks of a policy at their limits: equal to a limit is allowed, one image less is not."""

import pytest

from convert.parity import check as module
from convert.parity.check import CHANCE, SLACK, Fall, at_most_images, enough, share
from models.statistics.intervals import paired_difference_lower


def test_constants() -> None:
    """A change is a decision, not a slip."""
    assert (SLACK, CHANCE) == (1e-9, 0.05)


def test_a_fall_is_in_points() -> None:
    fall = Fall.of(8, 3, 200, 0.95)
    assert fall.measured == 2.5
    assert fall.proven == 100 * paired_difference_lower(8, 3, 200, 0.95)


def test_as_many_images_as_are_needed_are_enough() -> None:
    assert enough("images", 300, 300, "images").outcome == "pass"
    short = enough("images", 299, 300, "images", "Pre")
    assert (short.outcome, short.more, short.subject) == ("inconclusive", 1, "Pre")


def test_a_share_at_its_limit_holds_and_one_image_less_does_not() -> None:
    assert share("agreement", "alike", (99, 100), 99.0, 300).outcome == "pass"
    less = share("agreement", "alike", (98, 100), 99.0, 300)
    assert (less.outcome, less.measured, less.more) == ("inconclusive", 98.0, 200)
    assert share("agreement", "alike", (98, 100), 99.0, 100).outcome == "fail", "as many images as are needed"
    assert share("agreement", "alike", (98, 100), 99.0, 101).more == 1
    nothing = share("agreement", "alike", (0, 0), 99.0, 300)
    assert (nothing.outcome, nothing.measured, nothing.more) == ("inconclusive", None, 300)


def test_few_images_fail_where_chance_is_ruled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five of ten alike, where 99 of 100 should be: no chance does that."""
    assert share("agreement", "alike", (5, 10), 99.0, 300).outcome == "fail"
    asked = []

    def chance(alike: int, images: int, part: float) -> float:
        asked.append((alike, images, part))
        return CHANCE

    monkeypatch.setattr(module, "p_at_most", chance)
    assert share("agreement", "alike", (5, 10), 99.0, 300).outcome == "inconclusive", "not below the chance allowed"
    assert asked == [(5, 10, 0.99)]


def test_single_images_are_counted_and_not_estimated() -> None:
    allowed, beyond = at_most_images("flips", 2, 2, "2 images turn"), at_most_images("flips", 3, 2, "3 images turn")
    assert (allowed.outcome, allowed.message) == ("pass", "2 images turn")
    assert (beyond.outcome, beyond.message) == ("fail", "3 images turn, 2 allowed")
