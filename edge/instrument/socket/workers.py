"""The threads beside the socket's loop that ask the bench: one does commands, one tells the state each second."""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from edge.errors import ProtocolError
from edge.instrument.socket.commands import arguments
from edge.instrument.socket.messages import Answer, Command, Hello, State

_log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 1.0
_REMEMBERED = 256  # answers; older ones the bench knows, from the record
_ENDS_S = 5.0  # for the command that is being done
_NOT_FINAL = ("busy", "unavailable", "failed", "ended")  # asked again, it may go well

Told = Callable[[Answer], None]


class Bench(Protocol):
    """What the server asks of the instrument, in its own threads; never in the pipeline's."""

    def hello(self) -> Hello:
        """Who the instrument is; for every client that comes."""

    def state(self) -> State:
        """How it is now. Answers at once: it must not wait for the record or the camera."""

    def command(self, command: Command) -> Answer:
        """Do it, durably, then answer. One at a time; the arguments were checked; may take long."""


class CommandWorker(threading.Thread):
    """Does commands one after the other, so that a slow one stops no event; an id that was done is not done again.

    Args:
        bench: what does them.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__(name="commands", daemon=True)
        self._bench = bench
        self._given: queue.SimpleQueue[tuple[Command, Told] | None] = queue.SimpleQueue()
        self._done: OrderedDict[str, tuple[Command, Answer]] = OrderedDict()
        self._why = ""

    def give(self, command: Command, tell: Told) -> None:
        """Do it when those before it are done, then tell the answer, in this thread."""
        self._given.put((command, tell))

    def close(self, why: str) -> None:
        """End after the command that is being done; those that wait are answered "ended"."""
        self._why = why
        self._given.put(None)
        if self.is_alive() and self is not threading.current_thread():
            self.join(_ENDS_S)

    def run(self) -> None:
        """Until closed."""
        while (given := self._given.get()) is not None:
            command, tell = given
            tell(self._answer(command))
        with suppress(queue.Empty):
            while (given := self._given.get_nowait()) is not None:
                given[1](self._answer(given[0]))

    def _answer(self, command: Command) -> Answer:
        if self._why:
            return Answer(id=command.id, ok=False, error="ended", detail=self._why)
        if (before := self._done.get(command.id)) is not None:
            same, answer = before
            if (same.name, same.arguments) == (command.name, command.arguments):
                return answer
            return Answer(id=command.id, ok=False, error="id_reused", detail=f"the id was of a command {same.name}")
        try:
            arguments(command)
            answer = self._bench.command(command)
        except ProtocolError as error:
            answer = Answer(id=command.id, ok=False, error="malformed", detail=str(error))
        except Exception as error:  # one command that fails must not end those that follow
            _log.exception(f"command {command.name} failed")
            answer = Answer(id=command.id, ok=False, error="failed", detail=f"{type(error).__name__}; see the log")
        if answer.error not in _NOT_FINAL:
            self._done[command.id] = (command, answer)
            if len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
        return answer


class Pulse(threading.Thread):
    """Asks the bench how it is: each second while anybody watches, and for those who come.

    Args:
        bench: who is asked. watched: somebody listens. tell: gets the state each second.
    """

    def __init__(self, bench: Bench, watched: Callable[[], bool], tell: Callable[[State], None]) -> None:
        super().__init__(name="pulse", daemon=True)
        self._bench, self._watched, self._tell = bench, watched, tell
        self._asked: queue.SimpleQueue[Callable[[Hello, State], None] | None] = queue.SimpleQueue()

    def ask(self, answer: Callable[[Hello, State], None]) -> None:
        """Have hello and state told, in this thread."""
        self._asked.put(answer)

    def close(self) -> None:
        """Ask no more."""
        self._asked.put(None)

    def run(self) -> None:
        """Until closed."""
        due = time.monotonic()
        while True:
            try:
                asked = self._asked.get(timeout=max(0.0, due - time.monotonic()))
                if asked is None:
                    return
            except queue.Empty:
                asked = None
                due = time.monotonic() + HEARTBEAT_S
                if not self._watched():
                    continue
            try:
                if asked is None:
                    self._tell(self._bench.state())
                else:
                    asked(self._bench.hello(), self._bench.state())
            except Exception:  # clients hear nothing, and take the instrument for hung; it goes on
                _log.exception("the bench did not say how it is")
