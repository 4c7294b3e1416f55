"""`edge slides`: the history, and one slide, also while a run writes."""

import json
from pathlib import Path

import pytest
from msgspec import structs

from edge.cli import COMMANDS
from edge.record.slide_queries import newest_run
from edge.record.store import Store
from tests.commands import Run, in_this_process, shell
from tests.edge.record.records import fill, later, verdict
from tests.edge.slides.records import SLIDES_INFO, large_record
from tests.edge.slides.test_audit import act, correction, slide_read


@pytest.fixture
def slides(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "edge", COMMANDS, "slides")


def test_the_history_is_listed_newest_first(tmp_path: Path, slides: Run) -> None:
    names = large_record(tmp_path, 4, 30)
    fill(tmp_path, 3)  # a slide that was only run
    said = slides("--store", tmp_path, "--json").record
    assert [line["slide"] for line in said["slides"]] == ["S-1", *names[::-1]] and said["more"] is False
    assert [line["state"] for line in said["slides"]] == ["run", *["closed"] * 4]
    assert said["slides"][1]["finding"] in ("benign", "undecided", "suspicious", "not_enough_fields", "refused")
    text = slides("--store", tmp_path, "--most", "2")
    assert "... and older ones; --most 4 shows more" in text.out and text.out.count("closed") == 1
    assert slides("--store", tmp_path, "--search", "s-0000", "--json").record["slides"][0]["slide"] == names[-1]
    assert "no slide's name has 'x' in it" in slides("--store", tmp_path, "--search", "x").out


def test_one_slide_is_shown_with_what_was_done_to_it_while_a_run_writes(tmp_path: Path) -> None:
    slide_read(tmp_path)
    with Store.open(tmp_path) as store:
        store.append_correction(correction(2, label="Pre", agrees=False, note="large nucleoli"))
        run = store.begin(structs.replace(SLIDES_INFO, slide="Jane-Doe"), later(40), act("opened", "Jane-Doe"))
        store.write(run, [verdict(0)])
        done = shell("edge", "slides", "S-1", "--store", tmp_path)  # another process
        assert done.returncode == 0, done.stderr
        for said in (
            "slide S-1: closed  (simulated)",
            "fields counted: 23; seen before and not counted: 1",
            "answered: Benign 23",
            "finding: benign: 0 of 23 answered fields not benign (0% to 15%, 95 % interval) (rule tenth-1)",
            "opened by reader",
            "field 2: reader says Pre: large nucleoli",
            "research use only",
        ):
            assert said in done.stdout
        record = json.loads(shell("edge", "slides", "Jane-Doe", "--store", tmp_path, "--json").stdout)
        assert (record["state"], record["fields"], record["tally"]["fields"]) == ("open", 1, 1)
        assert record["finding"] is None and "two words like a name" in record["hint"]
        begun = newest_run(store, "Jane-Doe")
        assert begun is not None and begun.run == run


def test_what_cannot_be_shown_is_refused_in_one_line(tmp_path: Path, slides: Run) -> None:
    slides("--store", tmp_path).refused(2, "no record here")
    fill(tmp_path, 3)
    slides("S-2", "--store", tmp_path).refused(2, "slide 'S-2' is not in this record")
    slides("../S-1", "--store", tmp_path).refused(2, "--slide must be 1 to 64")
    slides("S-1", "--search", "S", "--store", tmp_path).refused(2, "--search and --most go with the list")
    slides("--most", "0", "--store", tmp_path).refused(2, "--most must be")
    slides("--most", "1" * 30, "--store", tmp_path).refused(2, "--most must be")


def test_words_from_a_record_reach_the_terminal_on_one_line(tmp_path: Path, slides: Run) -> None:
    slide_read(tmp_path, closed=False)
    with Store.open(tmp_path) as store:
        found = {"finding": "\x1b[2Jbenign", "why": "a\nb"}
        store.append_slide(structs.replace(act("closed", finding=found), by="x\n\x1b[31m", why="y\r"))
    out = slides("S-1", "--store", tmp_path).out
    assert "\x1b" not in out and "\r" not in out and "a\nb" not in out
