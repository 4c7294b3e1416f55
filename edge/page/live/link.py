"""The link to the instrument as the page needs it."""

from collections.abc import Mapping
from typing import Any, Protocol

from edge.errors import InstrumentUnavailable
from edge.instrument.socket.messages import Answer, FromInstrument, Hello


class Follower(Protocol):
    """Who is told what the instrument says."""

    async def on_connected(self, hello: Hello) -> None:
        """It answers."""

    async def on_lost(self, why: str) -> None:
        """It does not answer any more, or still does not."""

    async def on_message(self, message: FromInstrument, payload: bytes) -> None:
        """It said something; `payload` is a preview's JPEG."""


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
    """Stand-in."""

    def __init__(self, path: object) -> None:
        self._path = path

    async def follow(self, follower: Follower) -> None:
        """Nothing yet."""
        await follower.on_lost("no instrument")

    def watch(self, *, previews: bool, events: bool) -> None:
        """Nothing yet."""

    def ready(self) -> None:
        """Nothing yet."""

    async def command(self, name: str, by: str, arguments: Mapping[str, Any], *, command_id: str) -> Answer:
        """Nothing yet."""
        raise InstrumentUnavailable("no instrument")
