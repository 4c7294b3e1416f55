"""One reader of an instrument's messages among several: a bounded queue that says what it had to leave out."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from edge.instrument.socket.messages import (
    Correction,
    Count,
    Event,
    FromInstrument,
    Hello,
    Message,
    Meters,
    Preview,
    SlideAct,
    State,
    Verdict,
)

MOST_WAITING = 256
_RECORDED = Verdict | SlideAct | Correction | Event


class Link(Message, frozen=True, kw_only=True, tag="link"):
    """Whether the instrument is there; made by the link, not sent by the instrument.

    Attributes:
        connected: it answers. since: when that changed, nanoseconds since 1970 by the wall clock.
        missed: entries of the record that came while it was not; a `Gap` says which. why: it is not; "" where it is.
    """

    connected: bool
    since: int
    missed: Count = 0
    why: str = ""


class Gap(Message, frozen=True, kw_only=True, tag="gap"):
    """Messages that this reader was not given; the record has them. Made by the link.

    Attributes:
        after: id of the last entry before the gap. until: id of the last one in it. Some between were perhaps given.
    """

    after: Count
    until: Count


class Received(NamedTuple):
    """A message as it was sent: `line` is its JSON without a line end, `payload` a preview's JPEG."""

    message: FromInstrument | Link | Gap
    line: str
    payload: bytes


class Subscription:
    """An asynchronous iterator of `Received`, which ends when the link is closed. For the link's event loop.

    The newest state and meters replace those that were not read. A preview comes only after `ready`. When more than
    `MOST_WAITING` others wait, those of the record are left out, and a `Gap` stands for them.

    Args:
        ended: is called when nobody reads any more. credited: when `ready` is.
    """

    def __init__(self, ended: Callable[["Subscription"], None], credited: Callable[[], None]) -> None:
        self._ended, self._credited = ended, credited
        self._waiting: deque[Received] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._given = 0  # id of the newest entry that was queued or left out
        self.credit = False

    def ready(self) -> None:
        """Ask for one preview; asking twice is asking once."""
        self.credit = True
        self._credited()

    def put(self, received: Received) -> None:
        """Queue a message; never waits."""
        message = received.message
        if isinstance(message, Preview):
            if not self.credit:
                return
            self.credit = False
        if isinstance(message, State | Meters | Preview | Link | Hello):
            self._remove(type(message))
        elif len(self._waiting) >= MOST_WAITING:
            self._leave_out()
        if isinstance(message, _RECORDED) and message.id:
            self._given = max(self._given, message.id)
        self._waiting.append(received)
        self._changed.set()

    def close(self) -> None:
        """Read no more; the iteration ends after what waits."""
        self._closed = True
        self._changed.set()
        self._ended(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _remove(self, kind: type[Message]) -> None:
        for index, each in enumerate(self._waiting):
            if type(each.message) is kind:
                del self._waiting[index]
                return

    def _leave_out(self) -> None:
        """One gap for all that waits and is in the record."""
        kept = [each for each in self._waiting if not isinstance(each.message, _RECORDED | Gap)]
        gaps = [each.message for each in self._waiting if isinstance(each.message, Gap)]
        ids = [each.message.id for each in self._waiting if isinstance(each.message, _RECORDED) and each.message.id]
        after = min([*(gap.after for gap in gaps), *(number - 1 for number in ids)], default=self._given)
        until = max([*(gap.until for gap in gaps), *ids], default=self._given)
        self._waiting.clear()
        self._waiting.append(received(Gap(after=after, until=until)))
        self._waiting.extend(kept)


def received(message: Link | Gap) -> Received:
    """A message of the link itself."""
    from edge.instrument.socket.protocol import encode

    return Received(message, encode(message)[:-1].decode(), b"")
