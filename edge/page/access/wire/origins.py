"""Where a request comes from: a page of another site may neither change anything here nor listen."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from edge.page.access.wire.hosts import refuse
from edge.page.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """ASGI middleware: 403 for a change, or a socket, that a page of another origin asks for.

    Browsers say the origin of both, and newer ones the relation (`Sec-Fetch-Site`); programs say neither. A socket
    with a cookie and no origin comes from no browser we know, and is refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in SAFE_METHODS):
            headers = Headers(scope=scope)
            if not self._is_same(headers, scope):
                problem = Problem(403, "cross-site", "a page of another site may not ask for this")
                await refuse(problem, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_same(self, headers: Headers, scope: Scope) -> bool:
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        origins = headers.getlist("origin")
        if not origins:
            return not (scope["type"] == "websocket" and "cookie" in headers)
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        own = f"{scheme}://{headers.get('host', '')}".lower().removesuffix(":443" if scheme == "https" else ":80")
        return len(origins) == 1 and origins[0].lower() == own
