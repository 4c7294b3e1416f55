"""Retention: the oldest goes first, nothing unseen, nothing that was not exported, and the chain still holds."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.record import retention
from edge.record.audit import verify
from edge.record.reader import Row
from edge.record.retention import Retention, apply
from edge.record.store import Store
from edge.system.clock import Instant
from tests.edge.record.records import DAY_NS, INFO, NOON, PNG, ask, fill, later, tamper, verdict

NEXT_YEAR = Instant(NOON.utc_ns + 365 * DAY_NS, 1, True)


def mark(folder: Path, slide: str = "S-1") -> None:
    with Store.open(folder, read_only=True) as store:
        head = store.head()
        store.mark_exported(slide, Row(head.id, "", head.digest), "2025-11-03T12:00:00Z")


def prune(folder: Path, now: Instant = NEXT_YEAR, **limits: Any) -> retention.PruneReport:
    with Store.open(folder) as store:
        return apply(store, Retention(**limits), now)


def images(folder: Path) -> int:
    return len(list((folder / "images").rglob("*.png")))


def test_by_age(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, info=structs.replace(INFO, slide="young"))
    mark(tmp_path)
    mark(tmp_path, "young")
    assert prune(tmp_path, later(5), days=1.0) == retention.PruneReport()
    report = prune(tmp_path, Instant(NOON.utc_ns + DAY_NS + 5 * 10**9, 1, True), days=1.0)
    assert (report.removed, report.verdicts, report.images, report.held_back) == (7, 5, 5, "")
    assert images(tmp_path) == 13
    checked = verify(tmp_path)
    assert (checked.findings, checked.pruned_through, checked.verdicts) == ((), 7, 13)
    report = prune(tmp_path, days=1.0)
    assert (report.verdicts, images(tmp_path), verify(tmp_path).findings) == (13, 0, ())
    assert not (tmp_path / "images/S-1").exists()
    assert [s.field for s in fill(tmp_path, 2)] == [10, 11]  # numbers go on
    assert verify(tmp_path).findings == ()


def test_by_size(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        for first in range(0, 40, 4):
            store.write(run, [verdict(first + n, bytes(100_000)) for n in range(4)])
    mark(tmp_path)
    report = prune(tmp_path, gigabytes=0.0025)
    assert 14 <= report.verdicts <= 17 and report.image_bytes == report.images * 100_000
    with Store.open(tmp_path, read_only=True) as store:
        assert 2.3e6 < store.bytes_used() <= 2.5e6
    assert verify(tmp_path).findings == ()
    assert prune(tmp_path, gigabytes=0.0025).removed == 0


def test_what_was_not_exported_stays(tmp_path: Path) -> None:
    fill(tmp_path)
    mark(tmp_path)
    fill(tmp_path, info=structs.replace(INFO, slide="unexported"))
    fill(tmp_path, 3)
    report = prune(tmp_path, days=1.0, gigabytes=1e-6)
    assert report.removed == 12 and "entry 13 of slide unexported was not exported" in report.held_back
    assert images(tmp_path) == 12 and verify(tmp_path).findings == ()
    assert prune(tmp_path, days=1.0).removed == 0
    assert prune(tmp_path, days=1.0, only_exported=False).verdicts == 12
    assert images(tmp_path) == 0 and verify(tmp_path).findings == ()


def test_a_wrong_clock_deletes_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    mark(tmp_path)
    report = prune(tmp_path, replace(NEXT_YEAR, synchronized=False), days=1.0)
    assert report.removed == 0 and "clock is not synchronized" in report.held_back
    assert prune(tmp_path, replace(NEXT_YEAR, synchronized=None), days=1.0).removed == 12


def test_a_run_goes_on_across_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its later verdicts still say by which bundle, however often its beginning was cut off."""
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 4)
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        for first in range(0, 30, 3):
            store.write(run, [verdict(first + n, PNG) for n in range(3)])
            if first in (12, 24):
                store.mark_exported("S-1", Row(store.head().id - 1, "", ""), "")
                assert apply(store, Retention(days=1.0), later(first * 86_400)).removed > 8
                assert json.loads(store.run_body(run) or "")["bundle_digest"] == INFO.bundle_digest
                assert verify(tmp_path).findings == ()
        store.end(run, later(30), {"stored": 30}, "complete")
    assert len(ask(tmp_path, "SELECT 1 FROM entries WHERE type = 'pruned'")) > 2
    assert verify(tmp_path).findings == ()
    mark(tmp_path)
    prune(tmp_path, days=1.0)
    assert ask(tmp_path, "SELECT json_extract(body, '$.carried_run') FROM entries ORDER BY id DESC LIMIT 1") == [
        (None,)
    ]


def test_interrupted_between_rows_and_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    mark(tmp_path)
    with monkeypatch.context() as broken, Store.open(tmp_path) as store:
        broken.setattr(Store, "delete_doomed", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            apply(store, Retention(days=1.0), NEXT_YEAR)
    assert images(tmp_path) == 9 and verify(tmp_path).findings == ()
    Store.open(tmp_path).close()
    assert images(tmp_path) == 0 and verify(tmp_path).findings == ()


def test_a_forged_checkpoint_shows(tmp_path: Path) -> None:
    fill(tmp_path)
    mark(tmp_path)
    prune(tmp_path, Instant(NOON.utc_ns + DAY_NS + 5 * 10**9, 1, True), days=1.0)
    assert verify(tmp_path).sound
    tamper(tmp_path, "UPDATE pruned SET through = 9, digest = (SELECT digest FROM entries WHERE id = 9)")
    tamper(tmp_path, "DELETE FROM entries WHERE id <= 9")
    assert any("no checkpoint in the chain" in finding for finding in verify(tmp_path).findings)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: object) -> int:
        return main("edge", COMMANDS, ["prune", "--store", str(tmp_path), *map(str, words)])

    assert run("--days", "1") == 2 and "no record here" in capsys.readouterr().err
    fill(tmp_path)
    for words, said in (
        ([], "needs --days or --gigabytes, or a profile"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: No such file"),
        (["--days", "0"], "--days must be a number > 0; got '0'"),
        (["--gigabytes", "nan"], "--gigabytes must be a number > 0"),
        (["--gigabytes", "few"], "--gigabytes must be a number > 0"),
    ):
        assert run(*words) == 2
        assert said in capsys.readouterr().err
    assert run("--gigabytes", "0.000001") == 0
    assert "0 verdicts" in (text := capsys.readouterr().out) and "was not exported" in text
    assert run("--gigabytes", "0.000001", "--also-unexported", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdicts"] == 9
    with Store.open(tmp_path):
        assert run("--gigabytes", "1") == 4
    assert "writes to this record" in capsys.readouterr().err
    with pytest.raises(ValueError, match="days must be"):
        Retention(days=-1.0)


@pytest.fixture
def prune_by(tmp_path: Path) -> Callable[[str], int]:
    """`edge prune` as a timer runs it: with nothing but a profile."""
    record, profile = tmp_path / "record", tmp_path / "edge.toml"

    def run(limits: str) -> int:
        profile.write_text(f"[record]\nfolder = '{record}'\n{limits}")
        return main("edge", COMMANDS, ["prune", "--config", str(profile)])

    return run


def test_a_timer_prunes_by_the_profile(
    tmp_path: Path, prune_by: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    limits = "[retention]\ngigabytes = 0.001\nonly_exported = false\n"  # not by age: no clock is trusted here
    assert prune_by(limits) == 0 and "no record yet" in capsys.readouterr().out
    assert prune_by("") == 0 and "the profile sets no limit" in capsys.readouterr().out
    fill(tmp_path / "record")
    with Store.open(tmp_path / "record") as store:
        store.write(store.begin(INFO, NOON), [verdict(n, bytes(400_000)) for n in range(4)])
    assert prune_by(limits) == 0
    assert ask(tmp_path / "record", "SELECT count(*) FROM verdicts") < [(13,)]
    assert "verdicts and" in capsys.readouterr().out
    assert verify(tmp_path / "record").sound


def test_a_timer_leaves_a_record_to_the_run_that_holds_it(
    tmp_path: Path, prune_by: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "record")
    with Store.open(tmp_path / "record"):
        assert prune_by("[retention]\ndays = 1\nonly_exported = false\n") == 0
        said = capsys.readouterr().out
        assert len(said.splitlines()) == 1
        assert f"process {os.getpid()} writes to this record, and applies its profile's limits itself" in said
        assert main("edge", COMMANDS, ["prune", "--store", str(tmp_path / "record"), "--days", "1"]) == 4
    assert verify(tmp_path / "record").verdicts == 9
