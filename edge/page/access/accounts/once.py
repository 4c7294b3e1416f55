"""One-time secrets: of the first start, for the first account that administers, and those that set a password."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.page.access.accounts.database import Database, hashed

VALID_S = 24 * 3600.0
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none looks like another
_GROUPS, _GROUP = 5, 5  # 32^25: 125 bits


def new_code() -> str:
    """125 random bits to be typed from a terminal into a browser: XXXXX-XXXXX-XXXXX-XXXXX-XXXXX."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def plain(code: str) -> str:
    """A code as typed, without what people add or leave out.

    >>> plain(" ab2c-d ef ")
    'AB2CDEF'
    """
    return "".join(letter for letter in code.upper() if letter in _LETTERS)


@dataclass(frozen=True)
class Pending:
    """What a code is for: `user` None makes the first account that administers, else it sets that user's password."""

    user: int | None
    expires: float


class Once:
    """The pending codes in a database: one of the first start, and one a user; a new one ends the one before."""

    def __init__(self, db: Database, now: Callable[[], float] = time.time) -> None:
        self._db, self._now = db, now

    def issue(self, user: int | None) -> tuple[str, float]:
        """A new code and when it expires, seconds since 1970. It is shown once and stored as a hash."""
        code, expires = new_code(), self._now() + VALID_S
        with self._db.change() as db:
            db.execute("DELETE FROM once WHERE user IS ? OR expires <= ?", [user, self._now()])
            db.execute("INSERT INTO once VALUES (?, ?, ?)", [hashed(plain(code)), user, expires])
        return code, expires

    def find(self, code: str) -> Pending | None:
        """What a code is for; None where it is none, was used, or has expired."""
        rows = self._db.rows("SELECT user, expires FROM once WHERE hash = ?", [hashed(plain(code))])
        return next((Pending(*row) for row in rows if self._holds(row[1])), None)

    def use(self, code: str) -> bool:
        """Spend a code; False where another request was faster."""
        with self._db.change() as db:
            return bool(db.execute("DELETE FROM once WHERE hash = ?", [hashed(plain(code))]).rowcount)

    def first_pending(self) -> bool:
        """Whether a code of the first start waits to be used."""
        return any(self._holds(row[0]) for row in self._db.rows("SELECT expires FROM once WHERE user IS NULL"))

    def pending(self) -> bool:
        """Whether any code waits to be used."""
        return any(self._holds(row[0]) for row in self._db.rows("SELECT expires FROM once"))

    def _holds(self, expires: float) -> bool:
        return (
            self._now() < expires <= self._now() + VALID_S + 300
        )  # neither expired, nor from before the clock went back
