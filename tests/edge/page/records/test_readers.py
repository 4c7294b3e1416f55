"""Threads that read the record: whatever becomes of its file, and however many ask."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from edge.page.problems import Problem
from edge.page.records import readers as module
from edge.page.records.readers import Readers
from edge.record.entries import Event
from edge.record.slide_queries import history
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON
from tests.edge.slides.records import large_record


def head(store: Store) -> int:
    return store.head().id


def test_a_record_that_is_made_grows_and_is_replaced_is_read_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        readers = Readers(tmp_path / "record", 2)
        assert await readers.ask(head, -1) == -1
        with Store.open(tmp_path / "record") as writer:
            assert await readers.ask(head, -1) == 0
            run = writer.begin(INFO, NOON)
            writer.write(run, [], [Event(NOON, "x", "y")])
            assert await readers.ask(head, -1) == 2
            writer.end(run, NOON, {}, "complete")
        assert await readers.ask(head, -1) == 3  # the log was folded in: another way to open it
        with Store.open(tmp_path / "record") as writer:
            writer.begin(INFO, NOON)
            assert await readers.ask(head, -1) == 4
        large_record(tmp_path / "other", 3, 2)
        shutil.rmtree(tmp_path / "record")
        assert await readers.ask(head, -1) == -1
        shutil.move(tmp_path / "other", tmp_path / "record")
        assert await readers.ask(lambda store: len(history(store)), 0) == 3
        readers.close()

    asyncio.run(story())


def test_a_missing_record_is_the_problem_that_the_caller_says(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="nothing here"):
        asyncio.run(Readers(tmp_path, 1).ask(head, Problem(404, "no-slide", "nothing here")))


def test_the_loop_turns_while_the_record_is_read_and_too_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 4)
    Store.open(tmp_path).close()
    gate = threading.Event()

    def slow(store: Store) -> int:
        assert gate.wait(10)
        return head(store)

    async def story() -> None:
        readers = Readers(tmp_path, 2)
        waiting = [asyncio.create_task(readers.ask(slow, -1)) for _ in range(4)]
        await asyncio.sleep(0.05)  # the loop turns, though both threads wait
        with pytest.raises(Problem) as refused:
            await readers.ask(head, -1)
        assert (refused.value.status, refused.value.name) == (503, "busy")
        gate.set()
        assert await asyncio.gather(*waiting) == [0] * 4
        assert await readers.ask(head, -1) == 0
        readers.close()

    asyncio.run(story())


def test_what_is_no_database_is_said_and_a_sound_one_is_read_again(tmp_path: Path) -> None:
    async def story() -> None:
        readers = Readers(tmp_path, 1)
        Store.open(tmp_path).close()
        assert await readers.ask(head, -1) == 0
        sound = (tmp_path / "record.sqlite").read_bytes()
        (tmp_path / "record.sqlite").write_bytes(b"x" * 5000)
        with pytest.raises(Problem) as refused:
            await readers.ask(head, -1)
        assert (refused.value.status, refused.value.name) == (503, "record-unavailable")
        (tmp_path / "record.sqlite").write_bytes(sound)
        assert await readers.ask(head, -1) == 0
        readers.close()

    asyncio.run(story())
