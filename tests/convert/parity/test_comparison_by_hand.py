"""A comparison of eight images counted by hand, and the ends of what may be compared."""

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from msgspec import UNSET

from convert.errors import ParityError
from convert.parity import comparison
from convert.parity.comparison import Changed, ClassParity, Parity, compare
from convert.parity.flips import Flip, FlipCount
from models.statistics.intervals import mcnemar_exact, paired_difference, wilson

LABELS = ("Benign", "Early", "Pre", "Pro")
# True label, float's, int8's. Pro is of no image, though it is called.
IMAGES = (
    (0, 0, 0),
    (0, 1, 0),  # gained; float called it malignant, wrongly: no malignant image
    (1, 1, 0),  # lost, malignant to benign
    (1, 2, 0),  # wrong before and after, malignant to benign
    (1, 1, 1),
    (1, 1, 2),  # lost
    (2, 2, 2),
    (2, 3, 2),  # gained
)
TRUTH, WAS, NOW = (np.array(column) for column in zip(*IMAGES, strict=True))
Rows = npt.NDArray[np.float64]


def rows(called: npt.ArrayLike, first: float, second: float) -> Rows:
    """Probabilities (N, 4): `first` for the class called, `second` for the next one, and what is left for one more."""
    called = np.asarray(called)
    made = np.zeros((len(called), 4))
    number = np.arange(len(called))
    made[number, called], made[number, (called + 1) % 4] = first, second
    made[number, (called + 2) % 4] = 1 - first - second
    return made


BEFORE, AFTER = rows(WAS, 0.75, 0.25), rows(NOW, 0.5, 0.25)


def found(**options: Any) -> Parity:
    return compare(LABELS, BEFORE, AFTER, TRUTH, **options)


def test_figures_of_eight_images() -> None:
    made = found(kind="reference")
    assert (made.judged, made.kind, made.labels, made.images) == ("labels", "reference", LABELS, 8)
    assert (made.agreed, made.agreement, made.agreement_interval) == (3, 3 / 8, wilson(3, 8, 0.95))
    assert (made.lost, made.gained, made.accuracy_drop) == (2, 2, 0.0)
    assert (made.accuracy_float, made.accuracy_int8) == (5 / 8, 5 / 8)
    assert made.accuracy_float_interval == made.accuracy_int8_interval == wilson(5, 8, 0.95)
    assert made.accuracy_drop_interval == paired_difference(2, 2, 8, 0.95) and made.mcnemar_p == mcnemar_exact(2, 2)
    assert (made.malignant_to_benign, made.called_malignant_to_benign) == (2, 3)
    assert made.transitions == ((1, 0, 0, 0), (2, 1, 1, 0), (1, 0, 1, 0), (0, 0, 1, 0))
    assert made.confusion_float == ((1, 1, 0, 0), (0, 3, 1, 0), (0, 0, 1, 1), (0, 0, 0, 0))
    assert made.confusion_int8 == ((2, 0, 0, 0), (2, 1, 1, 0), (0, 0, 2, 0), (0, 0, 0, 0))
    assert made.ece_float == pytest.approx(abs(0.75 - 5 / 8)) and made.ece_int8 == pytest.approx(abs(0.5 - 5 / 8))
    assert made.device is UNSET and made.forbidden is UNSET


def test_accuracy_that_falls_and_that_rises() -> None:
    called = TRUTH.copy()
    called[:3] = 3
    fell = compare(LABELS, rows(TRUTH, 0.75, 0.25), rows(called, 0.75, 0.25), TRUTH)
    assert (fell.lost, fell.gained, fell.accuracy_drop, fell.accuracy_int8) == (3, 0, 3 / 8, 5 / 8)
    assert (fell.accuracy_float, fell.mcnemar_p) == (1.0, mcnemar_exact(3, 0))
    rose = compare(LABELS, rows(called, 0.75, 0.25), rows(TRUTH, 0.75, 0.25), TRUTH)
    assert (rose.lost, rose.gained, rose.accuracy_drop, rose.accuracy_float) == (0, 3, -3 / 8, 5 / 8)
    assert rose.accuracy_int8_interval == wilson(8, 8, 0.95) and rose.accuracy_float_interval == wilson(5, 8, 0.95)


def test_classes_of_eight_images() -> None:
    def entry(called_float: int, called_int8: int, images: int, lost: int, gained: int, before: int) -> ClassParity:
        recalls = (before / images, (before - lost + gained) / images, (lost - gained) / images)
        interval = paired_difference(lost, gained, images, 0.95)
        return ClassParity(called_float, called_int8, images, lost, gained, *recalls, interval)

    assert found().classes == {
        "Benign": entry(1, 4, 2, lost=0, gained=1, before=1),
        "Early": entry(4, 1, 4, lost=2, gained=0, before=3),
        "Pre": entry(2, 3, 2, lost=0, gained=1, before=1),
        "Pro": ClassParity(1, 0, images=0),
    }
    assert compare(LABELS, BEFORE, AFTER).classes == {
        "Benign": ClassParity(1, 4),
        "Early": ClassParity(4, 1),
        "Pre": ClassParity(2, 3),
        "Pro": ClassParity(1, 0),
    }


def test_changed_images_are_listed_with_their_own_figures() -> None:
    names = [f"image {number}" for number in range(8)]
    assert [each.name for each in found(names=names).changed] == [names[number] for number in (1, 2, 3, 5, 7)]
    assert found(names=names).changed[0] == Changed("image 1", "Benign", "Early", "Benign", 0.75, 0.5, 0.5)
    assert found().changed[-1] == Changed("#7", "Pre", "Pro", "Pre", 0.75, 0.5, 0.5)
    assert compare(LABELS, BEFORE, AFTER).changed[-1].true is None
    assert compare(LABELS, BEFORE, BEFORE, TRUTH).changed == ()


def test_drift_is_the_largest_change_of_any_class() -> None:
    after = BEFORE.copy()
    after[3] = np.roll(after[3], 1)
    after[6, WAS[6]] -= 0.125
    after[6, (WAS[6] + 2) % 4] += 0.125
    made = compare(LABELS, BEFORE, after)
    assert (made.drift_worst, made.drift_worst_name) == (0.75, "#3")
    assert made.drift_mean == (0.75 + 0.125) / 8
    assert compare(LABELS, BEFORE, BEFORE).drift_worst == 0.0


def test_without_labels_what_needs_them_is_not_there() -> None:
    made = msgspec.to_builtins(compare(LABELS, BEFORE, AFTER))
    assert made["judged"] == "agreement" and made["called_malignant_to_benign"] == 3 and made["agreed"] == 3
    needing = ("lost", "gained", "accuracy_float", "accuracy_drop", "malignant_to_benign", "ece_int8", "confusion_int8")
    assert all(made[name] is None for name in needing)


@pytest.mark.parametrize(
    ("margin", "decided", "agreed"), [(0.5, 8, 3), (math.nextafter(0.5, 1), 0, 0), (0.0, 8, 3), (1.0, 0, 0)]
)
def test_a_lead_of_the_margin_is_decided(margin: float, decided: int, agreed: int) -> None:
    made = found(decided_margin=margin)
    assert (made.decided_images, made.decided_agreed, made.decided_margin) == (decided, agreed, margin)
    assert made.decided_agreement == (agreed / decided if decided else None)
    assert made.decided_agreement_interval == (wilson(agreed, decided, 0.95) if decided else None)


def test_the_margin_is_floats_lead_over_its_runner_up() -> None:
    before = np.array([[0.5, 0.25, 0.25, 0.0], [0.125, 0.25, 0.125, 0.5], [0.0, 0.0, 0.25, 0.75]])
    made = compare(LABELS, before, rows([0, 0, 1], 1.0, 0.0), decided_margin=0.375)
    assert (made.decided_images, made.decided_agreed) == (1, 0)
    assert [each.float_margin for each in made.changed] == [0.25, 0.5]
    assert compare(("Benign", "Pro"), [[0.75, 0.25]], [[0.75, 0.25]], decided_margin=0.5).decided_images == 1


def test_of_equal_probabilities_the_first_counts() -> None:
    tied = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]])
    made = compare(LABELS, tied, tied, decided_margin=0.0)
    assert made.transitions[0][0] == made.transitions[1][1] == 1 and made.agreed == made.decided_images == 2
    assert compare(LABELS, tied, tied, decided_margin=math.nextafter(0.0, 1)).decided_images == 0


@pytest.mark.parametrize("margin", [math.nextafter(0.0, -1), math.nextafter(1.0, 2), 1.5, math.nan])
def test_margins_beyond_are_refused(margin: float) -> None:
    with pytest.raises(ParityError, match=r"decided_margin must be within 0\.\.1"):
        found(decided_margin=margin)


def test_which_labels_are_benign_is_said_or_read_from_them() -> None:
    assert found().benign == "Benign" == found(benign=None).benign
    both = found(benign=("Benign", "Early"))
    assert both.malignant_to_benign == 0 and both.called_malignant_to_benign == 1
    other = found(benign=["Pre"])
    assert (other.malignant_to_benign, other.called_malignant_to_benign) == (1, 2)
    none = found(benign=())
    assert none.malignant_to_benign is None and none.called_malignant_to_benign is None
    for wrong in (("Benign", "Other"), ("Other",), "Benign", "Pre"):
        with pytest.raises(ParityError, match="benign must be some of the labels"):
            found(benign=wrong)


def test_forbidden_flips_are_counted_in_their_order() -> None:
    early, never = Flip(("Early",), ("Benign", "Pre")), Flip(("Pro",), ("Early",))
    assert found(forbidden=(early, never)).forbidden == (FlipCount(early, 2), FlipCount(never, 0))
    assert compare(LABELS, BEFORE, AFTER, forbidden=(early,)).forbidden == (FlipCount(early, 3),)


@pytest.mark.parametrize("count", [0, 7, 9])
def test_names_are_one_an_image(count: int) -> None:
    with pytest.raises(ParityError, match=f"names must be one an image, 8; got {count}"):
        found(names=[str(number) for number in range(count)])


def test_both_models_see_the_same_images_and_one_at_least() -> None:
    for before, after in ((BEFORE[:-1], AFTER), (BEFORE, AFTER[:-1])):
        with pytest.raises(ParityError, match="must be of the same images; got "):
            compare(LABELS, before, after)
    with pytest.raises(ParityError, match=r"^float_probabilities "):
        compare(LABELS, BEFORE[:0], AFTER[:1])
    with pytest.raises(ParityError, match=r"^int8_probabilities "):
        compare(LABELS, BEFORE[:1], AFTER[:0])
    one = compare(LABELS, BEFORE[:1], AFTER[:1], TRUTH[:1])
    assert (one.images, one.agreed) == (1, 1)
    assert (comparison.DECIDED_MARGIN, comparison.CONFIDENCE) == (0.1, 0.95)
