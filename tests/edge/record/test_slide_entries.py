"""Slides in the record: acts in order, corrections of what was answered, commands found again."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from edge.errors import StoreError
from edge.record.entry_parts import moment
from edge.record.slide_entries import Act, CommandBody, CorrectionBody, SlideBody
from edge.record.slide_queries import (
    acts,
    automatic_set,
    command,
    corrections,
    history,
    newest_act,
    open_slide,
    recent_commands,
    state_after,
    verdict,
    verdicts,
)
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON, ask, fill, later
from tests.edge.record.records import verdict as judged


def act(what: Act, slide: str = "S-1", seconds: float = 0, **other: Any) -> SlideBody:
    return SlideBody(run=None, slide=slide, **moment(later(seconds)), act=what, **{"by": "reader", **other})


def correction(field: int, label: str = "Pre", *, agrees: bool = True, **other: Any) -> CorrectionBody:
    said = {"slide": "S-1", "verdict": 0, "by": "reader", **other}
    return CorrectionBody(**moment(later(9)), corrects=field, label=label, agrees=agrees, **said)


def test_acts_come_in_order_and_say_what_is_open(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        assert open_slide(store) is None
        for what in ("opened", "paused", "continued", "paused", "paused"):
            store.append_slide(act(what))  # type: ignore[arg-type]
        found = open_slide(store)
        assert found is not None and (found[0], found[1].act, state_after(found[1])) == (5, "paused", "paused")
        store.append_slide(act("closed", finding={"finding": "benign"}))
        assert open_slide(store) is None
        store.append_slide(act("opened", "S-2"))
    with Store.open(tmp_path, read_only=True) as store:
        assert [body.act for _, body in acts(store, "S-1")][-2:] == ["paused", "closed"]
        newest = newest_act(store, "S-1")
        assert newest is not None and newest[1].finding == {"finding": "benign"}
        left = open_slide(store)
        assert left is not None and left[1].slide == "S-2"
        assert newest_act(store, "S-3") is None
        assert store.slides() == {"S-1": 0, "S-2": 0}


@pytest.mark.parametrize(
    ("before", "then"),
    [((), "paused"), ((), "closed"), (("opened",), "opened"), (("opened", "closed"), "continued"),
     (("opened", "closed"), "opened"), (("opened", "paused"), "reopened"), (("opened",), "continued")],
)  # fmt: skip
def test_an_act_out_of_order_is_refused_and_leaves_nothing(tmp_path: Path, before: tuple[Act, ...], then: Act) -> None:
    with Store.open(tmp_path) as store:
        for what in before:
            store.append_slide(act(what))
        with pytest.raises(ValueError, match=f"act must be one of .*; got '{then}'"):
            store.append_slide(act(then))
        assert store.head().id == len(before)


def test_one_slide_is_open_at_a_time(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.append_slide(act("opened"))
        with pytest.raises(ValueError, match="slide S-1 is open; close it before S-2 is opened"):
            store.append_slide(act("opened", "S-2"))
        with pytest.raises(ValueError, match="slide must be 1 to 64"):
            store.append_slide(act("opened", "../S-2"))
        assert store.slides() == {"S-1": 0}


def test_acts_and_commands_are_recorded_within_a_run_from_any_thread(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.append_slide(act("opened"))
        run = store.begin(INFO, NOON)
        store.write(run, [judged(0)])

        def commands(first: int) -> None:
            for number in range(first, first + 10):
                body = CommandBody(
                    run=run, slide="S-1", **moment(NOON), command=f"{number:032x}", name="judge", by="reader"
                )
                store.append_command(body)

        threads = [threading.Thread(target=commands, args=(first,)) for first in (0, 10, 20)]
        for thread in threads:
            thread.start()
        store.write(run, [judged(1)])
        for thread in threads:
            thread.join()
        store.end(run, later(9), {}, "complete")
        found = recent_commands(store)
        assert len(found) == 30
        assert [number for number, _ in found.values()] == sorted(number for number, _ in found.values())
        assert list(recent_commands(store, 2)) == list(found)[-2:]


def test_automatic_is_what_was_done_last_for_that_slide(tmp_path: Path) -> None:
    """Not what was refused, another command, what another slide was given, or what came before it was reopened."""
    with Store.open(tmp_path) as store:

        def given(name: str, on: bool, *, slide: str = "S-1", refused: str = "") -> None:
            said = {"command": f"{store.head().id:032x}", "name": name, "by": "reader", "arguments": {"on": on}}
            store.append_command(CommandBody(run=None, slide=slide, **moment(NOON), refused=refused, **said))

        store.append_slide(act("opened"))
        assert automatic_set(store, "S-1") is None
        given("automatic", True)
        given("automatic", False)
        given("automatic", True, refused="the disk is full")
        given("exposure", True)
        given("automatic", True, slide="S-2")
        assert (automatic_set(store, "S-1"), automatic_set(store, "S-3")) == (False, None)
        store.append_slide(act("closed"))
        store.append_slide(act("reopened"))
        assert automatic_set(store, "S-1") is None


def test_a_command_is_found_again_whatever_its_entry_is(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store.open(tmp_path) as store:
        store.append_slide(act("opened", command="a" * 32))
        store.append_correction(correction(1, command="b" * 32))
        refused = CommandBody(
            run=None, slide=None, **moment(NOON), command="c" * 32, name="open", by="reader", refused="it is open"
        )
        store.append_command(refused)
        store.append_slide(act("closed"))  # by nobody's command
    with Store.open(tmp_path, read_only=True) as store:
        kinds = [type(body) for _, body in recent_commands(store).values()]
        assert kinds == [SlideBody, CorrectionBody, CommandBody]
        found = command(store, "c" * 32)
        assert found is not None and found[1] == refused
        assert command(store, "d" * 32) is None
        assert command(store, "") is None


def test_corrections_name_the_verdict_and_the_newest_holds(tmp_path: Path) -> None:
    stored = fill(tmp_path)
    with Store.open(tmp_path) as store:
        row, body = store.append_correction(correction(1, "Pre"))
        assert body.verdict == stored[0].id
        store.append_correction(correction(1, "Pro", agrees=False, note="large nucleoli", by="reader-2"))
        store.append_correction(correction(3, "", agrees=True))  # it was refused, and rightly
        store.append_correction(correction(3, "Early", agrees=False))
        found = corrections(store, "S-1")
        assert [(b.corrects, b.label, b.agrees) for _, b in found][1] == (1, "Pro", False)
        assert found[0] == (row.id, body)
        held = verdict(store, "S-1", 1)
        assert held is not None and held[1].label == "Pre"  # as it was answered


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (correction(99), "corrects must be a field of slide S-1"),
        (correction(1, slide="S-2"), "corrects must be a field of slide S-2"),
        (correction(1, verdict=4), "corrects must be a field of slide S-1"),
        (correction(1, "Lymphocyte", agrees=False), "label must be one of Benign, Early, Pre, Pro, or empty"),
        (correction(1, "Pro"), "label must be 'Pre', as was answered"),
        (correction(1, "Pre", agrees=False), "label must not be 'Pre'"),
        (correction(3, "Pre"), "label must be '', as was answered"),
        (correction(1, by=""), "by must say who corrects"),
        (correction(1, note="two\nlines"), "note must be one line of at most 500 characters"),
        (correction(1, note="x" * 501), "note must be one line of at most 500 characters"),
    ],
)
def test_a_correction_of_nothing_is_refused(tmp_path: Path, wrong: CorrectionBody, message: str) -> None:
    fill(tmp_path)
    with Store.open(tmp_path) as store:
        before = store.head()
        with pytest.raises(ValueError, match=message):
            store.append_correction(wrong)
        assert store.head() == before


def test_nothing_is_recorded_through_a_store_that_only_reads(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store.open(tmp_path, read_only=True) as store:
        with pytest.raises(StoreError, match="open for reading only"):
            store.append_slide(act("opened"))
        with pytest.raises(StoreError, match="open for reading only"):
            store.append_correction(correction(1))
        with pytest.raises(StoreError, match="open for reading only"):
            store.append_command(CommandBody(run=None, slide=None, **moment(NOON), command="0" * 32, name="a", by="b"))


def test_the_history_is_newest_first_and_goes_on_behind_a_line(tmp_path: Path) -> None:
    for slide in ("A-1", "b-2", "A-3"):
        fill(tmp_path, 3, info=structs.replace(INFO, slide=slide))
    with Store.open(tmp_path) as store:
        store.append_slide(act("opened", "A-1"))
        lines = history(store)
        assert [(line.slide, line.fields, line.state) for line in lines] == [
            ("A-1", 3, "open"),
            ("A-3", 3, ""),
            ("b-2", 3, ""),
        ]
        assert [line.slide for line in history(store, "a-")] == ["A-1", "A-3"]
        assert [line.slide for line in history(store, most=1, before=lines[0])] == ["A-3"]
        assert [line.slide for line in history(store, before=(lines[1].entry, "A-3"))] == ["b-2"]
        assert history(store, "%") == []  # a letter like any other


def test_verdicts_are_read_in_pieces(tmp_path: Path) -> None:
    fill(tmp_path, 9)
    with Store.open(tmp_path, read_only=True) as store:
        assert [body.field for _, body in verdicts(store, "S-1", after=2, most=3)] == [3, 4, 5]
        assert [body.field for _, body in verdicts(store, "S-1")] == list(range(1, 10))
        assert list(verdicts(store, "S-2")) == []


def test_people_see_acts_and_corrections_as_views(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store.open(tmp_path) as store:
        store.append_slide(act("opened"))
        store.append_correction(correction(1, "Pro", agrees=False))
        store.append_slide(act("closed", finding={"finding": "benign", "rule": "tenth-1"}))
        seen = replace(judged(9), seen=4, asked_by="reader")
        store.write(store.begin(INFO, NOON), [seen])
    assert ask(tmp_path, "SELECT slide, act, by, finding FROM slide_acts") == [
        ("S-1", "opened", "reader", None),
        ("S-1", "closed", "reader", "benign"),
    ]
    assert ask(tmp_path, "SELECT field, label, answer, agrees FROM corrections") == [(1, "Pro", "Pre", 0)]
    assert ask(tmp_path, "SELECT field FROM verdicts WHERE seen = 4 AND asked_by = 'reader'") == [(10,)]


def test_a_run_and_the_act_that_begins_or_ends_it_are_recorded_together(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON, act("opened", command="a" * 32))
        found = command(store, "a" * 32)
        assert found is not None and (found[0], found[1].run) == (run + 1, run)  # type: ignore[union-attr]
        with pytest.raises(ValueError, match="has not ended"):
            store.begin(INFO, NOON, act("opened"))
        with pytest.raises(ValueError, match="act must be one of paused, closed"):
            store.end(run, later(1), {}, "wrong", act("continued"))
        store.end(run, later(2), {}, "closed", act("closed", command="b" * 32))
        with pytest.raises(ValueError, match="act must be one of reopened"):
            store.begin(INFO, later(3), act("opened"))
        assert [body.act for _, body in acts(store, "S-1")] == ["opened", "closed"]
        assert store.begin(INFO, later(3), act("reopened")) == store.head().id - 1, "what was refused left no run"


def test_the_command_that_asked_for_a_field_is_the_entry_before_its_verdict(tmp_path: Path) -> None:
    asked = CommandBody(run=1, slide="S-1", **moment(NOON), command="c" * 32, name="judge", by="reader")
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        stored = store.write(run, [judged(0), judged(1, asked_by="reader")], commands={1: asked})
        found = command(store, "c" * 32)
        assert found is not None and found[0] == stored[1].id - 1 == stored[0].id + 1


def test_a_record_from_before_slides_is_read_as_it_is_and_brought_up_to_date_by_the_first_act(
    tmp_path: Path,
) -> None:
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as connection, connection:
        for what in ("INDEX acts", "INDEX commands", "VIEW slide_acts", "VIEW corrections"):
            connection.execute(f"DROP {what}")
        connection.execute("PRAGMA user_version = 5")
    with Store.open(tmp_path, read_only=True) as store:
        assert [(line.slide, line.state, line.fields) for line in history(store)] == [("S-1", "", 9)]
        assert open_slide(store) is None and acts(store, "S-1") == [] and recent_commands(store) == {}
        assert command(store, "a" * 32) is None and newest_act(store, "S-1") is None
    assert ask(tmp_path, "SELECT count(*) FROM sqlite_master WHERE name IN ('acts', 'commands')") == [(0,)]
    with Store.open(tmp_path) as store:
        store.append_slide(act("opened"))
        assert open_slide(store) is not None
    assert ask(tmp_path, "SELECT count(*) FROM sqlite_master WHERE name IN ('acts', 'commands')") == [(2,)]
