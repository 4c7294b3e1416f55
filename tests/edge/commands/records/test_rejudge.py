"""`edge rejudge`, as users type it: a record under its own bundle, under another one, cut off, and damaged."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cli import COMMANDS
from edge.inference.licence import SUSPICIOUS
from edge.record.entries import Entry
from edge.record.retention import Retention, apply
from edge.record.store import Store
from edge.serving.rejudging.journal import NAME
from edge.serving.serve import serve
from edge.settings.model import ModelSettings
from tests.commands import Run, in_this_process, started
from tests.edge.page.html.page_checks import faults
from tests.edge.record.records import INFO, NOON, later

FIELDS = 24


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "edge", COMMANDS, "rejudge")


def png(number: int) -> bytes:
    frame = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return cv2.imencode(".png", frame)[1].tobytes()


@pytest.fixture
def record(tiny_bundle: Path, tmp_path: Path) -> Path:
    """What the tiny bundle said of fields, of which each fifth has no image; the last was answered otherwise."""
    served = serve(ModelSettings(bundle=tiny_bundle), allow_unsigned=True)
    folder = tmp_path / "record"
    with Store.open(folder) as store:
        run = store.begin(INFO, NOON)
        for number in range(1, FIELDS + 1):
            data = png(number)
            verdict = served.classifier.classify(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), 4))
            label = "Pre" if number == FIELDS and verdict.label != "Pre" else verdict.label
            image = None if number % 5 == 0 else data
            store.write(
                run, [Entry(later(number), number, "", label, None, None, verdict.probabilities, {}, {}, image)]
            )
        store.end(run, later(FIELDS), {"captured": FIELDS}, "complete")
    return folder


def test_the_same_bundle_keeps_every_answer_but_the_planted_one(
    record: Path, tiny_bundle: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run(record, "--bundle", tiny_bundle, "--out", out, "--allow-unsigned", "--json")
    found = done.record
    assert (found["stored"], found["without_image"], found["judged"]) == (FIELDS, FIELDS // 5, FIELDS - FIELDS // 5)
    assert found["kept"] + found["changed"] == found["judged"] and found["changed"] <= 1
    assert done.code == {"fail": 1, "inconclusive": 3}[found["verdict"]]
    assert json.loads((out / "rejudge.json").read_text()) == found
    html = (out / "rejudge.html").read_text()
    assert faults(html) == [] and "Research use only" in html and "tiny-int8" in html
    again = run(record, "--bundle", tiny_bundle, "--out", out, "--allow-unsigned", "--json").record
    assert again["taken_from_journal"] == found["judged"]
    assert {**again, "taken_from_journal": 0} == found


def test_jobs_and_an_export_say_the_same(
    record: Path, tiny_bundle: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = run(record, "--bundle", tiny_bundle, "--jobs", 1, "--allow-unsigned", "--json").record
    several = run(record, "--bundle", tiny_bundle, "--jobs", 3, "--allow-unsigned", "--json").record
    assert alone == several
    export = in_this_process(capsys, "edge", COMMANDS, "export")
    assert export("--slide", "S-1", "--store", record, "--to", tmp_path / "S-1").code == 0
    exported = run(tmp_path / "S-1", "--bundle", tiny_bundle, "--allow-unsigned", "--json").record
    assert {**exported, "sources": alone["sources"]} == alone


def test_two_bundles_are_compared_on_the_same_fields(record: Path, tiny_bundle: Path, run: Run) -> None:
    found = run(record, "--bundle", tiny_bundle, "--against", tiny_bundle, "--allow-unsigned", "--json").record
    assert found["kept"] == found["judged"] and found["changed"] == 0 and found["against"] == "tiny-int8"


def test_a_changed_image_is_named_and_fails(record: Path, tiny_bundle: Path, run: Run) -> None:
    [victim, *_] = sorted((record / "images").rglob("*.png"))
    victim.write_bytes(png(99))
    gone = sorted((record / "images").rglob("*.png"))[1]
    gone.unlink()
    done = run(record, "--bundle", tiny_bundle, "--allow-unsigned", "--json")
    assert done.code == 1 and done.record["unreadable"] == 2
    assert "not the image that was recorded" in done.record["unread"][0]
    assert gone.name in done.record["unread"][1]


def test_a_killed_one_goes_on_and_the_record_is_only_read(
    record: Path, tiny_bundle: Path, run: Run, tmp_path: Path
) -> None:
    out, before = tmp_path / "out", database(record)
    whole = run(record, "--bundle", tiny_bundle, "--allow-unsigned", "--json").record
    first = run(record, "--bundle", tiny_bundle, "--out", out, "--allow-unsigned", "--json").record
    lines = (out / NAME).read_bytes().splitlines(keepends=True)
    (out / NAME).write_bytes(b"".join(lines[:8]) + lines[8][:20])  # as a kill leaves it
    process = started("edge", "rejudge", record, "--bundle", tiny_bundle, "--out", out, "--allow-unsigned", "--json")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = run(record, "--bundle", tiny_bundle, "--out", out, "--allow-unsigned", "--json").record
    assert done["taken_from_journal"] >= 7
    assert {**done, "taken_from_journal": 0} == {**first, "taken_from_journal": 0} == whole
    assert database(record) == before


def database(folder: Path) -> list[object]:
    with closing(sqlite3.connect(f"file:{folder / 'record.sqlite'}?mode=ro", uri=True)) as connection:
        return [
            connection.execute("SELECT * FROM entries").fetchall(),
            connection.execute("SELECT * FROM head").fetchall(),
        ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "needs the folder of a record"),
        (("RECORD",), "needs --bundle"),
        (("/srv/nothing", "--bundle", "BUNDLE"), "SOURCE must be a record or a folder that `edge export` wrote"),
        (("RECORD", "--bundle", "BUNDLE", "--limits", "/srv/nothing.toml"), "/srv/nothing.toml"),
        (("RECORD", "--bundle", "BUNDLE", "--jobs", "0"), "--jobs must be at least 1"),
        (("RECORD", "--bundle", "BUNDLE", "--out", "DATABASE"), "--out"),
    ],
)
def test_wrong_requests_are_one_line(
    words: tuple[str, ...], says: str, record: Path, tiny_bundle: Path, run: Run
) -> None:
    places = {"RECORD": str(record), "BUNDLE": str(tiny_bundle), "DATABASE": str(record / "record.sqlite")}
    run(*(places.get(word, word) for word in words), "--allow-unsigned").refused(2, says)


def test_what_a_licence_held_back_is_compared_also_once_its_run_was_pruned(
    tiny_bundle: Path, run: Run, tmp_path: Path
) -> None:
    """The run's beginning is gone, and the record's checkpoint has it."""
    served = serve(ModelSettings(bundle=tiny_bundle), allow_unsigned=True)
    folder = tmp_path / "record"
    with Store.open(folder) as store:
        begun = store.begin(INFO, NOON)
        for number in range(1, 7):
            data = png(number)
            found = served.classifier.classify(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), 4))
            entry = Entry(later(number * 86_400), number, "", SUSPICIOUS, None, None, found.probabilities, {}, {}, data)
            store.write(begun, [entry])
        store.end(begun, later(7 * 86_400), {"captured": 6}, "complete")
        apply(store, Retention(days=3, only_exported=False), later(7 * 86_400))
        assert store.base().id >= begun, "the beginning of the run was removed"
    told = run(folder, "--bundle", tiny_bundle, "--allow-unsigned", "--json").record
    assert told["judged"] >= 1 and told["kept"] == told["judged"]
