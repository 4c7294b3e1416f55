"""The lint of a calibration set at its boundaries: the last set that passes a rule, and the first that does not."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from convert.calibration import lint
from convert.calibration.lint import lint_files, lint_inputs, lint_pixels
from convert.quantization.findings import Finding
from edge.inference.contract import FLOAT32, InputContract
from models.training.training_statistics import TrainingStatistics

LABELS = ("alpha", "beta")
SIGNED = InputContract((32, 32), LABELS)  # -1..0.9921875
UNIT = replace(SIGNED, scale=(1 / 255,) * 3, offset=(0.0,) * 3)
PLAIN = replace(SIGNED, scale=(1.0,) * 3, offset=(0.0,) * 3)


def brief(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.rule) for finding in findings]


def names(count: int) -> list[str]:
    return [f"n{number}" for number in range(count)]


def test_constants_of_the_lint() -> None:
    """Each says which sets are refused: a change is a decision, not a slip."""
    assert (lint.FEWEST, lint.RECOMMENDED, lint.UNIT_RANGE) == (16, 100, 2)
    assert (lint.NEAR_CONSTANT, lint.NEAR_CONSTANT_SHARE, lint.REPEATED_SHARE) == (2.0, 0.25, 0.5)
    assert (lint.SWAP_RATIO, lint.SWAP_LEAST, lint.FAR_COLOUR, lint.RANGE_SLACK) == (0.5, 8.0, 4.0, 0.02)


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "found"),
    [(0, "refuse"), (15, "refuse"), (16, "warn"), (99, "warn"), (100, None), (101, None)],
)
def test_how_many_are_too_few(count: int, found: str | None) -> None:
    labels = [LABELS[number % 2] for number in range(max(count, 2))][:count]
    findings = [each for each in lint_files(names(count), names(count), labels, PLAIN) if each.rule == "too-few"]
    assert brief(findings) == ([(found, "too-few")] if found else [])


def files(labels: list[str], **options: object) -> list[Finding]:
    """Of files with different bytes, without what is said of their number."""
    shas = [f"sha{number}" for number in range(len(labels))]
    found = lint_files(names(len(labels)), shas, labels, PLAIN, **options)  # type: ignore[arg-type]
    return [finding for finding in found if finding.rule != "too-few"]


def test_classes_that_are_missing_unknown_or_not_known() -> None:
    assert files(["alpha", "beta", ""]) == []
    assert brief(files(["", ""])) == [("info", "classes-unknown")]
    assert files(["alpha", ""]) == [Finding("refuse", "class-missing", "no image of beta")]
    [unknown] = files(["alpha", "beta", "gamma", "delta", ""])
    assert unknown == Finding("warn", "unknown-class", "delta, gamma not among the labels alpha, beta")


def test_every_copy_but_the_first_is_named() -> None:
    shas = ["s", "t", "s", "u", "s", "t"]
    found = lint_files(names(6), shas, ["alpha", "beta"] * 3, PLAIN)
    [copies] = [finding for finding in found if finding.rule == "duplicate"]
    assert copies.severity == "warn" and copies.names == ("n2", "n4", "n5") and copies.message.startswith("3 images")
    assert not any(each.rule == "duplicate" for each in lint_files(names(2), ["s", "t"], ["alpha", "beta"], PLAIN))


def test_one_image_that_also_judges_is_enough_to_refuse_and_the_last_counts() -> None:
    labels = ["alpha", "beta", "alpha"]
    assert files(labels, evaluation_sha256s=["sha9"]) == []
    for number in range(3):
        [overlap] = files(labels, evaluation_sha256s=["sha9", f"sha{number}"])
        assert (overlap.severity, overlap.rule, overlap.names) == ("refuse", "evaluation-overlap", (f"n{number}",))


def test_a_field_that_also_judges_is_refused_and_an_image_is_named_under_one_rule_only() -> None:
    labels = ["alpha", "beta", "alpha"]
    groups = {"sha0": "field 0", "sha1": "field 1", "sha9": "field 1"}
    [overlap] = files(labels, evaluation_sha256s=["sha9"], groups=groups)
    assert (overlap.severity, overlap.rule, overlap.names) == ("refuse", "field-overlap", ("n1",))
    assert overlap.message.startswith("1 images show")
    # an image of which the field is not known shows none that judges, whichever side it is on
    assert files(labels, evaluation_sha256s=["unlisted"], groups=groups) == []
    assert files(labels, evaluation_sha256s=["sha9"], groups={"sha0": "field 0", "sha9": "field 9"}) == []
    both = files(labels, evaluation_sha256s=["sha1", "sha2"], groups={"sha0": "f", "sha1": "f", "sha2": "g"})
    assert [(each.rule, each.names) for each in both] == [
        ("evaluation-overlap", ("n1", "n2")),
        ("field-overlap", ("n0",)),
    ]


def test_unequal_columns_are_refused_by_each_rule() -> None:
    for short, long in ((names(1), names(2)), (names(2), names(1))):
        with pytest.raises(ValueError, match="zip"):
            lint_files(short, long, ["alpha", "beta"], PLAIN)
        with pytest.raises(ValueError, match="zip"):
            lint._duplicates(short, long)
    with pytest.raises(ValueError, match="zip"):
        lint._repeated(names(3), ["s"])
    with pytest.raises(ValueError, match="zip"):
        lint_pixels(names(1), np.stack([half(0, 200), half(0, 100)]))


# --- pixels -------------------------------------------------------------------------------------------------


def half(low: int, high: int) -> npt.NDArray[np.uint8]:
    """An image, one half of each level: its standard deviation is half their difference."""
    image = np.full((8, 8, 3), low, np.uint8)
    image[4:] = high
    return image


def pixels(*images: npt.NDArray[np.uint8]) -> list[Finding]:
    found = lint_pixels(names(len(images)), np.stack(images))
    return [finding for finding in found if finding.rule != "colours-unchecked"]


def test_no_pixels_have_nothing_against_them() -> None:
    assert lint_pixels([], np.zeros((0, 8, 8, 3), np.uint8)) == []


def test_pixels_of_a_unit_range_end_at_two() -> None:
    [unit] = pixels(half(0, 2), half(0, 1))
    assert (unit.severity, unit.rule, unit.names) == ("refuse", "value-range", ("n0", "n1"))
    assert "the brightest is 2" in unit.message
    assert "value-range" not in [finding.rule for finding in pixels(half(0, 3), half(0, 2))]


def test_an_image_of_two_grey_levels_of_deviation_is_not_constant() -> None:
    assert pixels(half(100, 104), half(100, 105)) == []
    [flat] = pixels(half(100, 104), half(100, 105), half(100, 106), half(100, 103))
    assert (flat.severity, flat.rule, flat.names) == ("warn", "near-constant", ("n3",))


def test_a_quarter_of_constant_images_is_warned_of_and_more_is_refused() -> None:
    textured = [half(0, level) for level in range(100, 106)]
    flat = [half(100, 101), half(100, 102), half(100, 103)]
    assert brief(pixels(*textured, *flat[:2])) == [("warn", "near-constant")]
    assert brief(pixels(*textured, *flat)) == [("refuse", "near-constant")]


def test_half_of_a_set_may_be_other_images_and_no_fewer() -> None:
    one, two, three = half(0, 100), half(0, 110), half(0, 120)
    assert pixels(one) == [] and pixels(one, two) == [] and pixels(one, two, one) == []
    [stuck] = pixels(one, one)
    assert (stuck.severity, stuck.rule, stuck.names) == ("refuse", "repeated-image", ("n0", "n1"))
    [mostly] = pixels(one, two, one, one)
    assert mostly.names == ("n0", "n2", "n3")
    assert mostly.message == "4 images are only 2 different ones; one occurs 3 times"
    assert pixels(one, two, one, three, one) == []


# --- colours ------------------------------------------------------------------------------------------------


def colours(mean: tuple[float, ...], training: tuple[float, float, float], spread: float = 100.0) -> list[Finding]:
    statistics = TrainingStatistics(10, training, (1.0,) * 3, (spread,) * 3)
    return lint._colours(np.array([mean, mean], np.float64), statistics)


def test_colours_are_the_means_of_channels() -> None:
    images = np.stack([np.full((8, 8, 3), (200, 140, 60), np.uint8), np.full((8, 8, 3), (190, 140, 80), np.uint8)])
    images[:, 4:] = images[:, 4:] + np.uint8(10)  # no image is constant
    straight = TrainingStatistics(10, (200.0, 145.0, 75.0), (1.0,) * 3, (5.0,) * 3)
    assert lint_pixels(names(2), images, straight) == []
    swapped = replace(straight, mean=straight.mean[::-1])
    [found] = lint_pixels(names(2), images, swapped)
    assert (found.severity, found.rule) == ("refuse", "channel-order")
    assert found.message == "red and blue look swapped: mean R, G, B 200, 145, 75; in training 75, 145, 200"
    assert brief(lint_pixels(names(2), images)) == [("info", "colours-unchecked")]


def test_nearer_than_eight_grey_levels_is_no_swap() -> None:
    level = np.sqrt(32.0)
    assert float(np.linalg.norm([level, 0.0, -level])) == 8.0, "the limit to the last bit"
    assert colours((level, 0, 0), (0, 0, float(level))) == []
    assert brief(colours((level + 1e-9, 0, 0), (0, 0, float(level)))) == [("refuse", "channel-order")]


def test_a_swap_more_than_halves_the_distance() -> None:
    """Red and blue exchanged give the training's; green is off by so much that the distance falls to one half."""
    green = 16.32993161855452  # 20 sqrt(2 / 3)
    mean, training = (120.0, green, 100.0), (100.0, 0.0, 120.0)
    assert np.linalg.norm(np.subtract(mean, training)) == 2 * green, "the limit to the last bit"
    assert colours(mean, training) == []
    assert brief(colours((120.0, green - 1e-9, 100.0), training)) == [("refuse", "channel-order")]
    assert colours((100.0, 20.0, 100.0), (100.0, 0.0, 100.0)) == [], "far away, and the same when exchanged"


def test_colours_far_off_are_warned_of_from_four_deviations_on() -> None:
    assert colours((104.0, 100, 100), (100, 100, 100), spread=1.0) == []
    assert brief(colours((104.01, 100, 100), (100, 100, 100), spread=1.0)) == [("warn", "colour-shift")]
    assert brief(colours((100, 100, 95.5), (100, 100, 100), spread=0.5)) == [("warn", "colour-shift")]
    assert colours((103.5, 100, 100), (100, 100, 100), spread=0.5) == [], "a spread below 1 counts as 1"
    assert colours((106.0, 100, 100), (100, 100, 100), spread=2.0) == []
    [far] = colours((150.0, 100, 100), (100, 100, 100), spread=5.0)
    assert far.message == "far from the training images: mean R, G, B 150, 100, 100; in training 100, 100, 100"


# --- model values -------------------------------------------------------------------------------------------


def inputs(contract: InputContract, *values: float) -> list[Finding]:
    """In float64, so that the ends stand to the last bit."""
    return lint_inputs(np.array(values, np.float64).reshape(-1, 1, 1, 1), contract)


def ends(contract: InputContract) -> tuple[float, float, float]:
    """Least and largest due, and how much further values may lie."""
    table = contract.table(FLOAT32)
    low, high = float(table.min()), float(table.max())
    return low, high, 0.02 * (high - low)


def test_no_values_have_nothing_against_them() -> None:
    assert lint_inputs(np.zeros((0, 32, 32, 3), np.float32), SIGNED) == []


@pytest.mark.parametrize("contract", [SIGNED, PLAIN, UNIT])
def test_values_may_lie_a_fiftieth_beyond_the_range(contract: InputContract) -> None:
    low, high, slack = ends(contract)
    assert inputs(contract, low, high) == [] == inputs(contract, low - slack, high + slack)
    for below, above in ((np.nextafter(low - slack, -np.inf), high), (low, np.nextafter(high + slack, np.inf))):
        [found] = inputs(contract, float(below), float(above))
        assert (found.severity, found.rule) == ("refuse", "value-range")
        assert found.message.startswith(f"{low:.4g}..{high:.4g} is due for the contract; got ")


@pytest.mark.parametrize("values", [(0.0, np.nan), (-np.inf, 0.5), (0.0, np.inf), (np.nan, np.nan)])
def test_values_that_are_no_numbers_are_refused_as_such(values: tuple[float, float]) -> None:
    [found] = inputs(SIGNED, *values)
    assert (found.severity, found.rule) == ("refuse", "value-range")
    assert found.message.endswith(": not finite numbers")


def up_to(high: float) -> InputContract:
    """A contract whose largest value is `high`."""
    made = replace(SIGNED, scale=(high / 255,) * 3, offset=(0.0,) * 3)
    assert float(made.table(FLOAT32).max()) == high
    return made


@pytest.mark.parametrize(
    ("contract", "values", "is_said"),
    [
        (SIGNED, (0.0, 255.0), True),
        (SIGNED, (0.0, 33.0), True),
        (SIGNED, (0.0, 32.0), False),
        (SIGNED, (-1e-9, 255.0), False),
        (SIGNED, (-255.0, 0.5), False),
        (up_to(31.0), (0.0, 255.0), True),
        (up_to(32.0), (0.0, 255.0), False),
    ],
)
def test_pixels_never_normalized_are_called_so(
    contract: InputContract, values: tuple[float, ...], is_said: bool
) -> None:
    [found] = inputs(contract, *values)
    assert (found.severity, found.rule) == ("refuse", "value-range")
    assert found.message.endswith(": looks like pixels 0..255 never normalized") is is_said


@pytest.mark.parametrize(
    ("contract", "values", "is_said"),
    [(PLAIN, (-1.0, 1.0), True), (up_to(33.0), (0.0, 1.0), True), (up_to(32.0), (0.0, 1.0), False)],
)
def test_pixels_normalized_that_should_not_be_are_called_so(
    contract: InputContract, values: tuple[float, ...], is_said: bool
) -> None:
    [found] = inputs(contract, *values)
    assert (found.severity, found.rule) == ("refuse", "value-range")
    assert found.message.endswith(": looks like values normalized that should be pixels") is is_said


def test_values_span_an_eighth_of_the_range_at_least() -> None:
    assert inputs(PLAIN, 0.0, 31.875) == [] == inputs(PLAIN, 100.0, 131.875)
    for least, most in ((0.0, 31.874), (0.0, 30.0), (100.0, 120.0)):
        assert brief(inputs(PLAIN, least, most)) == [("refuse", "value-range")]


def test_values_scaled_to_a_unit_range_are_warned_of_where_lower_ones_are_due() -> None:
    [found] = inputs(SIGNED, 0.0, 1.0)
    assert (found.severity, found.rule) == ("warn", "value-range")
    assert found.message.endswith("got 0..1: no value below 0, as if scaled to 0..1 instead")
    assert inputs(SIGNED, 0.0, 1.01) == [] == inputs(SIGNED, -1e-9, 1.0)
    assert inputs(UNIT, 0.0, 1.0) == []
