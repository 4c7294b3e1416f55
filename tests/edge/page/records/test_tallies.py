"""Tallies in memory: the same as counted anew, whatever grows, and bounded."""

from pathlib import Path

import pytest
from msgspec import structs

from edge.page.records import tallies as module
from edge.page.records.tallies import Tallies
from edge.record.entries import Entry
from edge.record.reader import Reader
from edge.record.slide_queries import verdicts
from edge.record.store import Store
from edge.slides.suspicion import most_suspicious_first
from edge.slides.tally import Tally
from tests.edge.record.records import NOON
from tests.edge.slides.records import BENIGN, LABELS, SLIDES_INFO, large_record


def entry(label: str | None, source: str = "", seen: int | None = None) -> Entry:
    probabilities = tuple(0.91 if each == label else 0.03 for each in LABELS)
    reason = None if label else "dark"
    return Entry(NOON, 1, source, label, reason, None, probabilities, {"dark": 0.5}, {}, None, seen=seen)


def require_same(known: Tallies, store: Reader, slide: str) -> None:
    counted, anew = known.of(store, slide), Tally.from_record(store, slide)
    anew.corrections.clear()
    assert counted.tally.as_record() == anew.as_record() and counted.tally.benign == anew.benign
    order = most_suspicious_first([body for _, body in verdicts(store, slide)], LABELS, anew.benign)
    assert [line.key[2] for line in counted.lines] == [body.field for body in order]


def test_a_slide_that_grows_is_read_on(tmp_path: Path) -> None:
    known = Tallies()
    with Store.open(tmp_path) as store:
        run = store.begin(structs.replace(SLIDES_INFO, slide="s1"), NOON)
        require_same(known, store, "s1")
        for batch in (["Benign", "Pre"], [None, "Early", "Benign"], []):
            store.write(run, [entry(label) for label in batch])
            require_same(known, store, "s1")
        store.write(run, [entry("Pro", seen=2), entry("Pre", source="a\udce9.png")])  # a file's name of no encoding
        require_same(known, store, "s1")
        assert known.of(store, "s1").tally.seen == 1
        store.end(run, NOON, {}, "complete")
        other = structs.replace(SLIDES_INFO, slide="s1", benign=("Benign", "Pre"))  # another model, other benign labels
        run = store.begin(other, NOON)
        store.write(run, [entry("Pre")])
        require_same(known, store, "s1")


def test_a_caller_may_change_what_it_got(tmp_path: Path) -> None:
    large_record(tmp_path, 1, 20)
    known = Tallies()
    with Store.open(tmp_path, read_only=True) as store:
        first = known.of(store, "S-00001").tally
        first.labels["Benign"] += 100
        first.fields = 0
        require_same(known, store, "S-00001")


def test_few_slides_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large_record(tmp_path, 9, 20)
    known = Tallies()
    monkeypatch.setattr(module, "MOST_SLIDES", 3)
    with Store.open(tmp_path, read_only=True) as store:
        for number in range(1, 10):
            known.of(store, f"S-{number:05d}")
        assert list(known._known) == ["S-00007", "S-00008", "S-00009"]
        monkeypatch.setattr(module, "MOST_LINES", 40)
        known.of(store, "S-00001")
        assert list(known._known) == ["S-00009", "S-00001"]
        require_same(known, store, "S-00002")


def test_benign_labels_of_an_older_run_are_not_guessed(tmp_path: Path) -> None:
    """Negative control: the labels that a run calls benign are what is counted so."""
    large_record(tmp_path, 1, 20)
    with Store.open(tmp_path, read_only=True) as store:
        assert Tallies().of(store, "S-00001").tally.benign == frozenset(BENIGN)
    with Store.open(tmp_path / "older") as store:
        from msgspec import UNSET

        run = store.begin(structs.replace(SLIDES_INFO, slide="s1", benign=UNSET), NOON)
        store.write(run, [entry("Benign")])
        assert Tallies().of(store, "s1").tally.as_benign == Tally.from_record(store, "s1").as_benign == 0
