"""What tests put between two ends: a listener with a thread a connection, ended with the block."""

import select
import socket
import threading
from types import TracebackType
from typing import Self


class Listener:
    """Accepts connections within the block.

    Args:
        listening: bound, and listening.

    Attributes:
        connections: made so far.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.connections = 0
        self._listening = listening
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def serve(self, connection: socket.socket) -> None:
        """One connection, in a thread of its own, until it ends or `_ended` is set."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(5)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if select.select([self._listening], [], [], 0.1)[0]:
                self.connections += 1
                self._threads.append(threading.Thread(target=self.serve, args=(self._listening.accept()[0],)))
                self._threads[-1].start()
