"""Limits: quantiles where there are images enough, extrapolated tails where there are not, rounded outwards."""

import math

import numpy as np
import pytest

from models.decision.limits import LimitRule, upper_tail


def exponential(count: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).exponential(1.0, count)


def test_with_images_enough_the_limit_is_their_quantile() -> None:
    values = np.arange(1000.0)
    assert upper_tail(values, 0.01) == np.quantile(values, 0.99, method="higher")


def test_with_few_images_the_tail_is_extrapolated_beyond_the_largest() -> None:
    found = [upper_tail(exponential(60, seed), 0.0015) for seed in range(200)]
    # the true value of an exponential of mean 1 is ln(1 / 0.0015) = 6.5
    assert np.median(found) == pytest.approx(math.log(1 / 0.0015), rel=0.2)


def test_one_odd_image_does_not_move_the_limit_of_few() -> None:
    values = exponential(60)
    odd = np.where(values == values.max(), 100.0, values)
    assert upper_tail(odd, 0.0015) == upper_tail(values, 0.0015) < 12


def test_equal_values_have_themselves_as_tail() -> None:
    assert upper_tail(np.full(30, 4.0), 0.0015) == 4.0


def test_a_floor_is_the_mirror_of_a_ceiling() -> None:
    values = exponential(50)
    ceiling = LimitRule(True, 0.01, digits=6).limit(values)
    floor = LimitRule(False, 0.01, digits=6).limit(20 - values)
    assert floor == pytest.approx(20 - ceiling, abs=1e-5)


def test_limits_are_rounded_outwards() -> None:
    values = np.array([1.2345] * 700)
    assert LimitRule(True, 0.0015).limit(values) == 1.24
    assert LimitRule(False, 0.0015).limit(values) == 1.23
    assert LimitRule(True, 0.0015).refused(values, 1.24) == 0


def test_a_limit_on_the_grid_stays_where_it_is() -> None:
    assert LimitRule(True, 0.0015).limit(np.array([0.29] * 700)) == 0.29


def test_the_value_at_the_limit_passes_and_the_next_does_not() -> None:
    rule = LimitRule(True, 0.01)
    assert rule.refused(np.array([1.0, math.nextafter(1.0, 2.0), math.nan]), 1.0) == 2
    assert LimitRule(False, 0.01).refused(np.array([1.0, math.nextafter(1.0, 0.0), math.nan]), 1.0) == 2


def test_a_ceiling_is_at_least_what_its_rule_allows_and_no_limit_is_below_0() -> None:
    assert LimitRule(True, 0.0015, least=1.0).limit(np.zeros(30)) == 1.0
    assert LimitRule(False, 0.0015).limit(np.array([0.0, 0.1, 5.0])) == 0.0


def test_one_image_expected_beyond_is_enough_for_a_quantile() -> None:
    values = np.arange(100.0) ** 2
    assert upper_tail(values, 0.01) == 99.0**2 == np.quantile(values, 0.99, method="higher")
    assert upper_tail(values, 0.0099) > 99.0**2


def test_the_tail_is_what_lies_beyond_the_outermost_tenth() -> None:
    """Of 0..20 these are 19 and 20, at 1 and 2 from 18; 18 itself is not."""
    assert upper_tail(np.arange(21.0), 0.001) == pytest.approx(18 + 1.5 / math.log(2) * math.log(100), rel=1e-12)


def test_the_share_is_counted_from_the_side_that_is_refused() -> None:
    assert LimitRule(True, 0.01).quantile == 0.99 and LimitRule(False, 0.01).quantile == 0.01


def test_a_factor_widens_the_limit_and_digits_far_behind_do_not() -> None:
    values = np.full(700, 1.5)
    assert LimitRule(True, 0.0015, factor=2.0).limit(values) == 3.0
    assert LimitRule(False, 0.0015, factor=0.5).limit(values) == 0.75
    assert LimitRule(True, 0.0015).limit(np.full(700, 1.230000004)) == 1.23
    assert LimitRule(True, 0.0015).limit(np.full(700, 1.23000001)) == 1.24
    assert LimitRule(False, 0.0015).limit(np.full(700, 1.229999996)) == 1.23
