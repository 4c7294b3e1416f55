"""The test for a trend, against SciPy's regression and by hand."""

import random

import pytest

from edge.commissioning.control import trend as module
from edge.commissioning.control.trend import FEWEST, LEAST_CHANGE, NEWEST, trend


def test_critical_values_are_students():
    stats = pytest.importorskip("scipy.stats")
    for degrees, value in enumerate(module._T, FEWEST - 2):
        assert value == pytest.approx(stats.t.ppf(1 - 0.0005, degrees), abs=6e-4)
    assert len(module._T) == NEWEST - FEWEST + 1


@pytest.mark.parametrize("slope", [-0.4, -0.1, 0.0, 0.05, 0.15, 0.5])
def test_it_finds_what_a_regression_finds(slope):
    stats = pytest.importorskip("scipy.stats")
    chance = random.Random(7)
    found_any = set()
    for count in range(FEWEST, NEWEST + 1):
        values = [slope * n + chance.gauss(0, 0.3) for n in range(count)]
        fit = stats.linregress(range(count), values)
        expected = fit.pvalue < 0.001 and abs(fit.slope) * (count - 1) >= LEAST_CHANGE
        found = trend(values)
        assert (found is not None) == expected, (count, fit)
        if found is not None:
            assert found.slope == pytest.approx(fit.slope)
            assert found.newest == pytest.approx(fit.intercept + fit.slope * (count - 1))
        found_any.add(expected)
    assert (True in found_any) == (abs(slope) >= 0.1)


def test_it_says_how_many_controls_are_left():
    found = trend([-0.2 * n for n in range(1, 8)])
    assert found is not None and found.newest == pytest.approx(-1.4) and found.until == 3
    beyond = trend([0.5 * n for n in range(8)])
    assert beyond is not None and beyond.until == 0


def test_few_or_steady_values_have_no_trend():
    assert trend([0.0, 1.0, 2.0, 3.0]) is None
    assert trend([0.3] * 20) is None
    assert trend([0.2 * n for n in range(5)]) is None  # less than a standard deviation in all


def test_sound_series_are_seldom_taken_for_moving():
    chance = random.Random(11)
    wrong = sum(trend([chance.gauss(0, 1) for _ in range(20)]) is not None for _ in range(4000))
    assert wrong / 4000 < 0.003
