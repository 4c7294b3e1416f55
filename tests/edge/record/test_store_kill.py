"""SIGKILL at random moments: the record opens, verifies, and holds every verdict that was announced."""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edge.record.audit import verify
from edge.record.store import Store
from tests.edge.record.records import ask, tamper
from tests.paths import ROOT

# Announces each verdict after it is committed, begins new runs, keeps images, prunes what was exported.
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from edge.system.clock import Clock
from edge.record.retention import Retention, apply
from edge.record.entries import Event
from edge.record.reader import Row
from edge.record.store import Store
from tests.edge.record.records import INFO, PNG, verdict

folder, clock, number = Path(sys.argv[1]), Clock(), 0
print("start", flush=True)
with Store.open(folder) as store:
    while True:
        head = store.head()
        if head.id > store.base().id + 100:
            store.mark_exported("S-1", Row(head.id, "", head.digest), clock.now().utc)
            apply(store, Retention(gigabytes=1e-6), replace(clock.now(), synchronized=True))
        run = store.begin(INFO, clock.now())
        for _ in range(5):
            batch = [verdict(n, PNG * 50 + str(n).encode() if n % 2 else None) for n in range(number, number + 6)]
            for stored in store.write(run, batch, [Event(clock.now(), "stall", "")]):
                print(stored.id, stored.digest, flush=True)
            number += 6
        store.end(run, clock.now(), {"stored": 30}, "complete")
"""


def rounds(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Start, kill and check the writer so many times; what was seen in all."""
    rng = random.Random(seed)
    seen = {"announced": 0, "found": 0, "moved": 0, "pruned": 0}
    for _ in range(count):
        announced = killed_writer(folder, rng.uniform(0.0, 0.35))
        if (folder / "record.sqlite").exists():  # the first may be killed before it is made
            assert verify(folder).findings == ()  # without a start in between: what was interrupted is no damage
        with Store.open(folder) as store:
            pruned = store.base().id
            digests = {row.id: row.digest for row in store.entries(through=store.head().id)}
        after = verify(folder)
        assert (after.findings, after.unrecorded) == ((), 0)
        there = [each for each in announced if each[0] > pruned]  # the others were exported and removed
        assert [each for each in there if digests.get(each[0]) != each[1]] == []
        seen["announced"] += len(announced)
        seen["found"] += len(there)
        seen["moved"] = after.left_over
        seen["pruned"] = pruned
    return seen


def killed_writer(folder: Path, after_s: float) -> list[tuple[int, str]]:
    """Every (entry, digest) that a writer announced before it was killed, so many seconds after its start."""
    words = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None and writer.stderr is not None
        if writer.stdout.readline() != "start\n":
            raise AssertionError(writer.stderr.read())
        with suppress(subprocess.TimeoutExpired):
            writer.wait(after_s)
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read()
        assert writer.wait() == -signal.SIGKILL, writer.stderr.read()
    lines = [line.split() for line in said.splitlines()]
    return [(int(words[0]), words[1]) for words in lines if len(words) == 2 and len(words[1]) == 64]


def test_ten_rounds(tmp_path: Path) -> None:
    seen = rounds(tmp_path / "record", 10, seed=3)
    assert seen["found"] > 50


@pytest.mark.slow
def test_a_hundred_rounds(tmp_path: Path) -> None:
    seen = rounds(tmp_path / "record", 100, seed=4)
    print(json.dumps(seen))
    assert seen["found"] > 500 and seen["pruned"] > 0


def test_killed_while_the_record_is_made(tmp_path: Path) -> None:
    """The first start is interrupted too: what stands there then is a record, or nothing that hinders one."""
    script = "import sys; from pathlib import Path; from edge.record.store import Store; print(flush=True); "
    script += "Store.open(Path(sys.argv[1]))"
    rng = random.Random(5)
    for number in range(8):
        folder = tmp_path / str(number)
        with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        with Store.open(folder) as store:
            assert store.head().id == 0
        assert verify(folder).sound


def test_a_lost_verdict_would_show(tmp_path: Path) -> None:
    """The control: a record that loses the last announced verdict does not pass the check above."""
    announced = killed_writer(tmp_path, 0.3)
    last = ask(tmp_path, "SELECT max(id) FROM entries")[0][0]
    assert announced and announced[-1][0] <= last
    Store.open(tmp_path).close()
    tamper(tmp_path, "DELETE FROM entries WHERE id >= ?", announced[-1][0])
    assert any("missing at the end" in finding for finding in verify(tmp_path).findings)
