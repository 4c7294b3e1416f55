"""Rules by which a slide's finding is made, by name and version: what was published under one never changes."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from edge.errors import SettingsError
from edge.inference.licence import RULE, RULE_IN_WORDS, Finding, slide_finding


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: with its version. words: the whole of it, for people.
        judge: from counts of (fields, fields that the gates let through, answered as benign, answered otherwise).

    >>> rule_named("tenth-1").judge(20, 20, 18, 2)
    'suspicious'
    """

    name: str
    words: str
    judge: Callable[[int, int, int, int], Finding]


RULES = {rule.name: rule for rule in (Rule(RULE, RULE_IN_WORDS, slide_finding),)}


def rule_named(name: str) -> Rule:
    """The rule of that name.

    Raises:
        SettingsError: there is none; says the nearest.
    """
    if name not in RULES:
        near = difflib.get_close_matches(name, RULES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(RULES)}"
        raise SettingsError(f"rule must be a rule for a slide's finding; got {name!r}; {hint}")
    return RULES[name]
