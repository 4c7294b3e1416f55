"""The order of the history in memory: the same as the record's own, whatever is recorded meanwhile."""

from pathlib import Path

import pytest

from edge.page.records.order import SlideOrder
from edge.record.entry_parts import moment
from edge.record.slide_entries import SlideBody
from edge.record.slide_queries import history
from edge.record.store import Store
from tests.edge.record.records import NOON
from tests.edge.slides.records import large_record

WHEN = moment(NOON)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    large_record(tmp_path, 12, 4)
    return tmp_path


def same(order: SlideOrder, store: Store, **asked: str) -> list[str]:
    found, before = [], None
    while lines := order.lines(store, asked.get("search", ""), before, 5):
        found += lines
        before = (lines[-1].entry, lines[-1].slide)
    assert found == history(store, asked.get("search", ""), most=1000)
    return [each.slide for each in found]


def test_it_follows_what_is_recorded(folder: Path) -> None:
    with Store.open(folder) as writer, Store.open(folder, read_only=True) as store:
        order = SlideOrder()
        assert same(order, store)[0] == "S-00012"
        for act, slide, first in (
            ("reopened", "S-00003", "S-00003"), ("closed", "S-00003", "S-00003"), ("opened", "s-new", "s-new"),
        ):  # fmt: skip
            writer.append_slide(SlideBody(run=None, slide=slide, **WHEN, act=act, by="anna", finding={}))
            assert same(order, store)[0] == first
        assert order.known == 13
        assert same(order, store, search="S-000") == ["S-00003", *(f"S-{n:05d}" for n in range(12, 0, -1) if n != 3)]


def test_another_record_in_the_folder_is_listed_anew(folder: Path, tmp_path: Path) -> None:
    order = SlideOrder()
    with Store.open(folder, read_only=True) as store:
        same(order, store)
    large_record(tmp_path / "other", 3, 4)
    with Store.open(tmp_path / "other", read_only=True) as store:
        assert same(order, store) == ["S-00003", "S-00002", "S-00001"]


def test_a_reader_of_an_earlier_moment_changes_nothing(folder: Path) -> None:
    order = SlideOrder()
    with Store.open(folder) as writer, Store.open(folder, read_only=True) as early:
        with early.at_one_moment():
            early.head()
            writer.append_slide(SlideBody(run=None, slide="s-new", **WHEN, act="opened", by="anna"))
            assert order.warm(writer) == 13
            assert order.warm(early) == 13
        assert same(order, early)[0] == "s-new"
