"""The listening socket: so many connections at once, and of one address fewer, counted before TLS is even spoken."""

import socket
import threading
from collections import Counter

from edge.page.access.accounts.throttle import is_local, network_of

MOST = 512
MOST_OF_ADDRESS = 96  # several people behind one address; a browser opens six and a socket a tab
KEPT_FOR_LOCAL = 32  # the machine's own screen gets in whatever the network does


class _Connection(socket.socket):
    """A connection that is counted until it is closed."""

    _counted: "tuple[Listener, str] | None" = None

    def close(self) -> None:
        counted, self._counted = self._counted, None
        if counted is not None:
            listener, address = counted
            listener.gone(address)
        super().close()

    def detach(self) -> int:
        counted, self._counted = self._counted, None
        if counted is not None:
            counted[0].gone(counted[1])
        return super().detach()


class Listener(socket.socket):
    """A listening socket that closes at once what would be too many, without a word: TLS has not begun.

    A connection in its TLS handshake counts, so that handshakes that never end cannot use up the file handles.
    """

    _most, _most_of_address, _kept = MOST, MOST_OF_ADDRESS, KEPT_FOR_LOCAL

    @classmethod
    def of(
        cls,
        plain: socket.socket,
        *,
        most: int = MOST,
        most_of_address: int = MOST_OF_ADDRESS,
        kept: int = KEPT_FOR_LOCAL,
    ) -> "Listener":
        """A listener in place of a listening socket, which is used up."""
        listener = cls(plain.family, plain.type, plain.proto, fileno=plain.detach())
        listener._most, listener._most_of_address, listener._kept = most, most_of_address, kept
        listener._open, listener._lock = Counter(), threading.Lock()
        return listener

    _open: "Counter[str]"
    _lock: threading.Lock

    def accept(self) -> tuple[socket.socket, object]:
        """The next connection that may stay; BlockingIOError, as for none, after one that may not."""
        descriptor, address = self._accept()  # type: ignore[attr-defined]  # as the base class does it
        connection = _Connection(self.family, self.type, self.proto, fileno=descriptor)
        connection.setblocking(self.gettimeout() is None)
        network = "local" if is_local(address[0]) else network_of(address[0])
        with self._lock:
            others = sum(self._open.values()) - self._open["local"]
            full = (
                self._open.total() >= self._most
                if network == "local"
                else (others >= self._most - self._kept or self._open[network] >= self._most_of_address)
            )
            if not full:
                self._open[network] += 1
        if full:
            connection.close()
            raise BlockingIOError
        connection._counted = (self, network)
        return connection, address

    def gone(self, network: str) -> None:
        """A connection was closed."""
        with self._lock:
            self._open[network] -= 1
            if self._open[network] <= 0:
                del self._open[network]

    @property
    def count(self) -> int:
        """Connections that are open now."""
        with self._lock:
            return self._open.total()
