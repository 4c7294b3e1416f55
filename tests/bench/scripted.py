"""An instrument that only shows pictures, and can be cut off in the middle of one."""

import select
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import simplejpeg
from msgspec.structs import replace

from edge.instrument.socket.messages import Hello, Preview, Ready, State, Watch, Watching
from edge.instrument.socket.protocol import Lines, encode
from tests.bench.listener import Listener
from tests.edge.instrument.socket.samples import SAMPLES

_HEARTBEAT_S = 1.0
_KINDS = 16  # different pictures
_HELLO = SAMPLES[Hello]
_STATE = replace(SAMPLES[State], mode="none", slide=None, tally=None, finding=None)


class ScriptedInstrument(Listener):
    """Speaks the socket's protocol to any number of clients: hello, a state each second, a preview for each `ready`.

    Args:
        path: of the socket. size: (width, height) of the pictures, pixels. rate: of them a second, to each client.

    Attributes:
        sent: previews. connections: so far.
        cut: set it, and the next preview ends in its middle, with the connection.
        silent: set it, and nothing is said any more, though the connection stays.
    """

    def __init__(self, path: Path, size: tuple[int, int] = (160, 120), rate: float = 10.0) -> None:
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(8)
        super().__init__(listening)
        self.sent, self.cut, self.silent = 0, threading.Event(), threading.Event()
        self._size, self._every_s = size, 1 / rate
        self._jpegs = [_drawn(number, size) for number in range(_KINDS)]

    def serve(self, client: socket.socket) -> None:
        lines, ready, watching = Lines(client=True), False, False
        spoke = shown = 0.0
        with client, suppress(OSError):
            client.sendall(encode(_HELLO) + encode(_STATE))
            while not self._ended.is_set():
                if select.select([client], [], [], 0.01)[0]:
                    data = client.recv(65536)
                    if not data:
                        return
                    for message, _ in lines.feed(data):
                        ready |= isinstance(message, Ready)
                        if isinstance(message, Watch):
                            watching, spoke = message.events, 0.0
                            client.sendall(encode(Watching(events=message.events, previews=message.previews)))
                if self.silent.is_set():
                    continue
                if watching and time.monotonic() - spoke > _HEARTBEAT_S:
                    spoke = time.monotonic()
                    client.sendall(encode(replace(_STATE, utc_ns=time.time_ns(), monotonic_ns=time.monotonic_ns())))
                if ready and time.monotonic() - shown > self._every_s:
                    ready, shown = False, time.monotonic()
                    if not self._show(client):
                        return

    def _show(self, client: socket.socket) -> bool:
        self.sent += 1
        jpeg = self._jpegs[self.sent % _KINDS]
        width, height = self._size
        head = Preview(
            bytes=len(jpeg),
            width=width,
            height=height,
            size=self._size,
            sequence=self.sent,
            utc_ns=time.time_ns(),
            monotonic_ns=time.monotonic_ns(),
        )
        if self.cut.is_set():
            self.cut.clear()
            client.sendall(encode(head) + jpeg[: len(jpeg) // 2])
            return False
        client.sendall(encode(head) + jpeg)
        return True


def _drawn(number: int, size: tuple[int, int]) -> bytes:
    """A picture of noise on a ground that tells it from the others."""
    width, height = size
    noise = np.random.default_rng(number).integers(0, 64, (height, width, 3), dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(noise + np.uint8(10 * number), quality=70))
