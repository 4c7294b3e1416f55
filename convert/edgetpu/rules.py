"""The rules of Coral's compiler and its Edge TPU: what each says, the cure, where it is known from.

The compiler is closed source, its last release (16.0.384591198) is of 2021, and neither it nor an Edge TPU was at hand
when this was written. So every rule names its source and how sure it is. They stand in `rules.toml`;
docs/reference/edgetpu-rules.md is made from them.
"""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

COMPILER = "16.0.384591198"  # the release that the rules describe

Effect = Literal["cpu", "refused", "note"]
Sure = Literal["documented", "logged", "observed", "inferred"]
SURE = {
    "documented": "Coral's documentation says so",
    "logged": "a public log of the compiler shows it",
    "observed": "seen in files that Coral published, or measured for this project",
    "inferred": "follows from how TFLite works, or from a single report; not seen in a log",
}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One condition that decides where an operator runs, or whether a file is refused.

    Attributes:
        name: as reports and JSON name it.
        effect: "cpu": the operator stays outside; "refused": nothing is compiled, or nothing that may be used;
            "note": said, and changes nothing.
        says: one sentence. cure: what to do about it, "" where there is nothing to do.
        sure: one of `SURE`. sources: addresses, or what was measured.

    >>> RULES["dense-width"].effect
    'cpu'
    """

    name: str
    effect: Effect
    says: str
    cure: str
    sure: Sure
    sources: tuple[str, ...]


def _catalogue() -> dict[str, Rule]:
    found = tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))
    return {name: msgspec.convert({"name": name, **entry}, Rule) for name, entry in found.items()}


RULES = _catalogue()
