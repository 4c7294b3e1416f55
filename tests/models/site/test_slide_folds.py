"""`models.site.slide_folds`: no slide on two sides, each class spread evenly, the same folds every time."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.folds import FoldError
from models.site.fields import SiteFields
from models.site.slide_folds import held_together, most_folds, slide_folds
from tests.models.site.table_sites import Slide, site_of


def site(rows: list[tuple[str, str, str]]) -> SiteFields:
    """A site of (slide, label, session) a field."""
    return site_of([Slide(slide, label, session, fields=1) for slide, label, session in rows])


def drawn(slides: dict[str, int], sessions: int = 3) -> SiteFields:
    return site(
        [
            (f"{label}{k}", label, f"day{k % sessions}")
            for label, count in slides.items()
            for k in range(count)
            for _ in range(2)
        ]
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(5, 14), min_size=2, max_size=4), st.integers(2, 5), st.integers(0, 99))
def test_each_fold_has_its_part_of_each_class(counts: list[int], folds: int, seed: int) -> None:
    slides = {"abcd"[k]: count for k, count in enumerate(counts)}
    found = slide_folds(drawn(slides), folds, seed)
    assert list(found) == sorted(f"{label}{k}" for label, count in slides.items() for k in range(count))
    for label, count in slides.items():
        own = Counter(fold for slide, fold in found.items() if slide[0] == label)
        assert set(own) == set(range(folds))
        assert max(own.values()) - min(own.values()) <= 1 and own.total() == count
    total = Counter(found.values())
    assert max(total.values()) - min(total.values()) <= 1


def test_folds_follow_the_seed_alone() -> None:
    rows = [(f"{label}{k}", label, "") for label in "ab" for k in range(9)]
    first = slide_folds(site(rows), 3, seed=4)
    assert slide_folds(site(rows[::-1]), 3, seed=4) == first
    assert slide_folds(site(rows), 3, seed=5) != first


def test_sessions_are_held_out_whole() -> None:
    mixed = drawn({"a": 12, "b": 12}, sessions=4)
    found = slide_folds(mixed, 4, hold="session")
    sessions = {field.slide: field.row.session for field in mixed.fields}
    folds = {session: {found[s] for s in found if sessions[s] == session} for session in set(sessions.values())}
    assert sorted(folds.values(), key=min) == [{0}, {1}, {2}, {3}]
    assert most_folds(mixed, "session") == 4 and most_folds(mixed) == 12
    by_slide = slide_folds(mixed, 4)  # the control: slides alone do divide sessions
    assert any(len({by_slide[s] for s in by_slide if sessions[s] == session}) > 1 for session in folds)


def test_a_slide_seen_in_two_sessions_joins_them() -> None:
    rows = [("a1", "a", "x"), ("a1", "a", "y"), ("a2", "a", "z"), ("b1", "b", "y"), ("b2", "b", "z")]
    assert held_together(site(rows)) == (("a1", "b1"), ("a2", "b2"))


@pytest.mark.parametrize(
    ("rows", "folds", "hold", "words"),
    [
        ([("a1", "a", ""), ("b1", "b", ""), ("b2", "b", "")], 2, "slide", "at most 1"),
        ([("a1", "a", ""), ("a2", "a", ""), ("b1", "b", ""), ("b2", "b", "")], 1, "slide", "at least 2"),
        ([("a1", "a", ""), ("a1", "b", ""), ("b2", "b", "")], 2, "slide", "one label; a1 has a and b"),
        ([("a1", "a", "x"), ("a2", "a", ""), ("b1", "b", "x"), ("b2", "b", "y")], 2, "session", "a/1.png has none"),
        ([("a1", "a", "x"), ("a2", "a", "x"), ("b1", "b", "x"), ("b2", "b", "x")], 2, "session", "at most 1"),
    ],
)
def test_what_cannot_be_folded_is_refused(rows: list, folds: int, hold: str, words: str) -> None:
    with pytest.raises(FoldError, match=words):
        slide_folds(site(rows), folds, hold=hold)  # type: ignore[arg-type]
