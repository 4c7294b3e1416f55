"""What images show: stained blood smears, for which there are measures of their own, or anything."""

from typing import Final, Literal

from edge.errors import UsageError

Domain = Literal["blood smear", "any"]
SMEAR: Final = "blood smear"
ANY: Final = "any"
DOMAINS: tuple[Domain, ...] = (SMEAR, ANY)


def domain_named(word: str) -> Domain | None:
    """The value of `--domain`, None when left out; UsageError on another word.

    >>> domain_named("any")
    'any'
    """
    if not word:
        return None
    for domain in DOMAINS:
        if word == domain:
            return domain
    raise UsageError(f"--domain must be {' or '.join(map(repr, DOMAINS))}; got {word!r}")
