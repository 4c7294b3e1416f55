"""The listening socket: how many connections of whom are open at once."""

import socket

from edge.page.access.wire.listener import Listener


class _Arrivals(Listener):
    """A listener whose connections come from wherever the test says."""

    addresses: "list[str]"

    def _accept(self) -> tuple[int, tuple[str, int]]:  # as socket.socket has it
        near, far = socket.socketpair()
        far.close()
        return near.detach(), (self.addresses.pop(0), 1)


def test_connections_are_counted_before_tls() -> None:
    listener = _Arrivals.of(socket.socket(), most=10, most_of_address=4, kept=3)
    assert isinstance(listener, _Arrivals)

    def arrive(address: str) -> socket.socket | None:
        listener.addresses = [address]
        try:
            return listener.accept()[0]
        except BlockingIOError:
            return None

    one = [arrive("192.0.2.1") for _ in range(6)]
    assert [each is not None for each in one] == [True] * 4 + [False] * 2
    others = [arrive(f"192.0.2.{number}") for number in range(2, 8)]
    assert [each is not None for each in others] == [True] * 3 + [False] * 3, "three are kept for the machine itself"
    local = [arrive("127.0.0.1") for _ in range(5)]
    assert [each is not None for each in local] == [True] * 3 + [False] * 2
    assert listener.count == 10
    for each in [*one, *others, *local]:
        if each is not None:
            each.close()
            each.close()
    assert listener.count == 0 and arrive("192.0.2.1") is not None
    listener.close()
