"""A wire between browser and page that can be cut: whole, or in the middle of what it carries."""

import select
import socket
import threading
from contextlib import suppress

from tests.bench.listener import Listener

_PIECE = 65536
_LONG = 3000  # bytes that arrive together: part of a picture, where states and meters are shorter


class Wire(Listener):
    """Listens on a port of loopback and passes on what comes, either way.

    Args:
        port: of the page.

    Attributes:
        port: of the wire. cut: set it, and the next long piece from the page is passed on by half, and both ends are
            closed. connections: made so far.
    """

    def __init__(self, port: int) -> None:
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self._to, self.cut = port, threading.Event()
        self.port = int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, browser: socket.socket) -> None:
        with browser, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as page:
            while not self._ended.is_set():
                for end in select.select([browser, page], [], [], 0.1)[0]:
                    data = end.recv(_PIECE)
                    if not data:
                        return
                    if end is page and len(data) > _LONG and self.cut.is_set():
                        self.cut.clear()
                        browser.sendall(data[: len(data) // 2])
                        return
                    (browser if end is page else page).sendall(data)
