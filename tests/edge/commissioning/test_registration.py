"""Registration against fields drawn at known positions: what overlaps is found, what does not is not merged."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from edge.cameras.synthetic.laboratory import Laboratory
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.commissioning.registration import FieldPrint, Overlap, SlideFields
from edge.inference.contract import Pixels

SIZE = (320, 240)
STEP = 0.36 * 224 / SIZE[1]


class Placed(NamedTuple):
    """A field and where it lies on its slide, in widths and heights of a field."""

    x: float
    y: float
    frame: Pixels


def drawn(slide: SyntheticSmear, count: int, seed: int) -> list[Placed]:
    """Fields at random places of 2.2 x 2.2 fields, each with a light, a focus and a noise of its own."""
    rng, fields = np.random.default_rng(seed), []
    for number in range(count):
        x, y = rng.uniform(0, 2.2, 2)
        field = slide.field(
            x * SIZE[0] * STEP, y * SIZE[1] * STEP, SIZE, STEP, float(rng.uniform(-0.4, 0.4)), noise=number + 1
        )
        fields.append(Placed(float(x), float(y), cv2.convertScaleAbs(field.frame, alpha=float(rng.uniform(0.7, 1)))))
    return fields


def shared(one: Placed, other: Placed) -> float:
    return max(0.0, 1 - abs(one.x - other.x)) * max(0.0, 1 - abs(one.y - other.y))


@pytest.fixture(scope="module")
def slides() -> list[list[Placed]]:
    laboratory = Laboratory(3)
    smears = [SyntheticSmear(1, "Benign"), SyntheticSmear(2, "Pro"), laboratory.smear("leukemic", 4)]
    return [drawn(smear, 12, seed) for seed, smear in enumerate(smears)]


@pytest.fixture(scope="module")
def prints(slides: list[list[Placed]]) -> list[list[FieldPrint]]:
    return [[FieldPrint(field.frame) for field in fields] for fields in slides]


def pairs(count: int) -> Iterator[tuple[int, int]]:
    return itertools.combinations(range(count), 2)


def test_fields_that_overlap_are_found_and_placed(slides: list[list[Placed]], prints: list[list[FieldPrint]]) -> None:
    """Counts of this test: 114 of 114 pairs with 5 % or more in common."""
    looked = found = 0
    for fields, made in zip(slides, prints, strict=True):
        for i, j in pairs(len(fields)):
            if shared(fields[i], fields[j]) < 0.05:
                continue
            looked += 1
            overlap = made[i].overlap(made[j])
            if overlap is None:
                continue
            found += 1
            assert abs(overlap.dx - (fields[j].x - fields[i].x)) < 0.02
            assert abs(overlap.dy - (fields[j].y - fields[i].y)) < 0.02
            assert abs(overlap.share - shared(fields[i], fields[j])) < 0.03
            assert not overlap.turned
    assert looked > 80
    assert found >= 0.95 * looked


def test_fields_without_a_common_piece_are_not_merged(
    slides: list[list[Placed]], prints: list[list[FieldPrint]]
) -> None:
    looked = merged = 0
    for fields, made in zip(slides, prints, strict=True):
        for i, j in pairs(len(fields)):
            if shared(fields[i], fields[j]) == 0:
                looked += 1
                merged += made[i].overlap(made[j]) is not None
    for one, other in itertools.combinations(prints, 2):
        for first, second in itertools.product(one[::2], other[::2]):
            looked += 1
            merged += first.overlap(second) is not None
    assert looked > 150
    assert merged <= 0.01 * looked


def test_a_slide_turned_end_for_end_is_recognized(slides: list[list[Placed]], prints: list[list[FieldPrint]]) -> None:
    for field, made in zip(slides[0], prints[0], strict=True):
        overlap = made.overlap(FieldPrint(np.ascontiguousarray(field.frame[::-1, ::-1])))
        assert overlap is not None
        assert overlap.turned
        assert overlap.share > 0.98


def test_a_slide_laid_a_degree_askew_is_recognized(slides: list[list[Placed]], prints: list[list[FieldPrint]]) -> None:
    turn = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), 1.0, 1)
    askew = [cv2.warpAffine(field.frame, turn, SIZE, borderMode=cv2.BORDER_REFLECT) for field in slides[1]]
    assert all(made.overlap(FieldPrint(frame)) is not None for made, frame in zip(prints[1], askew, strict=True))


def test_dirt_in_the_camera_is_not_taken_for_the_slide(slides: list[list[Placed]]) -> None:
    """Ten grains at the same places of every frame; the fields have nothing in common."""
    rng = np.random.default_rng(2)
    grains = [(int(x), int(y), int(r)) for x, y, r in rng.uniform((20, 20, 2), (300, 220, 6), (10, 3))]
    fields = [fields[0].frame.copy() for fields in slides]
    for frame, (x, y, radius) in itertools.product(fields, grains):
        cv2.circle(frame, (x, y), radius, (40, 40, 40), -1)
    made = [FieldPrint(frame) for frame in fields]
    assert not any(made[i].overlap(made[j]) for i, j in pairs(len(made)))
    assert all(print_.overlap(print_) for print_ in made)


def test_flat_frames_have_nothing_in_common() -> None:
    blank = FieldPrint(np.full((240, 320, 3), 230, np.uint8))
    assert blank.overlap(blank) is None


def test_the_slide_names_the_field_with_most_in_common(
    slides: list[list[Placed]], prints: list[list[FieldPrint]]
) -> None:
    fields = SlideFields()
    for number, made in enumerate(prints[0][:-1]):
        fields.add(f"field {number}", made)
    shares = [shared(field, slides[0][-1]) for field in slides[0][:-1]]
    found = fields.seen(prints[0][-1])
    assert found is not None
    assert found[0] == f"field {int(np.argmax(shares))}"
    assert len(fields) == fields.comparable(prints[0][-1]) == 11


def test_another_shape_cannot_be_compared_and_is_passed_over(prints: list[list[FieldPrint]]) -> None:
    square = FieldPrint(np.random.default_rng(0).integers(0, 255, (240, 240, 3), np.uint8))
    with pytest.raises(ValueError, match="one shape"):
        square.overlap(prints[0][0])
    fields = SlideFields()
    fields.add("field 1", prints[0][0])
    assert fields.seen(square) is None
    assert fields.comparable(square) == 0


def test_the_score_grows_with_the_share() -> None:
    assert Overlap(0, 0, 0.25, 0.8, False).score == pytest.approx(0.4)


@pytest.mark.parametrize("shape", [(32, 640, 3), (200, 700, 3)])
def test_frames_that_cannot_be_compared(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="frame must have sides"):
        FieldPrint(np.zeros(shape, np.uint8))
