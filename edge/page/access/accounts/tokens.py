"""Tokens for programs: shown once, stored as a hash, with a role and an end."""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.page.access.accounts.database import Database, hashed, new_secret
from edge.page.access.accounts.users import User
from edge.page.access.roles import Role, covers
from edge.page.problems import Problem

PREFIX = "leukoscope_"  # so that a scanner for leaked secrets knows one
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,22}")
LABEL_IN_WORDS = "1 to 23 of A-Z a-z 0-9 . _ -, the first a letter or digit"
MOST_TOKENS = 50  # of a user
MOST_DAYS = 366
TOUCH_S = 3600.0


@dataclass(frozen=True)
class Token:
    """A token as stored; the record names it `OWNER/LABEL`. `role` is what it was made with.

    Attributes:
        created, expires, used: seconds since 1970; `used` None before the first use, and exact to the hour.
    """

    id: str
    owner: str
    label: str
    role: Role
    created: float
    expires: float
    used: float | None
    owner_role: Role = "look"

    @property
    def name(self) -> str:
        """Who the record says it was."""
        return f"{self.owner}/{self.label}"

    @property
    def effective(self) -> Role:
        """What it may do: never more than its owner may now."""
        return self.role if covers(self.owner_role, self.role) else self.owner_role


_SELECT = (
    "SELECT tokens.id, users.name, tokens.label, tokens.role, tokens.created, tokens.expires, tokens.used, users.role"
    " FROM tokens JOIN users ON users.id = tokens.user WHERE users.removed IS NULL"
)


class Tokens:
    """The tokens in a database."""

    def __init__(self, db: Database, now: Callable[[], float] = time.time) -> None:
        self._db, self._now = db, now

    def all(self) -> list[Token]:
        """By owner and label, expired ones too."""
        return [Token(*row) for row in self._db.rows(f"{_SELECT} ORDER BY users.folded, tokens.label, tokens.id")]

    def add(self, owner: User, label: str, role: Role, days: int) -> tuple[Token, str]:
        """A new token and its secret, which is not stored. Problem 422 for a label that is none, 403 for a role above
        the owner's, 409 for a label in use or too many."""
        if not LABEL.fullmatch(label):
            raise Problem(422, "wrong-label", f"a token's label must be {LABEL_IN_WORDS}")
        if not covers(owner.role, role):
            raise Problem(403, "role-required", f"a token of {owner.name} may have {owner.role} at most")
        identifier, secret, now = secrets.token_hex(8), PREFIX + new_secret(), self._now()
        with self._db.change() as db:
            labels = [row[0] for row in db.execute("SELECT label FROM tokens WHERE user = ?", [owner.id])]
            if label.casefold() in {each.casefold() for each in labels}:
                raise Problem(
                    409, "label-taken", f"{owner.name} has a token of that label: revoke it or choose another"
                )
            if len(labels) >= MOST_TOKENS:
                raise Problem(409, "too-many-tokens", f"{owner.name} has {MOST_TOKENS} tokens, which is the most")
            db.execute(
                "INSERT INTO tokens (id, hash, user, label, role, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [identifier, hashed(secret), owner.id, label, role, now, now + days * 86_400],
            )
        return self.named(identifier), secret

    def named(self, identifier: str) -> Token:
        """The token of an identifier; Problem 404 where there is none."""
        rows = self._db.rows(f"{_SELECT} AND tokens.id = ?", [identifier])
        if not rows:
            raise Problem(404, "no-token", "there is no token of that identifier")
        return Token(*rows[0])

    def find(self, secret: str) -> Token | None:
        """The token of a secret; None where there is none that holds."""
        return self._holding("tokens.hash = ?", hashed(secret))

    def of(self, identifier: str) -> Token | None:
        """The token of an identifier, while it holds."""
        return self._holding("tokens.id = ?", identifier)

    def touch(self, token: Token) -> None:
        """Note a use."""
        with self._db.change() as db:
            db.execute("UPDATE tokens SET used = ? WHERE id = ?", [self._now(), token.id])

    def stale(self, token: Token) -> bool:
        """Whether a use should be stored."""
        return token.used is None or abs(self._now() - token.used) >= TOUCH_S

    def revoke(self, identifier: str) -> Token:
        """End a token; Problem 404 where there is none."""
        token = self.named(identifier)
        with self._db.change() as db:
            db.execute("DELETE FROM tokens WHERE id = ?", [identifier])
        return token

    def _holding(self, where: str, value: object) -> Token | None:
        token = next((Token(*row) for row in self._db.rows(f"{_SELECT} AND {where}", [value])), None)
        return token if token is not None and token.created - 300 <= self._now() < token.expires else None
