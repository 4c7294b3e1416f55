"""The slide-identity control: slides that differ as much as classes are called so, and only they."""

import numpy as np

from models.site.evidence.slide_identity import slide_identity
from tests.models.site.table_sites import mixed, site_of

SITE = site_of([type(s)(**{**s.__dict__, "fields": 6}) for s in mixed(9)])


def rows(slide: float = 0.0, label: float = 0.0, session: float = 0.0, seed: int = 0) -> np.ndarray:
    """Features of every field: noise, and shifts of its slide, class and session."""
    rng = np.random.default_rng(seed)
    shifts: dict[str, np.ndarray] = {}

    def own(name: str) -> np.ndarray:
        return shifts.setdefault(name, rng.normal(size=8))

    return np.array(
        [
            rng.normal(size=8)
            + slide * own(f.slide)
            + label * own(f"label {f.label}")
            + session * own(f"session {f.row.session}")
            for f in SITE.fields
        ]
    )


def test_classes_that_differ_are_told_and_slides_of_one_are_not() -> None:
    found = slide_identity(SITE, rows(label=4), "x")
    assert found is not None and not found.as_much
    assert abs(found.same_class - 0.5) < 0.06 and found.other_class > 0.97
    assert found.same_interval.low < 0.5 < found.same_interval.high
    assert found.p <= 0.002


def test_slides_that_differ_as_much_as_classes_are_called_so() -> None:
    for label in (0.0, 2.0):  # even where the class is there, too: by fields divided at random nobody can tell
        found = slide_identity(SITE, rows(slide=4, label=label), "x")
        assert found is not None and found.as_much
        assert found.same_class > 0.95


def test_nothing_told_is_as_much_too() -> None:
    found = slide_identity(SITE, rows(), "x")
    assert found is not None and found.as_much
    assert abs(found.same_class - 0.5) < 0.06 and abs(found.other_class - 0.5) < 0.06


def test_sessions_of_a_class_are_told_with_slides_held_out() -> None:
    told = slide_identity(SITE, rows(slide=0.3, session=4), "x")
    none = slide_identity(SITE, rows(slide=4), "x")
    assert told is not None and none is not None
    assert set(told.sessions) == {"healthy", "leukemic"} == set(none.sessions)
    assert all(each.p <= 0.05 and each.accuracy > 0.9 and each.chance == 1 / 3 for each in told.sessions.values())
    assert all(each.p > 0.05 for each in none.sessions.values())


def test_one_field_a_slide_makes_no_control() -> None:
    single = site_of([type(s)(**{**s.__dict__, "fields": 1}) for s in mixed(9)])
    assert slide_identity(single, rows()[: len(single.fields)], "x") is None
