"""Intervals and tests against statsmodels, SciPy, published cases and the definitions they come from."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from models.errors import StatisticsError
from models.statistics.intervals import (
    Interval,
    bootstrap,
    clopper_pearson,
    exact_lower,
    exact_upper,
    mcnemar_exact,
    p_at_most,
    paired_difference,
    paired_difference_lower,
    paired_difference_upper,
    wilson,
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 5000))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


@given(st.integers(1, 10_000), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_statsmodels(total: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, total))
    low, high = proportion_confint(successes, total, alpha=1 - confidence, method="wilson")
    ours = wilson(successes, total, confidence)
    assert ours.low == pytest.approx(low, abs=1e-9)
    assert ours.high == pytest.approx(high, abs=1e-9)
    assert successes / total in ours
    assert 0 <= ours.low <= ours.high <= 1


def test_wilson_published() -> None:
    """Newcombe (1998), Statistics in Medicine 17:857, table I: 81/263, 15/148, 0/20, 1/29."""
    for (r, n), expected in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson(r, n).to_record() == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 2_000), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_clopper_pearson_is_statsmodels(total: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, total))
    low, high = proportion_confint(successes, total, alpha=1 - confidence, method="beta")
    ours = clopper_pearson(successes, total, confidence)
    assert ours.low == pytest.approx(0.0 if successes == 0 else low, abs=1e-9)
    assert ours.high == pytest.approx(1.0 if successes == total else high, abs=1e-9)
    one_sided = (
        exact_lower(successes, total, (1 + confidence) / 2),
        exact_upper(successes, total, (1 + confidence) / 2),
    )
    assert one_sided == pytest.approx(tuple(ours), abs=1e-12)


def test_exact_bounds_by_hand() -> None:
    """None of n: 1 - 0.05^(1/n); the numbers of slides that bound a miss rate by 10, 5, 2 and 1 %."""
    for n, bound in ((29, 0.10), (59, 0.05), (149, 0.02), (299, 0.01)):
        assert exact_upper(0, n) == pytest.approx(1 - 0.05 ** (1 / n), abs=1e-12)
        assert exact_upper(0, n) <= bound < exact_upper(0, n - 1)
    assert exact_upper(1, 46) <= 0.10 < exact_upper(1, 45)
    assert exact_lower(0, 5) == 0.0 and exact_upper(5, 5) == 1.0
    assert exact_upper(0, 10) < exact_upper(0.5, 10) < exact_upper(1, 10)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_statsmodels(b: int, c: int) -> None:
    p = mcnemar_exact(b, c)
    assert 0 < p <= 1
    assert p == mcnemar_exact(c, b)
    if b + c:
        assert p == pytest.approx(min(1.0, mcnemar([[0, b], [c, 0]], exact=True).pvalue), rel=1e-9)


def test_exact_binomial_by_hand() -> None:
    assert p_at_most(11, 12, 0.99) == pytest.approx(1 - 0.99**12)
    assert p_at_most(1, 3, 0.5) == pytest.approx((1 + 3) / 8)
    assert p_at_most(5, 5, 0.1) == 1.0


def test_mcnemar_by_hand() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 0) == pytest.approx(2 / 32)
    assert mcnemar_exact(1, 4) == pytest.approx(2 * (1 + 5) / 32)


def test_tango_published() -> None:
    """Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8.

    Cavo et al. (2012), four decimals as the authors' R package `contingencytables` prints, and Bentur et al.
    (2009), three decimals.
    """
    assert paired_difference(6, 16, 161).to_record() == pytest.approx((-0.1240, -0.0054), abs=5e-5)
    assert mcnemar_exact(6, 16) == pytest.approx(0.052479, abs=5e-7)
    assert paired_difference(1, 7, 21).to_record() == pytest.approx((-0.517, -0.026), abs=5e-4)


@given(st.integers(1, 100_000))
def test_tango_without_discordant_pairs(n: int) -> None:
    z2 = 1.959963984540054**2
    expected = z2 / (n + z2)  # solve n d / sqrt(n d (1 - d)) = z by hand
    assert paired_difference(0, 0, n).to_record() == pytest.approx((-expected, expected), rel=1e-6)


def _log_likelihood(q: float, b: int, c: int, n: int, d: float) -> float:
    """Of the trinomial with P(only second) = q and P(only first) = q + d."""
    cells = ((b, q + d), (c, q), (n - b - c, 1 - 2 * q - d))
    if any(p < -1e-15 for _, p in cells):
        return -math.inf
    return sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)


def _score_by_definition(b: int, c: int, n: int, d: float) -> float:
    """The score with the constrained maximum found by search, not by Tango's closed form."""
    low, high = max(0.0, -d), (1 - d) / 2
    q = minimize_scalar(
        lambda q: -_log_likelihood(q, b, c, n, d),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-13},
    ).x
    return (b - c - n * d) / math.sqrt(n * (2 * q + d - d * d))


@pytest.mark.parametrize(("b", "c", "n"), [(12, 2, 50), (3, 1, 650), (1, 7, 21), (40, 20, 160), (2, 5, 40)])
def test_tango_inverts_the_score_test(b: int, c: int, n: int) -> None:
    interval = paired_difference(b, c, n)
    assert _score_by_definition(b, c, n, interval.low) == pytest.approx(1.959964, abs=1e-4)
    assert _score_by_definition(b, c, n, interval.high) == pytest.approx(-1.959964, abs=1e-4)


@given(pairs(), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_tango_invariants(case: tuple[int, int, int], confidence: float) -> None:
    b, c, n = case
    interval = paired_difference(b, c, n, confidence)
    mirrored = paired_difference(c, b, n, confidence)
    assert -1 <= interval.low <= (b - c) / n <= interval.high <= 1
    assert interval.low == pytest.approx(-mirrored.high, abs=1e-12)
    wider = paired_difference(b, c, n, (1 + confidence) / 2)
    assert wider.low <= interval.low + 1e-9 and wider.high >= interval.high - 1e-9


@given(pairs())
def test_one_sided_bound_is_the_end_of_the_wider_interval(case: tuple[int, int, int]) -> None:
    two_sided = paired_difference(*case, confidence=0.90)
    assert paired_difference_upper(*case, confidence=0.95) == pytest.approx(two_sided.high, abs=1e-9)
    assert paired_difference_lower(*case, confidence=0.95) == pytest.approx(two_sided.low, abs=1e-9)


def test_tango_covers() -> None:
    """Coverage over 2,000 simulated certifications of 600 images with a true drop of 0.5 points."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(600, [0.010, 0.005, 0.985], size=2000)
    covered = [0.005 in paired_difference(int(b), int(c), 600) for b, c, _ in counts]
    assert 0.93 <= np.mean(covered) <= 0.98


def _mean(sample: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(sample, axis=axis)


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    sample = np.random.default_rng(3).normal(10, 2, 400)
    half = 1.96 * sample.std() / 20
    for method in ("percentile", "basic", "BCa"):
        interval = bootstrap(_mean, sample, method=method)
        assert interval.to_record() == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.04)


def test_bootstrap_is_seeded_and_pairs_its_samples() -> None:
    x = np.random.default_rng(0).normal(size=100)
    assert bootstrap(_mean, x, seed=4) == bootstrap(_mean, x, seed=4)
    assert bootstrap(_mean, x, seed=4) != bootstrap(_mean, x, seed=5)

    def gap(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(a - b, axis=axis)

    paired = bootstrap(gap, x, x + 1.0)
    assert paired.to_record() == pytest.approx((-1, -1))


def test_bca_falls_back_where_it_is_undefined() -> None:
    assert bootstrap(_mean, np.ones(30), method="BCa") == Interval(1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: clopper_pearson(4, 3), "successes"),
        (lambda: exact_upper(1, 3, 0.3), "bound"),
        (lambda: wilson(3, 0), "total"),
        (lambda: wilson(4, 3), "successes"),
        (lambda: wilson(-1, 3), "successes"),
        (lambda: wilson(True, 3), "successes"),
        (lambda: wilson(1, 3, 95), "confidence"),
        (lambda: wilson(1, 3, 0.0), "confidence"),
        (lambda: p_at_most(1, 3, 1.5), "share"),
        (lambda: p_at_most(4, 3, 0.5), "successes"),
        (lambda: mcnemar_exact(-1, 2), "b must"),
        (lambda: mcnemar_exact(1, 2.0), "c must"),
        (lambda: paired_difference(2, 3, 4), "b + c"),
        (lambda: paired_difference(0, 0, 0), "n must"),
        (lambda: paired_difference(1, 1, 4, 1.0), "confidence"),
        (lambda: paired_difference_upper(1, 1, 4, 0.3), "confidence"),
        (lambda: bootstrap(_mean), "samples"),
        (lambda: bootstrap(_mean, [1.0]), "samples"),
        (lambda: bootstrap(_mean, [1.0, 2.0], [1.0]), "samples"),
        (lambda: bootstrap(_mean, [1.0, math.nan]), "samples"),
        (lambda: bootstrap(_mean, [1.0, 2.0], resamples=10), "resamples"),
        (lambda: bootstrap(_mean, [1.0, 2.0], method="bca"), "method"),
        (lambda: bootstrap(lambda x, axis: np.mean(x) * math.nan, [1.0, 2.0]), "statistic"),
        (lambda: Interval(2.0, 1.0), "interval"),
        (lambda: Interval(0.0, math.nan), "interval"),
    ],
)
def test_bad_arguments_are_named(call: object, named: str) -> None:
    with pytest.raises(StatisticsError, match=named.replace("+", r"\+")):
        call()  # type: ignore[operator]


@settings(max_examples=30)
@example(2, 12629)  # the mean of two equal values, one step below them
@given(st.integers(2, 60), st.integers(0, 2**31))
def test_bootstrap_stays_within_the_sample(size: int, seed: int) -> None:
    sample = np.random.default_rng(seed).random(size)
    interval = bootstrap(_mean, sample, resamples=200, seed=seed)
    rounding = 4 * np.finfo(np.float64).eps  # of a mean
    assert sample.min() - rounding <= interval.low <= interval.high <= sample.max() + rounding
