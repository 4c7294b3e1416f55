"""The record: what goes in comes out, chained, numbered and durable; older schemas are brought up to date."""

import hashlib
import json
import math
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from edge.errors import StoreError
from edge.record import schema as store_schema
from edge.record.audit import verify
from edge.record.chain import canonical, genesis, link
from edge.record.entries import Event
from edge.record.location import default_store
from edge.record.store import Store
from edge.system.clock import Clock, Instant
from tests.edge.record.records import INFO, NOON, PNG, ask, fill, later, verdict
from tests.paths import ROOT

PAGE = ROOT / "docs/reference/record.md"


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    with Store.open(tmp_path / "record") as store:
        run = store.begin(INFO, NOON)
        stored = store.write(
            run, [verdict(0, PNG), verdict(1), verdict(2)], [Event(NOON, "lost", "the camera is away")]
        )
        store.end(run, later(9), {"captured": 3, "stored": 3}, "complete")
        assert [s.field for s in stored] == [1, 2, 3] and [s.id for s in stored] == [3, 4, 5]
        assert stored[0].image == "images/S-1/000/000001.png" and stored[1].image is None
        assert (tmp_path / "record/images/S-1/000/000001.png").read_bytes() == PNG
        rows = [json.loads(row.body) for row in store.entries(through=store.head().id)]
    assert [row["type"] for row in rows] == ["run", "event", "verdict", "verdict", "verdict", "end"]
    first = rows[2]
    assert first["utc"] == "2025-11-03T12:00:00.123456789Z" and first["utc_ns"] == NOON.utc_ns
    assert first["synchronized"] is True and first["monotonic_ns"] == NOON.monotonic_ns
    assert first["image"] == {"path": stored[0].image, "sha256": hashlib.sha256(PNG).hexdigest(), "bytes": len(PNG)}
    assert (rows[4]["label"], rows[4]["reason"], rows[4]["probabilities"]) == (None, "out_of_focus", None)
    assert rows[0]["bundle_digest"] == INFO.bundle_digest and rows[0]["kind"] == "xnnpack"
    record = tmp_path / "record"
    assert ask(record, "SELECT field, label, reason FROM verdicts WHERE slide = 'S-1' ORDER BY field") == [
        (1, "Pre", None),
        (2, "Pre", None),
        (3, None, "out_of_focus"),
    ]
    assert ask(record, "SELECT run, why, kind, simulated FROM runs") == [(1, "complete", "xnnpack", 1)]
    assert ask(record, "SELECT kind, detail FROM events") == [("lost", "the camera is away")]


@given(
    steps=st.lists(st.integers(0, 256), min_size=2, max_size=8), value=st.floats(allow_nan=False, allow_infinity=False)
)
def test_numbers_survive_exactly(steps: list[int], value: float) -> None:
    body = {"probabilities": [step / 256 for step in steps], "gate": value}
    assert json.loads(canonical(body)) == body
    assert canonical(json.loads(canonical(body))) == canonical(body)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_canonical_text_is_ascii_on_one_line_and_comes_back(body: dict[str, object]) -> None:
    text = canonical(body)
    assert text.isascii() and text.isprintable() and json.loads(text) == body


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_no_entry(value: float) -> None:
    """NaN is written by Python and read by nobody else."""
    for body in ({"x": value}, {"x": [1.0, value]}, {"x": {"y": value}}):
        with pytest.raises(ValueError, match="Out of range float"):
            canonical(body)
    assert canonical({"x": 1.5}) == '{"x":1.5}'


def test_the_chain_is_what_the_page_says(tmp_path: Path) -> None:
    """The twenty lines in the documentation, run as they stand, on a sound record and on an altered one."""
    fill(tmp_path / "record")
    script = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert len(script.splitlines()) <= 20

    def check() -> str:
        words = [sys.executable, "-c", script, str(tmp_path / "record")]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    assert "sound: 12 entries" in check()
    with closing(sqlite3.connect(tmp_path / "record/record.sqlite")) as connection, connection:
        connection.execute("UPDATE entries SET body = replace(body, '\"Pre\"', '\"Pro\"') WHERE id = 4")
    assert "entry 4" in check() and "sound" not in check()


def test_links_differ_by_every_part() -> None:
    one = genesis("a" * 32)
    digests = {one, genesis("b" * 32), link(one, 1, "{}"), link(one, 2, "{}"), link(one, 1, "{} ")}
    assert len(digests | {link(genesis("b" * 32), 1, "{}")}) == 6
    assert link(one, 1, "{}") == hashlib.sha256(f"{one}\n1\n{{}}".encode()).hexdigest()


def test_fields_are_numbered_per_slide_over_all_runs(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    fill(tmp_path, 2, info=replace(INFO, slide="other"))
    assert [s.field for s in fill(tmp_path, 3)] == [5, 6, 7]
    assert verify(tmp_path).findings == ()


def test_values_that_make_no_sense(tmp_path: Path) -> None:
    for wrong in (
        {"reason": "blurred"},
        {"label": None},
        {"probabilities": (math.nan, 1.0)},
        {"image_suffix": "/../x"},
    ):
        with pytest.raises(ValueError, match="must be"):
            verdict(0, **wrong)
    for slide in ("", "..", "../x", "a/b", ".hidden", "-flag", "a\n", "x" * 65, "ü", "a\0"):
        with pytest.raises(ValueError, match="slide must be"):
            replace(INFO, slide=slide)
    assert fill(tmp_path, 1, info=replace(INFO, slide="1e3.A_b-" + "x" * 56))[0].slide.startswith("1e3")


def test_text_that_is_hard_to_store_and_measurements_that_are_no_numbers(tmp_path: Path) -> None:
    hard = "a\nb\0c\udcff'\";--é"
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0, source=hard, gates={"empty_field": math.inf})], [Event(NOON, "k", hard)])
        rows = [json.loads(row.body) for row in store.entries(through=store.head().id)]
    assert (rows[1]["detail"], rows[2]["source"], rows[2]["gates"]) == (hard, hard, {"empty_field": None})
    assert verify(tmp_path).findings == ()


def test_one_run_at_a_time_and_none_after_its_end(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        with pytest.raises(ValueError, match="has not ended"):
            store.begin(INFO, NOON)
        store.end(run, NOON, {"stored": 0}, "stopped")
        with pytest.raises(ValueError, match="run must be"):
            store.write(run, [verdict(0)])
    with pytest.raises(StoreError, match="closed"):
        store.begin(INFO, NOON)


def test_a_run_that_was_killed_shows_as_not_ended(tmp_path: Path) -> None:
    fill(tmp_path, ended=False)
    fill(tmp_path)
    assert ask(tmp_path, "SELECT ended IS NULL FROM runs ORDER BY run") == [(1,), (0,)]
    report = verify(tmp_path)
    assert (report.runs, report.not_ended, report.sound) == (2, 1, True)


def test_readers_see_whole_batches_while_a_run_goes_on(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    stop = threading.Event()
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)

        def write() -> None:
            number = 0
            while not stop.is_set():
                store.write(run, [verdict(number + n, PNG if n == 0 else None) for n in range(8)])
                number += 8

        writer = threading.Thread(target=write)
        writer.start()
        try:
            reports = [verify(tmp_path) for _ in range(20)]
            give_up = time.monotonic() + 30  # a busy disk may be late
            while reports[-1].verdicts == reports[0].verdicts and time.monotonic() < give_up:
                reports.append(verify(tmp_path))
        finally:
            stop.set()
            writer.join()
    assert [finding for report in reports for finding in report.findings] == []
    assert {(report.verdicts - 3) % 8 for report in reports} == {0}
    assert reports[-1].verdicts > reports[0].verdicts
    with Store.open(tmp_path, read_only=True) as reader, pytest.raises(StoreError, match="reading only"):
        reader.begin(INFO, NOON)


def test_a_record_of_schema_1_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as old, closing(sqlite3.connect(tmp_path / "record.sqlite")) as connection:
        old.setattr(store_schema, "MIGRATIONS", store_schema.MIGRATIONS[:1])
        store_schema.migrate(connection, tmp_path, store_schema.MIGRATIONS)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        body = canonical({"type": "event", "run": None, "slide": None, "kind": "old", "detail": "", "utc_ns": 1})
        digest = link(genesis("0" * 32), 1, body)
        connection.execute("INSERT INTO entries (id, body, digest) VALUES (1, ?, ?)", (body, digest))
        connection.execute("INSERT INTO head VALUES (1, ?, 1, ?, 0)", ("0" * 32, digest))
        connection.commit()
    with pytest.raises(StoreError, match="schema 1 of 6"):
        Store.open(tmp_path, read_only=True)
    stored = fill(tmp_path, 3)
    assert stored[0].id == 4 and ask(tmp_path, "PRAGMA user_version") == [(store_schema.VERSION,)]
    report = verify(tmp_path)
    assert (report.findings, report.entries) == ((), 7)


def test_a_record_from_before_signatures_is_read_as_it_is_and_brought_up_to_date_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as old:
        old.setattr(store_schema, "MIGRATIONS", store_schema.MIGRATIONS[:2])
        with closing(sqlite3.connect(tmp_path / "record.sqlite")) as connection:
            store_schema.migrate(connection, tmp_path, store_schema.MIGRATIONS)
            body = {"type": "run", "run": 1, "utc_ns": 1, **to_builtins(INFO)}
            del body["signed_by"], body["bundle_version"]
            digest = link(genesis("0" * 32), 1, canonical(body))
            connection.execute("INSERT INTO entries (id, body, digest) VALUES (1, ?, ?)", (canonical(body), digest))
            connection.execute("INSERT INTO head VALUES (1, ?, 1, ?, 0)", ("0" * 32, digest))
            connection.commit()
    report = verify(tmp_path)
    assert report.sound and report.signers == {"not recorded": 1}
    assert ask(tmp_path, "PRAGMA user_version") == [(2,)], "reading changes nothing"
    fill(tmp_path, 3, info=replace(INFO, signed_by="ab" * 32, bundle_version=7))
    assert ask(tmp_path, "SELECT signed_by, bundle_version FROM runs ORDER BY run") == [(None, None), ("ab" * 32, 7)]
    report = verify(tmp_path)
    assert report.sound and report.signers == {"not recorded": 1, "ab" * 32: 1}
    assert "runs by who signed their bundle: abababababab 1, not recorded 1" in report.text()


def test_a_migration_that_fails_leaves_the_record_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    broken = (*store_schema.MIGRATIONS, "CREATE TABLE half (x); CREATE TABLE entries (x);")
    with closing(store_schema.connect(tmp_path, read_only=False)) as connection:
        with pytest.raises(StoreError, match="already exists"):
            store_schema.migrate(connection, tmp_path, broken)
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)
    assert verify(tmp_path).findings == ()


def test_a_newer_schema_is_refused_in_one_line(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    for read_only in (False, True):
        with pytest.raises(
            StoreError, match=r"schema 99, and this leukoscope knows 6 at most; install a newer"
        ) as caught:
            Store.open(tmp_path, read_only=read_only)
        assert "\n" not in str(caught.value)


def test_the_log_is_folded_back_and_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_schema, "_WAL_PAGES", 50)
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        for first in range(0, 3840, 128):
            store.write(run, [verdict(first + n) for n in range(128)])
        assert (tmp_path / "record.sqlite-wal").stat().st_size < 2**19 < (tmp_path / "record.sqlite").stat().st_size
    assert not (tmp_path / "record.sqlite-wal").exists()


def test_clock() -> None:
    wall, monotonic = [10**18], [5 * 10**9]
    clock = Clock(lambda: wall[0], lambda: monotonic[0], lambda: None)
    assert clock.now() == Instant(10**18, 5 * 10**9, None) and clock.now().utc == "2001-09-09T01:46:40.000000000Z"
    assert clock.jumped() is None
    wall[0], monotonic[0] = wall[0] + 61 * 10**9, monotonic[0] + 60 * 10**9  # one second off: slewed, not set
    assert clock.jumped() is None
    wall[0] -= 3600 * 10**9
    assert clock.jumped() == -3600.0
    assert clock.jumped() is None
    wall[0] += 2 * 10**9
    assert clock.jumped() == 2.0
    assert Clock().now().synchronized in (True, False, None)


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/leukoscope:/var/lib/other")
    assert default_store() == Path("/var/lib/leukoscope/record")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_store() == tmp_path / "leukoscope/record"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_store() == tmp_path / ".local/state/leukoscope/record"
