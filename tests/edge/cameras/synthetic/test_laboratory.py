"""Drawn laboratories: what is drawn from what, and that colour does not tell the class."""

from typing import Any

import numpy as np
import pytest

from edge.cameras.synthetic.cell_types import KINDS
from edge.cameras.synthetic.laboratory import HEALTHY, LEUKEMIC, Laboratory
from edge.cameras.synthetic.recipes import RECIPES
from edge.errors import SmearError
from edge.inference.contract import Pixels

SIZE = (160, 120)
SLIDES, FIELDS = 8, 2


def six_colours(frame: Pixels) -> np.ndarray:
    """Mean and standard deviation of R, G, B."""
    flat = frame.reshape(-1, 3)
    return np.concatenate([flat.mean(0), flat.std(0)])


def told_apart(rows: list[tuple[Any, int, np.ndarray]]) -> float:
    """Share of fields whose class a linear rule on standardized numbers names, slides held out in turn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array([str(row[0]) for row in rows])
    groups = np.array([row[1] // 2 for row in rows])  # two slides at a time, one of each class
    rule = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000))
    numbers = np.stack([row[2] for row in rows])
    guessed = cross_val_predict(rule, numbers, labels, groups=groups, cv=LeaveOneGroupOut())
    return float(np.mean(guessed == labels))


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def colours(request: pytest.FixtureRequest) -> list[tuple[str, int, np.ndarray]]:
    """(label, slide, six colours) of a clean laboratory's fields."""
    laboratory = Laboratory(request.param)
    found = []
    for slide in range(2 * SLIDES):
        label = (HEALTHY, LEUKEMIC)[slide % 2]
        for index in range(FIELDS):
            field = laboratory.field(label, slide, index, session=slide // 2 % 3, size=SIZE)
            found.append((label, slide, six_colours(field.frame)))
    return found


def test_six_colours_do_not_tell_the_class(colours: list[tuple[str, int, np.ndarray]]):
    assert told_apart(colours) < 0.7


def test_six_colours_tell_cameras_and_sites():
    """The control: the same rule on the same numbers, where there is something to see."""
    one, other = Laboratory(1), Laboratory(2)
    cameras, sites = [], []
    for slide in range(8):
        which = slide % 2
        for index in range(2):
            taken = one.field(HEALTHY, slide, index, camera=which, size=SIZE)
            cameras.append((which, slide, six_colours(taken.frame)))
            abroad = (one, other)[which].field(HEALTHY, slide, index, size=SIZE)
            sites.append((which, slide, six_colours(abroad.frame)))
    assert told_apart(cameras) > 0.9
    assert told_apart(sites) > 0.9


def test_cells_follow_from_label_and_slide_alone():
    laboratory = Laboratory(4)
    here = laboratory.field("Pre", 7, 2, size=SIZE)
    cells = {(c.kind, c.key) for c in here.truth}
    later = laboratory.field("Pre", 7, 2, session=5, size=SIZE)
    assert {(c.kind, c.key) for c in later.truth} == cells
    assert not np.array_equal(later.frame, here.frame)
    assert {(c.kind, c.key) for c in laboratory.field("Pre", 8, 2, size=SIZE).truth}.isdisjoint(cells)
    assert {(c.kind, c.key) for c in laboratory.field("Pro", 7, 2, size=SIZE).truth}.isdisjoint(cells)


def test_the_same_words_give_the_same_bytes():
    one = Laboratory(9).field(LEUKEMIC, 3, 1, session=2, camera=1, size=SIZE).frame
    assert np.array_equal(Laboratory(9).field(LEUKEMIC, 3, 1, session=2, camera=1, size=SIZE).frame, one)
    others = [
        Laboratory(10).field(LEUKEMIC, 3, 1, session=2, camera=1, size=SIZE),
        Laboratory(9).field(LEUKEMIC, 4, 1, session=2, camera=1, size=SIZE),
        Laboratory(9).field(LEUKEMIC, 3, 2, session=2, camera=1, size=SIZE),
        Laboratory(9).field(LEUKEMIC, 3, 1, session=3, camera=1, size=SIZE),
        Laboratory(9).field(LEUKEMIC, 3, 1, session=2, camera=2, size=SIZE),
        Laboratory(9).field(HEALTHY, 3, 1, session=2, camera=1, size=SIZE),
        Laboratory(9).field(LEUKEMIC, 3, 1, session=2, camera=1, size=SIZE, light=0.9),
    ]
    assert all(not np.array_equal(other.frame, one) for other in others)


def test_light_is_given_back():
    laboratory = Laboratory(5)
    before = laboratory.field(HEALTHY, 1, 0, size=SIZE).frame
    darker = laboratory.field(HEALTHY, 1, 0, size=SIZE, light=0.8).frame
    assert darker.mean() < 0.9 * before.mean()
    assert np.array_equal(laboratory.field(HEALTHY, 1, 0, size=SIZE).frame, before)


def test_fields_of_a_slide_do_not_overlap():
    laboratory = Laboratory(6)
    seen: set[int] = set()
    for index in range(9):
        field = laboratory.field("Early", 2, index, size=SIZE)
        half = np.array(SIZE) * field.um_per_px / 2
        inside = {
            c.key for c in field.truth if abs(c.x_um - field.x_um) < half[0] and abs(c.y_um - field.y_um) < half[1]
        }
        assert inside
        assert inside.isdisjoint(seen)
        seen |= inside


def test_classes_differ_in_their_white_cells_and_have_as_much_dye():
    laboratory = Laboratory(1)
    radius, dye = {}, {}
    for label in RECIPES:
        cells = [c for s in range(5) for k in range(2) for c in laboratory.field(label, s, k, size=SIZE).white_cells]
        radius[label] = np.median([c.nucleus_um for c in cells])
        dye[label] = sum(KINDS[c.kind].chromatin * c.nucleus_um**2 for c in cells)
    assert all(radius[label] > radius["Benign"] + 0.5 for label in ("Early", "Pre", "Pro"))
    assert max(dye.values()) < 1.5 * min(dye.values())


def test_leukemic_slides_are_of_several_kinds():
    kinds = {Laboratory(2).recipe(LEUKEMIC, slide) for slide in range(20)}
    assert kinds == {"Early", "Pre", "Pro"}
    assert Laboratory(2).recipe(HEALTHY, 3) == "Benign"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"seed": -1}, "site must be a whole number"),
        ({"slide": 10**7}, "slide must be a whole number in 0..1000000; got 10000000"),
        ({"session": -1}, "session must be"),
        ({"camera": True}, "camera must be"),
        ({"label": "Lymphoma"}, "label must be healthy, leukemic or one of Benign, Early, Pre, Pro"),
    ],
)
def test_what_does_not_exist_is_named(numbers: dict[str, Any], message: str):
    words = {"seed": 1, "label": HEALTHY, "slide": 0, "session": 0, "camera": 0} | numbers
    with pytest.raises(SmearError, match=message):
        Laboratory(words["seed"]).smear(
            words["label"], words["slide"], session=words["session"], camera=words["camera"]
        )


def test_sessions_are_a_week_apart():
    assert [Laboratory(1).day(session) for session in (0, 1)] == ["2026-03-02", "2026-03-09"]
