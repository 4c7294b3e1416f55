"""What the routes of access take and give."""

from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from edge.page.access.roles import Role

_Item = TypeVar("_Item")
Name = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=1, max_length=256)]


def utc(seconds: float) -> str:
    """Seconds since 1970 as an ISO 8601 time in UTC.

    >>> utc(0.0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def utc_or_none(seconds: float | None) -> str | None:
    """As `utc`; None stays None."""
    return None if seconds is None else utc(seconds)


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Items(BaseModel, Generic[_Item]):
    """A list, and the cursor of what follows; None at its end."""

    items: list[_Item]
    next: str | None = None


class LoginIn(_In):
    """A name and its password."""

    name: Name
    password: Password


class FirstIn(_In):
    """A one-time secret, and the name and password that it sets."""

    secret: Annotated[str, Field(min_length=1, max_length=64)]
    name: Name
    password: Password


class PasswordIn(_In):
    """The password of now and the one to come."""

    old: Password
    new: Password


class UserIn(_In):
    """A user to be made."""

    name: Name
    role: Role


class UserChangeIn(_In):
    """What is to change about a user: another role, or `reset` for a one-time secret that sets a new password."""

    role: Role | None = None
    reset: bool = False


class TokenIn(_In):
    """A token to be made; it ends after so many days."""

    label: Name
    role: Role
    days: Annotated[int, Field(ge=1, le=366)] = 90


class WhoOut(BaseModel):
    """Who is logged in."""

    name: str
    role: Role


class SessionOut(BaseModel):
    """The state of a browser's session.

    Attributes:
        user: None where nobody is logged in.
        csrf: what the header X-Leukoscope-CSRF of a change holds; "" where nobody is logged in, and for a token.
        kind: session, token or demo; None where nobody is logged in.
        first: the first account that administers is to be made with the secret of `edge page --first-secret`.
        expires: when this session ends at the latest, UTC. idle_minutes: after so long without use it ends.
        fingerprint: SHA-256 of the page's certificate, AB:CD:...; "" without TLS. generated: it was made here.
    """

    user: WhoOut | None = None
    csrf: str = ""
    kind: Literal["session", "token", "demo"] | None = None
    first: bool = False
    expires: str | None = None
    idle_minutes: float | None = None
    fingerprint: str = ""
    generated: bool = False


class UserOut(BaseModel):
    """A user. `pending`: no password is set yet. Times are UTC."""

    name: str
    role: Role
    pending: bool
    created: str
    seen: str | None


class IssuedUserOut(BaseModel):
    """A user, and the one-time secret that sets the password, shown once; None where none was asked for."""

    user: UserOut
    secret: str | None = None
    expires: str | None = None


class TokenOut(BaseModel):
    """A token. `role` is what it may do now, never more than its owner. Times are UTC."""

    id: str
    owner: str
    label: str
    role: Role
    created: str
    expires: str
    used: str | None


class IssuedTokenOut(BaseModel):
    """A token and its secret, shown once: `Authorization: Bearer SECRET`."""

    token: TokenOut
    secret: str


class AuditOut(BaseModel):
    """One entry of the audit log."""

    number: int
    utc: str
    what: str
    by: str
    address: str
    detail: str
