"""Retention at its bounds: the last entry that goes, the bytes that count, and when the record notes what is held."""

from pathlib import Path
from typing import Any

import pytest

from edge.record import retention
from edge.record.audit import verify
from edge.record.retention import GOES_ON, HELD_BACK, Pruning, Retention, apply, note_held_back
from edge.record.store import Store
from edge.system.clock import Instant
from tests.edge.record.records import DAY_NS, INFO, NOON, PNG, ask, fill, later, verdict

MUCH_LATER = later(400 * 86_400)


def run_of(folder: Path, seconds: list[float], **other: Any) -> None:
    """One run that begins at NOON with a verdict at each moment, and does not end."""
    with Store.open(folder) as store:
        run = store.begin(INFO, NOON)
        for number, moment in enumerate(seconds):
            store.write(run, [verdict(number, captured=later(moment), **other)])


def events(folder: Path) -> list[tuple[str, str]]:
    query = "SELECT json_extract(body, '$.kind'), json_extract(body, '$.detail') FROM entries WHERE type = 'event'"
    return ask(folder, f"{query} ORDER BY id")  # type: ignore[return-value]


def test_constants() -> None:
    """Each decides how long a commit may wait or how much is kept: a change is a decision, not a slip."""
    assert (retention.MOST_AT_ONCE, retention._ROW_BYTES) == (5000, 200)


@pytest.mark.parametrize("wrong", [0, 0.0, -1, float("nan"), float("inf")])
def test_a_limit_is_more_than_nothing(wrong: float) -> None:
    for name in ("days", "gigabytes"):
        with pytest.raises(ValueError, match=f"{name} must be a number > 0"):
            Retention(**{name: wrong})


def test_what_is_exactly_as_old_as_is_kept_stays(tmp_path: Path) -> None:
    run_of(tmp_path, [10, 20, 30])
    limits = Retention(days=1.0, only_exported=False)
    with Store.open(tmp_path) as store:
        assert apply(store, limits, later(86_400 + 20)).verdicts == 1, "the one of second 20 is just a day old"
        assert apply(store, limits, Instant(NOON.utc_ns + DAY_NS + 20 * 10**9 + 1, 1, True)).verdicts == 1


def test_bytes_are_those_of_images_bodies_and_rows(tmp_path: Path) -> None:
    """Of four verdicts alike those go that are needed, to the byte."""
    run_of(tmp_path, [1, 2, 3, 4], image=PNG + bytes(5000))
    (row,) = ask(tmp_path, "SELECT length(body) FROM entries WHERE id = 2")
    (first,) = ask(tmp_path, "SELECT length(body) FROM entries WHERE id = 1")
    one = row[0] + 200 + len(PNG) + 5000
    with Store.open(tmp_path) as store:
        used = store.bytes_used()

        def chosen(excess: int) -> int:
            limits = Retention(gigabytes=(used - excess) / 1e9, only_exported=False)
            last, _ = Pruning(store, limits, MUCH_LATER)._choose(100)
            return 0 if last is None else last.id

        begin = first[0] + 200
        assert chosen(0) == 0 and chosen(1) == 1
        assert chosen(begin) == 1 and chosen(begin + 1) == 2
        assert chosen(begin + one) == 2 and chosen(begin + one + 1) == 3


def test_so_many_entries_a_step_and_no_more(tmp_path: Path) -> None:
    run_of(tmp_path, list(range(1, 9)))
    with Store.open(tmp_path) as store:
        pruning = Pruning(store, Retention(days=1.0, only_exported=False), MUCH_LATER)
        assert pruning.report.held_back == ""
        assert pruning.step(4) is True and pruning.report.removed == 4
        assert pruning.step(4) is True and pruning.report.removed == 8, "counted from where the chain begins now"
        assert pruning.step(4) is True and pruning.report.removed == 9, "its own notes do not go alone"
        assert pruning.step(4) is False
    assert verify(tmp_path).sound


def test_without_a_clock_nothing_goes_by_age_and_size_still_counts(tmp_path: Path) -> None:
    run_of(tmp_path, [1, 2])
    unknown = Instant(MUCH_LATER.utc_ns, MUCH_LATER.monotonic_ns, False)
    with Store.open(tmp_path) as store:
        report = apply(store, Retention(days=1.0, only_exported=False), unknown)
        assert report.removed == 0 and report.held_back.startswith("nothing removed by age: the clock is not")
        both = Retention(days=1.0, gigabytes=0.001, only_exported=False)
        assert apply(store, both, unknown).removed == 0, "a megabyte is not used yet"
        assert apply(store, Retention(days=1.0, only_exported=False), MUCH_LATER).verdicts == 2


def test_the_record_notes_what_holds_retention_back_once_a_kind(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    before = events(tmp_path)
    with Store.open(tmp_path) as store:
        note_held_back(store, "", MUCH_LATER)
        assert events(tmp_path) == before, "nothing held it back before either"
        note_held_back(store, "more exceeds the limits, and stays: entry 1", MUCH_LATER)
        note_held_back(store, "more exceeds the limits, and stays: entry 9", MUCH_LATER)
        note_held_back(store, "nothing removed by age: the clock", MUCH_LATER)
        note_held_back(store, "", MUCH_LATER)
        note_held_back(store, "", MUCH_LATER)
        note_held_back(store, "nothing removed by age: the clock", MUCH_LATER)
    assert events(tmp_path)[len(before) :] == [
        (HELD_BACK, "more exceeds the limits, and stays: entry 1"),
        (HELD_BACK, "nothing removed by age: the clock"),
        (GOES_ON, "what exceeded the limits was removed"),
        (HELD_BACK, "nothing removed by age: the clock"),
    ]


def test_a_run_that_goes_on_is_carried_over_and_one_that_ended_is_not(tmp_path: Path) -> None:
    def carried(folder: Path) -> list[Any]:
        query = "SELECT json_extract(body, '$.carried_run.run') FROM entries WHERE type = 'pruned' ORDER BY id"
        return [value for (value,) in ask(folder, query)]

    limits = Retention(days=1.0, only_exported=False)
    going, ended = tmp_path / "going", tmp_path / "ended"
    with Store.open(going) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0), verdict(1)])
        assert apply(store, limits, MUCH_LATER).verdicts == 2
        store.write(run, [verdict(2, captured=MUCH_LATER)])
        assert apply(store, limits, later(800 * 86_400)).verdicts == 1
    assert carried(going) == [1], "from the note of the removal before, which went with the rest"
    assert verify(going).sound
    fill(ended, 2)
    with Store.open(ended) as store:
        assert apply(store, limits, MUCH_LATER).verdicts == 2
    assert carried(ended) == [None]
    fill(ended, 1)
    assert verify(ended).sound


def test_nothing_that_was_not_exported_goes_not_even_the_first_entry(tmp_path: Path) -> None:
    run_of(tmp_path, [1, 2])
    with Store.open(tmp_path) as store:
        report = apply(store, Retention(days=1.0), MUCH_LATER)
    assert report.removed == 0
    assert report.held_back == "more exceeds the limits, and stays: entry 1 of slide S-1 was not exported"


def test_a_note_of_the_records_own_is_in_the_way_of_nothing(tmp_path: Path) -> None:
    """It was written while the clock was wrong, and nothing behind it says when."""
    unknown = Instant(later(1).utc_ns, later(1).monotonic_ns, False)
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0)])
        assert apply(store, Retention(gigabytes=1e-9, only_exported=False), unknown).verdicts == 1
        store.write(run, [verdict(1, captured=unknown)])
        report = apply(store, Retention(days=1.0, only_exported=False), MUCH_LATER)
    assert report.removed == 0 and report.held_back.startswith("no more removed by age: when entry 4 was recorded")
