"""Defects: a route that raises what nobody foresaw is answered with a problem that tells nothing of the inside."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.page.problems import Problem

_log = logging.getLogger(__name__)


class Defects:
    """ASGI middleware: 500, with the traceback in the log alone; the security headers are on this answer too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception:
            _log.exception("%s %s ended with a defect", scope["method"], scope["path"])
            if started:
                raise
            await Problem(500, "defect", "the page has a defect; its log says more").response()(scope, receive, send)
