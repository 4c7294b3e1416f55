"""The server of the page: uvicorn, one worker, with connections that end when their other side does nothing."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from edge.errors import AddressUnavailable, PageUnavailable
from edge.instrument.pipeline.sd_notify import Notifier
from edge.page.access.access import Access
from edge.page.access.wire.headers import RAW
from edge.page.access.wire.listener import Listener
from edge.page.app import create_app
from edge.page.http.config import PageConfig

HANDSHAKE_S = 10.0  # of TLS
HEAD_S = 10.0  # for the head of a request
STALLED_S, STALLED_BYTES = 15.0, 4096  # a client that takes less than so much in so long is let go
CLOSE_S = 5.0  # for what is still to be sent when a connection is closed
_MOST_BUFFERED = 64 * 1024

_log = logging.getLogger(__name__)


class HttpConnection(H11Protocol):
    """A connection that must bring the head of a request within `HEAD_S`, and take its answer."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_MOST_BUFFERED)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._quiet()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._quiet()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_stall()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_stall()

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's, with the headers of every other answer."""
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close"), *RAW]
        response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        with contextlib.suppress(h11.LocalProtocolError):  # an answer has begun already
            for event in (response, h11.Data(data=msg.encode("ascii")), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall is not None and not self.transport.is_closing():
            self._stall.cancel()
            self._stall = None

    def _watch_stall(self) -> None:
        if self._stall is None:
            left = self.transport.get_write_buffer_size()
            self._stall = self.loop.call_later(STALLED_S, self._still_stalled, left)

    def _still_stalled(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if before - left < STALLED_BYTES:
            self.transport.abort()
        else:
            self._stall = self.loop.call_later(STALLED_S, self._still_stalled, left)

    def _expect_head(self) -> None:
        if self.transport.get_protocol() is not self:  # it is a WebSocket now
            return
        awaited = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        if awaited and self._head is None:
            self._head = self.loop.call_later(HEAD_S, self.transport.abort)
        elif not awaited and self._head is not None:
            self._head.cancel()
            self._head = None

    def _quiet(self) -> None:
        for timer in (self._head, self._stall):
            if timer is not None:
                timer.cancel()
        self._head = self._stall = None


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket that is gone, with all that waits to be sent, soon after its route let it go."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_MOST_BUFFERED)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(CLOSE_S, self.transport.abort)


class PageServer(uvicorn.Server):
    """Serves until SIGINT or SIGTERM, and tells the service manager that it is alive.

    Args:
        on_serving: called once, when requests are answered.
    """

    def __init__(self, config: uvicorn.Config, notifier: Notifier, on_serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._notifier, self._on_serving = notifier, on_serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        if self.config.ssl is not None:  # uvicorn leaves it at asyncio's minute
            create: Any = functools.partial(loop.create_server, ssl_handshake_timeout=HANDSHAKE_S)
            loop.create_server = create  # type: ignore[method-assign]
        await super().startup(sockets)
        self._on_serving()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._notifier.alive()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """The first signal ends in order; another one at once. uvicorn would raise them again at the end."""
        try:
            before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _: int, __: FrameType | None) -> None:
        if self.should_exit:  # in a hurry: what is cut off would be said with a traceback
            logging.getLogger("uvicorn.error").disabled = True
        self.force_exit, self.should_exit = self.should_exit, True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        AddressUnavailable: no such address on this machine, or somebody else listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=host == "::")
    except OSError as error:
        raise AddressUnavailable(
            f"the page cannot be served at {host}, port {port}: {_why(error)}; end what listens there, or name "
            "another port"
        ) from error
    # Every connection inherits it. asyncio sets it only on sockets that name their protocol, which these do not, and
    # without it an answer's body waits 40 ms until its head is acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _why(error: OSError) -> str:
    """Of the errno: Python adds the address, which is in the message already."""
    return os.strerror(error.errno) if error.errno else str(error)


def serve(
    config: PageConfig, access: Access, *, notifier: Notifier | None = None, on_serving: Callable[[int], None]
) -> None:
    """Serve a page until SIGINT or SIGTERM; returns when all is closed.

    Args:
        access: who may use it; closed at the end. on_serving: told the port, once requests are answered.

    Raises:
        AddressUnavailable: nobody can listen there. PageUnavailable: it did not start.
    """
    settings = config.settings
    try:
        with listen("127.0.0.1" if settings.host == "localhost" else settings.host, settings.port) as plain:
            port = plain.getsockname()[1]
            listening = Listener.of(plain)
            context = access.tls.context if access.tls is not None else None
            app = create_app(config, access=access)
            notifier = notifier or Notifier.from_environment()
            served = server(app, notifier, lambda: on_serving(port), context)
            try:
                served.run([listening])
            finally:
                listening.close()
            notifier.stopping("stopped")
            if not served.started:
                raise PageUnavailable("the page did not start; its log says why")
    finally:
        access.close()


def server(
    app: FastAPI,
    notifier: Notifier,
    on_serving: Callable[[], None] = lambda: None,
    context: ssl.SSLContext | None = None,
) -> PageServer:
    """A server of the page.

    Args:
        context: of TLS; None for plain HTTP.
    """
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws=WebSocketConnection,
        ws_max_size=4096,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,  # JPEGs do not shrink, and each socket would keep a window
        h11_max_incomplete_event_size=16 * 1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level="warning",
    )
    config.load()
    config.ssl = context
    return PageServer(config, notifier, on_serving)
