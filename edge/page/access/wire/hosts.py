"""The name a request was sent to: one of this machine's, or the request comes from a page that rebound its own name."""

import socket
from collections.abc import Collection, Iterable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from edge.page.problems import Problem
from edge.settings.announced_name import announced_name

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def names_of_machine() -> list[str]:
    """The names of this machine: the host's, the same with .local (mDNS), the full one where it has another, and what
    avahi announces."""
    host = socket.gethostname().rstrip(".").lower()
    short = host.partition(".")[0]
    names = [host, short, f"{short}.local"]
    with suppress(OSError):
        names.append(socket.getfqdn().rstrip(".").lower())
    names.append(announced_name())
    return [name for name in dict.fromkeys(names) if name and not name.startswith("localhost")]


def host_of(value: str) -> str | None:
    """The host in a Host header, without port, brackets and a closing dot, in small letters; None where it is none.

    >>> host_of("Lab-3.local:8443"), host_of("[::1]:8443"), host_of("192.0.2.7"), host_of("a b"), host_of("x:y")
    ('lab-3.local', '::1', '192.0.2.7', None, None)
    """
    if value.startswith("["):
        name, bracket, rest = value[1:].partition("]")
        if not bracket:
            return None
    else:
        name, colon, port = value.partition(":")
        rest = colon + port
    if rest and not (rest[0] == ":" and rest[1:].isdigit()):
        return None
    name = name.rstrip(".").lower()
    return name if name and not set(name) & set(" /\\@?#,%\t") else None


class KnownHosts:
    """ASGI middleware: 421 for a name that is not the machine's.

    A browser that was led here by a name that an attacker's server pointed at this address (DNS rebinding) says that
    name. An address is right when it is the one that the connection came to, so it may change while the page runs.

    Args:
        names: names and addresses beside loopback's.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | {name.rstrip(".").lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        host = host_of(hosts[0]) if len(hosts) == 1 else None
        if host is not None and (host in self._names or is_own(host, scope.get("server"))):
            await self._app(scope, receive, send)
        else:
            await refuse(Problem(421, "wrong-host", "this page is not known by that name"), scope, receive, send)


def is_own(host: str, server: "Collection[object] | None") -> bool:
    """Whether `host` is the address that a connection came to."""
    try:
        asked = ip_address(host)
        own = ip_address(str(next(iter(server or ()), "")).partition("%")[0])
    except ValueError:
        return False
    mapped = own.ipv4_mapped if isinstance(own, IPv6Address) else None
    return asked in (own, mapped)


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with a problem; a socket is refused before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem.name})
    else:
        await problem.response()(scope, receive, send)
