"""The WebSocket of a page: events as text, previews as binary frames that the browser acknowledges."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from edge.page.access.guard import access_of
from edge.page.access.roles import Identity
from edge.page.api.parameters import Looker, TheBench
from edge.page.http.config import Limits
from edge.page.live.bench import Bench
from edge.page.live.sockets import Sockets
from edge.page.live.watcher import Watcher
from edge.page.problems import Problem

RECHECK_S = 5.0  # between looks whether the login still holds
WRONG, FULL, REVOKED, SLOW = 1008, 1013, 4401, 4408  # why a socket is closed
_LONGEST = 512  # characters of what a browser may say
_MOST_A_SECOND = 50  # messages of a browser, which acknowledges 10 previews a second
_LOOK_S = 1.0
_CLOSE_S = 1.0
_SILENT_S = 2.0
_FARTHEST = 2**62  # entry

router = APIRouter(tags=["live"])
_log = logging.getLogger(__name__)


@router.websocket("/live")
async def live(socket: WebSocket, user: Looker, bench: TheBench) -> None:
    """Tell a browser what the instrument says, until it goes, does not take it, or its login ends."""
    sockets: Sockets = socket.app.state.sockets
    with sockets.one(user.name) as granted:
        await socket.accept()
        if not granted:
            await socket.close(FULL, "too many pages are open")
            return
        await Conversation(socket, user, bench, socket.app.state.config.limits).hold()


class Conversation:
    """One browser's socket, from its opening to its end."""

    def __init__(self, socket: WebSocket, user: Identity, bench: Bench, limits: Limits) -> None:
        self._socket, self._user, self._bench, self._limits = socket, user, bench, limits
        self._watcher = Watcher()
        self._access = access_of(socket)
        self._second, self._said = 0, 0  # what it said in this second

    async def hold(self) -> None:
        """Until it ends. Whatever the browser does, its tasks and its memory end with it."""
        self._bench.join(self._watcher)
        tasks = [asyncio.create_task(each) for each in (self._send(), self._listen(), self._watch_login())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code, reason = next(task for task in tasks if task.done()).result()
        finally:
            self._bench.leave(self._watcher)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if code:
            _log.info(f"a page of {self._user.name} was let go: {reason}")
            with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
                await asyncio.wait_for(self._socket.close(code, reason), _CLOSE_S)

    async def _send(self) -> tuple[int, str]:
        watcher, patience, spoken = self._watcher, self._limits.acknowledge_s, time.monotonic()
        while True:
            if watcher.late(patience):
                return SLOW, f"a preview was not acknowledged within {patience:g} s"
            if watcher.overrun:
                watcher.overrun = False
                await self._catch_up(watcher.told)
            item = watcher.take()
            if item is None and time.monotonic() - spoken > _SILENT_S:
                item = self._bench.link_message(None)  # a page that hears nothing takes the connection for dead
            if item is None:
                await watcher.wait(_LOOK_S)
                continue
            spoken = time.monotonic()
            try:
                sending = self._socket.send_text(item) if isinstance(item, str) else self._socket.send_bytes(item)
                await asyncio.wait_for(sending, patience)
            except TimeoutError:
                return SLOW, f"nothing was taken for {patience:g} s"
            except (WebSocketDisconnect, RuntimeError):  # starlette's words for a socket that is closed
                return 0, "gone"

    async def _listen(self) -> tuple[int, str]:
        while True:
            try:
                message = await self._socket.receive()
            except RuntimeError:
                return 0, "gone"
            if message["type"] == "websocket.disconnect":
                return 0, "gone"
            said = _read(message.get("text"))
            if said is None or self._too_often():
                return WRONG, "not what a page says"
            await self._heed(said)

    async def _heed(self, said: dict[str, Any]) -> None:
        if said["kind"] == "ready":
            self._watcher.acknowledge()
            self._bench.changed()
        elif said["kind"] == "watch":
            self._watcher.wants_previews = said["previews"]
            self._bench.changed()
        else:
            await self._catch_up(said["entry"])

    async def _catch_up(self, after: int) -> None:
        """Tell what the record has behind an entry."""
        try:
            behind = await self._bench.missed(after)
        except Problem as problem:
            _log.warning(f"what a page missed is not known: {problem.detail}")
            self._watcher.put(self._bench.link_message(None, complete=False))
            return
        self._bench.tell_missed(self._watcher, behind)

    async def _watch_login(self) -> tuple[int, str]:
        while True:
            await asyncio.sleep(RECHECK_S)
            if not await self._access.still_valid(self._user):
                return REVOKED, "the login has ended"

    def _too_often(self) -> bool:
        second = int(time.monotonic())
        self._second, self._said = second, self._said + 1 if second == self._second else 1
        return self._said > _MOST_A_SECOND


def _read(text: str | None) -> dict[str, Any] | None:
    """What a browser says, checked; None for anything else."""
    if text is None or len(text) > _LONGEST:
        return None
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    entry = said.get("entry")
    known = {
        "ready": True,
        "watch": isinstance(said.get("previews"), bool),
        "since": isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry < _FARTHEST,
    }
    return said if known.get(str(said.get("kind"))) else None
