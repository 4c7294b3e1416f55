"""Retention beside a run: in pieces between commits, and what holds it back is said in the record and everywhere."""

import json
from pathlib import Path

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.diagnostics.storage import retention as probe
from edge.instrument.pipeline import housekeeping
from edge.instrument.pipeline.housekeeping import Housekeeping
from edge.record.audit import verify
from edge.record.reader import Row
from edge.record.retention import GOES_ON, HELD_BACK, MOST_AT_ONCE, Pruning, Retention, apply
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.machine import Machine
from tests.edge.record.records import DAY_NS, INFO, NOON, ask, fill, later, verdict
from tests.paths import ROOT

HELD = "more exceeds the limits, and stays: entry 1 of slide S-1 was not exported"
TINY = 1e-9  # gigabytes: everything exceeds it
BUNDLE = ROOT / "models" / "bundles" / "custom_cnn-int8"


class Watch:
    """Seconds that pass by themselves: `each` with every look."""

    def __init__(self, each: float = 0.0) -> None:
        self.seconds, self.each = 0.0, each

    def __call__(self) -> float:
        self.seconds += self.each
        return self.seconds


def clock(synchronized: bool = True) -> Clock:
    return Clock(wall=lambda: NOON.utc_ns + DAY_NS, monotonic=lambda: 0, synchronized=lambda: synchronized)


def events(folder: Path) -> list[tuple[str, str]]:
    return ask(folder, "SELECT kind, detail FROM events WHERE kind LIKE 'retention%' ORDER BY id")


def mark(store: Store) -> None:
    head = store.head()
    store.mark_exported("S-1", Row(head.id, "", head.digest), "2025-11-03T12:00:00Z")


def test_each_call_removes_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 60)
    monkeypatch.setattr(housekeeping, "FIRST_STEP", 10)
    monkeypatch.setattr(housekeeping, "LEAST_STEP", 10)
    with Store.open(tmp_path) as store:
        keep = Housekeeping(store, Retention(days=0.001, only_exported=False), clock(), Watch(housekeeping.STEP_S))
        bases = []
        while store.base().id < 63:
            keep()
            bases.append(store.base().id)
            assert verify(tmp_path, images=False).sound
        assert bases == [10, 20, 30, 40, 50, 60, 63]
        keep()
        assert keep.held_back == "" and len(events(tmp_path)) == 0
    assert verify(tmp_path).verdicts == 0


def test_pieces_take_the_time_they_may(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with Store.open(tmp_path) as store:
        watch = Watch()
        keep = Housekeeping(store, Retention(gigabytes=TINY), clock(), watch)
        taken: list[int] = []
        keep._pruning = pruning = Pruning(store, Retention(gigabytes=TINY), NOON)
        pruning.step = lambda most: not taken.append(most)  # type: ignore[assignment, func-returns-value]
        for each in (*[0.0] * 5, *[1.0] * 4, housekeeping.STEP_S):
            watch.each = each
            keep()
    assert taken[:6] == [500, 1000, 2000, 4000, MOST_AT_ONCE, MOST_AT_ONCE]  # twice as many at most
    assert taken[6:10] == [1000, 200, housekeeping.LEAST_STEP, housekeeping.LEAST_STEP]


def test_what_holds_it_back_is_recorded_once_until_it_changes(tmp_path: Path) -> None:
    fill(tmp_path, 9)
    limits = Retention(gigabytes=TINY)
    with Store.open(tmp_path) as store:
        watch = Watch()
        keep = Housekeeping(store, limits, clock(), watch)
        for _ in range(3):
            keep()
            watch.seconds += housekeeping.EVERY_S
        [(kind, detail)] = events(tmp_path)
        assert (kind, detail) == (HELD_BACK, HELD)
        assert keep.held_back == detail
        [finding] = probe(Machine(store=tmp_path))
        assert finding.state == "warning" and detail in finding.found and "edge export" in finding.cure
        mark(store)
        for _ in range(3):
            keep()
        assert keep.held_back == "" and [kind for kind, _ in events(tmp_path)] == [HELD_BACK, GOES_ON]
    assert verify(tmp_path).sound and [finding.state for finding in probe(Machine(store=tmp_path))] == ["ok"]


def test_a_clock_that_is_not_synchronized_is_asked_again_soon(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    synchronized = False
    times = Clock(wall=lambda: NOON.utc_ns + DAY_NS, monotonic=lambda: 0, synchronized=lambda: synchronized)
    with Store.open(tmp_path) as store:
        watch = Watch()
        keep = Housekeeping(store, Retention(days=0.5, only_exported=False), times, watch)
        keep()
        assert "the clock is not synchronized" in keep.held_back
        [finding] = probe(Machine(store=tmp_path))
        assert "timedatectl" in finding.cure
        synchronized = True
        keep()
        assert store.base().id == 0, "not yet"
        watch.seconds += housekeeping.CLOCK_S
        keep()
        keep()
        assert store.base().id > 0 and keep.held_back == ""


def test_prune_records_it_too_and_without_limits_nothing_is_said(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    assert probe(Machine(store=tmp_path / "none")) == []
    for _ in range(2):
        assert main("edge", COMMANDS, ["prune", "--store", str(tmp_path), "--gigabytes", str(TINY)]) == 0
    assert [kind for kind, _ in events(tmp_path)] == [HELD_BACK]
    with Store.open(tmp_path) as store:
        Housekeeping(store, Retention(), clock())()
        mark(store)
        apply(store, Retention(gigabytes=TINY), later(99))
    assert [kind for kind, _ in events(tmp_path)] == [HELD_BACK, GOES_ON]


def test_the_end_of_a_run_says_what_is_held_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path / "record") as store:
        store.write(store.begin(INFO, NOON), [verdict(0, b"x" * 2_000_000)])
    profile = tmp_path / "edge.toml"
    profile.write_text("[camera]\nsize = [320, 240]\n[retention]\ngigabytes = 0.001\n")
    words = ["run", "--camera", "sim:?fps=200", "--every", "--frames", "2", "--bundle", str(BUNDLE), "--allow-unsigned"]
    assert main("edge", COMMANDS, [*words, "--store", str(tmp_path / "record"), "--config", str(profile)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].endswith(f"; retention: {HELD}")
    assert f"warning: retention: {HELD}" in captured.err
    assert events(tmp_path / "record") == [(HELD_BACK, HELD)]
    assert json.loads(ask(tmp_path / "record", "SELECT counters FROM runs ORDER BY run DESC")[0][0])["stored"] == 2
