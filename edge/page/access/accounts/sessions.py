"""Sessions of browsers: a random cookie whose hash is stored, that ends unused, after hours, and when it is revoked."""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.page.access.accounts.database import Database, hashed, new_secret
from edge.page.access.accounts.users import User
from edge.page.access.roles import Role

MOST_SESSIONS = 20  # of a user; the one unused longest ends for a new one
TOUCH_S = 60.0  # how exactly a use is stored
CLOCK_BACK_S = 300.0  # a clock that went back further ends sessions, as they could outlive their hours


@dataclass(frozen=True)
class Session:
    """A session that holds. `reference` is the hexadecimal hash of its cookie; `stale`: its use should be stored."""

    reference: str
    user: int
    name: str
    role: Role
    created: float
    expires: float
    stale: bool


def csrf_of(cookie: str) -> str:
    """What a change repeats in its header: follows from the cookie, which no script can read."""
    return hmac.new(cookie.encode(), b"leukoscope csrf", hashlib.sha256).hexdigest()


class Sessions:
    """The sessions in a database.

    Args:
        idle_s: an unused session ends after so long. hours_s: any session ends after so long.
        now: seconds since 1970.
    """

    def __init__(self, db: Database, idle_s: float, longest_s: float, now: Callable[[], float] = time.time) -> None:
        self._db, self._idle_s, self._longest_s, self._now = db, idle_s, longest_s, now

    def begin(self, user: User) -> str:
        """A new session; the cookie's value."""
        cookie, now = new_secret(), self._now()
        with self._db.change() as db:
            db.execute(
                "DELETE FROM sessions WHERE used < ? OR created < ?", [now - self._idle_s, now - self._longest_s]
            )
            db.execute(
                "DELETE FROM sessions WHERE user = ? AND hash NOT IN"
                " (SELECT hash FROM sessions WHERE user = ? ORDER BY used DESC, hash LIMIT ?)",
                [user.id, user.id, MOST_SESSIONS - 1],
            )
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", [hashed(cookie), user.id, now, now])
            db.execute("UPDATE users SET seen = ? WHERE id = ?", [now, user.id])
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie; None where there is none that holds."""
        return self.of(hashed(cookie).hex())

    def of(self, reference: str) -> Session | None:
        """The session of a reference; None where there is none that holds."""
        sql = (
            "SELECT users.id, users.name, users.role, sessions.created, sessions.used FROM sessions"
            " JOIN users ON users.id = sessions.user WHERE sessions.hash = ? AND users.removed IS NULL"
        )
        for user, name, role, created, used in self._db.rows(sql, [bytes.fromhex(reference)]):
            now, expires = self._now(), created + self._longest_s
            if max(created, used) - CLOCK_BACK_S <= now < min(expires, used + self._idle_s):
                return Session(reference, user, name, role, created, expires, now - used >= TOUCH_S)
        return None

    def touch(self, reference: str) -> None:
        """Note that a session is in use."""
        with self._db.change() as db:
            db.execute("UPDATE sessions SET used = ? WHERE hash = ?", [self._now(), bytes.fromhex(reference)])

    def end(self, reference: str) -> None:
        """Revoke one session."""
        with self._db.change() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", [bytes.fromhex(reference)])
