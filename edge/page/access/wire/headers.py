"""The security headers of every response: what a browser may load, show and send on."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; img-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # what `frame-ancestors` says, for browsers of before
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
HSTS = "max-age=2592000"  # 30 days: a browser that remembers it lets nobody past a certificate that ended
RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]  # for what no app answers
_NAMES_A_PROGRAM = ("server", "x-powered-by")


class SecurityHeaders:
    """ASGI middleware. `tls` adds HSTS. What a route says of caching stays; else nothing is kept.

    HSTS leaves subdomains out: they are other machines' business.
    """

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app, self._tls = app, tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name in _NAMES_A_PROGRAM:
                    del headers[name]
                for name, value in HEADERS.items():
                    headers[name] = value
                if self._tls:
                    headers["Strict-Transport-Security"] = HSTS
                if "cache-control" not in headers:
                    headers["Cache-Control"] = (
                        "no-cache" if scope.get("path", "").startswith("/static/") else "no-store"
                    )
            await send(message)

        await self._app(scope, receive, with_headers)
