"""One client of the instrument's socket, as the server's loop sees it: what it sent, asked for and is owed."""

import socket
from collections.abc import Iterator
from typing import Any

from edge.instrument.socket.listening import Peer
from edge.instrument.socket.messages import Reason
from edge.instrument.socket.outbox import Outbox
from edge.instrument.socket.protocol import Lines

LINES_A_SECOND, LINES_AT_ONCE = 50.0, 100.0
PATIENCE_S = 10.0  # for a client that takes nothing, or stops in the middle of a line
IDLE_S = 60.0  # for one that asked for nothing
COMMANDS_WAITING = 8
_READ, _WRITE_AT_ONCE = 16 << 10, 256 << 10


class Connection:
    """A client. All of it belongs to the server's loop.

    Attributes:
        events, previews, credit: what it watches, and whether it is ready for a preview. asked: it said what it
            watches, if only nothing. told: a state was sent since it watches events.
        greeted: hello was queued; nothing else goes out before. commands: given and not answered yet.
        resumes: monotonic seconds before which nothing is read, 0 for at once.
    """

    def __init__(self, connection: socket.socket, peer: Peer, now: float) -> None:
        connection.setblocking(False)
        self.socket, self.peer = connection, peer
        self.outbox = Outbox()
        self.events = self.previews = self.credit = self.greeted = self.asked = self.told = False
        self.commands = 0
        self.resumes = 0.0
        self.interest = 0  # what the loop's selector waits for
        self._lines = Lines(client=True)
        self._allowed, self._counted = LINES_AT_ONCE, now
        self._heard = now

    @property
    def wants_preview(self) -> bool:
        """It looks, and is ready."""
        return self.previews and self.credit and self.greeted

    def receive(self, now: float) -> Iterator[Any]:
        """The messages of what has arrived.

        Raises:
            ProtocolError: it sent what it may not. EOFError, OSError: it is gone.
        """
        try:
            data = self.socket.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            raise EOFError
        self._heard = now
        self._allowed = min(LINES_AT_ONCE, self._allowed + (now - self._counted) * LINES_A_SECOND)
        self._counted = now
        for message, _ in self._lines.feed(data):
            self._allowed -= 1
            yield message
        if self._allowed < 0:
            self.resumes = now - self._allowed / LINES_A_SECOND

    def send(self) -> None:
        """Send what goes without waiting, so much that others have their turn.

        Raises:
            OSError: it is gone.
        """
        left = _WRITE_AT_ONCE
        while left > 0 and (head := self.outbox.head(left)):
            try:
                count = self.socket.sendmsg(head)
            except (BlockingIOError, InterruptedError):
                return
            self.outbox.sent(count)
            left -= count

    def gone(self) -> bool:
        """It has left, and its turn to be noticed has not come yet."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True

    def overdue(self, now: float) -> tuple[Reason, str] | None:
        """(reason, sentence) of a bye to a client that hangs; None while it does not."""
        if self.outbox.waiting_s(now) > PATIENCE_S:
            return "slow", f"nothing was read for {PATIENCE_S:.0f} s"
        quiet = now - self._heard
        if self._lines.midway and not self.resumes and quiet > PATIENCE_S:
            return "protocol", f"half a line, and nothing more for {PATIENCE_S:.0f} s"
        if not (self.asked or self.commands) and quiet > IDLE_S:
            return "protocol", f"nothing was asked for in {IDLE_S:.0f} s"
        return None
