"""Thresholds that the same slides choose and certify, the verdict on an acceptance, kappa, and the limits' file."""

import math
import random
from itertools import product
from pathlib import Path

import pytest

from convert.acceptance.judging import judged_slides, refused_by
from convert.acceptance.kappa import intraclass_interval, kappa_of
from convert.acceptance.limits import DEFAULT_LIMITS, Limits
from convert.acceptance.thresholds import choose, sequence
from convert.acceptance.verdict import checks_of, figures_of, verdict_of
from convert.errors import PolicyError
from edge.bundle.acceptance import tier_of, upper_bound
from tests.convert.acceptance.sites import BENIGN, LEUKEMIC, judged
from tests.edge.bundle.acceptances import accepted

GRID = (0.99, 0.9, 0.8)
LIMITS = Limits.load()
ONLY = (BENIGN,)


def test_thresholds_are_tested_strictest_first_down_to_the_bundles_own() -> None:
    assert sequence(GRID, 0.85) == (0.99, 0.9, 0.85)
    fields = [field for k in range(20) for field in judged(k, LEUKEMIC, [(LEUKEMIC, 0.7)] * 3)]
    kept, tried = choose(fields, ONLY, GRID, 0.5)
    assert kept == 0.5 and [each.benign_from for each in tried] == [0.99, 0.9, 0.8, 0.5]
    assert all(each.kept and each.missed == 0 for each in tried)


def test_the_first_threshold_that_misses_a_slide_ends_the_test() -> None:
    fields = [field for k in range(20) for field in judged(k, LEUKEMIC, [(LEUKEMIC, 0.7)] * 3)]
    fields += judged(99, LEUKEMIC, [(BENIGN, 0.95)] * 3)
    kept, tried = choose(fields, ONLY, GRID, 0.5)
    assert kept == 0.99
    assert [(each.benign_from, each.missed, each.kept) for each in tried] == [(0.99, 0, True), (0.9, 1, False)]
    tier = tier_of(judged_slides(fields, ONLY, kept))
    assert (tier.slides, tier.missed) == (21, 0)
    assert refused_by(fields, ONLY, kept) == {"low_confidence": 3} and refused_by(fields, ONLY, 0.5) == {}


def test_where_the_strictest_misses_it_stays_with_what_it_missed() -> None:
    fields = [*judged(1, LEUKEMIC, [(BENIGN, 0.999)] * 3), *judged(2, LEUKEMIC, [(LEUKEMIC, 0.9)] * 3)]
    kept, tried = choose(fields, ONLY, GRID, 0.5)
    assert (kept, len(tried), tried[0].missed) == (0.99, 1, 1)
    assert tier_of(judged_slides(fields, ONLY, kept)).bound == pytest.approx(upper_bound(1, 2))


def test_the_bound_holds_although_the_slides_chose_the_threshold() -> None:
    """Leukemic slides look benign with rates that rise as the threshold falls; the bound of none missed is then wrong
    in at most 5 % of draws. The control goes on past one missed slide, and is wrong too often."""
    rng, slides, draws = random.Random(7), 29, 1000
    rates = {0.99: 0.02, 0.9: 0.06, 0.8: 0.105, 0.5: 0.3}
    bound, wrong, wrong_without_order = upper_bound(0, slides), 0, 0
    for _ in range(draws):
        looks = [rng.random() for _ in range(slides)]
        fields = []
        for number, look in enumerate(looks):
            probability = next((p for p, rate in rates.items() if look < rate), None)
            fields += judged(number, LEUKEMIC, [(LEUKEMIC, 0.9) if probability is None else (BENIGN, probability)])
        kept, _ = choose(fields, ONLY, GRID, 0.5)
        tier = tier_of(judged_slides(fields, ONLY, kept))
        wrong += rates[kept] > tier.bound
        lax = [p for p, rate in rates.items() if sum(look < rate for look in looks) <= 1]
        wrong_without_order += bool(lax) and rates[lax[-1]] > bound
    assert wrong / draws <= 0.05 and wrong_without_order / draws > 0.1


@pytest.mark.parametrize(
    ("leukemic", "missed", "healthy", "verdict", "more"),
    [
        (12, 0, 20, "inconclusive", 17),
        (29, 0, 20, "pass", None),
        (29, 1, 20, "inconclusive", 17),
        (46, 1, 20, "pass", None),
        (29, 12, 20, "fail", None),
        (29, 0, 2, "inconclusive", 3),
    ],
)
def test_pass_fail_or_how_many_more(leukemic: int, missed: int, healthy: int, verdict: str, more: int | None) -> None:
    slides = accepted(leukemic=leukemic, healthy=healthy, missed=missed).slides
    checks = checks_of(figures_of(slides, ONLY), LIMITS.slides)
    assert verdict_of(checks) == verdict
    assert [check.more for check in checks if check.more] == ([] if more is None else [more])
    if more:
        assert f"{more} more " in next(check.reason for check in checks if check.more)


def test_so_many_more_do() -> None:
    for leukemic, missed in product((0, 5, 12, 40), (0, 1, 2)):
        if missed <= leukemic:
            slides = accepted(leukemic=leukemic, healthy=20, missed=missed).slides
            more = checks_of(figures_of(slides, ONLY), LIMITS.slides)[0].more
            again = accepted(leukemic=leukemic + more, healthy=20, missed=missed).slides
            fewer = accepted(leukemic=leukemic + more - 1, healthy=20, missed=missed).slides
            assert checks_of(figures_of(again, ONLY), LIMITS.slides)[0].verdict == "pass"
            assert not more or checks_of(figures_of(fewer, ONLY), LIMITS.slides)[0].verdict == "inconclusive"


def test_undecided_slides_are_not_found_rightly_and_refused_ones_do_not_count() -> None:
    fields = [
        *judged(1, BENIGN, [(BENIGN, 0.9)] * 4),
        *judged(2, BENIGN, [(BENIGN, 0.9)] * 1 + [(BENIGN, 0.4)] * 3),
        *judged(3, LEUKEMIC, [(LEUKEMIC, 0.9)]),
    ]
    found = figures_of(judged_slides(fields, ONLY, 0.5), ONLY)
    assert (found.specificity.count, found.specificity.of, found.undecided_benign) == (1, 2, 1)
    assert (found.sensitivity.count, found.sensitivity.of) == (1, 1)


def test_kappa_by_hand() -> None:
    """20 of 25 and 10 of 15 alike: (0.75 - 0.53125) / (1 - 0.53125)."""
    slides = accepted(healthy=25, leukemic=15, missed=5).slides
    flipped = [
        type(s)(s.slide, s.label, s.fields, s.passed, 0, 4, "suspicious", s.images) if k < 5 else s
        for k, s in enumerate(slides)
    ]
    found = kappa_of(flipped, ONLY)
    assert found is not None and found.slides == 40
    assert found.value == pytest.approx((30 / 40 - 0.53125) / (1 - 0.53125))
    assert found.low < found.value < found.high


def test_kappa_where_all_agree_still_has_a_width() -> None:
    low, high = intraclass_interval(10, 0, 10)
    assert high == 1.0 and 0.5 < low < 0.9
    assert kappa_of(accepted(healthy=10).slides, ONLY) is None
    many, _ = intraclass_interval(100, 0, 100)
    assert many > low


def test_kappas_interval_covers() -> None:
    rng, share, kappa, covered = random.Random(3), 0.5, 0.7, 0
    spread = share * (1 - share)
    weights = [share**2 + spread * kappa, 2 * spread * (1 - kappa), (1 - share) ** 2 + spread * kappa]
    draws = 400
    for _ in range(draws):
        drawn = rng.choices((0, 1, 2), weights, k=60)
        low, high = intraclass_interval(*(drawn.count(k) for k in range(3)))
        covered += low <= kappa <= high
    assert covered / draws == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / draws))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_missed = 0.10", "max_missed = 0.2", "max_missed"),
        ("max_missed = 0.10", "", "missing required field `max_missed`"),
        ("max_missed = 0.10", "max_missed = 0.1\nmaximum = 1", "unknown field `maximum`"),
        ("[0.999, 0.998", "[0.998, 0.999", "must fall from each to the next"),
        ("format = 1", "format = 1 1", "not a TOML file"),
    ],
)
def test_a_wrong_file_of_limits_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = DEFAULT_LIMITS.read_text()
    assert old in text
    path = tmp_path / "limits.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(PolicyError) as refused:
        Limits.load(path)
    assert said in str(refused.value) and str(path) in str(refused.value)
