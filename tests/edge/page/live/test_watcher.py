"""The outbox of one browser: what waits, in which order, and how much of it."""

import asyncio

from edge.page.live.watcher import MOST_BYTES, MOST_MESSAGES, Frame, Watcher


def all_of(watcher: Watcher) -> list[str | bytes]:
    found: list[str | bytes] = []
    while (each := watcher.take()) is not None:
        found.append(each)
    return found


def test_what_must_not_be_left_out_comes_first_and_in_order() -> None:
    watcher = Watcher()
    watcher.put_newest("meters", "m1")
    watcher.put_frame(Frame(1, b"1"))
    for number in range(3):
        watcher.put(f"v{number}", entry=10 + number)
        watcher.put_newest("meters", f"m{number + 2}")
    assert all_of(watcher) == ["v0", "v1", "v2", "m4", b"1"] and watcher.told == 12


def test_one_frame_is_out_at_a_time_and_none_waits_behind_it() -> None:
    watcher = Watcher()
    assert watcher.ready
    watcher.put_frame(Frame(1, b"1"))
    assert not watcher.ready  # it has one
    watcher.put_frame(Frame(2, b"2"))
    assert all_of(watcher) == [b"1"]
    watcher.put_frame(Frame(3, b"3"))
    assert all_of(watcher) == [] and not watcher.late(60) and watcher.late(-1)
    watcher.acknowledge()
    assert watcher.ready and not watcher.late(-1)
    watcher.put_frame(Frame(4, b"4"))
    watcher.wants_previews = False  # the page was hidden meanwhile
    assert all_of(watcher) == [] and not watcher.ready


def test_a_browser_that_takes_nothing_holds_no_more_than_so_much() -> None:
    many = Watcher()
    for number in range(MOST_MESSAGES):
        many.put("x", number)
    assert not many.overrun
    many.put("x", 999)
    assert many.overrun and all_of(many) == [] and many.told == 0
    large = Watcher()
    for _ in range(3):
        large.put("x" * (MOST_BYTES // 2 - 10))
    assert large.overrun
    large.put("y")
    assert all_of(large) == ["y"]


def test_waiting_ends_when_something_comes_or_the_time_is_over() -> None:
    async def story() -> None:
        watcher = Watcher()
        await watcher.wait(0.01)
        waiting = asyncio.create_task(watcher.wait(10))
        await asyncio.sleep(0)
        watcher.put("x")
        await asyncio.wait_for(waiting, 1)
        await asyncio.wait_for(watcher.wait(10), 1)  # it still waits to be taken

    asyncio.run(story())
