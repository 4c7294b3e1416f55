"""The link to the instrument as the page needs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edge.instrument.socket.client import InstrumentLink
from edge.instrument.socket.messages import Answer, FromInstrument, Hello
from edge.instrument.socket.subscription import Gap, Received, Subscription
from edge.instrument.socket.subscription import Link as Connection


class Follower(Protocol):
    """Who is told what the instrument says."""

    async def on_connected(self, hello: Hello) -> None:
        """It answers."""

    async def on_lost(self, why: str) -> None:
        """It does not answer any more, or still does not."""

    async def on_message(self, message: FromInstrument, line: str, payload: bytes) -> None:
        """It said something; `line` is that as JSON, `payload` a preview's JPEG."""

    async def on_gap(self) -> None:
        """It said something that did not come; the record has it."""


class Link(Protocol):
    """A link that comes back by itself."""

    async def follow(self, follower: Follower) -> None:
        """Tell `follower` what the instrument says, until cancelled."""

    def watch(self, *, previews: bool, events: bool) -> None:
        """What the instrument is to send from now on."""

    def ready(self) -> None:
        """Ask for one more preview."""

    async def command(self, name: str, by: str, arguments: Mapping[str, Any], *, command_id: str) -> Answer:
        """Give a command and wait for its answer; InstrumentUnavailable where there is none."""


class SocketLink:
    """The link over the instrument's socket.

    Args:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self._link = InstrumentLink(path)
        self._reader: Subscription | None = None

    async def follow(self, follower: Follower) -> None:
        """As `Link`."""
        self._link.watch(events=False)
        async with self._link:
            with self._link.subscribe() as self._reader:
                async for each in self._reader:
                    await self._told(follower, each)

    def watch(self, *, previews: bool, events: bool) -> None:
        """As `Link`. Previews come by credit alone."""
        self._link.watch(events=events)

    def ready(self) -> None:
        """As `Link`."""
        if self._reader is not None:
            self._reader.ready()

    async def command(self, name: str, by: str, arguments: Mapping[str, Any], *, command_id: str) -> Answer:
        """As `Link`."""
        return await self._link.command(name, by, dict(arguments), id=command_id)

    async def _told(self, follower: Follower, each: Received) -> None:
        message = each.message
        if isinstance(message, Gap):
            await follower.on_gap()
        elif not isinstance(message, Connection):
            await follower.on_message(message, each.line, each.payload)
        elif message.connected and self._link.hello is not None:
            await follower.on_connected(self._link.hello)
        else:
            await follower.on_lost(message.why)
