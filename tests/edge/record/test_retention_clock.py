"""Retention by age where the clock was wrong when something was recorded."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.record.audit import verify
from edge.record.retention import PruneReport, Retention, apply
from edge.record.store import Store
from edge.system.clock import Instant
from tests.edge.record.records import DAY_NS, INFO, NOON, verdict

CENTURY = 36_525


def at(day: float, *, stamped: float | None = None, synchronized: bool | None = True) -> Instant:
    """A moment by the monotonic clock, and what the wall clock says then (in days)."""
    wall = day if stamped is None else stamped
    return Instant(NOON.utc_ns + round(wall * DAY_NS), NOON.monotonic_ns + round(day * DAY_NS), synchronized)


def record(folder: Path, *moments: Instant, slide: str = "S-1") -> None:
    """One run with a verdict at each moment."""
    with Store.open(folder) as store:
        run = store.begin(replace(INFO, slide=slide), moments[0])
        for number, moment in enumerate(moments):
            store.write(run, [verdict(number, captured=moment)])
        store.end(run, moments[-1], {}, "complete")


def prune(folder: Path, day: float, days: float = 30.0) -> PruneReport:
    with Store.open(folder) as store:
        return apply(store, Retention(days=days, only_exported=False), at(day))


@pytest.mark.parametrize("stamped", [-400, CENTURY])
def test_a_stamp_of_a_wrong_clock_counts_by_the_next_good_one(stamped: float, tmp_path: Path) -> None:
    wrong = [at(day, stamped=stamped + day, synchronized=False) for day in (0, 1, 2)]
    record(tmp_path, *wrong, at(10), at(11))
    assert prune(tmp_path, 29) == PruneReport()
    assert prune(tmp_path, 31.5).verdicts == 2  # of the days 0 and 1, by the monotonic clock
    assert prune(tmp_path, 40.5).verdicts == 2
    assert prune(tmp_path, 42).verdicts == 1
    assert verify(tmp_path).sound


@pytest.mark.parametrize("synchronized", [True, None])
def test_the_control_a_clock_not_known_to_be_wrong_is_taken_at_its_word(
    synchronized: bool | None, tmp_path: Path
) -> None:
    record(tmp_path, *(at(day, stamped=day - 400, synchronized=synchronized) for day in (0, 1, 2)))
    assert prune(tmp_path, 3).verdicts == 3


@pytest.mark.parametrize("synchronized", [True, None, False])
def test_a_stamp_in_the_future_does_not_hold_removal_back_for_ever(synchronized: bool | None, tmp_path: Path) -> None:
    record(tmp_path, at(0, stamped=CENTURY, synchronized=synchronized))
    record(tmp_path, at(5), at(6), slide="later")
    assert prune(tmp_path, 34).removed == 0
    assert prune(tmp_path, 35.5).verdicts == 2  # the next run tells no more than that it came later
    assert prune(tmp_path, 40).verdicts == 1 and verify(tmp_path).sound


@pytest.mark.parametrize("stamped", [-400, CENTURY])
def test_what_no_later_entry_dates_is_kept_and_why_is_said(stamped: float, tmp_path: Path) -> None:
    record(tmp_path, at(0, stamped=stamped, synchronized=False), at(1, stamped=stamped + 1, synchronized=False))
    report = prune(tmp_path, 1000)
    assert report.removed == 0
    assert "when entry 1 was recorded is not known (stamped 2" in report.held_back
    assert "no later entry by a synchronized clock" in str(report)
    with Store.open(tmp_path) as store:  # by size it goes all the same
        assert apply(store, Retention(gigabytes=1e-9, only_exported=False), at(1)).verdicts == 2


def test_the_record_is_searched_once_for_a_good_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, *(at(n / 100, stamped=-400, synchronized=False) for n in range(50)), at(1))
    searches, original = [], Store.next_known_time

    def counted(self: Store, after: int, not_after_ns: int) -> object:
        searches.append(after)
        return original(self, after, not_after_ns)

    monkeypatch.setattr(Store, "next_known_time", counted)
    assert prune(tmp_path, 40).verdicts == 51
    assert len(searches) == 1
