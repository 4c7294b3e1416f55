"""Patterns on file names, `{slide}_{field}.png`: slide, session, camera and day of fields that no table names."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from models.errors import DatasetError

# What a place stands for. Only slides hold underscores, so that a name is divided in one way.
_PLACES = {
    "slide": r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "field": r"[0-9]+",
    "session": r"[A-Za-z0-9][A-Za-z0-9.-]*",
    "camera": r"[A-Za-z0-9][A-Za-z0-9.-]*",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}",
}
_PARTS = re.compile(r"\{([^{}]*)\}|(\*)|([^{}*]+)|([{}])")


@dataclass(frozen=True)
class NamePattern:
    """What the names of a site's files say.

    Attributes:
        text: as it was given: `{slide}`, `{field}`, `{session}`, `{camera}`, `{date}`, `*` for anything, and the rest
            as it stands. It is of a file's name without its folder; without a suffix any will do.
        places: those that it names.

    >>> NamePattern.of("{slide}_{field}.png").read("healthy/S-0412_0007.png")
    {'slide': 'S-0412', 'field': '0007'}
    """

    text: str
    places: frozenset[str]
    _expression: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> "NamePattern":
        """The pattern of that text.

        Raises:
            DatasetError: a place that is none (with the nearest right one), one that stands twice, a lone brace.
        """
        if "/" in text:
            raise DatasetError(f"pattern {text!r} must be of file names: the folder is the class")
        expression, places = "", set()
        for place, star, plain, brace in (found.groups() for found in _PARTS.finditer(text)):
            if place is not None:
                if place not in _PLACES:
                    near = difflib.get_close_matches(place, _PLACES, n=1)
                    hint = f"did you mean {{{near[0]}}}?" if near else f"there are {_named(_PLACES)}"
                    raise DatasetError(f"pattern {text!r}: {{{place}}} is no place; {hint}")
                if place in places:
                    raise DatasetError(f"pattern {text!r}: {{{place}}} must stand once")
                places.add(place)
                expression += f"(?P<{place}>{_PLACES[place]})"
            elif brace:
                raise DatasetError(f"pattern {text!r}: {brace} must enclose one of {_named(_PLACES)}")
            else:
                expression += ".*" if star else re.escape(plain)
        if not places:
            raise DatasetError(f"pattern {text!r} must name one of {_named(_PLACES)}")
        if not PurePosixPath(text).suffix:
            expression += r"\.[A-Za-z0-9]+"
        return cls(text, frozenset(places), re.compile(expression))

    def read(self, name: str) -> Mapping[str, str]:
        """What the name of a file, relative to the set's root, says; a day as 2026-11-30.

        Raises:
            DatasetError: it does not fit.
        """
        found = self._expression.fullmatch(PurePosixPath(name).name)
        if found is None:
            raise DatasetError(f"{name} does not fit the pattern {self.text!r}; rename it, or give another --pattern")
        values = found.groupdict()
        if re.fullmatch(r"[0-9]{8}", date := values.get("date", "")):
            values["date"] = f"{date[:4]}-{date[4:6]}-{date[6:]}"
        return values


def _named(places: Mapping[str, str]) -> str:
    return ", ".join(f"{{{place}}}" for place in places)
