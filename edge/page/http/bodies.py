"""The size of requests: a body that is too large, or too slow in coming, is refused before a route sees it."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.page.problems import Problem

SLOWEST_S = 10.0  # for a whole body


class BodyLimit:
    """ASGI middleware that reads a request's body first: 413 for more than `most` bytes, 408 for a slow one.

    So a route's thread never waits for a client that sends a byte a second.
    """

    def __init__(self, app: ASGIApp, most: int, slowest_s: float = SLOWEST_S) -> None:
        self._app, self._most, self._slowest_s = app, most, slowest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._body(scope, receive), self._slowest_s)
        except TimeoutError:
            detail = f"the body of a request must arrive within {self._slowest_s:g} s"
            await self._refuse(Problem(408, "too-slow", detail, headers={"Connection": "close"}), scope, receive, send)
            return
        except _TooLarge:
            detail = f"the body of a request may hold {self._most} bytes at most"
            await self._refuse(Problem(413, "too-large", detail, headers={"Connection": "close"}), scope, receive, send)
            return
        if body is None:  # the client is gone
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        await problem.response()(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value[:20]) > self._most):
                raise _TooLarge
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._most:
                raise _TooLarge
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)


class _TooLarge(Exception):  # noqa: N818
    pass
