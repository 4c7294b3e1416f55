"""The queue of a client: bounded, in order, and of state and meters the newest."""

from hypothesis import given
from hypothesis import strategies as st

from edge.instrument.socket.outbox import MOST_BYTES, MOST_MESSAGES, Outbox


def drained(box: Outbox, step: int = 7) -> bytes:
    got = b""
    while head := b"".join(box.head()):
        got += head[:step]
        box.sent(len(head[:step]))
    return got


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 30))))
def test_all_that_is_not_replaced_comes_whole_and_in_order(puts: list[tuple[str, int]]) -> None:
    """Whatever is sent in between."""
    box, got, sent = Outbox(), b"", []
    for number, (kind, part) in enumerate(puts):
        line = f"<{kind}{number}>".encode()
        assert box.put((line, b"+"), now=0.0, replaces=kind)
        sent.append((kind, line + b"+"))
        head = b"".join(box.head())[:part]
        got += head
        box.sent(len(head))
    got += drained(box)
    assert len(box) == 0
    assert box._bytes == 0
    left = got.split(b"+")[:-1]
    lines = [line for _, line in sent]
    order = [lines.index(each + b"+") for each in left]
    assert order == sorted(order)
    assert {line for kind, line in sent if not kind} <= {each + b"+" for each in left}
    for kind in ("a", "b"):
        of_kind = [line for each, line in sent if each == kind]
        assert not of_kind or of_kind[-1] in {each + b"+" for each in left}


def test_it_is_bounded_by_number_and_bytes() -> None:
    box = Outbox()
    assert all(box.put((b"x",), now=0.0) for _ in range(MOST_MESSAGES))
    assert not box.put((b"x",), now=0.0)
    box = Outbox()
    assert box.put((bytes(MOST_BYTES),), now=0.0)
    assert not box.put((b"x",), now=0.0)


def test_a_reader_that_takes_nothing_grows_slow_though_the_newest_replaces() -> None:
    box = Outbox()
    for second in range(20):
        assert box.put((b"state",), now=float(second), replaces="State")
    assert (len(box), box.waiting_s(20.0)) == (1, 20.0)
    box.sent(5)
    assert box.waiting_s(20.0) == 0.0


def test_what_is_begun_is_not_left_out() -> None:
    box = Outbox()
    box.put((b"abc",), now=0.0, replaces="State")
    box.sent(1)
    box.put((b"def",), now=1.0, replaces="State")
    assert not box.clear()
    assert drained(box) == b"bcdef"
    box.put((b"ghi",), now=0.0)
    assert box.clear()
    assert len(box) == 0
