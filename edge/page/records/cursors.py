"""Cursors: where the next piece of a list begins, as text that a client hands back as it is."""

import base64
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from edge.page.problems import Problem

LONGEST = 512
Number = Annotated[int, Meta(ge=0, lt=2**62)]  # of an entry or a field: SQLite's numbers end at 2**63

_Place = TypeVar("_Place")


def written(place: object) -> str:
    """A cursor for a place in a list.

    >>> read(written((7, "s1")), tuple[int, str])
    (7, 's1')
    """
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read(cursor: str, kind: type[_Place]) -> _Place:
    """The place that a cursor stands for.

    Raises:
        Problem: 422: it is none, or of another list.
    """
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except ValueError:  # of base64 and of msgspec
        raise Problem(422, "cursor", "cursor must be the `next` of this list as it was given") from None
