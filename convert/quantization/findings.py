"""Findings of checks: one shape for the calibration lint and the verification of a file."""

from typing import Literal

import msgspec

from edge.system.streams import one_line

Severity = Literal["info", "warn", "refuse"]
NAMES_SHOWN = 3  # in a sentence; the record lists them all


class Finding(msgspec.Struct, frozen=True):
    """One thing a check found.

    Attributes:
        severity: "info" is for the record, "warn" is said aloud, "refuse" stops the work.
        rule: a stable name, such as "class-missing".
        message: one sentence: what was expected and what arrived.
        names: the files or tensors meant, all of them.

    >>> Finding("warn", "duplicate", "1 image is a copy", ("a.png",)).to_text()
    'warn: duplicate: 1 image is a copy (a.png)'
    """

    severity: Severity
    rule: str
    message: str
    names: tuple[str, ...] = ()

    def to_text(self) -> str:
        """One line, with the first few names."""
        return f"{self.severity}: {self.rule}: {self.message}{listed(self.names)}"


def listed(names: tuple[str, ...]) -> str:
    """` (a, b, c and 4 more)`, or nothing for no names."""
    if not names:
        return ""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f" ({', '.join(map(one_line, names[:NAMES_SHOWN]))}{more})"
