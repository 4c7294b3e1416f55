"""The finding of a slide: the rule, its interval, when there is enough, and that benign is never said too early."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from edge.errors import SettingsError, StoreError
from edge.inference.decision import LOW_CONFIDENCE
from edge.inference.licence import NOT_LICENSED, RULE_IN_WORDS, SUSPICIOUS, Licence, slide_finding
from edge.record.entries import VerdictBody, verdict_body
from edge.slides.finding import NOT_ENOUGH, SlideFinding, contradiction, finding_of
from edge.slides.interval import beta_below, beta_quantile, exact_interval
from edge.slides.names import name_hint, require_identifier
from edge.slides.rules import RULES, rule_named
from edge.slides.settings import SlideSettings
from edge.slides.suspicion import most_suspicious_first
from edge.slides.tally import Tally
from tests.edge.record.records import INFO, verdict

SETTINGS = SlideSettings()
WITHHELD = Licence("not accepted", ("Benign",), "this bundle was not accepted here")


def tally(
    benign: int = 0, other: int = 0, unsure: int = 0, refused: int = 0, seen: int = 0, withheld: int = 0
) -> Tally:
    made = Tally(["Benign"])
    for count, fields in (
        (benign, {"label": "Benign", "reason": None}),
        (other, {"label": "Pre", "reason": None}),
        (unsure, {"label": None, "reason": LOW_CONFIDENCE}),
        (withheld, {"label": None, "reason": NOT_LICENSED}),
        (refused, {"label": None, "reason": "out_of_focus"}),
        (seen, {"label": "Pro", "reason": None, "seen": 1}),
    ):
        for _ in range(count):
            made.add(replace(verdict(0), **{"detail": None, **fields}))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ({}, NOT_ENOUGH),
        ({"benign": 1}, NOT_ENOUGH),
        ({"benign": 19}, NOT_ENOUGH),
        ({"benign": 20}, "benign"),
        ({"benign": 19, "seen": 50}, NOT_ENOUGH),  # what was seen counts nothing
        ({"benign": 11, "unsure": 9}, "benign"),  # 0 to 28.5 %
        ({"benign": 10, "unsure": 10}, NOT_ENOUGH),  # 0 to 30.8 %
        ({"benign": 19, "other": 1}, "benign"),
        ({"benign": 18, "other": 2}, "suspicious"),
        ({"other": 1}, "suspicious"),  # needs no waiting
        ({"benign": 5, "other": 1, "refused": 2}, "suspicious"),
        ({"benign": 15, "unsure": 25}, "undecided"),
        ({"refused": 30, "benign": 2}, "refused"),  # whatever the interval: more fields of this kind tell no more
        ({"refused": 19}, NOT_ENOUGH),
        ({"refused": 20}, "refused"),
        ({"refused": 30, "other": 1}, "suspicious"),
    ],
)
def test_the_finding_of_counts(counts: dict[str, int], found: str) -> None:
    made = finding_of(tally(**counts), SETTINGS)
    assert (made.finding, made.rule, made.benign) == (found, "tenth-1", ("Benign",)), made.why
    assert made.why


@given(*[st.integers(0, 60)] * 5)
def test_benign_is_said_only_where_the_rule_and_the_interval_say_it(
    benign: int, other: int, unsure: int, refused: int, fewest: int
) -> None:
    counted = tally(benign, other, unsure, refused)
    made = finding_of(counted, SETTINGS, fewest=fewest)
    if counted.fields:
        by_rule = slide_finding(counted.fields, benign + other + unsure, benign, other)
        assert made.finding in (by_rule, NOT_ENOUGH)
        assert (made.finding == "suspicious") == (by_rule == "suspicious")
    if made.finding == "benign":
        low, high = made.interval or (0, 1)
        assert counted.fields >= max(20, fewest) and high - low <= 0.3
    assert finding_of(counted, SETTINGS, WITHHELD).finding != "benign"
    assert contradiction(SlideFinding.of(made.as_record()), counted) == ""


def test_a_licence_that_withholds_benign_holds_for_slides() -> None:
    made = finding_of(tally(withheld=40), SETTINGS, WITHHELD)
    assert (made.finding, made.why, made.interval) == ("undecided", "this bundle was not accepted here", None)
    earlier = finding_of(tally(benign=40), SETTINGS, WITHHELD)  # answered while the bundle was accepted
    assert earlier.finding == "undecided" and earlier.withheld
    assert finding_of(tally(benign=40), SETTINGS).finding == "benign"
    told = Tally(["Benign"])
    told.add(replace(verdict(0), label=SUSPICIOUS))
    assert finding_of(told, SETTINGS, WITHHELD).finding == "suspicious"


def test_a_slide_smaller_than_those_of_the_acceptance_is_never_benign() -> None:
    assert finding_of(tally(benign=30), SETTINGS, fewest=31).finding == NOT_ENOUGH
    assert finding_of(tally(benign=31), SETTINGS, fewest=31).finding == "benign"
    assert finding_of(tally(benign=20), SETTINGS, fewest=5).finding == "benign"


def test_what_was_recorded_is_read_back_and_what_is_none_refused() -> None:
    made = finding_of(tally(benign=18, other=3), SETTINGS)
    assert SlideFinding.of(made.as_record()) == made
    assert made.as_record()["tally"]["labels"] == {"Benign": 18, "Pre": 3}
    for wrong in ({}, {**made.as_record(), "finding": "fine"}, {**made.as_record(), "interval": [0.1]}):
        with pytest.raises(StoreError, match="no finding of a slide"):
            SlideFinding.of(wrong)


def test_rules_are_named_with_their_version() -> None:
    assert rule_named("tenth-1") is RULES["tenth-1"] and RULES["tenth-1"].words == RULE_IN_WORDS
    with pytest.raises(SettingsError, match="did you mean tenth-1"):
        SlideSettings(rule="tenth1")
    with pytest.raises(SettingsError, match="there are tenth-1"):
        SlideSettings(rule="majority")


@pytest.mark.parametrize(("events", "trials"), [(0, 1), (1, 1), (0, 20), (2, 20), (20, 20), (50, 1000), (1, 100_000)])
def test_the_interval_is_that_of_scipy(events: int, trials: int) -> None:
    expected = binomtest(events, trials).proportion_ci(0.95, "exact")
    assert exact_interval(events, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.floats(0.001, 0.999), st.floats(0.5, 500), st.floats(0.5, 500))
def test_the_beta_distribution_is_that_of_scipy(x: float, a: float, b: float) -> None:
    assert beta_below(x, a, b) == pytest.approx(beta.cdf(x, a, b), abs=1e-9)
    assert beta_quantile(x, a, b) == pytest.approx(beta.ppf(x, a, b), abs=1e-6)


def test_counts_that_are_none_are_refused() -> None:
    assert exact_interval(0, 0) == (0, 1)
    for events, trials, confidence in ((-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0)):
        with pytest.raises(ValueError, match="counts must fulfil"):
            exact_interval(events, trials, confidence)


def test_suspicious_fields_come_first() -> None:
    def body(field: int, **other: Any) -> VerdictBody:
        return verdict_body(1, "S-1", field, replace(verdict(0), **{"detail": None, **other}), None)

    fields = [
        body(1, label="Benign", probabilities=(0.99, 0.01, 0.0, 0.0)),
        body(2, label=None, reason="out_of_focus", probabilities=None),
        body(3, label="Pre", probabilities=(0.2, 0.0, 0.8, 0.0)),
        body(4, label=None, reason=LOW_CONFIDENCE, probabilities=(0.6, 0.4, 0.0, 0.0)),
        body(5, label="Pro", probabilities=(0.01, 0.0, 0.0, 0.99)),
        body(6, label="Benign", probabilities=(0.7, 0.3, 0.0, 0.0)),
        body(7, label=None, reason=LOW_CONFIDENCE, probabilities=(0.4, 0.6, 0.0, 0.0)),
        body(8, label=SUSPICIOUS, probabilities=(0.1, 0.9, 0.0, 0.0)),
    ]
    ordered = most_suspicious_first(fields, INFO.labels, ["Benign"])
    assert [each.field for each in ordered] == [5, 8, 3, 7, 4, 2, 6, 1]


def test_an_identifier_gets_a_hint_where_it_looks_like_a_person() -> None:
    assert "two words like a name" in name_hint("Jane_Doe") and "date" in name_hint("1961-03-07")
    assert name_hint("S-0412") == name_hint("CML-2026-7") == ""
    require_identifier("Jane_Doe")  # a hint hinders nobody
    with pytest.raises(ValueError, match="slide must be 1 to 64"):
        require_identifier("S 1")
