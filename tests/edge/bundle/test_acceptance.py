"""Acceptance in a bundle: tiers by exact bounds, and a file that is believed only as far as its slides go."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from edge.bundle.acceptance import RATES, Acceptance, AcceptedSlide, slides_needed, tier, upper_bound
from edge.errors import BundleError
from edge.inference.contract import InputContract
from edge.inference.licence import RULE, slide_finding
from tests.edge.bundle.acceptances import accepted, accepted_slide

CONTRACT = InputContract((32, 32), ("Benign", "Early", "Pre", "Pro"))


@pytest.mark.parametrize(
    ("slides", "missed", "rate"),
    [
        *((n, 0, rate) for n, rate in zip((29, 59, 149, 299), RATES, strict=True)),
        *((n - 1, 0, rate) for n, rate in zip((59, 149, 299), RATES, strict=False)),
        *((n, 1, rate) for n, rate in zip((46, 93, 236, 473), RATES, strict=True)),
        *((n - 1, 1, rate) for n, rate in zip((93, 236, 473), RATES, strict=False)),
        *((n, missed, None) for n, missed in ((0, 0), (12, 0), (28, 0), (45, 1), (29, 1), (29, 29))),
    ],
)
def test_the_tiers(slides: int, missed: int, rate: float | None) -> None:
    found = tier(slides, missed)
    assert found.rate == rate and found.says_benign == (rate is not None)
    assert str(found).startswith("never benign" if rate is None else f"at most {100 * rate:g} % of leukemic slides")


def test_twelve_slides_without_an_error_bound_the_misses_by_22_percent() -> None:
    assert str(tier(12, 0)) == "never benign: 0 of 12 leukemic slides found so bound the rate by 22 % only"


@settings(deadline=None)
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bound_is_clopper_and_pearsons(counts: tuple[int, int]) -> None:
    events, trials = counts
    exact = 1.0 if events == trials else float(beta.ppf(0.95, events + 1, trials - events))
    assert upper_bound(events, trials) == pytest.approx(exact, abs=1e-9)


def test_how_many_slides_are_needed() -> None:
    assert [slides_needed(rate, 1) for rate in RATES] == [46, 93, 236, 473]
    for wrong in ((-1, 3), (4, 3), (0, 10**9)):
        with pytest.raises(ValueError, match="counts must fulfil"):
            upper_bound(*wrong)


def test_what_is_written_is_read_and_gives_the_tier() -> None:
    written = accepted(leukemic=29, healthy=3)
    read = Acceptance.from_bytes(written.to_bytes())
    assert read == written and read.to_bytes() == written.to_bytes()
    assert (read.tier(CONTRACT).slides, read.tier(CONTRACT).rate) == (29, 0.1)


def test_refused_slides_show_nothing_and_do_not_count() -> None:
    slides = [accepted_slide(k, "Pro", passed=0 if k < 10 else 4, other=0 if k < 10 else 4) for k in range(35)]
    found = accepted(slides=slides).tier(CONTRACT)
    assert (found.slides, found.says_benign) == (25, False)


SOUND = accepted(leukemic=29, healthy=2)


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(SOUND.to_bytes()), **changes}).encode()


def _slides(**changes: Any) -> list[Any]:
    first, *others = json.loads(SOUND.to_bytes())["slides"]
    return [{**first, **changes}, *others]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "must be a JSON object"),
        (b'{"format": 1, "format": 1}', "a key is given twice"),
        (_changed(format=2), "no acceptance: Invalid enum value 2"),
        (_changed(tier=0.01), "unknown field `tier`"),
        (_changed(rule="any-1"), f"rule must be {RULE}"),
        (_changed(slides=_slides(finding="suspicious")), "its finding must be benign"),
        (_changed(slides=_slides(benign=9)), "counts of a slide must fulfil"),
        (_changed(slides=_slides(slide="zz")), "sorted by name"),
        (_changed(slides=_slides(images=_slides()[1]["images"])), "an image stands there twice"),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(BundleError) as refused:
        Acceptance.from_bytes(data, "b/acceptance.json")
    assert str(refused.value).startswith("b/acceptance.json: ") and said in str(refused.value)


@pytest.mark.parametrize(
    ("acceptance", "contract", "digests", "said"),
    [
        (SOUND, CONTRACT, {"model": "1" * 64}, "about another model"),
        (SOUND, CONTRACT, {"gates": "1" * 64}, "about another gates"),
        (SOUND, InputContract((32, 32), ("a", "Pro")), {}, "names no benign label"),
        (SOUND, InputContract((32, 32), ("Benign", "Pre")), {}, "'Pro' is no label of the contract"),
        (accepted(leukemic=12, healthy=2, verdict="pass"), CONTRACT, {}, "says pass, and its slides show only: never"),
    ],
)
def test_an_acceptance_is_about_the_files_beside_it(
    acceptance: Acceptance, contract: InputContract, digests: dict[str, str | None], said: str
) -> None:
    with pytest.raises(BundleError) as refused:
        acceptance.require_about(str(Path("b") / "acceptance.json"), contract, digests)
    assert said in str(refused.value)


@settings(deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), *[st.integers(0, n)] * 4)))
def test_demanding_more_of_a_benign_answer_never_makes_a_slide_benign(counts: tuple[int, int, int, int, int]) -> None:
    fields, passed, benign, other, fewer = counts
    benign = min(benign, passed)
    other = min(other, passed - benign)
    fewer = min(fewer, benign)
    if slide_finding(fields, passed, fewer, other) == "benign":
        assert slide_finding(fields, passed, benign, other) == "benign"


def test_the_rule_at_its_limits() -> None:
    assert slide_finding(10, 10, 9, 1) == "suspicious" and slide_finding(11, 11, 10, 1) == "benign"
    assert slide_finding(4, 2, 1, 0) == "benign" and slide_finding(4, 1, 1, 0) == "refused"
    assert slide_finding(4, 4, 1, 0) == "undecided" and slide_finding(4, 1, 0, 1) == "suspicious"
    assert isinstance(SOUND.slides[0], AcceptedSlide)
