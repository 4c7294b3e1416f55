"""Published figures of commercial analysers that a laboratory sets beside its own: from its file, with sources."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from convert.errors import PolicyError
from edge.system.files import read_at_most

_LARGEST_BYTES = 2**20
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1)]


class PublishedFigure(Struct, frozen=True, forbid_unknown_fields=True):
    """What was published of one analyser; `of` says which samples and which error. No figure ships with this software.

    >>> PublishedFigure("an analyser", "a journal, year, page", "slides of adults", sensitivity=0.9).specificity
    """

    analyser: Text
    source: Text
    of: Text
    sensitivity: Share | None = None
    specificity: Share | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    figure: Annotated[tuple[PublishedFigure, ...], Meta(min_length=1, max_length=100)]


def read_published(path: Path) -> tuple[PublishedFigure, ...]:
    """The `[[figure]]` tables of a TOML file.

    Raises:
        PolicyError: unreadable, not TOML, a key that is missing (the source among them), unknown or out of range.
    """
    try:
        return msgspec.convert(tomllib.loads(read_at_most(path, _LARGEST_BYTES, PolicyError).decode()), _File).figure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: not a TOML file: {error}") from error
    except msgspec.ValidationError as error:
        raise PolicyError(f"{path}: {error}") from error
