"""The server's side of the instrument's socket: one thread that talks to all clients and waits for none of them."""

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.errors import ProtocolError
from edge.inference.contract import Pixels
from edge.instrument.socket.connection import COMMANDS_WAITING, Connection
from edge.instrument.socket.listening import Listener, peer_of
from edge.instrument.socket.messages import (
    Answer,
    Bye,
    Command,
    FromInstrument,
    Hello,
    Message,
    Meters,
    Preview,
    Ready,
    Reason,
    State,
    Watch,
    Watching,
)
from edge.instrument.socket.previews import Previews
from edge.instrument.socket.protocol import encode
from edge.instrument.socket.workers import Bench, CommandWorker, Pulse
from edge.system.clock import Instant
from edge.system.streams import one_line

_log = logging.getLogger(__name__)

MOST_CLIENTS: Final = 32
METERS_EVERY_S: Final = 0.1
_MOST_UNSENT = 4096  # messages that were published and not yet given to clients
_TICK_S, _FAREWELL_S = 1.0, 1.0
_AT_ONCE = 16  # clients that are accepted before others have their turn
_QUIET_S = 60.0  # between two lines of the log about refused users
_IN, _OUT = selectors.EVENT_READ, selectors.EVENT_WRITE


class SocketServer:
    """Serves a bench on a Unix socket, from `start` to `close`.

    Args:
        path: of the socket. bench: what is asked. group: who may connect beside root and this user, by name or number;
            "" for nobody.

    Raises:
        UsageError, InstrumentBusy, SocketUnavailable: of `start`, as `Listener`.
    """

    def __init__(self, path: Path, bench: Bench, *, group: str = "") -> None:
        self.path = path
        self._group, self._bench = group, bench
        self._clients: dict[socket.socket, Connection] = {}
        self._unsent: set[Connection] = set()
        self._inbox: deque[Callable[[], None]] = deque()  # what other threads want the loop to do
        self._woken = False
        self._watchers = self._waiting = 0  # clients that watch events; that wait for a preview
        self._meters_due = 0.0
        self._stopping: float | None = None  # until when farewells may take
        self._refused = 0.0
        self._previews = Previews(lambda: self._waiting > 0, self._deliver)
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and serve in threads of its own."""
        self._listener = Listener(self.path, self._group)
        self._selector = selectors.DefaultSelector()
        self._wake, wakes = socket.socketpair()
        self._wake.setblocking(False)
        wakes.setblocking(False)
        self._wakes = wakes
        self._selector.register(self._listener.socket, _IN)
        self._selector.register(wakes, _IN)
        self._worker = CommandWorker(self._bench)
        self._pulse = Pulse(self._bench, lambda: self._watchers > 0, self._heartbeat)
        self._thread = threading.Thread(target=self._serve, name="socket", daemon=True)
        for thread in (self._worker, self._pulse, self._thread):
            thread.start()

    @property
    def watched(self) -> bool:
        """Somebody watches events: meters are worth measuring."""
        return self._watchers > 0

    def publish(self, message: FromInstrument) -> None:
        """Tell all who watch events. From any thread; never waits. Of meters those that come too fast are left out."""
        if not self._watchers:
            return
        if isinstance(message, Meters):
            now = time.monotonic()
            if now < self._meters_due:
                return
            self._meters_due = now + METERS_EVERY_S * 0.9
        if len(self._inbox) >= _MOST_UNSENT:
            self._call(self._overrun)
            return
        self._call(lambda: self._tell(message))

    def wants_preview(self) -> bool:
        """A frame that is offered now would be shown to somebody."""
        return self._previews.wanted()

    def preview(self, pixels: Pixels, sequence: int, at: Instant) -> None:
        """Show a frame to all who wait for one; see `Previews.offer`."""
        self._previews.offer(pixels, sequence, at)

    def close(self, why: str = "the instrument was ended") -> None:
        """Answer what is being done, say farewell, hang up, and take the socket away. More than once is fine."""
        if self._thread is None:
            return
        self._previews.close()
        self._worker.close(why)
        self._pulse.close()
        self._call(lambda: self._part(why))
        self._thread.join(2 * _FAREWELL_S)
        self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- for other threads ------------------------------------------------------------------------------------------

    def _call(self, what: Callable[[], None]) -> None:
        self._inbox.append(what)
        if not self._woken:
            self._woken = True
            with suppress(OSError):  # full: the loop will wake up all the same
                self._wake.send(b"\0")

    def _deliver(self, preview: Preview, jpeg: bytes) -> None:
        self._call(lambda: self._show(preview, jpeg))

    def _heartbeat(self, state: State) -> None:
        self._call(lambda: self._tell(state))

    # ---- the loop ---------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        assert self._listener is not None
        ticked = time.monotonic()
        try:
            while self._stopping is None or (self._clients and time.monotonic() < self._stopping):
                for key, ready in self._selector.select(self._pause(ticked)):
                    if key.data is not None:
                        self._turn(key.data, ready)
                    elif key.fileobj is self._wakes:
                        self._sleep_again()
                    else:
                        self._accept()
                for _ in range(len(self._inbox)):
                    self._do(self._inbox.popleft())
                self._flush()
                now = time.monotonic()
                if now - ticked >= _TICK_S or any(client.resumes for client in self._clients.values()):
                    ticked = now
                    self._tick(now)
        except Exception:  # the instrument goes on without its socket, and says so
            _log.exception("the instrument's socket failed")
        finally:
            self._watchers = self._waiting = 0
            for client in list(self._clients.values()):
                self._drop(client)
            self._listener.close()
            self._selector.close()
            self._wake.close()
            self._wakes.close()

    def _sleep_again(self) -> None:
        with suppress(OSError):
            self._wakes.recv(4096)
        self._woken = False  # after the bytes are taken, before the inbox is: nothing waits without a byte

    @staticmethod
    def _do(what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:  # one message that cannot be told must not end those that follow
            _log.exception("the instrument's socket could not tell something")

    def _pause(self, ticked: float) -> float:
        now = time.monotonic()
        until = min([ticked + _TICK_S, *(each.resumes for each in self._clients.values() if each.resumes)])
        return max(0.0, min(until - now, _TICK_S if self._stopping is None else 0.05))

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._listener.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptor left: leave those who wait until the next tick
                _log.warning(f"a client could not be accepted: {error.strerror}")
                self._selector.unregister(self._listener.socket)
                return
            self._admit(self._listener, connection, time.monotonic())

    def _admit(self, listener: Listener, connection: socket.socket, now: float) -> None:
        try:
            peer = peer_of(connection)
        except OSError:
            connection.close()
            return
        if not listener.admits(peer):
            connection.close()
            if now - self._refused > _QUIET_S:
                self._refused = now
                _log.warning(f"refused a client of user {peer.uid} (process {peer.pid}), who is not in the group")
            return
        if len(self._clients) >= MOST_CLIENTS:
            for each in [each for each in self._clients.values() if each.gone()]:
                self._drop(each)
        client = Connection(connection, peer, now)
        self._clients[connection] = client
        if len(self._clients) > MOST_CLIENTS:
            self._hang_up(client, "full", f"there are {MOST_CLIENTS} clients already")
            return
        self._listen(client)
        self._pulse.ask(lambda hello, state: self._call(lambda: self._greet(client, hello, state)))

    def _greet(self, client: Connection, hello: Hello | None, state: State) -> None:
        if hello is not None:
            client.greeted = True
            self._put(client, hello)
            if client.asked:
                self._put(client, Watching(previews=client.previews, events=client.events))
        client.told = client.events
        self._put(client, state)
        self._count()  # it may have asked for a preview before it was greeted

    def _turn(self, client: Connection, ready: int) -> None:
        if client.socket not in self._clients:  # hung up on while this turn was due
            return
        try:
            if ready & _IN:
                for message in client.receive(time.monotonic()):
                    self._take(client, message)
            if ready & _OUT:
                client.send()
        except ProtocolError as error:
            self._hang_up(client, "protocol", str(error))
        except (EOFError, OSError):
            self._drop(client)
        self._listen(client)

    def _take(self, client: Connection, message: Message) -> None:
        if isinstance(message, Watch):
            begins = message.events and not client.events
            client.events, client.previews, client.asked = message.events, message.previews, True
            if client.greeted:
                self._put(client, Watching(previews=client.previews, events=client.events))
            if begins:  # the next state is made after events flow: its entry covers what was not told
                client.told = False
                self._pulse.ask(lambda _, state: self._call(lambda: self._greet(client, None, state)))
        elif isinstance(message, Ready):
            client.credit = True
        elif isinstance(message, Command):
            if client.commands >= COMMANDS_WAITING:
                self._put(client, Answer(id=message.id, ok=False, error="busy", detail="too many commands wait"))
                return
            client.commands += 1
            self._worker.give(message, lambda answer: self._call(lambda: self._answer(client, answer)))
        self._count()

    def _answer(self, client: Connection, answer: Answer) -> None:
        client.commands -= 1
        self._put(client, answer)

    def _tell(self, message: Message) -> None:
        line, newest, untold = (encode(message),), _replaces(message), isinstance(message, State)
        for client in [each for each in self._clients.values() if each.events and each.greeted]:
            if client.told or not untold:
                self._queue(client, line, newest)

    def _show(self, preview: Preview, jpeg: bytes) -> None:
        chunks = encode(preview), jpeg
        for client in [each for each in self._clients.values() if each.wants_preview]:
            client.credit = False
            self._queue(client, chunks)
        self._count()

    def _overrun(self) -> None:
        for client in [each for each in self._clients.values() if each.events]:
            self._hang_up(client, "slow", "more happened than could be told")

    def _put(self, client: Connection, message: Message) -> None:
        self._queue(client, (encode(message),), _replaces(message))

    def _queue(self, client: Connection, chunks: tuple[bytes, ...], replaces: str = "") -> None:
        if client.socket not in self._clients:
            return
        if not client.outbox.put(chunks, now=time.monotonic(), replaces=replaces):
            self._hang_up(client, "slow", f"{len(client.outbox)} messages wait to be read")
            return
        self._unsent.add(client)

    def _flush(self) -> None:
        """Send what was queued in this turn, all of a client's at once."""
        for client in self._unsent:
            if client.socket in self._clients:
                try:
                    client.send()
                except OSError:
                    self._drop(client)
                self._listen(client)
        self._unsent.clear()

    def _tick(self, now: float) -> None:
        assert self._listener is not None
        if self._stopping is None and self._listener.socket not in self._selector.get_map():
            self._selector.register(self._listener.socket, _IN)
        for client in list(self._clients.values()):
            if client.resumes and now >= client.resumes:
                client.resumes = 0.0
            overdue = client.overdue(now)
            if overdue:
                self._hang_up(client, *overdue)
            self._listen(client)

    def _part(self, why: str) -> None:
        assert self._listener is not None
        self._stopping = time.monotonic() + _FAREWELL_S
        with suppress(KeyError):
            self._selector.unregister(self._listener.socket)
        self._listener.close()
        for client in list(self._clients.values()):
            client.events = client.previews = False
            self._put(client, Bye(reason="ended", detail=one_line(why)))

    # ---- clients ----------------------------------------------------------------------------------------------------

    def _listen(self, client: Connection) -> None:
        """Wait for what this client may do next."""
        if client.socket not in self._clients:
            return
        if self._stopping is not None and not len(client.outbox):
            self._drop(client)
            return
        reads = self._stopping is None and not client.resumes
        interest = (_IN if reads else 0) | (_OUT if len(client.outbox) else 0)
        if interest == client.interest:
            return
        if not client.interest:
            self._selector.register(client.socket, interest, client)
        elif not interest:
            self._selector.unregister(client.socket)
        else:
            self._selector.modify(client.socket, interest, client)
        client.interest = interest

    def _hang_up(self, client: Connection, reason: Reason, detail: str) -> None:
        """Say why, as far as it goes without waiting, and close."""
        if client.socket not in self._clients:
            return
        level = logging.INFO if reason == "full" else logging.WARNING
        _log.log(level, f"hung up on a client (process {client.peer.pid}, user {client.peer.uid}): {reason}: {detail}")
        with suppress(OSError):
            if client.outbox.clear():
                client.outbox.put((encode(Bye(reason=reason, detail=detail)),), now=time.monotonic())
                client.send()
        self._drop(client)

    def _drop(self, client: Connection) -> None:
        if self._clients.pop(client.socket, None) is None:
            return
        if client.interest:
            self._selector.unregister(client.socket)
            client.interest = 0
        client.socket.close()
        self._count()

    def _count(self) -> None:
        self._watchers = sum(each.events for each in self._clients.values())
        self._waiting = sum(each.wants_preview for each in self._clients.values())


def _replaces(message: Message) -> str:
    """Of these the newest is enough."""
    return type(message).__name__ if isinstance(message, State | Meters) else ""
