"""The end of a run and what it counts: written from the record, and a wrong one told from a record that was changed."""

import json
import threading
import time
from pathlib import Path

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.record.audit import verify
from edge.record.exports.export import export
from edge.record.retention import Retention, apply
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON, PNG, ask, fill, later, miscount, tamper, verdict

SAYS = "run 1 says that it stored {} verdicts, and the record has 9"


@pytest.mark.parametrize("said", [0, 8])
def test_a_miscounted_end_is_a_warning_and_the_record_can_be_used_again(
    said: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, to = tmp_path / "record", tmp_path / "S-1"
    fill(record, ended=False)
    miscount(record, said)
    assert main("edge", COMMANDS, ["verify", "--store", str(record)]) == 0
    assert f"warning: {SAYS.format(said)}: a miscounted end" in capsys.readouterr().out
    report = verify(record)
    assert report.sound and report.findings == () and report.not_ended == 0 and len(report.warnings) == 1
    assert main("edge", COMMANDS, ["export", "--store", str(record), "--slide", "S-1", "--to", str(to)]) == 0
    assert "NOT SOUND" not in (to / "README.txt").read_text()
    assert json.loads((to / "chain.json").read_text())["sound"] is True
    with Store.open(record) as store:
        assert apply(store, Retention(days=1.0, only_exported=True), later(400 * 86_400)).removed == 12
    assert verify(record).sound
    fill(record, 2)
    assert verify(record).sound


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET body = replace(body, '\"Pre\"', '\"Pro\"') WHERE id = 4",
        "DELETE FROM entries WHERE id = 7",
        "UPDATE slides SET fields = 12",
    ],
)
def test_in_a_record_that_was_changed_it_is_a_finding(change: str, tmp_path: Path) -> None:
    record = tmp_path / "record"
    fill(record, ended=False)
    miscount(record, 0)
    assert verify(record).sound  # the control
    tamper(record, change)
    report = verify(record)
    assert not report.sound and report.warnings == ()
    assert any("run 1 says that it stored 0 verdicts" in finding for finding in report.findings)
    _, checked = export(record, "S-1", tmp_path / "S-1")
    assert "NOT SOUND" in (tmp_path / "S-1" / "README.txt").read_text() and not checked.sound
    with Store.open(record) as store:
        assert apply(store, Retention(days=1.0), later(400 * 86_400)).removed == 0


def test_an_end_that_counts_more_than_there_is_is_a_finding(tmp_path: Path) -> None:
    """Verdicts are missing: no fault of ours wrote that."""
    fill(tmp_path, ended=False)
    miscount(tmp_path, 10)
    assert verify(tmp_path).findings == (SAYS.format(10),)


def test_an_end_counts_what_the_record_holds_whatever_its_writer_says(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0, PNG), verdict(1)])
        store.write(run, [verdict(2)])
        assert store.stored(run) == 3
        store.end(run, NOON, {"captured": 5, "stored": 1}, "complete")
    [(counters,)] = ask(tmp_path, "SELECT counters FROM runs WHERE run = ?", run)
    assert json.loads(counters) == {"captured": 5, "stored": 3}
    assert verify(tmp_path).warnings == ()


def test_closing_does_not_wait_for_a_write_that_does_not_come_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    run = store.begin(INFO, NOON)
    inside, back = threading.Event(), threading.Event()

    def stuck() -> None:
        with store.transaction():
            inside.set()
            back.wait(30)

    thread = threading.Thread(target=stuck)
    thread.start()
    assert inside.wait(10)
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < 5
    back.set()
    thread.join()
    store.write(run, [verdict(0)])  # the thread that is still in it may go on: the record is whole
    store.close()
    assert verify(tmp_path).not_ended == 1
