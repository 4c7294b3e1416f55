"""Gates at their limits, without images: values, distances and sizes are set by hand."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import FrameError, SettingsError
from edge.inference.domain import ANY, SMEAR
from edge.inference.gates import novelty, quality
from edge.inference.gates.base import GateReport, Gates
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import FAMILIES, FARTHEST, Family, Novelty, family_names, scaled
from edge.inference.gates.quality import QUALITY, CalibratedGate, gate_of, quality_names

BLACK = np.zeros((16, 24, 3), np.uint8)  # 24 wide, 16 high
ABOVE, BELOW = math.nextafter(1.0, 2.0), math.nextafter(1.0, 0.0)


def gate(value: float, ceiling: bool, name: str = "g") -> CalibratedGate:
    return CalibratedGate(name, "claim", lambda view: value, 1.0, ceiling, "px", "value {:g}")


# --- quality ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "ceiling", "refused"),
    [
        (1.0, True, False),
        (ABOVE, True, True),
        (BELOW, True, False),
        (1.0, False, False),
        (BELOW, False, True),
        (ABOVE, False, False),
        (math.nan, True, True),
        (math.nan, False, True),
        (math.inf, True, True),
        (-math.inf, False, True),
    ],
)
def test_the_limit_passes_and_the_next_number_does_not(value: float, ceiling: bool, refused: bool) -> None:
    read = gate(value, ceiling).read(View(BLACK))
    assert (read.gate, read.limit, read.unit, read.refused) == ("g", 1.0, "px", refused)
    assert read.value == value or math.isnan(value)
    assert read.detail.startswith("claim: value ") is refused
    assert read.detail.endswith(", at most 1" if ceiling else ", at least 1")


def test_sides_of_the_limits_and_where_they_are_measured() -> None:
    sides = {name: measure.is_ceiling for name, measure in QUALITY.items()}
    assert sides == {
        "under_exposed": False,
        "over_exposed": True,
        "empty_field": False,
        "no_contrast": False,
        "motion_blur": True,
        "out_of_focus": True,
    }
    assert all(gate_of(name, 3.0).is_ceiling is side for name, side in sides.items())
    assert quality_names(SMEAR) == ("under_exposed", "over_exposed", "empty_field", "motion_blur", "out_of_focus")
    assert quality_names(ANY) == ("under_exposed", "over_exposed", "no_contrast", "motion_blur", "out_of_focus")
    assert quality.LARGEST_LIMIT == 255.0


# --- several gates ------------------------------------------------------------------------------------------


def test_the_first_that_refuses_names_the_reason_and_the_last_one_is_asked() -> None:
    passing, high, low = gate(1.0, True, "passing"), gate(2.0, True, "high"), gate(0.0, False, "low")
    report = Gates([passing, high, low]).check(BLACK)
    assert report.refusal is not None and report.refusal.gate == "high"
    assert report.values == {"passing": 1.0, "high": 2.0, "low": 0.0}
    last = Gates([passing, low]).check(BLACK)
    assert last.refusal is not None and last.refusal.gate == "low"
    assert Gates([passing]).check(BLACK).refusal is None
    assert GateReport(()).refusal is None and Gates([]).check(BLACK) == GateReport(())


@pytest.mark.parametrize(
    ("size", "said"),
    [((24, 16), None), ((24, 17), "24x17"), ((25, 16), "25x16"), ((16, 24), "16x24"), (None, None)],
)
def test_width_and_height_are_both_the_limits_own(size: tuple[int, int] | None, said: str | None) -> None:
    gates = Gates([gate(1.0, True)], size)
    if said is None:
        assert gates.check(BLACK).refusal is None
        gates.require_size((24, 16))
        return
    for ask in (lambda: gates.check(BLACK), lambda: gates.require_size((24, 16))):
        with pytest.raises(FrameError, match=f"frames of {said} pixels; got 24x16"):
            ask()


def test_gates_keep_their_size_and_domain() -> None:
    gates = Gates([gate(1.0, True, "one"), gate(1.0, True, "two")], (8, 8), ANY)
    for made in (gates.without(["one"]), gates.without([]), gates.and_then(gate(1.0, True, "three"))):
        with pytest.raises(FrameError, match="got 24x16"):
            made.require_size((24, 16))
        assert made.view(BLACK).domain == ANY
    assert gates.without(["one", "none"]).names == ("two",) and gates.without([]).names == ("one", "two")
    assert gates.and_then(gate(1.0, True, "three")).names == ("one", "two", "three")
    gates.without(["one", "two"]).require_size((24, 16))
    Gates([]).require_size((1, 1))


# --- distances ----------------------------------------------------------------------------------------------


def family(limit: float = 1.0, count: int = 2, **changes: Any) -> Family:
    """About 0, as measured."""
    whole: dict[str, Any] = {
        "centre": np.zeros(count),
        "scale": np.ones(count),
        "prototypes": np.zeros((1, count)),
        "precision": np.eye(count),
    }
    return Family(**(whole | changes), limit=limit)


def gate_on(value: float, other: float = 0.0) -> Novelty:
    """A gate whose families `stain` and `structure` measure a distance of `value` and of `other`."""
    return Fixed({"stain": family(count=len(FAMILIES["stain"].words))}, value, other)


class Fixed(Novelty):
    """With numbers that are set in place of those of a view."""

    def __init__(self, families: dict[str, Family], value: float, other: float) -> None:
        super().__init__(families | {"structure": family(count=len(FAMILIES["structure"].words))})
        object.__setattr__(self, "numbers", {"stain": value, "structure": other})

    def shares(self, view: View) -> dict[str, tuple[float, str]]:
        numbers: dict[str, float] = self.numbers  # type: ignore[attr-defined]
        return self.shares_of({name: first(each, len(FAMILIES[name].words)) for name, each in numbers.items()})


def first(value: float, count: int) -> npt.NDArray[np.float64]:
    return np.array([value, *[0.0] * (count - 1)])


@pytest.mark.parametrize(
    ("value", "refused", "recorded"),
    [
        (1.0, False, 1.0),
        (math.nextafter(1.0, 2.0), True, math.nextafter(1.0, 2.0)),
        (0.5, False, 0.5),
        (1.5, True, 1.5),
        (FARTHEST / 2, True, FARTHEST / 2),
        (FARTHEST * 2, True, FARTHEST),
        (1e200, True, FARTHEST),
        (math.inf, True, FARTHEST),
        (math.nan, True, FARTHEST),
    ],
)
def test_a_distance_of_the_limit_passes_and_what_is_no_number_never_does(
    value: float, refused: bool, recorded: float
) -> None:
    for read in (gate_on(value).read(View(BLACK)), gate_on(0.25, value).read(View(BLACK))):
        assert (read.value, read.limit, read.refused) == (recorded, 1.0, refused)
        assert math.isfinite(read.value) and read.gate == "unlike_training" and read.unit == "of the limit"
        assert read.detail.startswith("unlike the training images: distance ") is refused
        assert f"distance {recorded:.2f}, at most 1; most unusual: " in read.detail


def test_a_distance_counts_in_units_of_the_limit_and_the_farthest_family_counts() -> None:
    count = len(FAMILIES["stain"].words)
    word = list(FAMILIES["stain"].words.values())
    made = Novelty({"stain": family(4.0, count)})
    assert made.shares_of({"stain": first(4.0, count), "structure": []}) == {"stain": (1.0, word[0])}
    assert made.shares_of({"stain": first(2.0, count)})["stain"] == (0.5, word[0])
    assert made.shares_of({"stain": np.zeros(count)})["stain"] == (0.0, word[0])
    for value, other, larger in ((0.5, 0.75, 0.75), (0.75, 0.5, 0.75)):
        read = gate_on(value, other).read(View(BLACK))
        assert read.value == larger
        assert read.detail.endswith(next(iter(FAMILIES["stain" if value > other else "structure"].words.values())))


def test_a_family_has_a_number_for_every_word() -> None:
    count = len(FAMILIES["stain"].words)
    for other in (count - 1, count + 1):
        with pytest.raises(ValueError, match="zip"):
            Novelty({"stain": family(count=other)}).shares_of({"stain": np.zeros(other)})


def test_numbers_of_the_same_thing_count_together() -> None:
    """Two addends of a word outweigh one larger addend of another."""
    words = list(FAMILIES["appearance"].words.values())
    twice = next(word for word in words if words.count(word) > 1)
    once = next(word for word in words if word != twice)
    values = np.zeros(len(words))
    places = [place for place, word in enumerate(words) if word == twice][:2]
    values[places], values[words.index(once)] = 0.5, 0.6
    made = Novelty({"appearance": family(10.0, len(words))})
    assert made.shares_of({"appearance": values})["appearance"][1] == twice
    values[places[1]] = 0.0
    assert made.shares_of({"appearance": values})["appearance"][1] == once


def test_the_nearest_prototype_counts_and_a_square_below_0_is_0() -> None:
    two = family(prototypes=np.array([[3.0, 0.0], [0.0, 1.0], [5.0, 5.0]]))
    distance, addends = two.distance([0.0, 0.0])
    assert distance == 1.0 and addends.tolist() == [0.0, 1.0]
    distance, addends = two.distance([5.0, 4.0])
    assert distance == 1.0 and addends.tolist() == [0.0, 1.0]
    assert family().distance([0.0, 0.0])[0] == 0.0
    assert family().distance([0.25, 0.0])[0] == 0.25
    slanted = family(precision=np.array([[2.0, -1.0], [-1.0, 2.0]]))
    assert slanted.distance([1.0, 2.0])[1].tolist() == [0.0, 6.0]


def test_numbers_are_centred_scaled_and_compressed() -> None:
    centre, scale = np.array([1.0, -1.0]), np.array([2.0, 4.0])
    values = np.array([5.0, -9.0])
    assert scaled(values, centre, scale, compressed=False).tolist() == [2.0, -2.0]
    assert scaled(values, centre, scale, compressed=True).tolist() == [np.log1p(2.0), -np.log1p(2.0)]
    assert family(centre=centre, scale=scale).scaled(values).tolist() == [2.0, -2.0]
    assert family(centre=centre, scale=scale, compressed=True).scaled(values).tolist() == [np.log1p(2), -np.log1p(2)]
    assert FAMILIES["appearance_compressed"].compressed and not FAMILIES["appearance"].compressed
    assert not FAMILIES["stain"].compressed and not FAMILIES["structure"].compressed and novelty.FARTHEST == 1e6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"centre": np.array([0.0, math.nan])}, "centre must be finite numbers of shape \\(2,\\)"),
        ({"scale": np.array([1.0, math.inf])}, "scale must be finite"),
        ({"scale": np.ones(3)}, "scale must be finite numbers of shape \\(2,\\); got shape \\(3,\\)"),
        ({"scale": np.array([1.0, 0.0])}, "scale must be > 0"),
        ({"scale": np.array([-1.0, 1.0])}, "scale must be > 0"),
        (
            {"prototypes": np.zeros((0, 2))},
            "prototypes must be finite numbers of shape \\(1, 2\\); got shape \\(0, 2\\)",
        ),
        ({"prototypes": np.zeros((1, 3))}, "prototypes must be"),
        ({"prototypes": np.array([[0.0, 0.0], [0.0, math.nan]])}, "prototypes must be"),
        ({"precision": np.eye(3)}, "precision must be finite"),
        ({"precision": np.array([[1.0, 0.0], [0.1, 1.0]])}, "symmetric"),
        ({"precision": np.diag([0.0, 1.0])}, "symmetric and positive definite"),
        ({"precision": np.diag([1.0, -0.1])}, "symmetric and positive definite"),
        ({"limit": 0.0}, "limit must be a number > 0; got 0.0"),
        ({"limit": -1.0}, "limit must be"),
        ({"limit": math.inf}, "limit must be"),
        ({"limit": math.nan}, "limit must be"),
    ],
)
def test_what_is_no_family_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        family(**changes)


def test_small_scales_precisions_and_limits_are_families() -> None:
    family(1e-9, scale=np.array([1e-3, 0.5]), precision=np.diag([1e-3, 2.0]))


def test_families_are_known_ones_and_one_at_least() -> None:
    for families in ({}, {"other": family()}, {"stain": family(), "other": family()}):
        with pytest.raises(SettingsError, match="families must be some of stain, structure, "):
            Novelty(families)
    whole = Novelty({name: family() for name in FAMILIES})
    assert set(whole.families) == set(family_names(SMEAR)) == set(FAMILIES)
    assert family_names(ANY) == ("appearance", "appearance_compressed")


def test_a_view_is_measured_by_the_families_that_there_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    count = len(FAMILIES["appearance"].words)
    made = Novelty({"appearance": family(1e3, count)})
    measured = FAMILIES["appearance"].measure(View(pixels, ANY))
    assert made.shares(View(pixels, ANY)) == made.shares_of({"appearance": measured})
