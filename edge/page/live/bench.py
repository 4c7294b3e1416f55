"""The instrument as the page knows it, and the browsers that watch it: one link, whatever their number."""

import asyncio
import json
import logging
import struct
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from edge.errors import LeukoscopeError
from edge.instrument.socket.messages import (
    Answer,
    Bye,
    FromInstrument,
    Hello,
    Message,
    Meters,
    Preview,
    State,
    Watching,
)
from edge.instrument.socket.protocol import encode
from edge.page.live.commands import away
from edge.page.live.link import Link
from edge.page.live.watcher import Frame, Watcher
from edge.page.problems import Problem
from edge.page.records.answers import FindingOut
from edge.page.records.missed import Missed, missed
from edge.page.records.readers import Readers
from edge.page.records.slides import finding_out
from edge.page.records.tallies import Tallies

FRESH_S = 3.0  # that a state counts as the present one; the instrument sends one each second
INTEREST_S = 10.0  # that events are asked for after somebody asked for the state
AGAIN_S = 2.0  # after which a preview that did not come is asked for again; credits do not add up
_NEVER = float("-inf")

_log = logging.getLogger(__name__)


class Bench:
    """What the instrument said last, and who is told what it says next.

    Previews are asked for only while a browser is ready for one, and events only while somebody looks, so that an
    instrument nobody looks at does nothing for the page.

    Attributes:
        connected: the instrument answers. since: when that changed last, ISO 8601. why: why it is away; "" otherwise.
    """

    def __init__(self, link: Link, readers: Readers, tallies: Tallies) -> None:
        self._link, self._readers, self._tallies = link, readers, tallies
        self._watchers: set[Watcher] = set()
        self._hello: Hello | None = None
        self._state: State | None = None
        self._state_at = 0.0
        self._told = asyncio.Condition()
        self._asked_at = _NEVER  # when somebody asked for the state
        self._entry: int | None = None  # the newest entry that browsers were told of
        self._awaited = _NEVER  # since when a preview is, that was asked for
        self.connected, self.since, self.why = False, _now(), "the page has just been started"

    # --- for routes ---------------------------------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        """What the instrument said of itself; Problem 503 while it is away."""
        if self._hello is None or not self.connected:
            raise away(self.why)
        hello: dict[str, Any] = to_builtins(self._hello)
        return hello

    async def state(self) -> dict[str, Any] | None:
        """How the instrument is now; None while it is away."""
        self._asked_at = time.monotonic()
        if self.connected and self._is_old():
            self._watch()
            try:
                async with self._told:
                    await asyncio.wait_for(self._told.wait_for(lambda: not self._is_old()), FRESH_S)
            except TimeoutError:
                _log.info("the instrument has told no state for a while")
        if not self.connected or self._state is None:
            return None
        state: dict[str, Any] = to_builtins(self._state)
        return state

    def finding_of(self, slide: str) -> FindingOut | None:
        """The finding of the slide that is under the lens, as the instrument told it; None of another one."""
        state = self._state
        if not self.connected or state is None or state.slide != slide:
            return None
        return finding_out(state.finding)

    async def command(self, name: str, by: str, arguments: Mapping[str, Any], *, command_id: str) -> Answer:
        """As `edge.page.live.commands.Commanded`."""
        return await self._link.command(name, by, arguments, command_id=command_id)

    # --- for browsers -------------------------------------------------------------------------------------

    @property
    def watchers(self) -> int:
        """How many browsers watch."""
        return len(self._watchers)

    def join(self, watcher: Watcher) -> None:
        """Tell a browser from now on; first what is known."""
        self._watchers.add(watcher)
        watcher.put(self.link_message(None))
        if self.connected:
            if self._hello is not None:
                watcher.put(self.text(self._hello))
            if self._state is not None:
                watcher.put_newest("state", self.text(self._state))
        self._watch()

    def leave(self, watcher: Watcher) -> None:
        """Tell a browser no more."""
        self._watchers.discard(watcher)
        if not self._watchers:
            self._entry = None  # what comes while nobody looks, nobody has missed
        self._watch()

    def changed(self) -> None:
        """A browser has acknowledged a preview, or wants none any more."""
        self._watch()

    async def missed(self, after: int) -> Missed:
        """What the record has behind an entry."""
        return await self._readers.ask(missed(after, self._tallies), Missed([], 0, True))

    def link_message(self, behind: Missed | None, *, complete: bool = True) -> str:
        """`link`: whether the instrument answers, since when; how much was missed and told; whether that was all of it,
        and through which entry."""
        return json.dumps(
            {
                "kind": "link",
                "connected": self.connected,
                "since": self.since,
                "why": self.why,
                "missed": len(behind.messages) if behind else 0,
                "complete": complete and (behind is None or behind.complete),
                "entry": behind.through if behind else (self._entry or 0),
            }
        )

    def tell_missed(self, watcher: Watcher, behind: Missed | None) -> None:
        """Tell a browser what it missed, then `link`."""
        for message in behind.messages if behind else ():
            watcher.put(self.text(message), message.id)
        watcher.put(self.link_message(behind))

    def text(self, message: Message) -> str:
        """A message as browsers get it."""
        return encode(message).decode().rstrip("\n")

    # --- for the link -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the instrument, until cancelled."""
        await self._link.follow(self)

    async def on_connected(self, hello: Hello) -> None:
        """The instrument answers."""
        self._hello, self._awaited = hello, _NEVER
        self.connected, self.since, self.why = True, _now(), ""
        self._tell(self.text(hello))
        await self.on_gap()

    async def on_gap(self) -> None:
        """Browsers are told what the record has and the instrument did not tell, or not to the page."""
        behind = await self._caught_up()
        for watcher in self._watchers:
            self.tell_missed(watcher, behind)
        self._watch()

    async def on_lost(self, why: str) -> None:
        """The instrument does not answer any more, or still does not."""
        self._awaited = _NEVER
        if not self.connected and self.why == why:
            return
        if self.connected:
            self.since = _now()
        self.connected, self.why, self._state = False, why, None
        self._tell(self.link_message(None))
        async with self._told:
            self._told.notify_all()

    async def on_message(self, message: FromInstrument, line: str, payload: bytes) -> None:
        """Something that the instrument said."""
        if isinstance(message, Preview):
            self._awaited = _NEVER
            header = struct.pack(">IId", message.sequence & 0xFFFFFFFF, 0, message.utc_ns / 1e6)
            frame = Frame(message.sequence, header + payload)
            for watcher in self._watchers:
                watcher.put_frame(frame)
        elif isinstance(message, State):
            self._state, self._state_at = message, time.monotonic()
            self._tell_newest("state", line)
            async with self._told:
                self._told.notify_all()
        elif isinstance(message, Meters):
            self._tell_newest("meters", line)
        elif not isinstance(message, Answer | Bye | Hello | Watching):
            entry = message.id or 0
            if entry:
                self._entry = max(self._entry or 0, entry)
            for watcher in self._watchers:
                watcher.put(line, entry)
        self._watch()

    # --- inside -------------------------------------------------------------------------------------------

    async def _caught_up(self) -> Missed | None:
        """What was recorded while the instrument was away from the page; None before anything was told."""
        try:
            behind = await self.missed(2**62 if self._entry is None else self._entry)
        except (Problem, LeukoscopeError) as error:
            _log.warning(f"what was missed is not known: {error}")
            return None
        before, self._entry = self._entry, behind.through
        return None if before is None else behind

    def _is_old(self) -> bool:
        return self.connected and time.monotonic() - self._state_at > FRESH_S

    def _watch(self) -> None:
        """Have the link ask for what somebody waits for, and nothing else."""
        if not self.connected:
            return
        interest = time.monotonic() - self._asked_at < INTEREST_S
        previews = any(watcher.wants_previews for watcher in self._watchers)
        if not previews:
            self._awaited = _NEVER
        self._link.watch(previews=previews, events=bool(self._watchers) or interest)
        now = time.monotonic()
        if now - self._awaited > AGAIN_S and any(watcher.ready for watcher in self._watchers):
            self._awaited = now
            self._link.ready()

    def _tell(self, text: str) -> None:
        for watcher in self._watchers:
            watcher.put(text)

    def _tell_newest(self, kind: str, text: str) -> None:
        for watcher in self._watchers:
            watcher.put_newest(kind, text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
