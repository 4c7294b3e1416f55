"""Exports and retention of slides: acts and corrections go with their slide, and none stays without its verdict."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.record.exports.export import export
from edge.record.exports.slide_tables import ACTS, CORRECTIONS
from edge.record.retention import Pruning, Retention, apply
from edge.record.slide_queries import carried_verdicts, corrections, history, open_slide, verdict
from edge.record.store import Store
from edge.slides import audit
from edge.slides.tally import Tally
from edge.system.clock import Instant
from tests.edge.record.records import DAY_NS, INFO, NOON, fill, later, tamper
from tests.edge.record.records import verdict as judged
from tests.edge.slides.records import SLIDES_INFO
from tests.edge.slides.test_audit import act, append, checked, correction, slide_read

LATE = Instant(NOON.utc_ns + 400 * DAY_NS, 0, True)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def aged(folder: Path, days: float) -> None:
    """All entries so much older, chained anew."""
    from edge.record.chain import canonical, genesis, link

    with Store.open(folder) as store:
        rows, digest = list(store.entries(through=store.head().id)), genesis(store.head().record)
    for row in rows:
        body = json.loads(row.body)
        body["utc_ns"] -= round(days * DAY_NS)
        digest = link(digest, row.id, canonical(body))
        tamper(folder, "UPDATE entries SET body = ?, digest = ? WHERE id = ?", canonical(body), digest, row.id)
    tamper(folder, "UPDATE head SET digest = ?", digest)


def test_an_export_has_acts_and_corrections_and_what_was_seen(tmp_path: Path) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    slide_read(record)
    with Store.open(record) as store:
        store.append_correction(correction(2, label="Pre", agrees=False, note="=1+1, large nucleoli"))
        run = store.begin(SLIDES_INFO, later(40), act("reopened"))
        store.write(run, [replace(judged(0), asked_by="reader")])
    export(record, "S-1", to, also=audit.SlideCheck)
    opened, closed, reopened = table(to / ACTS)
    assert (opened["act"], opened["by"], opened["finding"], opened["run"]) == ("opened", "reader", "", "1")
    assert (closed["finding"], closed["rule"], closed["fields"], closed["seen"]) == ("benign", "tenth-1", "23", "1")
    assert float(closed["interval_low"]) == 0 < float(closed["interval_high"]) < 0.2
    assert reopened["act"] == "reopened"
    agreed, other = table(to / CORRECTIONS)
    assert (agreed["field"], agreed["agrees"], agreed["answer"]) == ("1", "true", "Benign")
    assert (other["label"], other["agrees"], other["answer"]) == ("Pre", "false", "Benign")
    assert other["note"] == "'=1+1, large nucleoli"  # no spreadsheet runs it
    verdicts = table(to / "verdicts.csv")
    assert list(verdicts[0])[-3:] == ["digest", "seen", "asked_by"]
    assert [row["field"] for row in verdicts if row["seen"] == "4"] == ["10"] and verdicts[-1]["asked_by"] == "reader"
    assert {ACTS, CORRECTIONS} <= {line.split("  ")[1] for line in (to / "SHA256SUMS").read_text().splitlines()}
    assert ACTS in (to / "README.txt").read_text()


def test_an_export_of_a_slide_that_was_only_run_is_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path / "record")
    export(tmp_path / "record", "S-1", tmp_path / "to", also=audit.SlideCheck)
    assert not (tmp_path / "to" / ACTS).exists() and not (tmp_path / "to" / CORRECTIONS).exists()
    assert list(table(tmp_path / "to/verdicts.csv")[0])[-1] == "digest"
    assert ACTS not in (tmp_path / "to/README.txt").read_text()


def test_acts_and_corrections_go_with_the_slide_and_not_before_it_was_exported(tmp_path: Path) -> None:
    record = tmp_path / "record"
    slide_read(record)
    with Store.open(record) as store:
        kept = apply(store, Retention(days=30), LATE)
        assert kept.removed == 0 and "of slide S-1 was not exported" in kept.held_back
    export(record, "S-1", tmp_path / "to")
    with Store.open(record) as store:
        store.append_correction(correction(2, label="Pre", agrees=False))  # of which the export knows nothing
        apply(store, Retention(days=30), LATE)
        assert [body.corrects for _, body in corrections(store, "S-1")] == [2]
        found = verdict(store, "S-1", 2)
        assert found is not None and (found[1].label, found[1].field) == ("Benign", 2)
        assert verdict(store, "S-1", 1) is None
    assert checked(record).findings == ()
    export(record, "S-1", tmp_path / "again", also=audit.SlideCheck)
    [row] = table(tmp_path / "again" / CORRECTIONS)
    assert (row["field"], row["label"], row["answer"]) == ("2", "Pre", "Benign")
    with Store.open(record) as store:
        apply(store, Retention(days=30), Instant(LATE.utc_ns + 31 * DAY_NS, 0, True))
        assert corrections(store, "S-1") == [] and carried_verdicts(store) == {}
    assert checked(record).findings == ()


@pytest.mark.parametrize("most", [1, 3, 7])
def test_no_correction_is_without_its_verdict_however_small_the_pieces(tmp_path: Path, most: int) -> None:
    slide_read(tmp_path)
    with Store.open(tmp_path) as store:
        for field in (2, 20, 24):
            store.append_correction(correction(field))
        pruning = Pruning(store, Retention(days=30, only_exported=False), LATE)
        while pruning.step(most):
            for _, body in corrections(store, "S-1"):
                found = verdict(store, "S-1", body.corrects)
                assert found is not None and found[0] == body.verdict
            assert checked(tmp_path).findings == ()


def test_a_carried_verdict_that_was_taken_away_shows(tmp_path: Path) -> None:
    slide_read(tmp_path)
    with Store.open(tmp_path) as store:
        apply(store, Retention(days=30, only_exported=False), Instant(NOON.utc_ns + 30 * DAY_NS + 25 * 10**9, 0, True))
        assert [number for number, _ in corrections(store, "S-1")] and list(carried_verdicts(store)) == [3]
    assert checked(tmp_path).findings == ()
    append(tmp_path, correction(2, 4))  # removed before, and nothing was carried of it
    assert [finding.rpartition("[")[2] for finding in checked(tmp_path).findings] == [f"{audit.NO_VERDICT}]"]


def test_the_slide_that_is_open_is_taken_up_after_its_acts_were_removed(tmp_path: Path) -> None:
    slide_read(tmp_path, closed=False)
    with Store.open(tmp_path) as store:
        apply(store, Retention(days=30, only_exported=False), LATE)
        found = open_slide(store)
        assert found is not None and (found[1].slide, found[1].act) == ("S-1", "opened")
        apply(store, Retention(days=30, only_exported=False), LATE)
    with Store.open(tmp_path) as store:
        assert open_slide(store) == found
        with pytest.raises(ValueError, match="slide S-1 is open; close it before S-2"):
            store.append_slide(act("opened", "S-2"))
        with pytest.raises(ValueError, match="act must be one of paused, closed"):
            store.append_slide(act("opened"))
        store.append_slide(act("paused"))
        store.append_slide(act("closed"))
        assert open_slide(store) is None
        assert [line.state for line in history(store)] == ["closed"]
        assert Tally.from_record(store, "S-1").fields == 0
    assert checked(tmp_path).findings == ()


def test_a_correction_counts_as_old_as_it_is(tmp_path: Path) -> None:
    fill(tmp_path, info=INFO)
    aged(tmp_path, 40)
    with Store.open(tmp_path) as store:
        store.append_correction(correction(1, label="Pre"))
        report = apply(store, Retention(days=30, only_exported=False), later(60))
        assert report.verdicts == 9 and len(corrections(store, "S-1")) == 1 and list(carried_verdicts(store)) == [3]
