"""/session: login, logout, and the password of whoever is logged in."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request, Response

from edge.page.access.accounts.devices import VALID_S
from edge.page.access.accounts.sessions import csrf_of
from edge.page.access.guard import access_of, anyone, require
from edge.page.access.roles import Identity
from edge.page.access.routes.forms import FirstIn, LoginIn, PasswordIn, SessionOut, WhoOut, utc
from edge.page.problems import Problem

if TYPE_CHECKING:
    from edge.page.access.access import Access, Login

session_routes = APIRouter(prefix="/session", tags=["session"])
_OPEN = [Depends(anyone)]


@session_routes.get("", dependencies=_OPEN)
async def session(request: Request) -> SessionOut:
    """Who is logged in here, and what a change needs; also before a login."""
    access = access_of(request)
    identity = await access.identify(request)
    if identity is None:
        first = access.once.first_pending() and not access.users.administered()
        return SessionOut(first=first, fingerprint=access.fingerprint, generated=access.generated)
    return _shown(access, identity)


@session_routes.post("", status_code=201, dependencies=_OPEN)
async def log_in(form: LoginIn, request: Request, response: Response) -> SessionOut:
    """Log in: sets the session's cookie."""
    access = _with_users(request)
    return _begun(access, response, await access.log_in(form.name, form.password, request))


@session_routes.post("/first", status_code=201, dependencies=_OPEN)
async def first(form: FirstIn, request: Request, response: Response) -> SessionOut:
    """Use a one-time secret: make the first account that administers, or set the password of one's own; and log in."""
    access = _with_users(request)
    return _begun(access, response, await access.first(form.secret, form.name, form.password, request))


@session_routes.delete("", status_code=204)
async def log_out(request: Request, user: Annotated[Identity, Depends(require("look"))]) -> Response:
    """Log out: the session ends here and its cookie in the browser."""
    access = access_of(request)
    if access.demo:
        raise Problem(409, "demo", "the demo has no login")
    await access.log_out(user, request)
    response = Response(status_code=204)
    response.delete_cookie(access.cookie, path="/", secure=access.settings.tls, httponly=True, samesite="strict")
    return response


@session_routes.post("/password")
async def change_password(
    form: PasswordIn, request: Request, response: Response, user: Annotated[Identity, Depends(require("look"))]
) -> SessionOut:
    """Set another password of one's own: every session of the user ends, and this browser gets a new one."""
    access = _with_users(request)
    return _begun(access, response, await access.change_password(user, form.old, form.new, request))


def _with_users(request: Request) -> "Access":
    access = access_of(request)
    if access.demo:
        raise Problem(409, "demo", "the demo has no login")
    return access


def _begun(access: "Access", response: Response, login: "Login") -> SessionOut:
    """The session of a login, and its cookies on the response."""

    def set_cookie(name: str, value: str, max_age: int | None) -> None:
        secure = access.settings.tls
        response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="strict")

    set_cookie(access.cookie, login.session, None)
    if login.device:
        set_cookie(access.device_cookie, login.device, int(VALID_S))
    found = access.sessions.find(login.session)
    if found is None:  # removed in the same moment
        raise Problem(401, "login-required", "log in first")
    identity = Identity(found.name, found.role, "session", found.reference, csrf_of(login.session))
    return _shown(access, identity)


def _shown(access: "Access", identity: Identity) -> SessionOut:
    ends = access.sessions.of(identity.reference) if identity.kind == "session" else None
    return SessionOut(
        user=WhoOut(name=identity.name, role=identity.role),
        csrf=identity.csrf,
        kind=identity.kind,
        expires=utc(ends.expires) if ends is not None else None,
        idle_minutes=access.settings.idle_minutes if ends is not None else None,
        fingerprint=access.fingerprint,
        generated=access.generated,
    )
