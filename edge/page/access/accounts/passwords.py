"""Passwords: which are taken, and their argon2id hashes."""

import os
import time
import unicodedata
from base64 import b64encode
from functools import cached_property
from typing import TYPE_CHECKING

from edge.page.problems import Problem

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 256
MEMORY_KIB = 32 * 1024  # two at once stay below the page's 80 MB; OWASP's least is 19 MiB with two passes
FEWEST_PASSES, MOST_PASSES = 2, 8
AIM_S = 0.25  # of one core of this machine
_TOO_COMMON = ("password", "passwort", "leukoscope", "microscope", "mikroskop", "123456", "qwerty", "abcdef", "letmein")


def require_password(name: str, password: str) -> str:
    """The password in the form that is hashed (Unicode NFC).

    Raises:
        Problem: 422: too short, too long, mostly one of the common words or the user's name, hardly any variety.
    """
    password = unicodedata.normalize("NFC", password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise Problem(422, "weak-password", f"a password has {SHORTEST} to {LONGEST} characters; several words do well")
    rest = password.casefold()
    for word in sorted((*_TOO_COMMON, name.casefold()), key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(set(password)) < 5 or len(rest) < 6:
        raise Problem(422, "weak-password", "that password is easily guessed; several words that do not belong do well")
    return password


def measured_passes() -> int:
    """Passes over the memory that take about `AIM_S` of one core of this machine: measured, and never fewer than two.

    Takes as long as one verification.
    """
    start = time.process_time()
    Passwords(FEWEST_PASSES).hash("measured")
    each = max((time.process_time() - start) / FEWEST_PASSES, 1e-6)
    return max(FEWEST_PASSES, min(MOST_PASSES, round(AIM_S / each)))


class Passwords:
    """argon2id with one lane. Slow on purpose: not for the event loop, and one or two at a time (`lanes`).

    >>> passwords = Passwords(passes=1, memory_kib=64)
    >>> stored = passwords.hash("seven violet stages")
    >>> passwords.verify(stored, "seven violet stages"), passwords.verify(stored, "seven violet stage")
    (True, False)
    """

    def __init__(self, passes: int = FEWEST_PASSES, memory_kib: int = MEMORY_KIB) -> None:
        self._passes, self._memory_kib = passes, memory_kib

    def hash(self, password: str) -> str:
        """The hash with its salt and parameters."""
        return self._argon2.hash(unicodedata.normalize("NFC", password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one of `stored`; without one it takes the same time and is not."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._argon2.verify(stored or self._nobodys, unicodedata.normalize("NFC", password))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters."""
        return self._argon2.check_needs_rehash(stored)

    @cached_property
    def _argon2(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=self._passes, memory_cost=self._memory_kib, parallelism=1)

    @cached_property
    def _nobodys(self) -> str:
        """A hash of no password, with the parameters of today: an unknown name takes as long as a known one."""
        salt, digest = (b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (16, 32))
        return f"$argon2id$v=19$m={self._memory_kib},t={self._passes},p=1${salt}${digest}"
