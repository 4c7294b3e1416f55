"""Group commit: together, soon, and never announced before it is stored."""

import time

import pytest

from edge.instrument.pipeline import recorder as module
from edge.instrument.pipeline.recorder import Recorder
from edge.record.entries import Entry
from edge.system.clock import Clock
from tests.edge.instrument.pipeline.parts import ListStore


def entry(number: int) -> Entry:
    return Entry(
        Clock().now(), number, "", "Pre", None, None, (0.0, 0.0, 1.0, 0.0), {}, {"classify": 4.0}, None, ".png"
    )


def recorder(store: ListStore, **more: object) -> tuple[Recorder, list[int], list[str]]:
    announced: list[int] = []
    said: list[str] = []
    made = Recorder(
        store,
        1,
        clock=Clock(),
        on_stored=lambda stored: announced.extend(s.entry.sequence for s in stored),
        on_state=said.append,
        **more,  # type: ignore[arg-type]
    )
    return made, announced, said


def test_it_is_due_by_count_or_by_time_and_not_before():
    made, announced, _ = recorder(ListStore(), count=3, wait_s=30)
    assert made.due_in() is None
    made.add(entry(0))
    due = made.due_in()
    assert due is not None and 29 < due <= 30
    made.add(entry(1))
    made.add(entry(2))
    assert made.due_in() == 0 and not made.has_room
    assert announced == []
    assert made.commit()
    assert announced == [0, 1, 2]
    assert made.due_in() is None and made.has_room


def test_time_makes_it_due():
    made, _, _ = recorder(ListStore(), count=100, wait_s=0.02)
    made.add(entry(0))
    time.sleep(0.03)
    assert made.due_in() == 0


def test_nothing_is_announced_that_is_not_stored_and_everything_comes_later():
    store = ListStore()
    made, announced, said = recorder(store, count=2, wait_s=0.01)
    store.full.set()
    made.add(entry(0))
    made.event("stall", "no frame for 2 s")
    assert not made.commit() and made.full
    assert (announced, store.stored, made.waiting) == ([], [], 1)
    retry = made.due_in()
    assert retry is not None and 0 < retry <= 0.5
    assert not made.commit()
    later = made.due_in()
    assert later is not None and 0.5 < later <= 1.0, "it tries again less and less often"
    store.full.clear()
    assert made.commit() and not made.full
    assert announced == [0]
    assert [event.kind for event in store.events] == ["not_recording", "stall"]
    assert made.commit(), "that it goes on is an event of its own"
    assert [event.kind for event in store.events] == ["not_recording", "stall", "recording"]
    assert [text.split(":")[0] for text in said] == ["not recording", "recording goes on"]


def test_what_is_given_up_is_counted():
    store = ListStore()
    made, announced, _ = recorder(store)
    store.full.set()
    for number in range(5):
        made.add(entry(number))
    made.commit()
    assert made.abandon() == 5
    assert (made.waiting, announced) == (0, [])


def test_events_that_wait_are_bounded():
    store = ListStore()
    made, _, _ = recorder(store)
    for number in range(2000):
        made.event("stall", str(number))
    made.commit()
    assert len(store.events) == 1000 and store.events[0].detail == "0"


def test_by_default_thirty_two_verdicts_or_a_quarter_of_a_second() -> None:
    made, _, _ = recorder(ListStore())
    assert made.stored == 0 and made.waiting == 0 and made.due_in() is None
    for number in range(31):
        made.add(entry(number))
    due = made.due_in()
    assert due is not None and 0 < due <= 0.25 and made.has_room
    made.add(entry(31))
    assert made.due_in() == 0 and not made.has_room


def test_it_says_whether_it_stored_and_counts_what_it_stored() -> None:
    store = ListStore()
    made, _, _ = recorder(store)
    assert made.commit() is True, "nothing waits"
    for number in range(3):
        made.add(entry(number))
    assert made.commit() is True and made.stored == 3
    store.full.set()
    made.add(entry(3))
    assert made.commit() is False and made.stored == 3
    store.full.clear()
    assert made.commit() is True and made.stored == 4


def test_it_tries_again_after_half_a_second_and_never_later_than_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    store = ListStore()
    made, _, _ = recorder(store)
    store.full.set()
    made.add(entry(0))
    waits = []
    for _ in range(7):
        assert made.commit() is False
        waits.append(made.due_in())
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]
    store.full.clear()
    assert made.commit() is True
    assert made.due_in() == 0.25, "the event that it goes on waits no longer than anything else"
    assert made.commit() is True
    store.full.set()
    made.add(entry(1))
    assert made.commit() is False
    assert made.due_in() == 0.5, "a new failure is tried again as soon as the first one was"
