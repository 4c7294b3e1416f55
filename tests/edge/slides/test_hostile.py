"""Records of slides that another hand wrote, swapped, cut short or blew up: said in one line, nothing guessed."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from edge.cli import COMMANDS
from edge.errors import StoreError
from edge.record.chain import canonical, genesis, link
from edge.record.slide_queries import acts, history, open_slide, recent_commands
from edge.record.store import Store
from edge.slides import audit
from edge.slides.tally import Tally
from tests.commands import in_this_process
from tests.edge.record.records import ask, tamper
from tests.edge.slides.test_audit import act, append, checked, correction, slide_read


def rechained(folder: Path, change: dict[int, Any]) -> None:
    """Those entries' bodies replaced and every digest made anew, as who may write to the file could."""
    [(name,)] = ask(folder, "SELECT record FROM head")
    digest = genesis(name)
    for number, body in ask(folder, "SELECT id, body FROM entries ORDER BY id"):
        text = canonical(change[number]) if number in change else body
        digest = link(digest, number, text)
        tamper(folder, "UPDATE entries SET body = ?, digest = ? WHERE id = ?", text, digest, number)
    tamper(folder, "UPDATE head SET digest = ?", digest)


def body(folder: Path, kind: str, number: int = 0) -> tuple[int, dict[str, Any]]:
    rows = ask(folder, "SELECT id, body FROM entries WHERE type = ? ORDER BY id", kind)
    return rows[number][0], json.loads(rows[number][1])


def names(folder: Path) -> list[str]:
    return [finding.rpartition("[")[2].rstrip("]") for finding in checked(folder).findings]


def test_acts_that_were_swapped_are_out_of_order(tmp_path: Path) -> None:
    slide_read(tmp_path)
    (first, opened), (last, closed) = body(tmp_path, "slide"), body(tmp_path, "slide", 1)
    rechained(tmp_path, {first: closed, last: opened})
    found = names(tmp_path)
    assert audit.ACT_ORDER in found and audit.FINDING in found


def test_a_verdict_changed_by_who_can_chain_anew_contradicts_the_finding(tmp_path: Path) -> None:
    slide_read(tmp_path)
    number, verdict = body(tmp_path, "verdict", 5)
    rechained(tmp_path, {number: {**verdict, "label": "Pre"}})
    assert names(tmp_path) == [audit.FINDING]


def test_corrections_that_were_swapped_name_no_verdict(tmp_path: Path) -> None:
    slide_read(tmp_path)
    number, said = body(tmp_path, "correction")
    rechained(tmp_path, {number: {**said, "corrects": 2}})
    assert names(tmp_path) == [audit.NO_VERDICT]
    rechained(tmp_path, {number: {**said, "verdict": number}})
    assert names(tmp_path) == [audit.NO_VERDICT]
    rechained(tmp_path, {number: {**said, "verdict": 2**62}})
    assert names(tmp_path) == [audit.NO_VERDICT]


def test_a_record_cut_short_shows_and_its_slide_is_open_again(tmp_path: Path) -> None:
    slide_read(tmp_path)
    tamper(tmp_path, "DELETE FROM entries WHERE id >= (SELECT max(id) - 1 FROM entries)")
    assert "are missing at the end" in checked(tmp_path).findings[0]
    with Store.open(tmp_path, read_only=True) as store:
        left = open_slide(store)
        assert left is not None and left[1].slide == "S-1"


@pytest.mark.parametrize(
    "change",
    [{"rule": "x" * 10**6}, {"benign": ["y" * 10**6]}, {"fields": 10**9}, {"tally": {"fields": "z" * 10**6}},
     {"width": -1}],
)  # fmt: skip
def test_a_huge_finding_is_told_in_a_short_line(tmp_path: Path, change: dict[str, Any]) -> None:
    slide_read(tmp_path)
    number, closed = body(tmp_path, "slide", 1)
    rechained(tmp_path, {number: {**closed, "finding": {**closed["finding"], **change}}})
    [finding] = checked(tmp_path).findings
    assert finding.endswith(f"[{audit.FINDING}]") and len(finding) < 500


@pytest.mark.parametrize("wrong", [{"act": "burnt"}, {"slide": 7}, {"act": None}, {"run": "one"}, {"finding": []}])
def test_an_act_that_is_none_is_an_entry_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    slide_read(tmp_path)
    number, opened = body(tmp_path, "slide")
    rechained(tmp_path, {number: {**opened, **wrong}})
    assert f"entry {number} cannot be read" in " ".join(checked(tmp_path).findings)
    run = in_this_process(capsys, "edge", COMMANDS, "slides")
    if wrong.get("slide") != 7:  # which is another slide's
        run("S-1", "--store", tmp_path).refused(1, "no entry of a record", "`edge verify` says what")
        with Store.open(tmp_path) as store, pytest.raises(StoreError, match="no entry of a record"):
            acts(store, "S-1")


def test_texts_of_any_kind_come_back_as_they_were(tmp_path: Path) -> None:
    slide_read(tmp_path)
    note = "größer als 3 µm; \u202e \U0001f52c"
    with Store.open(tmp_path) as store:
        store.append_correction(correction(2, label="Pre", agrees=False, note=note.replace("\u202e", "")))
        store.append_slide(structs.replace(act("reopened"), by="\udcff", why="'; DROP TABLE entries; --"))
        assert acts(store, "S-1")[-1][1].by == "\udcff"
        assert [line.slide for line in history(store, "'; DROP")] == []
        assert Tally.from_record(store, "S-1").corrections[2].note.startswith("größer")
    assert checked(tmp_path).findings == ()


def test_ten_thousand_commands_are_not_all_read_at_a_start(tmp_path: Path) -> None:
    slide_read(tmp_path)
    append(tmp_path, *[structs.replace(act("paused"), slide="S-9", command=f"{n:032x}") for n in range(3000)])
    with Store.open(tmp_path) as store:
        found = recent_commands(store)
        assert len(found) == 1000 and list(found)[-1] == f"{2999:032x}"
