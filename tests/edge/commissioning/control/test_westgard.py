"""Westgard's rules, each on a series that just trips it and on one that just does not."""

import random

import pytest

from edge.commissioning.control.westgard import RULES, broken, one_2s, one_more_breaks, r_4s

JUST = 1e-9


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("rule", "trips", "does_not"),
    [
        ("1-3s", [[3 + JUST], [0, 3.1]], [[3.0], [3.1, 0], []]),
        ("2-2s", [[2 + JUST, 2 + JUST], [-2.5, 2.1, 2.9]], [[2.0, 2.1], [2.1, 2.0], [2.1, -2.1], [2.1, 0, 2.1], [2.1]]),
        (
            "R-4s",
            [[2 + JUST, -2 - JUST], [0, 2.1, -2.1]],
            [[2.0, -2.1], [2.1, -2.0], [2.1, 0, -2.1], [2.5, -1.9], [2.1]],
        ),
        ("4-1s", [[1 + JUST] * 4, [-3, 1.1, 1.2, 1.3, 1.4]], [[1.1] * 3, [1.0, 1.1, 1.1, 1.1], [1.1, 1.1, -1.1, 1.1]]),
        ("10x", [[JUST] * 10, [-1, *[0.5] * 10]], [[0.5] * 9, [0.0, *[0.5] * 9], [*[0.5] * 5, -0.1, *[0.5] * 4]]),
    ],
)
def test_a_rule_trips_beyond_its_limit_and_not_at_it(rule, trips, does_not, sign):
    assert set(RULES) == {"1-3s", "2-2s", "R-4s", "4-1s", "10x"}
    for series in trips:
        assert rule in broken([sign * z for z in series]), series
    for series in does_not:
        assert rule not in broken([sign * z for z in series]), series


def test_r_4s_also_looks_at_the_other_slides_of_the_run():
    assert r_4s([2.1], within_run=[-2.1]) and r_4s([-2.1], within_run=[0.0, 2.1])
    assert not r_4s([2.1], within_run=[2.1]) and not r_4s([2.0], within_run=[-2.1]) and not r_4s([2.1])
    assert broken([0.0, 2.1], within_run=[-2.1]) == ("R-4s",)
    assert broken([0.0, 2.1]) == ()


def test_all_rules_are_named_that_reject():
    assert broken([3.5] * 10) == ("1-3s", "2-2s", "4-1s", "10x")
    assert broken([0.2, -0.3, 0.1]) == () and broken([]) == ()


def test_the_warning_is_no_rule():
    assert one_2s([2 + JUST]) and not one_2s([2.0]) and not one_2s([])
    assert broken([2.5]) == ()


@pytest.mark.parametrize("step", [0.05, 0.1, 0.3, 0.7])
def test_whatever_drifts_slowly_is_warned_of_before_a_rule_rejects_it(step):
    """Without noise: 1-3s never comes first unless a step is as large as a standard deviation."""
    series = [step * n for n in range(1, 80)]
    trips = next(n for n in range(1, 80) if broken(series[:n]))
    assert any(one_more_breaks(series[:n]) for n in range(1, trips))
    assert one_more_breaks([0.5, -0.4, 0.9]) == ()


def test_sound_measurements_are_rejected_as_seldom_as_the_normal_distribution_says():
    chance = random.Random(15)
    series = [chance.gauss(0, 1) for _ in range(40_000)]
    share = dict.fromkeys(RULES, 0)
    for end in range(10, len(series)):
        for rule in broken(series[end - 10 : end]):
            share[rule] += 1 / (len(series) - 10)
    assert share["1-3s"] == pytest.approx(0.0027, abs=0.0008)
    assert share["2-2s"] == pytest.approx(2 * 0.02275**2, abs=0.0005)
    assert share["R-4s"] == pytest.approx(2 * 0.02275**2, abs=0.0005)
    assert share["4-1s"] == pytest.approx(2 * 0.15866**4, abs=0.0006)
    assert share["10x"] == pytest.approx(2 * 0.5**10, abs=0.0015)
