"""The API as the pages expect it, with made-up slides and a drawn live picture: what the pages are tested with.

`python -m tests.edge.page.front.stand_in 8001` serves it, for looking at pages while they are changed.
"""

import asyncio
import json
import math
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Thread
from typing import Any

import cv2
import numpy as np
import simplejpeg
import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response

from edge.page.access.access import Access
from edge.page.access.wire.headers import HEADERS
from edge.page.front.router import front_router
from edge.settings.page import PageSettings
from tests.edge.page.front.made_up import FINDING, LABELS, TALLY, told

HELLO = {
    "kind": "hello",
    "version": 1,
    "software": "leukoscope 0",
    "instrument": "0" * 32,
    "boot": "",
    "bundle": {
        "name": "tiny-int8",
        "digest": "0" * 64,
        "version": 3,
        "signed_by": "a1b2c3d4",
        "certified": True,
        "acceptance": "not accepted at any site",
        "synthetic": False,
    },
    "labels": LABELS,
    "benign": ["Benign"],
    "camera": "sim:",
    "simulated": True,
    "camera_setup": "",
    "site": "",
    "study": False,
    "rule": {"name": "tenth-1", "words": "in words", "fields": 20, "width": 0.3},
    "gates": {
        "under_exposed": {"lowest": 175.0, "highest": None},
        "over_exposed": {"lowest": None, "highest": 2.0},
        "out_of_focus": {"lowest": None, "highest": 1.74},
    },
    "size": [1280, 960],
}


class StandIn:
    """What the stand-in knows: tests set it, and read what was asked of it.

    Attributes:
        asked: (method, path, body) of every change that a page asked for.
        state: merged into the instrument's state. meters: the newest.
        frames: previews a second; 0 for a picture that stands still. frozen: the number that every one of them has.
        late_s: how long a picture takes. served: the instrument answers. quiet: meters come only by `push`.
        role: of who is logged in, None for nobody. missed: what a page that asks is told.
        extra: answers by path below /api/v1, or by method and path.
    """

    def __init__(self) -> None:
        self.sockets: list[WebSocket] = []
        self.outbox: list[list[Any]] = []
        self.loop: asyncio.AbstractEventLoop
        self.reset()

    def reset(self) -> None:
        """As it was made; pages that are open stay."""
        self.asked: list[tuple[str, str, Any]] = []
        self.state: dict[str, Any] = {
            "kind": "state",
            "mode": "none",
            "slide": None,
            "why": "",
            "automatic": True,
            "exposure_locked": False,
            "camera": "ok",
            "record": "ok",
            "withheld": "",
            "counters": {},
            "fps": 9.7,
            "tally": None,
            "finding": None,
            "entry": 1,
        }
        self.meters: dict[str, Any] = {
            "kind": "meters",
            "sequence": 1,
            "gates": {"under_exposed": 221.0, "over_exposed": 0.3, "out_of_focus": 1.42},
            "refused": "",
            "still": True,
            "seen": None,
            "brightness": 200.0,
            "sharpness": 12.0,
        }
        self.hello = json.loads(json.dumps(HELLO))
        self.frames = 10.0
        self.frozen: int | None = None
        self.quiet = False
        self.late_s = 0.0
        self.served = True
        self.missed: list[dict[str, Any]] = []
        self.role: str | None = "administer"
        self.extra: dict[str, Any] = told()

    def hang_up(self) -> None:
        """Break every page's socket, as a page process that is killed does."""
        for socket in list(self.sockets):
            with suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(socket.close(1012), self.loop).result(5)

    def refuse(self, change: str, status: int, name: str, detail: str) -> None:
        """Answer a change, such as "POST slides", with a problem from now on."""
        self.extra[change] = _problem(status, name, detail)

    def push(self, message: dict[str, Any]) -> None:
        """Send a message to every page that is open."""
        for box in self.outbox:
            box.append(message)

    def judged(self, field: int, label: str | None = "Benign", **more: Any) -> dict[str, Any]:
        """A verdict message."""
        reason = None if label else more.pop("reason", "out_of_focus")
        spread = dict.fromkeys(LABELS, 0.01) | {label or "Benign": 0.97}
        return {
            "kind": "verdict",
            "id": 100 + field,
            "slide": "S-0412",
            "field": field,
            "sequence": field,
            "label": label,
            "reason": reason,
            "detail": None if label else "out of focus: edges 2.41 px wide, at most 1.74",
            "probabilities": spread if label else None,
            "gates": {"out_of_focus": 1.42, "under_exposed": 221.0},
            "seen": None,
            "asked_by": "",
            "utc": "2026-11-30T08:00:00.000Z",
            "image": True,
        } | more

    def open(self, slide: str = "S-0412", mode: str = "open") -> None:
        """A slide with some fields."""
        self.state |= {
            "mode": mode,
            "slide": slide,
            "tally": TALLY,
            "finding": FINDING,
        }
        self.push(dict(self.state))


@cache
def picture(number: int, width: int = 640, height: int = 480) -> bytes:
    """A JPEG of some drawn cells that move, with its number."""
    pixels = np.full((height, width, 3), (226, 214, 222), np.uint8)
    generator = np.random.default_rng(4)
    for _ in range(38):
        x, y = generator.integers(0, width), generator.integers(0, height)
        colour = (205, 150, 160) if generator.random() < 0.8 else (95, 50, 130)
        shift = int(6 * math.sin(number / 8))
        cv2.circle(pixels, (int(x) + shift, int(y)), int(generator.integers(16, 26)), colour, -1, cv2.LINE_AA)
    cv2.putText(pixels, str(number), (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 2)
    return bytes(simplejpeg.encode_jpeg(pixels, 85, "RGB"))


def app_of(stand_in: StandIn) -> FastAPI:
    """The pages over a stand-in for the API, with the headers that the page's process sends."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    access = Access(PageSettings(), demo=True)
    app.state.access = access
    app.include_router(front_router())

    @app.middleware("http")
    async def headers(request: Request, go_on: Any) -> Response:
        answer: Response = await go_on(request)
        answer.headers.update(HEADERS)
        return answer

    @app.get("/api/v1/session")
    async def session() -> dict[str, Any]:
        fingerprint = ":".join(["AB"] * 32)
        user = None if stand_in.role is None else {"name": "anna", "role": stand_in.role}
        return {"user": user, "csrf": "c" * 43, "kind": "session", "first": False, "fingerprint": fingerprint}

    @app.get("/api/v1/{route:path}")
    async def get(route: str, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        for name in (route + query, route):
            if name in stand_in.extra:
                found = stand_in.extra[name]
                return found if isinstance(found, Response) else JSONResponse(found)
        if route.endswith("/image"):
            return Response(picture(int(route.split("/")[-2])), media_type="image/jpeg")
        return _problem(404, "not-found", f"no {route}")

    @app.api_route("/api/v1/{route:path}", methods=["POST", "PUT", "PATCH", "DELETE"])
    async def change(route: str, request: Request) -> Response:
        text = await request.body()
        body = json.loads(text) if text else None
        if not route.startswith("session") and request.headers.get("X-Leukoscope-CSRF") != "c" * 43:
            return _problem(403, "csrf", "no header")
        stand_in.asked.append((request.method, route, body))
        refused = stand_in.extra.get(f"{request.method} {route}")
        return refused if isinstance(refused, Response) else JSONResponse(refused or {})

    @app.websocket("/api/v1/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        stand_in.loop = asyncio.get_running_loop()
        box: list[Any] = []
        stand_in.outbox.append(box)
        stand_in.sockets.append(socket)
        with suppress(WebSocketDisconnect, RuntimeError):
            await _serve(socket, stand_in, box)
        stand_in.outbox.remove(box)
        stand_in.sockets.remove(socket)

    return app


async def _serve(socket: WebSocket, stand_in: StandIn, box: list[Any]) -> None:
    credit = True  # as the page's process: the first preview comes unasked

    async def listen() -> None:
        nonlocal credit
        while True:
            message = json.loads(await socket.receive_text())
            if message["kind"] == "ready":
                credit = True
            elif message["kind"] == "watch":
                stand_in.asked.append(("WS", "watch", message["previews"]))
            elif message["kind"] == "since":
                stand_in.asked.append(("WS", "since", message["entry"]))
                for each in stand_in.missed:
                    await socket.send_json(each)
                await socket.send_json(link(stand_in, len(stand_in.missed)))
                stand_in.missed = []

    listening = asyncio.create_task(listen())
    try:
        await socket.send_json(link(stand_in, 0))
        await socket.send_json(stand_in.hello)
        number, told, drawn = 0, 0.0, 0.0
        while not listening.done():
            now = time.monotonic()
            while box:
                await socket.send_json(box.pop(0))
            if now - told > 0.2 and stand_in.served:
                told = now
                await socket.send_json(stand_in.state)
                if not stand_in.quiet:
                    await socket.send_json(stand_in.meters)
            if credit and stand_in.frames and now - drawn > 1 / stand_in.frames:
                credit, drawn, number = False, now, number + 1
                shown = stand_in.frozen or number
                await socket.send_bytes(
                    struct.pack(">IId", shown, 0, (time.time() - stand_in.late_s) * 1000) + picture(shown % 40)
                )
            await asyncio.sleep(0.002 if stand_in.frames > 100 else 0.02)
    finally:
        listening.cancel()


def link(stand_in: StandIn, missed: int) -> dict[str, Any]:
    """The message that says whether the instrument is there."""
    at = {"since": "2026-11-30T08:00:00Z", "why": "", "complete": True, "entry": 100}
    return {"kind": "link", "connected": stand_in.served, "missed": missed, **at}


def _problem(status: int, name: str, detail: str) -> Response:
    body = {"type": f"urn:leukoscope:problem:{name}", "title": name, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


@contextmanager
def serving(stand_in: StandIn, port: int = 0) -> Iterator[str]:
    """Serve a stand-in on loopback; its address."""
    server = uvicorn.Server(
        uvicorn.Config(app_of(stand_in), "127.0.0.1", port, log_level="warning", ws="websockets-sansio")
    )
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    demo = StandIn()
    demo.open()
    with serving(demo, int(sys.argv[1]) if len(sys.argv) > 1 else 8001) as url:
        print(url)
        while True:
            time.sleep(60)
