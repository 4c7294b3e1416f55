"""An export while retention removes: whole, or begun again; what was gone before is said."""

import csv
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.record import reader
from edge.record.audit import verify
from edge.record.exports import export as exports
from edge.record.reader import Reader, Row
from edge.record.retention import PruneReport, Retention, apply
from edge.record.store import Store
from edge.system.clock import Instant
from tests.edge.record.records import DAY_NS, INFO, NOON, PNG, ask, fill, tamper

FIELDS = 30


def prune(record: Path, seconds: int) -> PruneReport:
    """Retention as a timer runs it: what was captured in the first so many seconds goes, exported or not."""
    now = Instant(NOON.utc_ns + DAY_NS + seconds * 10**9, 1, True)
    with Store.open(record) as store:
        return apply(store, Retention(days=1.0, only_exported=False), now)


def export(record: Path, to: Path) -> int:
    return main("edge", COMMANDS, ["export", "--store", str(record), "--slide", "S-1", "--to", str(to)])


def rows(to: Path) -> list[dict[str, str]]:
    with (to / "verdicts.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def chain(to: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((to / "chain.json").read_text())
    return record


def once_before(monkeypatch: pytest.MonkeyPatch, name: str, call: int, action: Callable[[], object]) -> list[int]:
    """Do something just before that call of a function of the export; the calls that were made."""
    original, calls = getattr(exports, name), [0]

    def hooked(*values: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            action()
        return original(*values)

    monkeypatch.setattr(exports, name, hooked)
    return calls


@pytest.mark.parametrize(
    ("name", "call", "first"),
    [
        ("_read_entries", 1, 11),  # between the check of the chain and the reading: what is left was checked
        ("count", 1, 11),  # while entries are read: they are of one moment, and their images begin it again
        ("count", 9, 11),
        ("count", 25, 11),
        ("_copy_images", 1, 11),
        ("write_verdicts", 1, 1),  # all was read and copied
    ],
)
@pytest.mark.parametrize("images", [True, False])
def test_an_export_is_whole_whenever_retention_comes(
    name: str, call: int, first: int, images: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, FIELDS, images=images)
    monkeypatch.setattr(reader, "CHUNK", 4)
    reports: list[PruneReport] = []
    once_before(monkeypatch, name, call, lambda: reports.append(prune(record, 10)))
    assert export(record, to) == 0
    assert [report.verdicts for report in reports] == [10]
    if not images and name != "_read_entries":
        first = 1  # nothing of what was removed was still needed
    table = rows(to)
    assert [int(row["field"]) for row in table] == list(range(first, FIELDS + 1))
    assert {row["bundle"] for row in table} == {"tiny-int8"}
    assert all(row["probability_Pre"] for row in table if row["label"])
    assert len(list(to.glob("images/000/*"))) == (len(table) if images else 0)
    said = chain(to)
    assert (said["sound"], said["findings"], said["verdicts"]) == (True, [], len(table))
    assert (said["removed"] is None) == (first == 1)
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=to, check=True)
    assert ask(record, "SELECT slide, through FROM exports") == [("S-1", said["head"]["id"])]
    assert verify(record).sound


def test_where_all_that_was_checked_is_gone_it_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention in pieces goes on for minutes: an export must neither wait for its end nor hold nothing."""
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, FIELDS)

    def replaced() -> None:
        prune(record, FIELDS + 1)
        fill(record, 5)

    calls = once_before(monkeypatch, "_read_entries", 1, replaced)
    assert export(record, to) == 0 and calls == [2]
    assert [int(row["field"]) for row in rows(to)] == list(range(FIELDS + 1, FIELDS + 6))
    assert chain(to)["removed"]["last"] == FIELDS and verify(record).sound


def test_without_one_moment_the_hole_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what shows a hole is not what prevents it."""
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, FIELDS, images=False)
    monkeypatch.setattr(reader, "CHUNK", 4)
    monkeypatch.setattr(Reader, "at_one_moment", lambda self: nullcontext())
    once_before(monkeypatch, "count", 3, lambda: prune(record, 10))
    assert export(record, to) == 1
    assert chain(to)["sound"] is False and chain(to)["findings"] == ["fields 5 to 10 are missing"]
    assert "NOT SOUND" in (to / "README.txt").read_text()
    assert ask(record, "SELECT * FROM exports") == []


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (range(1, 4), "fields 1 to 3 are missing"),
        (range(7, 8), "field 7 is missing"),
        (range(28, 31), "fields 28 to 30 are missing"),
        (range(1, 31), "fields 1 to 30 are missing"),
    ],
)
def test_fields_that_are_not_read_are_found(
    without: range, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "record"
    fill(record, FIELDS, images=False)
    original = Store.slide_entries

    def thinned(self: Store, slide: str, *, through: int) -> Iterator[Row]:
        for row in original(self, slide, through=through):
            if json.loads(row.body).get("field") not in without:
                yield row

    with monkeypatch.context() as faulty:
        faulty.setattr(Store, "slide_entries", thinned)
        assert export(record, tmp_path / "to") == 1
    assert chain(tmp_path / "to")["findings"] == [said]
    assert ask(record, "SELECT * FROM exports") == []
    assert export(record, tmp_path / "whole") == 0


def test_fields_recorded_meanwhile_are_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, FIELDS)
    once_before(monkeypatch, "_read_entries", 1, lambda: fill(record, 5))
    assert export(record, to) == 0
    assert [int(row["field"]) for row in rows(to)] == list(range(1, FIELDS + 1))


def test_what_was_removed_before_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, FIELDS)
    prune(record, 10)
    capsys.readouterr()
    assert export(record, to) == 0
    said = "fields 1 to 10 were removed by retention on 2025-11-04T12:00:10"
    assert f"warning: slide S-1: {said}" in capsys.readouterr().err
    assert f"NOT ALL: {said}" in (to / "README.txt").read_text()
    removed = chain(to)["removed"]
    assert (removed["first"], removed["last"], removed["by"][:19]) == (1, 10, "2025-11-04T12:00:10")
    table, readme = rows(to), (to / "README.txt").read_text()
    assert float(table[0]["probability_Pre"]) == 254 / 256 and table[0]["camera"] == INFO.camera
    assert "SIMULATED" in readme and "Judged by tiny-int8" in readme  # the run's beginning is among what was removed
    assert chain(to)["simulated"] is True


def test_of_a_slide_of_which_nothing_is_left_that_is_said(tmp_path: Path) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, 9)
    prune(record, 30)
    assert export(record, to) == 0
    assert (rows(to), chain(to)["removed"]["last"]) == ([], 9)


def test_another_slide_that_was_removed_is_not_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, 3, info=replace(INFO, slide="older"))
    prune(record, 30)
    fill(record, 3)
    assert export(record, to) == 0
    assert chain(to)["removed"] is None and "NOT ALL" not in (to / "README.txt").read_text()
    assert "retention" not in capsys.readouterr().err


def test_an_image_that_vanishes_without_retention_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of beginning again: only the record itself accounts for an image that is gone."""
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, 9)
    calls = once_before(monkeypatch, "_copy_images", 1, (record / "images/S-1/000/000004.png").unlink)
    assert export(record, to) == 1
    assert calls == [1] and chain(to)["findings"] == ["images/S-1/000/000004.png: No such file or directory"]


@pytest.mark.parametrize("change", [PNG + b"\4", PNG + b"\3 and more", b""])
def test_an_image_that_was_altered_is_left_out(change: bytes, tmp_path: Path) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, 9)
    (record / "images/S-1/000/000004.png").write_bytes(change)
    assert export(record, to) == 1
    assert chain(to)["findings"] == ["images/S-1/000/000004.png: was altered"] and chain(to)["images"] == 8


def test_a_checkpoint_that_no_entry_accounts_for_is_no_removal(tmp_path: Path) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, 9)
    tamper(record, "INSERT INTO pruned SELECT 1, id, digest FROM entries WHERE id = 5")
    tamper(record, "DELETE FROM entries WHERE id <= 5")
    assert export(record, to) == 1
    assert chain(to)["sound"] is False and ask(record, "SELECT * FROM exports") == []
