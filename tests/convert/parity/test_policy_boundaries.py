"""A policy's limits at their ends: what is just allowed, what is not, and what a file may leave out."""

import math
from dataclasses import replace
from typing import Any

import pytest

from convert.errors import PolicyError
from convert.parity.flips import Flip
from convert.parity.policy import POLICY_FORMAT, SYNTHETIC_POLICY, DeviceLimits, Policy

MOST = 10**9
# Section, key, smallest, largest; an int is a whole number.
KEYS: list[tuple[str, str, float, float]] = [
    ("accuracy", "max_drop_points", 0.0, 100.0),
    ("accuracy", "max_drop_bound_points", 0.0, 100.0),
    ("accuracy", "bound_confidence", 0.5, 0.9999),
    ("agreement", "min_percent", 0.0, 100.0),
    ("agreement", "min_decided_percent", 0.0, 100.0),
    ("agreement", "decided_margin", 0.0, 1.0),
    ("recall", "max_fall_points", 0.0, 100.0),
    ("malignant_to_benign", "max_images", 0, MOST),
    ("device", "min_same_percent", 0.0, 100.0),
    ("device", "min_answered_alike_percent", 0.0, 100.0),
    ("device", "max_lost_points", 0.0, 100.0),
    ("evidence", "min_images", 1, MOST),
    ("evidence", "min_decided_images", 1, MOST),
    ("evidence", "min_class_images", 1, MOST),
    ("evidence", "min_called_class_images", 0, MOST),
]


def record(section: str = "", key: str = "", value: object = None) -> dict[str, Any]:
    """The shipped policy's with one value changed, and no other in its way."""
    made = Policy.default().to_record()
    if (section, key) == ("accuracy", "max_drop_bound_points"):
        made["accuracy"]["max_drop_points"] = 0.0
    if (section, key) == ("accuracy", "max_drop_points"):
        made["accuracy"]["max_drop_bound_points"] = 100.0
    if section:
        made[section][key] = value
    return made


@pytest.mark.parametrize(("section", "key", "low", "high"), KEYS)
def test_ends_of_a_limit_are_allowed_and_what_lies_beyond_is_not(
    section: str, key: str, low: float, high: float
) -> None:
    for value in (low, high):
        assert Policy.from_record(record(section, key, value)).to_record()[section][key] == value
    whole = isinstance(low, int)
    below, above = (low - 1, high + 1) if whole else (math.nextafter(low, -1), math.nextafter(high, high + 1))
    for value in (below, above):
        with pytest.raises(PolicyError, match=rf"^{section}\.{key} must be {low:g}\.\.".replace("+", r"\+")):
            Policy.from_record(record(section, key, value))
    wrong: list[object] = [True, False, None, "1", [1], math.nan, math.inf, -math.inf]
    for other in [*wrong, 1.0] if whole else wrong:
        with pytest.raises(PolicyError, match=rf"^{section}\.{key} must be a {'whole ' if whole else ''}number; got "):
            Policy.from_record(record(section, key, other))


def test_every_key_of_the_shipped_policy_is_held() -> None:
    made = Policy.default().to_record()
    assert [(section, key) for section, key, _, _ in KEYS] == [
        (section, key) for section in dict.fromkeys(each[0] for each in KEYS) for key in made[section]
    ]
    assert set(made) == {"format", "name", *(section for section, *_ in KEYS)}
    assert made["format"] == POLICY_FORMAT == 1, "older bundles hold this number"


def test_a_bound_equal_to_the_limit_on_the_drop_is_allowed() -> None:
    made = Policy.default()
    assert replace(made, max_accuracy_drop_points=1.0, max_accuracy_drop_bound_points=1.0)
    with pytest.raises(PolicyError, match=r"max_drop_bound_points must be >= accuracy.max_drop_points; got 1.0 < 1.0"):
        replace(made, max_accuracy_drop_points=math.nextafter(1.0, 2), max_accuracy_drop_bound_points=1.0)


@pytest.mark.parametrize("name", ["", 1, None, "two\nlines", "\n"])
def test_a_name_is_one_line(name: Any) -> None:
    with pytest.raises(PolicyError, match="policy name must be a single line of text"):
        replace(Policy.default(), name=name)
    assert replace(Policy.default(), name="x").name == "x"


def test_a_policy_without_limits_on_answers_stays_without() -> None:
    without = replace(Policy.default(), device=None)
    made = without.to_record()
    assert "device" not in made and Policy.from_record(made) == without
    assert Policy.from_record(record()).device == DeviceLimits(99.0, 99.5, 1.0)


@pytest.mark.parametrize("section", ["accuracy", "agreement", "recall", "malignant_to_benign", "device", "evidence"])
def test_sections_are_tables_with_every_key(section: str) -> None:
    made = record()
    for other in (None, 1, (), "x"):
        with pytest.raises(PolicyError, match=rf"policy {section} must be a table \[{section}\]"):
            Policy.from_record({**made, section: other})
    last = list(made[section])[-1]
    with pytest.raises(PolicyError, match=rf"^\[{section}\] must have every key; missing {last}$"):
        Policy.from_record({**made, section: {key: value for key, value in made[section].items() if key != last}})
    with pytest.raises(PolicyError, match=rf"^\[{section}\] has no key 'qqq'; it has .*{last}"):
        Policy.from_record({**made, section: {**made[section], "qqq": 1}})
    if section != "device":
        with pytest.raises(PolicyError, match=f"^policy must have every key; missing {section}$"):
            Policy.from_record({key: value for key, value in made.items() if key != section})


def test_the_nearest_key_alone_is_named() -> None:
    with pytest.raises(PolicyError, match=r"^policy has no key 'devices'; did you mean device\?$"):
        Policy.from_record({**record(), "devices": {}})
    for number in (0, 2, None):
        with pytest.raises(PolicyError, match="format must be 1"):
            Policy.from_record({**record(), "format": number})


# --- forbidden flips ----------------------------------------------------------------------------------------


def forbidden(*tables: Any) -> Policy:
    return Policy.from_record({**record(), "forbidden": list(tables)})


def test_flips_are_read_and_written_back() -> None:
    made = forbidden({"from": "dog", "to": ["wolf", "fox"]}, {"from": ["a", "b"], "to": "c", "max_images": 2})
    assert made.forbidden == (Flip(("dog",), ("wolf", "fox"), 0), Flip(("a", "b"), ("c",), 2))
    assert made.to_record()["forbidden"] == [
        {"from": ["dog"], "to": ["wolf", "fox"], "max_images": 0},
        {"from": ["a", "b"], "to": ["c"], "max_images": 2},
    ]
    assert Policy.from_record(made.to_record()) == made
    assert forbidden() == Policy.default() and "forbidden" not in forbidden().to_record()


@pytest.mark.parametrize("images", [0, MOST])
def test_as_many_flips_as_that_may_be_allowed(images: int) -> None:
    assert forbidden({"from": "a", "to": "b", "max_images": images}).forbidden[0].max_images == images


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"from": "a", "to": "b", "max_images": -1}, "forbidden.max_images must be 0"),
        ({"from": "a", "to": "b", "max_images": MOST + 1}, "forbidden.max_images must be 0"),
        ({"from": "a", "to": "b", "max_images": True}, "forbidden.max_images must be a whole number"),
        ({"from": "a", "to": "b", "max_images": 1.0}, "forbidden.max_images must be a whole number"),
        ({"from": "a", "to": 1}, "must be a label or a list of labels"),
        ({"from": None, "to": "b"}, "must be a label or a list of labels"),
        ({"from": ["a", 1], "to": "b"}, "must be a label or a list of labels"),
        ({"from": ("a",), "to": "b"}, "must be a label or a list of labels"),
        ({"from": [], "to": "b"}, "must name labels, from and to"),
        ({"from": "a", "to": []}, "must name labels, from and to"),
        ({"from": "a", "to": "a"}, "share no label; got a to a"),
        ({"from": ["a", "b"], "to": ["c", "b"]}, "share no label; got a or b to c or b"),
        ({"from": "a"}, r"^\[forbidden\] must have every key; missing to$"),
        ({"from": "a", "to": "b", "max_image": 1}, r"did you mean max_images\?"),
        ("a to b", "must be tables"),
    ],
)
def test_what_is_no_flip_is_named_also_as_the_last_of_several(table: Any, said: str) -> None:
    for tables in ([table], [{"from": "x", "to": "y"}, table]):
        with pytest.raises(PolicyError, match=said):
            forbidden(*tables)


def test_flips_stand_in_a_list() -> None:
    wrong: tuple[object, ...] = ({"from": "a", "to": "b"}, "x", 1, None, ())
    for other in wrong:
        with pytest.raises(PolicyError, match="policy forbidden must be tables"):
            Policy.from_record({**record(), "forbidden": other})


def test_what_ships_for_drawn_fields() -> None:
    made = Policy.synthetic()
    assert made.name != Policy.default().name and made == Policy.load(SYNTHETIC_POLICY)
