"""A small client of the instrument's socket for scripts and tests: it waits, and does not connect again."""

import secrets
import socket
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.errors import InstrumentUnavailable, ProtocolError
from edge.instrument.socket.messages import Answer, Bye, Command, FromInstrument, Hello, Message, Ready, State, Watch
from edge.instrument.socket.protocol import Lines, encode

_AGAIN_S = 0.01


class BlockingClient:
    """A connection to an instrument, greeted. For one thread.

    Args:
        path: of the socket. timeout_s: for the greeting, and where a call says nothing else.

    Raises:
        InstrumentUnavailable: nobody listens, it hung up, or says nothing in time.
        ProtocolError: it speaks another version.

    Attributes:
        hello: who the instrument is. state: how it was then.
    """

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self.path, self._timeout_s = path, timeout_s
        self._lines = Lines(client=False)
        self._read: deque[tuple[FromInstrument, bytes]] = deque()
        self._kept: deque[tuple[FromInstrument, bytes]] = deque()  # came while an answer was awaited
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(time.monotonic() + timeout_s)
            hello, state = self.receive()[0], self.receive()[0]
        except OSError as error:
            self._socket.close()
            if isinstance(error, InstrumentUnavailable):
                raise
            raise InstrumentUnavailable(f"no instrument on {path}: {error.strerror or error}") from error
        except ProtocolError:
            self._socket.close()
            raise
        if not (isinstance(hello, Hello) and isinstance(state, State)):
            self._socket.close()
            raise ProtocolError(f"{path}: an instrument must begin with hello and state; got {hello} and {state}")
        self.hello, self.state = hello, state

    def watch(self, *, events: bool = True, previews: bool = False) -> None:
        """Have events and previews sent from now on."""
        self.send(Watch(events=events, previews=previews))

    def ready(self) -> None:
        """Ask for one preview."""
        self.send(Ready())

    def command(
        self, name: str, by: str, arguments: dict[str, Any] | None = None, *, id: str = "", timeout_s: float = 10.0
    ) -> Answer:
        """Give a command and wait for its answer; other messages that come meanwhile are received later.

        Args:
            id: 32 hexadecimal digits; made when left out.

        Raises:
            InstrumentUnavailable: no answer in time; give it again with its id.
        """
        command = Command(id=id or secrets.token_hex(16), name=name, by=by, arguments=arguments or {})  # type: ignore[arg-type]
        self.send(command)
        until = time.monotonic() + timeout_s
        while True:
            message, payload = self._next(until - time.monotonic())
            if isinstance(message, Answer) and message.id == command.id:
                return message
            self._kept.append((message, payload))

    def receive(self, timeout_s: float | None = None) -> tuple[FromInstrument, bytes]:
        """The next message and its payload.

        Raises:
            InstrumentUnavailable: none in time, or the instrument hung up; with its reason where it said one.
        """
        return self._kept.popleft() if self._kept else self._next(self._timeout_s if timeout_s is None else timeout_s)

    def send(self, message: Message) -> None:
        """Send a message as it is."""
        try:
            self._socket.sendall(encode(message))
        except OSError as error:
            raise InstrumentUnavailable(f"{self.path}: the instrument hung up: {error.strerror or error}") from error

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self, until: float) -> None:
        self._socket.settimeout(self._timeout_s)
        while True:
            try:
                self._socket.connect(str(self.path))
            except BlockingIOError:  # connect(2) of a Unix socket: too many wait to be accepted
                if time.monotonic() > until:
                    raise
                time.sleep(_AGAIN_S)
            else:
                return

    def _next(self, timeout_s: float) -> tuple[FromInstrument, bytes]:
        until = time.monotonic() + timeout_s
        while not self._read:
            left = until - time.monotonic()
            if left <= 0:
                raise InstrumentUnavailable(f"{self.path}: the instrument said nothing in {timeout_s:g} s")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as error:
                raise InstrumentUnavailable(f"{self.path}: {error.strerror or error}") from error
            if not data:
                raise InstrumentUnavailable(f"{self.path}: the instrument hung up")
            self._read.extend(self._lines.feed(data))
        message, payload = self._read.popleft()
        if isinstance(message, Bye):
            raise InstrumentUnavailable(f"{self.path}: the instrument hung up: {message.reason}: {message.detail}")
        return message, payload
