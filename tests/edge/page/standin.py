"""A link to an instrument that is none: it says what a test has it say, and notes what it is asked."""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from edge.errors import InstrumentUnavailable
from edge.instrument.socket.commands import arguments as checked
from edge.instrument.socket.messages import Answer, Command, FromInstrument, Hello, State
from edge.instrument.socket.protocol import encode
from edge.page.live.link import Follower
from tests.edge.instrument.socket.samples import SAMPLES

HELLO, STATE = SAMPLES[Hello], SAMPLES[State]


class StandInLink:
    """A link of `edge.page.live.link`. Commands are answered at once, each id once.

    Attributes:
        up: the instrument answers. given: commands that were done, by id. watched: what is asked for; readies: previews
            that were asked for. refuse: answers in place of doing what is asked, by command.
    """

    def __init__(self, up: bool = True) -> None:
        self.up = up
        self.watched = (False, False)
        self.follower: Follower | None = None
        self.forget()

    def forget(self) -> None:
        self.given: dict[str, Command] = {}
        self.readies = 0
        self.refuse: dict[str, str] = {}

    async def follow(self, follower: Follower) -> None:
        """Say hello and the state, then whatever `say` is given."""
        self.follower = follower
        if not self.up:
            await follower.on_lost("no instrument answers")
        else:
            await self.connect()
        await asyncio.Event().wait()

    async def connect(self) -> None:
        assert self.follower is not None
        self.up = True
        assert isinstance(HELLO, Hello)
        await self.follower.on_connected(HELLO)
        await self.say(STATE)

    async def lose(self, why: str = "it hung up") -> None:
        assert self.follower is not None
        self.up = False
        await self.follower.on_lost(why)

    async def say(self, message: Any, payload: bytes = b"") -> None:
        assert self.follower is not None
        told: FromInstrument = message
        await self.follower.on_message(told, encode(told).decode().rstrip("\n"), payload)

    def watch(self, *, previews: bool, events: bool) -> None:
        self.watched = (previews, events)

    def ready(self) -> None:
        self.readies += 1

    async def command(self, name: str, by: str, arguments: Mapping[str, Any], *, command_id: str) -> Answer:
        if not self.up:
            raise InstrumentUnavailable("no instrument answers")
        command = Command(id=command_id, name=name, by=by, arguments=dict(arguments))  # type: ignore[arg-type]
        checked(command)
        if name in self.refuse:
            return Answer(id=command_id, ok=False, error=self.refuse[name], detail=f"{name} is refused")  # type: ignore[arg-type]
        done = self.given.setdefault(command_id, command)
        if done != command:
            return Answer(id=command_id, ok=False, error="id_reused", detail="another command has this id")
        return Answer(id=command_id, ok=True, result={"slide": arguments.get("slide")})


def state(**changes: Any) -> State:
    """The sample's state with changes."""
    assert isinstance(STATE, State)
    return structs.replace(STATE, **changes)
