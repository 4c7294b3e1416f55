"""Two minutes of random faults, and the ledger that judges them: it must see what it is there to see."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge.record.exports.export import export
from edge.record.retention import Retention, apply
from edge.record.store import Store
from tests.edge.record.records import fill, later, tamper
from tests.faults.ledger import Broken, Ledger
from tests.faults.nightly import Round, rounds
from tests.faults.tools import NotHere

SECONDS = float(os.environ.get("LEUKOSCOPE_NIGHTLY_SECONDS", "120"))
SEED = int(os.environ.get("LEUKOSCOPE_NIGHTLY_SEED", "0")) or int.from_bytes(os.urandom(2))


@pytest.mark.slow
def test_random_faults_break_no_promise(stick_program: Path, tmp_path: Path) -> None:
    """`make nightly` runs it for longer; a failure names its seed."""
    try:
        with rounds(tmp_path, say=print) as nightly:
            summary = nightly.run(SEED, SECONDS)
    except NotHere as why:
        pytest.skip(str(why))
    print(summary)
    assert summary.rounds and summary.announced, summary
    assert not summary.broken, f"first seed {SEED}: {summary}"


def test_a_seed_is_a_combination() -> None:
    drawn = [Round.draw(seed) for seed in range(200)]
    assert drawn == [Round.draw(seed) for seed in range(200)]
    assert {each.ending for each in drawn} == {"frames", "SIGINT", "SIGTERM", "SIGKILL", "twice"}
    assert sum(each.power_cut for each in drawn) > 10 and len({str(each) for each in drawn}) == 200
    assert any("sync_lies" in each.stick_faults for each in drawn)


def announced(folder: Path) -> list[str]:
    """The lines that a run printed of a record of nine verdicts."""
    keys = ("id", "slide", "field")
    return [
        json.dumps({key: getattr(each, key) for key in keys} | {"label": each.entry.label, "reason": each.entry.reason})
        + "\n"
        for each in fill(folder, 9)
    ]


def verdicts_lost(folder: Path) -> None:
    tamper(folder, "DELETE FROM entries WHERE id = 8")


def verdict_changed(folder: Path) -> None:
    tamper(folder, "UPDATE entries SET body = replace(body, '\"Pre\"', '\"Pro\"') WHERE id = 7")


def frame_twice(folder: Path) -> None:
    tamper(folder, "UPDATE entries SET body = json_set(body, '$.sequence', 3) WHERE id = 7")


def image_lost(folder: Path) -> None:
    (folder / "images/S-1/000/000004.png").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (verdicts_lost, "as entry 8, and the record has None"),
        (verdict_changed, "as entry 7, and the record has"),
        (frame_twice, "stored twice: frame"),
        (image_lost, "000004.png was announced and is missing"),
    ],
)
def test_the_ledger_sees_what_is_broken(damage: Any, said: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, may_be_damaged=False)
    ledger.announce([*announced(tmp_path), '{"id": 99, "cut'])
    ledger.check()
    damage(tmp_path)
    with pytest.raises(Broken, match=said):
        ledger.check()


def test_the_ledger_knows_what_retention_removed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, may_be_damaged=False)
    ledger.announce(announced(tmp_path))
    with Store.open(tmp_path) as store:
        assert apply(store, Retention(days=1e-9, only_exported=False), later(5)).verdicts == 5
    ledger.check()
    tamper(tmp_path, "DELETE FROM pruned")
    with pytest.raises(Broken, match="and the record has None"):
        ledger.check()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda to: (to / "images/000/000004.png").write_bytes(b"other"), "not the file that was hashed"),
        (lambda to: rewrite(to, "verdicts.csv", "Pre", "Pro"), "and the record says Pre"),
        (lambda to: rewrite(to, "chain.json", '"sound": true', '"sound": false'), "and chain.json says False"),
    ],
)
def test_the_ledger_sees_an_export_that_is_wrong(damage: Any, said: str, tmp_path: Path) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    fill(record, 9)
    export(record, "S-1", to)
    ledger = Ledger(record, may_be_damaged=False)
    ledger.check_export(to)
    damage(to)
    with pytest.raises(Broken, match=said):
        ledger.check_export(to)


def rewrite(to: Path, name: str, old: str, new: str) -> None:
    """Change a file of an export, and its sum with it."""
    text = (to / name).read_text()
    assert old in text
    (to / name).write_text(text.replace(old, new))
    names = [line.split("  ", 1)[1] for line in (to / "SHA256SUMS").read_text().splitlines()]
    sums = subprocess.run([shutil.which("sha256sum") or "", *names], cwd=to, capture_output=True, text=True, check=True)
    (to / "SHA256SUMS").write_text(sums.stdout)
