"""What `edge bench --watchers` measures: real clients of a real socket, in turns with a pipeline without one."""

from pathlib import Path
from typing import Any

import pytest

from edge.commands.bench import bench
from edge.diagnostics.benchmark import watchers
from edge.diagnostics.benchmark.bench import watchers_lines
from edge.diagnostics.benchmark.record import WatchersRecord
from edge.diagnostics.benchmark.timing import drawn_frame
from edge.diagnostics.benchmark.watchers import watchers_cost
from edge.errors import InstrumentUnavailable, UsageError
from edge.serving.serve import Served, serve
from edge.system.interleaved_timing import compare


@pytest.fixture(scope="module")
def shipped() -> Served:
    return serve()


@pytest.fixture(scope="module")
def frame() -> Any:
    return drawn_frame()


def test_watchers_are_sent_every_verdict_and_previews(
    shipped: Served, frame: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "ROUNDS", 1)
    record = watchers_cost(shipped, frame, 20, tmp_path, 3)
    assert record.messages >= 3 * (20 + 2)  # a verdict a frame, hello, state
    assert 3 <= record.previews <= 3 * 20
    for rates in (record.alone_fps, record.unwatched_fps, record.watched_fps):
        assert len(rates) == 1
        assert min(rates) > 0
    assert set(record.processor_ms) == set(record.memory_mb) == {"alone", "unwatched", "watched"}
    assert min(record.processor_ms.values()) > 0
    assert list(tmp_path.iterdir()) == []


def test_watchers_who_see_nothing_are_no_watchers(
    shipped: Served, frame: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a pipeline that shows nothing would be fast."""
    monkeypatch.setattr(watchers, "ROUNDS", 1)
    monkeypatch.setattr(watchers._Shown, "captured", lambda self, frame: None)
    with pytest.raises(InstrumentUnavailable, match=r"2 watchers got \d+ messages and no preview"):
        watchers_cost(shipped, frame, 10, tmp_path, 2)


def test_the_table_says_rate_work_and_memory() -> None:
    alone, watched = [100.0, 102.0], [98.0, 100.0]
    record = WatchersRecord(
        watchers=10,
        alone_fps=alone,
        unwatched_fps=alone,
        watched_fps=watched,
        unwatched=compare(alone, alone),
        watched=compare(watched, alone),
        processor_ms={"alone": 10.0, "unwatched": 10.0, "watched": 10.2},
        memory_mb={"alone": 100.0, "unwatched": 100.5, "watched": 102.0},
        messages=4000,
        previews=200,
    )
    share, work = "of the pipeline's rate", "work of the instrument"
    assert watchers_lines(record) == [
        f"socket with 10 watchers: 0.980 {share} (0.980 to 0.980), +2.0 % {work}, +2.0 MB",
        f"socket with nobody: 1.000 {share} (1.000 to 1.000), +0.0 % {work}, +0.5 MB",
    ]


def test_there_are_no_more_watchers_than_clients() -> None:
    with pytest.raises(UsageError, match="--watchers must be at most 32; got 33"):
        bench(watchers="33")
    assert bench(watchers="32").watchers == 32
