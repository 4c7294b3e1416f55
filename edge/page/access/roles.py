"""The roles of the page, and who asks: look < operate < administer."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["look", "operate", "administer"]
ROLES: tuple[Role, ...] = get_args(Role)


def covers(role: str, needed: str) -> bool:
    """Whether who has `role` may do what `needed` may.

    >>> covers("operate", "look"), covers("look", "operate")
    (True, False)
    """
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True)
class Identity:
    """Who asks: the login name goes into the record as `by`.

    >>> Identity("anna", "operate").may("administer")
    False

    Attributes:
        name: the user's, or the token's owner's.
        role: of a token, the smaller one of its own and its owner's.
        kind: session (a browser), token (a program) or demo (no login, loopback alone).
        reference: of the session or token, for `Access.still_valid`; "" for demo.
        csrf: what a change by cookie repeats in `X-Leukoscope-CSRF`; "" for a token.
    """

    name: str
    role: Role
    kind: Literal["session", "token", "demo"] = "session"
    reference: str = ""
    csrf: str = ""

    def may(self, needed: Role) -> bool:
        """Whether this role suffices."""
        return covers(self.role, needed)
