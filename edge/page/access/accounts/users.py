"""Users of the page: a name, a role and the hash of a password. A name that was used once belongs to nobody else."""

import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.page.access.accounts.database import Database
from edge.page.access.roles import Role
from edge.page.problems import Problem

NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}"
)  # with a token's label at most the 64 that a command's `by` may have
NAME_IN_WORDS = "1 to 40 of A-Z a-z 0-9 . _ @ -, the first a letter or digit"
RESERVED = frozenset({"demo", "anyone", "instrument"})  # what the record says where no user asked
MOST_USERS = 500


@dataclass(frozen=True)
class User:
    """A user as stored. `password` is an argon2 hash, None until a one-time secret was used to set one.

    Attributes:
        created, seen: seconds since 1970; `seen` is the last login, None before the first.
    """

    id: int
    name: str
    role: Role
    password: str | None
    created: float
    seen: float | None = None


_COLUMNS = "id, name, role, password, created, seen"


class Users:
    """The users in a database. Names differ by more than capitals, so that nobody passes for another in the record."""

    def __init__(self, db: Database, now: Callable[[], float] = time.time) -> None:
        self._db, self._now = db, now

    def all(self) -> list[User]:
        """By name."""
        return [
            User(*row) for row in self._db.rows(f"SELECT {_COLUMNS} FROM users WHERE removed IS NULL ORDER BY folded")
        ]

    def find(self, name: str) -> User | None:
        """The user of a name, in any capitals; None where there is none, or none any more."""
        sql = f"SELECT {_COLUMNS} FROM users WHERE folded = ? AND removed IS NULL"
        return next((User(*row) for row in self._db.rows(sql, [name.casefold()])), None)

    def named(self, name: str) -> User:
        """As `find`; Problem 404 where there is none."""
        user = self.find(name)
        if user is None:
            raise Problem(404, "no-user", "there is no user of that name")
        return user

    def administered(self) -> bool:
        """Whether somebody can log in who may administer."""
        sql = "SELECT 1 FROM users WHERE removed IS NULL AND role = 'administer' AND password IS NOT NULL LIMIT 1"
        return bool(self._db.rows(sql))

    def require_free(self, name: str) -> None:
        """Problem 422 for a name that is none, 409 for one that is or was used."""
        if not NAME.fullmatch(name):
            raise Problem(422, "wrong-name", f"a user's name must be {NAME_IN_WORDS}")
        taken = self._db.rows("SELECT removed FROM users WHERE folded = ?", [name.casefold()])
        if taken or name.casefold() in RESERVED:
            removed = taken and taken[0][0] is not None
            why = "was used before and stands in the record" if removed else "is in use"
            raise Problem(409, "name-taken", f"that name {why}: choose another")

    def add(self, name: str, role: Role, password: str | None = None) -> User:
        """A new user. Problem as `require_free`, and 409 for too many."""
        self.require_free(name)
        with self._db.change() as db:
            [count] = db.execute("SELECT count(*) FROM users WHERE removed IS NULL").fetchone()
            if count >= MOST_USERS:
                raise Problem(409, "too-many-users", f"the page has {MOST_USERS} users, which is the most")
            added = db.execute(
                "INSERT INTO users (name, folded, role, password, created) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                [name, name.casefold(), role, password, self._now()],
            )
            if not added.rowcount:
                raise Problem(409, "name-taken", "that name is in use: choose another")
        return self.named(name)

    def set_password(self, user: User, password: str | None) -> None:
        """A new hash, or None: no login until a one-time secret is used. Sessions and known devices of the user end."""
        with self._db.change() as db:
            db.execute("UPDATE users SET password = ? WHERE id = ?", [password, user.id])
            db.execute("DELETE FROM sessions WHERE user = ?", [user.id])
            db.execute("DELETE FROM devices WHERE user = ?", [user.id])
            db.execute("DELETE FROM once WHERE user = ?", [user.id])

    def rehash(self, user: User, password: str) -> None:
        """The same password under the parameters of today; nothing ends."""
        with self._db.change() as db:
            db.execute("UPDATE users SET password = ? WHERE id = ?", [password, user.id])

    def set_role(self, user: User, role: Role) -> None:
        """Another role; sessions end. Problem 409 where nobody would be left who administers."""
        with self._db.change() as db:
            db.execute("UPDATE users SET role = ? WHERE id = ?", [role, user.id])
            db.execute("DELETE FROM sessions WHERE user = ?", [user.id])
            _require_administered(db)

    def remove(self, user: User) -> None:
        """End an account with all its sessions and tokens; its name stays taken. Problem 409 as `set_role`."""
        with self._db.change() as db:
            db.execute("UPDATE users SET removed = ?, password = NULL WHERE id = ?", [self._now(), user.id])
            for table in ("sessions", "tokens", "devices", "once"):
                db.execute(f"DELETE FROM {table} WHERE user = ?", [user.id])
            _require_administered(db)


def _require_administered(db: sqlite3.Connection) -> None:
    sql = "SELECT 1 FROM users WHERE removed IS NULL AND role = 'administer' AND password IS NOT NULL LIMIT 1"
    if db.execute(sql).fetchone() is None:
        raise Problem(409, "last-administrator", "somebody must be left who administers; make another one first")
