"""Limits on what may change under another bundle: `limits.toml`, and the verdict by it."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge.errors import UsageError
from edge.slides.interval import exact_interval
from edge.system.files import read_at_most

DEFAULT = Path(__file__).with_name("limits.toml")
Outcome = Literal["pass", "fail", "inconclusive"]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Number = Annotated[int, Meta(ge=0)]


class FieldLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """On fields: the fewest that say anything; numbers and shares that are allowed at most."""

    fewest: Annotated[int, Meta(ge=1)]
    malignant_to_benign: _Number
    changed: _Share
    lost: _Share


class SlideLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """On slides: findings that may be suspicious no longer."""

    suspicious_lost: _Number


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """All of them.

    >>> Limits.read(DEFAULT).fields.malignant_to_benign
    0
    """

    format: Literal[1]
    name: str
    fields: FieldLimits
    slides: SlideLimits

    @classmethod
    def read(cls, path: Path) -> "Limits":
        """From a TOML file; UsageError names the file, the key, what was expected and what is there."""
        try:
            return msgspec.convert(tomllib.loads(read_at_most(path, 2**20, UsageError).decode()), cls)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"--limits {path}: {error}") from error


class Check(Struct, frozen=True):
    """One limit: its name, the verdict by it, and a sentence.

    >>> share_check("lost", 0, 1000, 0.05).verdict
    'pass'
    """

    name: str
    verdict: Outcome
    why: str


def share_check(name: str, events: int, of: int, most: float) -> Check:
    """By the exact 95 % interval of a share."""
    low, high = exact_interval(events, of)
    said = f"{name}: {events} of {of}, {low:.1%} to {high:.1%} (95 % interval), at most {most:.1%}"
    return Check(name, "pass" if high <= most else "fail" if low > most else "inconclusive", said)


def number_check(name: str, events: int, most: int) -> Check:
    """By the number itself."""
    return Check(name, "pass" if events <= most else "fail", f"{name}: {events}, at most {most}")


def verdict_of(checks: list[Check]) -> Outcome:
    """Fails where one does; passes where all do."""
    verdicts = {check.verdict for check in checks}
    return "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"
