"""Judges: the answers of several threads are those of one, in the same order; what goes wrong comes in its place."""

import threading
from pathlib import Path
from time import sleep

import pytest

from edge.errors import ImageFileError
from edge.serving import judges
from edge.serving.judges import MOST_AHEAD, Judges, again, jobs_for
from edge.serving.serve import Served, serve
from edge.settings.model import ModelSettings


@pytest.fixture
def served(tiny_bundle: Path) -> Served:
    return serve(ModelSettings(bundle=tiny_bundle, ungated=True), allow_unsigned=True)


def test_answers_come_in_the_order_of_the_items(served: Served) -> None:
    def slow_first(_: Served, item: int) -> int:
        sleep(0.02 if item % 4 == 0 else 0)
        return item

    assert list(Judges(served, 3, again).each(range(40), slow_first)) == list(range(40))


def test_each_thread_has_an_interpreter_of_its_own(served: Served) -> None:
    meet = threading.Barrier(3, timeout=10)

    def who(judge: Served, _: int) -> int:
        meet.wait()
        return id(judge.classifier.interpreter)

    assert len(set(Judges(served, 3, again).each(range(3), who))) == 3
    assert set(Judges(served, 1, again).each(range(3), lambda judge, _: id(judge))) == {id(served)}


def test_no_more_than_a_window_of_items_is_taken(served: Served) -> None:
    taken = []

    def items():
        for number in range(10 * MOST_AHEAD):
            taken.append(number)
            yield number

    answers = Judges(served, 2, again).each(items(), lambda _, item: item)
    assert [next(answers) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= MOST_AHEAD + 5
    answers.close()


def test_an_error_comes_where_its_item_would_and_ends_the_rest(served: Served) -> None:
    def judged(_: Served, item: int) -> int:
        if item == 7:
            raise ImageFileError("damaged")
        return item

    answers = Judges(served, 2, again).each(range(1000), judged)
    assert [next(answers) for _ in range(7)] == list(range(7))
    with pytest.raises(ImageFileError, match="damaged"):
        next(answers)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("judge")]


def test_another_interpreter_is_of_the_same_kind(served: Served) -> None:
    first, other = served.classifier.interpreter, again(served).classifier.interpreter
    assert other is not first
    assert (other.runtime, other.kind, other.threads) == (first.runtime, first.kind, first.threads)


def test_jobs_are_cores_less_what_an_inference_takes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges.os, "sched_getaffinity", lambda _: set(range(8)))
    assert (jobs_for(served, 100), jobs_for(served, 3), jobs_for(served, 0)) == (8, 3, 1)
    monkeypatch.setattr(served.classifier.interpreter, "threads", 4)
    assert jobs_for(served, 100) == 2
    monkeypatch.setattr(served.classifier.interpreter, "kind", judges.EDGETPU)
    assert jobs_for(served, 100) == 1
