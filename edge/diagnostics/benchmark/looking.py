"""Clients that watch an instrument's socket while it is measured, in a process of their own: `PATH NUMBER`.

They read all that comes, ask for the next preview as soon as one is there, and parse no more than they must, so that
what is measured is the instrument. At the end they print how many messages and previews they got, as JSON.
"""

import json
import selectors
import socket
import sys

_WATCH = b'{"kind":"watch","version":1,"previews":true,"events":true}\n{"kind":"ready"}\n'
_READY, _PREVIEW = b'{"kind":"ready"}\n', b'{"kind":"preview","bytes":'


class Looker:
    """One client, which knows of the protocol where lines end and what follows a preview.

    >>> here, there = socket.socketpair()
    >>> there.sendall(b'{"kind":"state"}\\n{"kind":"preview","bytes":4,"width":1}\\nJPEG')
    >>> looker = Looker(here)
    >>> looker.turn(), looker.messages, looker.previews
    (True, 2, 1)
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.messages, self.previews = connection, 0, 0
        self._buffer, self._skip = bytearray(), 0

    def turn(self) -> bool:
        """Read once; False when the instrument hung up."""
        try:
            data = self.connection.recv(1 << 18)
        except OSError:
            return False
        self._buffer += data
        while True:
            if self._skip:
                if len(self._buffer) < self._skip:
                    break
                del self._buffer[: self._skip]
                self._skip, self.previews = 0, self.previews + 1
                self.connection.sendall(_READY)
            end = self._buffer.find(b"\n")
            if end < 0:
                break
            self.messages += 1
            if self._buffer.startswith(_PREVIEW):
                self._skip = int(self._buffer[len(_PREVIEW) : self._buffer.index(b",", len(_PREVIEW))])
            del self._buffer[: end + 1]
        return bool(data)


def look(path: str, number: int) -> dict[str, int]:
    """Watch until the instrument hangs up; "ready" is printed once all watch."""
    selector, lookers = selectors.DefaultSelector(), []
    for _ in range(number):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        connection.sendall(_WATCH)
        lookers.append(Looker(connection))
        selector.register(connection, selectors.EVENT_READ, lookers[-1])
    print("ready", flush=True)
    while selector.get_map():
        for key, _ in selector.select():
            if not key.data.turn():
                selector.unregister(key.fileobj)
    return {"messages": sum(e.messages for e in lookers), "previews": sum(e.previews for e in lookers)}


if __name__ == "__main__":
    print(json.dumps(look(sys.argv[1], int(sys.argv[2]))))
