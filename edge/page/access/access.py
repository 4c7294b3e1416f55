"""Access to the page: who asks, how somebody gets in, and what an app needs so that everybody is asked."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from edge.errors import NobodyCanLogIn, PageFolderError, UsageError
from edge.page.access.accounts.audit_log import AuditLog
from edge.page.access.accounts.database import Database, hashed
from edge.page.access.accounts.devices import Devices
from edge.page.access.accounts.lanes import Lane, Lanes
from edge.page.access.accounts.once import Once
from edge.page.access.accounts.passwords import FEWEST_PASSES, Passwords, measured_passes, require_password
from edge.page.access.accounts.sessions import Sessions, csrf_of
from edge.page.access.accounts.throttle import LONGEST_KNOWN_S, LONGEST_S, Throttle, is_local, network_of
from edge.page.access.accounts.tokens import Tokens
from edge.page.access.accounts.users import User, Users
from edge.page.access.roles import Identity
from edge.page.access.wire.tls import PageTls
from edge.page.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from edge.settings.page import PageSettings

_log = logging.getLogger(__name__)
_PASSES = "argon2 passes"
UNKNOWN = "unknown name"


@dataclass(frozen=True)
class Login:
    """A login that succeeded: the cookies that its answer sets. `device` is "" where the browser keeps its own."""

    user: User
    session: str
    device: str


class Access:
    """Who may use a page: users, sessions and tokens in the page's folder, or on loopback nobody is asked (`demo`).

    Args:
        settings: [page] of the profile.
        demo: no login; every caller is "demo" and may do everything. Nothing is written.
        now: seconds since 1970. passwords: how they are hashed; None as was measured when the first account was made.

    Raises:
        UsageError: `demo` on an address that others reach. PageFolderError: the folder cannot be used.
        CertificateError: the site's certificate cannot be used.
    """

    def __init__(
        self,
        settings: "PageSettings",
        *,
        demo: bool = False,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        passwords: Passwords | None = None,
    ) -> None:
        if demo and not settings.loopback:
            raise UsageError(f"--demo asks for no login, so it is served on loopback alone; got {settings.host}")
        self.settings, self.demo = settings, demo
        self.tls: PageTls | None = None
        self._demo = Identity("demo", "administer", "demo", csrf=secrets.token_urlsafe(32))
        self.cookie, self.device_cookie = _cookie_names(settings)
        if demo:
            self.tls = PageTls(settings) if settings.tls else None
            return
        self.db = Database(settings.state)
        self.users, self.tokens = Users(self.db, now), Tokens(self.db, now)
        self.sessions = Sessions(self.db, settings.idle_minutes * 60, settings.session_hours * 3600, now)
        self.devices, self.once = Devices(self.db, now), Once(self.db, now)
        self.audit = AuditLog(settings.state, now)
        self.throttle, self.lanes = Throttle(monotonic), Lanes()
        self.tls = PageTls(settings) if settings.tls else None  # after the folder was made
        self._measured = passwords is None
        self.passwords = passwords or Passwords(self.db.parameter(_PASSES, FEWEST_PASSES))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the page runs: a certificate is renewed in time."""
        keeping = asyncio.create_task(self.tls.keep()) if self.tls is not None else None
        try:
            yield
        finally:
            if keeping is not None:
                keeping.cancel()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, AB:CD:...; "" without TLS."""
        return self.tls.certificate.fingerprint if self.tls is not None else ""

    @property
    def generated(self) -> bool:
        """Whether the certificate was made here, so that its fingerprint must be compared."""
        return self.tls is not None and self.tls.certificate.generated

    async def identify(self, connection: "HTTPConnection") -> Identity | None:
        """Who asks, by token or cookie; None where nobody is logged in."""
        if self.demo:
            return self._demo
        authorization = connection.headers.get("authorization")
        if authorization is not None:  # a token that does not hold is not helped by a cookie
            scheme, _, secret = authorization.partition(" ")
            return await self._by_token(secret.strip()) if scheme.lower() == "bearer" else None
        cookie = connection.cookies.get(self.cookie, "")
        session = self.sessions.find(cookie) if cookie else None
        if session is None:
            return None
        if session.stale:
            await self._touched(lambda: self.sessions.touch(session.reference))
        return Identity(session.name, session.role, "session", session.reference, csrf_of(cookie))

    async def still_valid(self, identity: Identity) -> bool:
        """Whether an identity that was found before still is one: ask it now and then while a socket is open.

        A session that is open in a browser counts as used.
        """
        if identity.kind == "demo":
            return self.demo
        if identity.kind == "token":
            token = self.tokens.of(identity.reference)
            return token is not None and token.effective == identity.role
        session = self.sessions.of(identity.reference)
        if session is not None and session.stale:
            await self._touched(lambda: self.sessions.touch(identity.reference))
        return session is not None and session.role == identity.role

    async def log_in(self, name: str, password: str, connection: "HTTPConnection") -> Login:
        """A session for a name and its password.

        Raises:
            Problem: 401 a wrong name or password, which takes as long; 429 too many wrong ones; 503 too many at once.
        """
        user = self.users.find(name)
        known = await self._attempt(user, connection, [f"user {name.casefold()}"])
        stored = user.password if user is not None else None
        right = await self._lane(connection, known).run(lambda: self.passwords.verify(stored, password))
        current = self.users.find(name)
        if not right or user is None or current is None or current.password != stored:
            why = "wrong password" if user is not None else UNKNOWN
            await run_in_threadpool(self.audit.failed, _shown(user), _address(connection), why)
            raise Problem(401, "wrong-login", "the name or the password is wrong")
        self._forgive(known)
        if self.passwords.outdated(current.password or ""):
            fresh = await self.lanes.known.run(lambda: self.passwords.hash(password))
            await run_in_threadpool(self.users.rehash, current, fresh)
        return await self._begin(current, connection, "login")

    async def first(self, code: str, name: str, password: str, connection: "HTTPConnection") -> Login:
        """The first account that administers, or a new password, by a one-time secret, and a session for it.

        Raises:
            Problem: 401 a secret that is none, was used or expired, or is another user's; 409 there is an account that
                administers; 422 a name or password that is not taken; 429, 503 as `log_in`.
        """
        # By address alone: a secret of 125 bits is not guessed, and a stranger must not hold up the first start.
        known = await self._attempt(None, connection, [])
        pending = self.once.find(code)
        user = self._user_of(pending.user) if pending is not None and pending.user is not None else None
        named = user is None or user.name.casefold() == name.casefold()
        if pending is None or not named or (pending.user is not None and user is None):
            shown = _shown(self.users.find(name))
            await run_in_threadpool(self.audit.failed, shown, _address(connection), "wrong one-time secret")
            raise Problem(401, "wrong-secret", "that one-time secret is none, was used, or is another user's")
        self._forgive(known)
        if user is None and self.users.administered():
            raise Problem(409, "administered", "there is an account that administers: log in with it")
        if user is None:
            self.users.require_free(name)
        taken = require_password(name, password)
        if user is None and self._measured:
            passes = await self.lanes.known.run(measured_passes)
            await run_in_threadpool(self.db.set_parameter, _PASSES, passes)
            self.passwords = Passwords(passes)
        stored = await self.lanes.known.run(lambda: self.passwords.hash(taken))
        if not await run_in_threadpool(self.once.use, code):
            raise Problem(401, "wrong-secret", "that one-time secret was used just now")
        if user is None:
            user = await run_in_threadpool(self.users.add, name, "administer", stored)
            return await self._begin(user, connection, "first-account")
        await run_in_threadpool(self.users.set_password, user, stored)
        return await self._begin(user, connection, "password-set")

    async def change_password(self, identity: Identity, old: str, new: str, connection: "HTTPConnection") -> Login:
        """Another password for whoever is logged in, whose sessions all end, and a new session.

        Raises:
            Problem: 401 a wrong old one; 403 a token or the demo has no password; 422 a new one that is not taken; 429.
        """
        user = self.users.find(identity.name) if identity.kind == "session" else None
        if user is None:
            raise Problem(403, "no-password", "only a user who is logged in has a password to change")
        self._take([f"password {user.id}"], LONGEST_KNOWN_S)
        if not await self.lanes.known.run(lambda: self.passwords.verify(user.password, old)):
            await run_in_threadpool(self.audit.failed, user.name, _address(connection), "wrong old password")
            raise Problem(401, "wrong-login", "the old password is wrong")
        self.throttle.forgive(f"password {user.id}", wholly=True)
        taken = require_password(user.name, new)
        stored = await self.lanes.known.run(lambda: self.passwords.hash(taken))
        await run_in_threadpool(self.users.set_password, user, stored)
        return await self._begin(user, connection, "password-changed")

    async def log_out(self, identity: Identity, connection: "HTTPConnection") -> None:
        """End the session of an identity."""
        if identity.kind == "session":
            await run_in_threadpool(self.sessions.end, identity.reference)
            await run_in_threadpool(self.audit.add, "logout", identity.name, _address(connection))

    def first_secret(self, by: str) -> tuple[str, float]:
        """A one-time secret that makes the first account that administers, and when it expires, seconds since 1970.

        Raises:
            UsageError: there is such an account.
        """
        if self.users.administered():
            raise UsageError(
                "--first-secret is for a page without an account that administers, and this one has one; "
                "--reset-password NAME lets a user set a new password"
            )
        issued = self.once.issue(None)
        self.audit.add("first-secret", by)
        return issued

    def reset_password(self, name: str, by: str) -> tuple[str, float]:
        """A one-time secret with which a user sets a new password; the old one and every session of the user end.

        Raises:
            UsageError: no such user.
        """
        user = self.users.find(name)
        if user is None:
            names = ", ".join(each.name for each in self.users.all()) or "none"
            raise UsageError(f"--reset-password must name a user of the page ({names}); got {name!r}")
        self.users.set_password(user, None)
        issued = self.once.issue(user.id)
        self.audit.add("password-reset", by, detail=user.name)
        return issued

    def require_ready(self) -> None:
        """NobodyCanLogIn where others could reach a page on which nobody can log in yet."""
        if not self.demo and not self.settings.loopback and not self.users.administered():
            if self.once.pending():
                return
            raise NobodyCanLogIn(
                f"page.host {self.settings.host} is reached by others, and nobody can log in yet: run "
                "`edge page --first-secret` first"
            )

    def close(self) -> None:
        """Close the files."""
        if not self.demo:
            self.db.close()

    async def _by_token(self, secret: str) -> Identity | None:
        token = self.tokens.find(secret)
        if token is None:
            return None
        if self.tokens.stale(token):
            await self._touched(lambda: self.tokens.touch(token))
        return Identity(token.name, token.effective, "token", token.id)

    async def _touched(self, store: Callable[[], None]) -> None:
        with suppress(PageFolderError):  # a full disk logs nobody out
            await run_in_threadpool(store)

    async def _attempt(self, user: User | None, connection: "HTTPConnection", more: list[str]) -> "_Keys":
        """The keys that an attempt to get in counts against; Problem 429 where it comes too early.

        Args:
            more: keys beside the address, of an attempt from a device that nobody knows.
        """
        address = _address(connection)
        device = connection.cookies.get(self.device_cookie, "")
        if is_local(address):
            keys = _Keys("local", ["this machine"])
        elif user is not None and device and self.devices.knows(device, user.id):
            keys = _Keys("device", [f"device {hashed(device).hex()}"])
        else:
            keys = _Keys("others", [*more, f"address {network_of(address)}"])
        try:
            self._take(keys.keys, LONGEST_S if keys.kind == "others" else LONGEST_KNOWN_S)
        except Problem:
            await run_in_threadpool(self.audit.failed, _shown(user), address, "too early")
            raise
        return keys

    def _take(self, keys: list[str], longest_s: float) -> None:
        wait = self.throttle.take(keys, longest_s)
        if wait > 0:
            seconds = max(1, int(-(-wait // 1)))
            detail = f"too many wrong passwords: try again in {seconds} s, or from a device that logged in before"
            raise Problem(429, "too-many-logins", detail, headers={"Retry-After": str(seconds)})

    def _forgive(self, known: "_Keys") -> None:
        for key in known.keys:  # one right password of somebody's own does not clear an address that tries others'
            self.throttle.forgive(key, wholly=not key.startswith("address "))

    def _lane(self, connection: "HTTPConnection", known: "_Keys") -> Lane:
        return self.lanes.others if known.kind == "others" else self.lanes.known

    def _user_of(self, identifier: int) -> User | None:
        return next((user for user in self.users.all() if user.id == identifier), None)

    async def _begin(self, user: User, connection: "HTTPConnection", what: str) -> Login:
        """A session under a new cookie; the one that the browser had ends, so that nobody can plant one."""
        before = connection.cookies.get(self.cookie, "")
        device = connection.cookies.get(self.device_cookie, "")

        def begin() -> Login:
            if before:
                self.sessions.end(hashed(before).hex())
            session = self.sessions.begin(user)
            known = device and self.devices.knows(device, user.id)
            cookie = "" if known else self.devices.remember(user.id)
            self.audit.add(what, user.name, _address(connection))
            return Login(user, session, cookie)

        return await run_in_threadpool(begin)


@dataclass(frozen=True)
class _Keys:
    kind: str  # local, device or others
    keys: list[str]


def _shown(user: User | None) -> str:
    """What the audit log says of a name that was typed: a password ends up in its field now and then."""
    return user.name if user is not None else ""


def _cookie_names(settings: "PageSettings") -> tuple[str, str]:
    """Names of the session's and the device's cookie. Browsers tie `__Host-` to https and this host; ports share
    cookies, so on http, which is loopback alone, the name has the port."""
    session = "__Host-leukoscope" if settings.tls else f"leukoscope-{settings.port}"
    return session, f"{session}-device"


def _address(connection: "HTTPConnection") -> str:
    return connection.client.host if connection.client is not None else ""
