"""Many clients of one page at once: readers of the API, watchers of the stream, and one who reads a byte a second."""

import asyncio
import contextlib
import json
import socket
import statistics
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import websockets
from websockets.asyncio.client import connect

PATHS = ("/api/v1/state", "/api/v1/labels", "/api/v1/slides?limit=20", "/api/v1/device", "/api/v1/trends")
_PAUSE_S = 0.5  # of a reader between two requests: somebody who looks around, and not a test of the loop
_HEADER = 16  # bytes before the JPEG of a preview: sequence, reserved, time of capture in ms


@dataclass
class Seen:
    """What all clients saw together.

    Attributes:
        requests, errors: answers read, and those that were none (a sentence each). seconds: how long each took.
        events, previews: messages of the stream. slow_bytes: what the slow reader read.
        delays_ms: from a frame's capture to its arrival here, by the wall clock that both share.
    """

    requests: int = 0
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    events: int = 0
    previews: int = 0
    delays_ms: list[float] = field(default_factory=list)
    slow_bytes: int = 0
    slow_ended: bool = False

    def as_record(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "errors": len(self.errors),
            "first_errors": self.errors[:5],
            "answer_ms": spread([1e3 * s for s in self.seconds]),
            "events": self.events,
            "previews": self.previews,
            "preview_delay_ms": spread(self.delays_ms),
            "slow_reader_bytes": self.slow_bytes,
            "slow_reader_was_ended": self.slow_ended,
        }


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Median, 95th percentile and largest of some values, to a tenth; only the number 0 of none."""
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "largest": round(ordered[-1], 1),
    }


async def crowd(
    url: str,
    seconds: float,
    *,
    readers: int,
    watchers: int,
    slow: bool = True,
    headers: Mapping[str, str] | None = None,
    paths: Sequence[str] = PATHS,
) -> Seen:
    """`readers` of the API and `watchers` of the stream for some time, and one who reads a byte a second."""
    seen, until, given = Seen(), time.monotonic() + seconds, dict(headers or {})
    async with asyncio.TaskGroup() as group:
        for number in range(readers):
            group.create_task(_read(url, until, seen, given, [*paths[number % len(paths) :], *paths]))
        for _ in range(watchers):
            group.create_task(_watch(url, until, seen, given))
        if slow:
            group.create_task(_crawl(url, until, seen, given))
    return seen


async def _read(url: str, until: float, seen: Seen, headers: Mapping[str, str], paths: Sequence[str]) -> None:
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        turn = 0
        while time.monotonic() < until:
            path, turn = paths[turn % len(paths)], turn + 1
            began = time.monotonic()
            try:
                answer = await client.get(path)
            except httpx.HTTPError as error:
                seen.errors.append(f"{path}: {error!r}")
            else:
                seen.requests += 1
                seen.seconds.append(time.monotonic() - began)
                if answer.status_code != 200:
                    seen.errors.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(_PAUSE_S)


async def _watch(url: str, until: float, seen: Seen, headers: Mapping[str, str]) -> None:
    """One who looks at the live page: every preview is acknowledged as the browser does it."""
    address = f"ws{url.removeprefix('http')}/api/v1/live"
    try:
        async with connect(address, additional_headers=dict(headers), origin=_origin(url)) as link:
            while (left := until - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    message = await asyncio.wait_for(link.recv(), left)
                    if isinstance(message, str):
                        seen.events += 1
                        continue
                    seen.previews += 1
                    seen.delays_ms.append(time.time() * 1e3 - captured_ms(message))
                    await link.send(json.dumps({"kind": "ready"}))
    except (OSError, websockets.WebSocketException) as error:
        seen.errors.append(f"live: {error!r}")


async def _crawl(url: str, until: float, seen: Seen, headers: Mapping[str, str]) -> None:
    """One who opens the stream, answers nothing and reads one byte a second."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, (host, int(port)))
        lines = [
            "GET /api/v1/live HTTP/1.1",
            f"Host: {host}:{port}",
            f"Origin: {url}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        await loop.sock_sendall(raw, ("\r\n".join(lines) + "\r\n\r\n").encode())
        while time.monotonic() < until:
            try:
                seen.slow_bytes += len(byte := await asyncio.wait_for(loop.sock_recv(raw, 1), 5))
            except (TimeoutError, OSError):
                byte = b"?"
            if not byte:
                seen.slow_ended = True
                return
            await asyncio.sleep(1)


def captured_ms(message: bytes) -> float:
    """When the frame of a preview was captured, ms by the wall clock."""
    return float(struct.unpack(">IId", message[:_HEADER])[2])


def _origin(url: str) -> "websockets.Origin":
    return websockets.Origin(url)
