"""The page's side of the instrument's socket: a link that comes back, several readers, and commands that survive it."""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.errors import InstrumentUnavailable, ProtocolError
from edge.instrument.socket.messages import (
    Answer,
    Bye,
    Command,
    Correction,
    Event,
    FromInstrument,
    Hello,
    Message,
    Preview,
    Ready,
    SlideAct,
    State,
    Verdict,
    Watch,
    Watching,
)
from edge.instrument.socket.protocol import Lines, encode
from edge.instrument.socket.subscription import Gap, Link, Received, Subscription, received

_log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # without a sign of life
COMMAND_S = 10.0
_FIRST_S, _LONGEST_S = 0.05, 0.8  # between two attempts; the wait doubles, and is cut by up to a half at random
_OTHER_VERSION_S = 5.0
_COMMANDS_AT_ONCE = 4  # the instrument lets 8 of a client wait
_CHUNK = 1 << 16


class InstrumentLink:
    """A connection to the instrument that is made again whenever it is lost; for one event loop.

    Args:
        path: of the socket. patience_s: without a sign of life, after which the instrument counts as gone.

    Attributes:
        hello: of the instrument that is connected, or was last. state: its newest. status: is it there.

    >>> async def answer() -> bool:
    ...     import tempfile
    ...     from tests.edge.instrument.socket.fake import FakeInstrument
    ...     with tempfile.TemporaryDirectory() as folder, FakeInstrument(Path(folder) / "s") as instrument:
    ...         async with InstrumentLink(instrument.path) as link:
    ...             return (await link.command("open", "anna", {"slide": "s1"})).ok
    >>> asyncio.run(answer())
    True
    """

    def __init__(self, path: Path, *, patience_s: float = PATIENCE_S) -> None:
        self.path, self._patience_s = path, patience_s
        self.hello: Hello | None = None
        self.state: State | None = None
        self.status = Link(connected=False, since=time.time_ns(), why="not connected yet")
        self._readers: list[Subscription] = []
        self._commands: dict[str, tuple[bytes, asyncio.Future[Answer]]] = {}
        self._turns = asyncio.Semaphore(_COMMANDS_AT_ONCE)
        self._writer: asyncio.StreamWriter | None = None
        self._asked = False  # a preview was asked for and has not come
        self._entry: int | None = None  # newest of the record that readers know of
        self._events = True
        self._greeted = self._synced = False  # of this connection: it began; all that happens is told
        self._unanswered = 0  # messages `watch`
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """The instrument answers."""
        return self.status.connected

    def start(self) -> None:
        """Connect, and go on connecting, in the running event loop."""
        self._task = asyncio.create_task(self._run(), name="instrument link")

    async def close(self) -> None:
        """Hang up; iterations end, commands that wait fail. More than once is fine."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        for reader in list(self._readers):
            reader.close()
        for _, answer in self._commands.values():
            if not answer.done():
                answer.set_exception(InstrumentUnavailable(f"{self.path}: the link was closed"))

    async def wait_connected(self, timeout_s: float) -> bool:
        """Whether the instrument answers, now or within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        return self.connected

    def watch(self, *, events: bool) -> None:
        """Whether the instrument sends events, which it does from the start. Without them only its end is noticed, not
        that it hangs, and `state` grows old; when they begin again, a `Gap` tells what was missed."""
        if events == self._events:
            return
        self._events = events
        if self._greeted:
            self._begin()

    def subscribe(self) -> Subscription:
        """All messages from now on; the first is how the link is, then the newest state, if there is one."""
        reader = Subscription(self._left, self._credited)
        self._readers.append(reader)
        reader.put(received(self.status))
        if self.state is not None:
            reader.put(_as_sent(self.state, b""))
        return reader

    async def command(
        self,
        name: str,
        by: str,
        arguments: dict[str, Any] | None = None,
        *,
        id: str = "",
        timeout_s: float = COMMAND_S,
    ) -> Answer:
        """Give a command; if the link is lost meanwhile, again with the same id once it is back.

        Args:
            name, by, arguments: as `edge.instrument.socket.messages.Command`. id: made when left out.

        Raises:
            InstrumentUnavailable: no answer in time; the command may have been done all the same.
            ProtocolError: it is no command. Nothing was sent.
        """
        line = encode(_checked(id or secrets.token_hex(16), name, by, arguments or {}))
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                return await self._exchange(line)
        except TimeoutError as error:
            why = f": {self.status.why}" if not self.connected else ""
            raise InstrumentUnavailable(f"no answer to {name} within {timeout_s:g} s{why}") from error

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ---- commands and credit ----------------------------------------------------------------------------------------

    async def _exchange(self, line: bytes) -> Answer:
        from edge.instrument.socket.protocol import from_client

        command = from_client(line)
        assert isinstance(command, Command)
        if (before := self._commands.get(command.id)) is not None:
            return await asyncio.shield(before[1])  # the same one, asked for twice at once
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._commands[command.id] = line, answer
        try:
            if self.connected:
                self._send(line)
            return await answer
        finally:
            del self._commands[command.id]

    def _send(self, line: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line)

    def _credited(self) -> None:
        if self.connected and not self._asked:
            self._asked = True
            self._send(encode(Ready()))

    def _left(self, reader: Subscription) -> None:
        with contextlib.suppress(ValueError):
            self._readers.remove(reader)

    # ---- the link ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        wait = _FIRST_S
        while True:
            try:
                why = await self._once()
            except ProtocolError as error:
                why, wait = str(error), _OTHER_VERSION_S
            except TimeoutError:
                why = f"no sign of life for {self._patience_s:g} s"
            except (
                ValueError,
                LookupError,
                TypeError,
                AttributeError,
            ) as error:  # a fault of ours must not end the link
                _log.exception("the link to the instrument failed")
                why = f"a fault of the link: {error}"
            except OSError as error:
                why = f"no instrument on {self.path}: {error.strerror or error}"
            if self.connected and wait < _OTHER_VERSION_S:
                wait = _FIRST_S
            self._set(Link(connected=False, since=time.time_ns(), why=why))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, _LONGEST_S) if wait < _OTHER_VERSION_S else wait

    async def _once(self) -> str:
        """One connection, until it is lost; why it was."""
        async with asyncio.timeout(self._patience_s):
            reader, writer = await asyncio.open_unix_connection(str(self.path))
        lines, self._writer = Lines(client=False), writer
        try:
            while True:
                try:
                    async with asyncio.timeout(self._patience_s):
                        data = await reader.read(_CHUNK)
                except TimeoutError:
                    if self.connected and not self._events:
                        continue  # nothing was asked for
                    raise
                if not data:
                    return "the instrument hung up"
                for message, payload in lines.feed(data):
                    if isinstance(message, Bye):
                        return f"the instrument hung up: {message.reason}: {message.detail}"
                    self._take(message, payload)
        finally:
            self._writer, self._unanswered = None, 0
            self._asked = self._greeted = self._synced = False
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _begin(self) -> None:
        """Say what is watched. Once that is answered, the next state covers all that was not told before it."""
        self._unanswered, self._synced = self._unanswered + 1, False
        self._send(encode(Watch(events=self._events, previews=True)))

    def _take(self, message: FromInstrument, payload: bytes) -> None:
        match message:
            case Hello():
                self.hello = message
            case Watching():
                self._unanswered -= 1
                if not self._events and not self._unanswered:
                    self._connected(0)
                return
            case Answer():
                _, answer = self._commands.get(message.id, (b"", None))
                if answer is not None and not answer.done() and message.error != "ended":  # that one: when it is back
                    answer.set_result(message)
                return
            case Preview():
                self._asked = False
            case State():
                self.state = message
                self._heard(message)
            case _:
                pass
        if self._synced:
            self._entry = max(self._entry or 0, _entry(message))
        self._tell(_as_sent(message, payload))

    def _heard(self, state: State) -> None:
        if not self._greeted:
            self._greeted = True
            self._entry = state.entry if self._entry is None else self._entry
            self._begin()
        elif self._events and not self._unanswered and not self._synced:
            self._synced = True
            before = self._entry or 0
            missed = max(0, state.entry - before)
            self._connected(missed)
            if missed:
                self._tell(received(Gap(after=before, until=state.entry)))

    def _connected(self, missed: int) -> None:
        if self.connected:
            return
        self._set(Link(connected=True, since=time.time_ns(), missed=missed))
        for line, _ in self._commands.values():
            self._send(line)
        self._asked = False  # also what was asked for while the connection before was being closed
        if any(reader.credit for reader in self._readers):
            self._credited()

    def _set(self, status: Link) -> None:
        if (status.connected, status.why) == (self.status.connected, self.status.why):
            return
        _log.log(logging.INFO if status.connected else logging.WARNING, status.why or f"connected to {self.path}")
        if status.connected == self.status.connected:
            status = Link(connected=status.connected, since=self.status.since, missed=status.missed, why=status.why)
        self.status = status
        if status.connected:
            self._up.set()
        else:
            self._up.clear()
        self._tell(received(status))

    def _tell(self, what: Received) -> None:
        for reader in self._readers:
            reader.put(what)


def _checked(id: str, name: str, by: str, arguments: dict[str, Any]) -> Command:
    import msgspec

    from edge.instrument.socket.commands import arguments as checked

    try:
        given = {"kind": "command", "id": id, "name": name, "by": by, "arguments": arguments}
        command = msgspec.convert(given, Command)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"no command: {error}") from error
    checked(command)
    return command


def _entry(message: Message) -> int:
    if isinstance(message, State):
        return message.entry
    return (message.id or 0) if isinstance(message, Verdict | SlideAct | Correction | Event) else 0


def _as_sent(message: FromInstrument, payload: bytes) -> Received:
    return Received(message, encode(message)[:-1].decode(), payload)
