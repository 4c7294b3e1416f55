"""What stands before every route: `require(role)` for the API and the socket, `page_for(role)` for HTML, `anyone`.

```python
@router.post("/judgements")
async def judge(user: Annotated[Identity, Depends(require("operate"))]) -> ...:
```

A route without one of them does not start: `require_roles` looks through the whole app.
"""

import secrets
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, routing
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount

from edge.page.access.roles import ROLES, Identity, Role
from edge.page.problems import Problem

if TYPE_CHECKING:
    from edge.page.access.access import Access

CSRF = "X-Leukoscope-CSRF"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANYONE = "anyone"


class LoginNeeded(Exception):  # noqa: N818  (a state of the browser)
    """An HTML page that needs a login; the browser is sent to `to`."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class Requirement:
    """A dependency that lets a caller with `role` through, and gives the route who it is."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, connection: HTTPConnection) -> Identity:
        """Who asks. Problem 401, 403; a socket is closed with 1008 before it opens."""
        try:
            return await self._identity(connection)
        except Problem as problem:
            if connection.scope["type"] == "websocket":
                raise WebSocketException(1008, problem.name) from problem
            raise

    async def _identity(self, connection: HTTPConnection) -> Identity:
        identity = await access_of(connection).identify(connection)
        if identity is None:
            raise Problem(401, "login-required", "log in first", headers={"WWW-Authenticate": "Bearer"})
        if not identity.may(self.role):
            raise Problem(403, "role-required", f"this needs the role {self.role}; {identity.name} has {identity.role}")
        changes = connection.scope["type"] == "http" and connection.scope["method"] not in SAFE_METHODS
        if changes and identity.kind != "token":
            given = connection.headers.get(CSRF, "")
            if not secrets.compare_digest(given.encode(), identity.csrf.encode()):
                raise Problem(403, "csrf", f"a change needs the header {CSRF}, as GET /api/v1/session tells it")
        return identity


class PageRequirement(Requirement):
    """As `Requirement`, for HTML: who is not logged in is sent to /login and comes back afterwards."""

    async def _identity(self, connection: HTTPConnection) -> Identity:
        try:
            return await super()._identity(connection)
        except Problem as problem:
            if problem.status != 401:
                raise
            path, query = connection.scope["path"], connection.scope["query_string"].decode("latin-1")
            raise LoginNeeded(f"/login?next={quote(path + (f'?{query}' if query else ''), safe='')}") from problem


class Open:
    """The mark of a route that needs no login; gives None."""

    role = ANYONE

    def __call__(self) -> None:
        """Let everybody through."""


anyone = Open()


@cache
def require(role: Role) -> Requirement:
    """The dependency for a route of the API or a socket that needs `role`."""
    return Requirement(role)


@cache
def page_for(role: Role) -> PageRequirement:
    """The dependency for an HTML page that needs `role`."""
    return PageRequirement(role)


current_user = require("look")


def access_of(connection: HTTPConnection) -> "Access":
    """The `Access` that was installed into the connection's app."""
    access: Access = connection.app.state.access
    return access


def roles_of_routes(app: FastAPI) -> list[tuple[str, str, str]]:
    """Method (WEBSOCKET for a socket), path and role of every route, in order of path; "" where a route names none."""
    return sorted(_roles(app.routes, ""), key=lambda each: (each[1], each[0]))


def require_roles(app: FastAPI) -> None:
    """RuntimeError naming the routes that say neither a role nor `anyone`."""
    bare = [f"{method} {path}" for method, path, role in roles_of_routes(app) if not role]
    if bare:
        raise RuntimeError(f"routes without a role (edge.page.access.guard): {', '.join(bare)}")


def _roles(routes: Sequence[BaseRoute], prefix: str) -> Iterator[tuple[str, str, str]]:
    contexts = getattr(routing, "iter_route_contexts", iter)  # newer ones keep included routers as they are
    for each in contexts(routes):
        context: Any = each
        route, path = getattr(each, "original_route", each), prefix + _path(each)
        if isinstance(route, routing.APIRoute):
            for method in sorted(context.methods - {"HEAD"}):
                yield method, path, _role(context.dependant)
        elif isinstance(route, routing.APIWebSocketRoute):
            yield "WEBSOCKET", path, _role(context.dependant)
        elif isinstance(route, Mount):
            within = prefix + str(context.path)
            yield from _roles(route.routes, within) if route.routes else [("GET", f"{within}/{{path}}", "")]
        else:
            yield "GET", path, ""


def _path(route: Any) -> str:
    """A route's path, its parameters without the way they are converted."""
    return str(getattr(route, "path_format", None) or getattr(route, "path", route))


def _role(dependant: Any) -> str:
    """The highest role among a route's dependencies, however deep."""
    found = set()
    waiting = list(dependant.dependencies)
    while waiting:
        each = waiting.pop()
        waiting.extend(each.dependencies)
        if isinstance(each.call, Requirement | Open):
            found.add(each.call.role)
    named = [role for role in ROLES if role in found]
    return named[-1] if named else ANYONE if ANYONE in found else ""
