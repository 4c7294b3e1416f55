"""Counts by slide and by field, by hand, and a network's classes taken as the site's."""

import numpy as np
import pytest

from models.adaptation.judging.counting import Judged, mapped

LABELS, BENIGN = ("healthy", "sick"), ("healthy",)


def _judged(sick: list[float], truth: list[int], slides: str) -> Judged:
    values = np.array(sick)
    return Judged(LABELS, BENIGN, np.stack([1 - values, values], axis=1), np.array(truth), tuple(slides))


def test_counts_by_hand() -> None:
    """Slide a: two sick fields of three missed, and so is the slide; b: one, but not the slide; c: healthy."""
    judged = _judged([0.1, 0.2, 0.9, 0.4, 0.9, 0.8, 0.3, 0.1], [1, 1, 1, 1, 1, 1, 0, 0], "aaabbbcc")
    fields, slides = judged.counted(), judged.by_slide().counted()
    assert fields.missed == 3 and slides.missed == 1
    assert fields.sensitivity is not None and (fields.sensitivity.count, fields.sensitivity.of) == (3, 6)
    assert slides.sensitivity is not None and (slides.sensitivity.count, slides.sensitivity.of) == (1, 2)
    assert slides.specificity is not None and slides.specificity.share == 1
    assert slides.sensitivity.interval is not None and slides.sensitivity.interval.low == pytest.approx(
        0.0127, abs=1e-3
    )
    assert fields.auroc == pytest.approx(9.5 / 12)  # of 12 pairs two are lost and one is a tie


def test_without_a_benign_class_nothing_is_missed_and_nothing_is_said_to_be() -> None:
    found = Judged(LABELS, (), np.eye(2), np.array([0, 0]), ("a", "b")).counted()
    assert found.missed is None and found.sensitivity is None and found.auroc is None
    assert found.right is not None and found.right.count == 1


def test_classes_weigh_alike_in_the_loss() -> None:
    many = _judged([0.5, 0.1, 0.1, 0.1], [1, 0, 0, 0], "abcd")
    assert many.log_loss() == pytest.approx((-np.log(0.5) - np.log(0.9)) / 2)


def test_a_networks_classes_taken_as_the_sites() -> None:
    own, benign = ("Benign", "Early", "Pre", "Pro"), ("Benign",)
    said = np.array([[0.4, 0.3, 0.2, 0.1]])
    two = mapped(said, own, benign, LABELS, BENIGN)
    assert two is not None and two[0].tolist() == [[0.4, 0.6]] and not two[1]
    same = mapped(said, own, benign, ("benign", "pro"), ("benign",))
    assert same is not None and same[0].tolist() == [pytest.approx([0.8, 0.2])]
    three = mapped(said, own, benign, ("a", "b", "healthy"), BENIGN)
    assert three is not None and three[1] and three[0].argmax() == 0
    assert mapped(said, own, benign, ("a", "b"), ()) is None
