"""/users, /tokens and /audit: for who administers."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from edge.page.access.guard import access_of, require
from edge.page.access.roles import Identity
from edge.page.access.routes.forms import (
    AuditOut,
    IssuedTokenOut,
    IssuedUserOut,
    Items,
    TokenIn,
    TokenOut,
    UserChangeIn,
    UserIn,
    UserOut,
    utc,
    utc_or_none,
)
from edge.page.problems import Problem

if TYPE_CHECKING:
    from edge.page.access.access import Access
    from edge.page.access.accounts.tokens import Token
    from edge.page.access.accounts.users import User

administration = APIRouter(tags=["administration"])
Administrator = Annotated[Identity, Depends(require("administer"))]


@administration.get("/users")
def users(request: Request, _: Administrator) -> Items[UserOut]:
    """All users, by name."""
    access = access_of(request)
    return Items(items=[] if access.demo else [_user(each) for each in access.users.all()])


@administration.post("/users", status_code=201)
def add_user(form: UserIn, request: Request, by: Administrator) -> IssuedUserOut:
    """Make a user; the one-time secret is for them, who set their own password with it (POST /session/first)."""
    access = _with_users(request)
    user = access.users.add(form.name, form.role)
    secret, expires = access.once.issue(user.id)
    access.audit.add("user-added", by.name, _address(request), f"{user.name} ({user.role})")
    return IssuedUserOut(user=_user(user), secret=secret, expires=utc(expires))


@administration.patch("/users/{name}")
def change_user(name: str, form: UserChangeIn, request: Request, by: Administrator) -> IssuedUserOut:
    """Another role, or a new password: every session of the user ends."""
    access = _with_users(request)
    user = access.users.named(name)
    if form.reset and user.name == by.name.partition("/")[0]:
        raise Problem(409, "own-password", "one's own password is changed by POST /session/password")
    if form.role is not None and form.role != user.role:
        access.users.set_role(user, form.role)
        access.audit.add("role-changed", by.name, _address(request), f"{user.name}: {user.role} -> {form.role}")
    if not form.reset:
        return IssuedUserOut(user=_user(access.users.named(name)))
    access.users.set_password(user, None)
    secret, expires = access.once.issue(user.id)
    access.audit.add("password-reset", by.name, _address(request), user.name)
    return IssuedUserOut(user=_user(access.users.named(name)), secret=secret, expires=utc(expires))


@administration.delete("/users/{name}", status_code=204)
def remove_user(name: str, request: Request, by: Administrator) -> Response:
    """End an account with its sessions and tokens; its name stays taken, since it stands in the record."""
    access = _with_users(request)
    user = access.users.named(name)
    access.users.remove(user)
    access.audit.add("user-removed", by.name, _address(request), user.name)
    return Response(status_code=204)


@administration.get("/tokens")
def tokens(request: Request, _: Administrator) -> Items[TokenOut]:
    """All tokens, expired ones too; never their secrets."""
    access = access_of(request)
    return Items(items=[] if access.demo else [_token(each) for each in access.tokens.all()])


@administration.post("/tokens", status_code=201)
def add_token(form: TokenIn, request: Request, by: Administrator) -> IssuedTokenOut:
    """Make a token of one's own for a program; the record names it `OWNER/LABEL`."""
    access = _with_users(request)
    if by.kind == "token":
        raise Problem(403, "token", "a token makes no token")
    token, secret = access.tokens.add(access.users.named(by.name), form.label, form.role, form.days)
    access.audit.add("token-added", by.name, _address(request), f"{token.name} ({token.role}, {form.days} days)")
    return IssuedTokenOut(token=_token(token), secret=secret)


@administration.delete("/tokens/{identifier}", status_code=204)
def revoke_token(identifier: str, request: Request, by: Administrator) -> Response:
    """Revoke a token; it holds no longer from now on."""
    access = _with_users(request)
    token = access.tokens.revoke(identifier)
    access.audit.add("token-revoked", by.name, _address(request), token.name)
    return Response(status_code=204)


@administration.get("/audit")
def audit(
    request: Request,
    _: Administrator,
    cursor: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Items[AuditOut]:
    """Logins, failed ones, and changes of users and tokens, newest first."""
    access = access_of(request)
    found = [] if access.demo else access.audit.newest(limit + 1, cursor)
    following = str(found[limit - 1]["number"]) if len(found) > limit else None
    return Items(items=[AuditOut.model_validate(each) for each in found[:limit]], next=following)


def _with_users(request: Request) -> "Access":
    access = access_of(request)
    if access.demo:
        raise Problem(409, "demo", "the demo has no users")
    return access


def _user(user: "User") -> UserOut:
    return UserOut(
        name=user.name,
        role=user.role,
        pending=user.password is None,
        created=utc(user.created),
        seen=utc_or_none(user.seen),
    )


def _token(token: "Token") -> TokenOut:
    return TokenOut(
        id=token.id,
        owner=token.owner,
        label=token.label,
        role=token.effective,
        created=utc(token.created),
        expires=utc(token.expires),
        used=utc_or_none(token.used),
    )


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""
