"""The text of a command's option as a value: switches, choices, whole numbers, paths."""

from collections.abc import Sequence
from pathlib import Path

from edge.errors import UsageError


def switch(value: object, option: str) -> bool:
    """A switch's value as a bool; text other than true/false is an error, never `bool("false")`."""
    words = {"true": True, "false": False}
    text = str(value).lower()
    if text not in words:
        raise UsageError(f"{option} must be given alone or as true or false; got {value!r}")
    return words[text]


def one_of(value: str, option: str, choices: Sequence[str]) -> str:
    """`value`, which must be one of `choices`."""
    if value not in choices:
        raise UsageError(f"{option} must be one of {', '.join(choices)}; got {value!r}")
    return value


def whole_number(value: str | int, option: str, at_least: int = 0, at_most: int | None = None) -> int:
    """`value` as an int, `at_least` <= value <= `at_most`."""
    try:
        number = int(str(value))
    except ValueError:
        raise UsageError(f"{option} must be a whole number; got {value!r}") from None
    if number < at_least:
        raise UsageError(f"{option} must be at least {at_least}; got {number}")
    if at_most is not None and number > at_most:
        raise UsageError(f"{option} must be at most {at_most}; got {number}")
    return number


def labels_given(values: Sequence[str]) -> tuple[str, ...]:
    """The labels of an option that may be given several times, or once with commas between them.

    >>> labels_given(("healthy,normal", "empty"))
    ('healthy', 'normal', 'empty')
    """
    return tuple(word for value in values for word in (part.strip() for part in value.split(",")) if word)


def optional_path(value: str) -> Path | None:
    """`value` as a path; None for "", an option that is left out."""
    return Path(value) if value else None
