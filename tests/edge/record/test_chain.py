"""The chain's arithmetic, written out anew, and what may stand in an entry."""

import hashlib
import json
import math

import pytest

from edge.record.chain import ChainEnd, canonical, finite, genesis, link

RECORD = "0123456789abcdef" * 2


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def test_digests_are_those_of_the_documented_texts() -> None:
    first = sha256("leukoscope record 1\n" + RECORD)
    assert genesis(RECORD) == first != genesis(RECORD[::-1])
    body = canonical({"type": "event", "run": None})
    second = sha256(f"{first}\n1\n{body}")
    assert link(first, 1, body) == second
    assert link(second, 2, body) == sha256(f"{second}\n2\n{body}") not in (first, second)
    assert ChainEnd(1, second).digest == second


@pytest.mark.parametrize("other", [("a", 1, "bd"), ("b", 1, "b"), ("a", 2, "b"), ("a", 1, "B"), ("a", 11, "b")])
def test_previous_number_and_body_all_count(other: tuple[str, int, str]) -> None:
    assert link("a", 1, "b") != link(*other)


def test_an_entry_has_one_spelling() -> None:
    """Keys sorted, no spaces, ASCII, numbers that are read back to the last bit."""
    assert canonical({"b": [1, 0.1], "a": "é\n", "c": None}) == '{"a":"\\u00e9\\n","b":[1,0.1],"c":null}'
    assert canonical({"b": {"z": 1, "y": 2}, "a": True}) == canonical({"a": True, "b": {"y": 2, "z": 1}})
    for number in (1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2**53 + 1):
        assert json.loads(canonical({"x": number}))["x"].hex() == number.hex() if isinstance(number, float) else True
        assert json.loads(canonical({"x": number})) == {"x": number}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_stands_in_no_entry(number: float) -> None:
    for body in ({"x": number}, {"x": [1.0, number]}, {"x": {"y": number}}):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical(body)
    assert finite(number) is None


@pytest.mark.parametrize("number", [0.0, -0.0, 1.5, 1.7976931348623157e308, -5e-324, 3])
def test_every_finite_number_stays(number: float) -> None:
    found = finite(number)
    assert found == number and isinstance(found, float)


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        canonical({"x": {1, 2}})
