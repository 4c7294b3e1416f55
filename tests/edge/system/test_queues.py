"""The bounded place between two stages."""

import threading

import pytest

from edge.system.queues import Handover


def test_the_newest_displaces_the_oldest_and_hands_it_back():
    handover: Handover[int] = Handover(1, newest_wins=True)
    assert handover.put(1) is None
    assert handover.put(2) == 1
    assert handover.get() == 2


def test_put_waits_for_room_when_every_item_counts():
    handover: Handover[int] = Handover(1)
    handover.put(1)
    taken = []

    def put() -> None:
        taken.append(handover.put(2))

    thread = threading.Thread(target=put)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive(), "it must wait while the place is taken"
    assert handover.get() == 1
    thread.join(5)
    assert taken == [None]
    assert handover.get() == 2


def test_closing_frees_those_who_wait_and_returns_what_is_not_taken():
    handover: Handover[int] = Handover(1)
    handover.put(1)
    refused = []
    thread = threading.Thread(target=lambda: refused.append(handover.put(2)))
    thread.start()
    handover.close()
    thread.join(5)
    assert refused == [2]
    assert handover.put(3) == 3
    assert not handover.finished, "what was left before can still be taken"
    assert handover.get() == 1
    assert handover.get() is None
    assert handover.finished


def test_get_gives_up_in_time():
    assert Handover[int](1).get(0.01) is None


def test_every_item_arrives_in_order_through_a_small_place():
    handover: Handover[int] = Handover(2)
    arrived = []

    def take() -> None:
        while (item := handover.get()) is not None:
            arrived.append(item)

    thread = threading.Thread(target=take)
    thread.start()
    for number in range(2000):
        assert handover.put(number) is None
    handover.close()
    thread.join(10)
    assert arrived == list(range(2000))


def test_a_place_for_nothing_is_refused():
    with pytest.raises(ValueError, match="capacity must be at least 1; got 0"):
        Handover(0)
