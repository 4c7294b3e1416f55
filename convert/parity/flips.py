"""Flips: images of certain classes that int8, and not float, calls by certain other names."""

from collections.abc import Sequence

import msgspec
import numpy as np

from convert.errors import ParityError
from edge.inference.benign import indices
from models.statistics.validation import Indices


class Flip(msgspec.Struct, frozen=True, rename={"of": "from", "into": "to"}):
    """A flip that a policy forbids: images of one of the labels `of` may turn into one of `into` at most `max_images`
    times.

    >>> Flip(("dog",), ("wolf",)).in_words
    'dog to wolf'
    """

    of: tuple[str, ...]
    into: tuple[str, ...]
    max_images: int = 0

    @property
    def in_words(self) -> str:
        """For messages."""
        return f"{' or '.join(self.of)} to {' or '.join(self.into)}"


class FlipCount(msgspec.Struct, frozen=True):
    """How many images made a forbidden flip; by float's word for what they are, where labels are missing."""

    flip: Flip
    images: int


def turned(
    labels: Sequence[str],
    of: Sequence[str],
    into: Sequence[str],
    was: Indices,
    now: Indices,
    truth: Indices | None,
) -> int:
    """Images of the classes `of` that int8, and not float, calls one of `into`.

    Args:
        labels: in output order.
        was, now: int (N,), what float and int8 call the images; -1 for nothing.
        truth: int (N,), what they are; None goes by float's word for what they are.
    """
    first, second = (indices(labels, each) for each in (of, into))
    flipped = ~np.isin(was, second) & np.isin(now, second)
    return int((flipped & np.isin(was if truth is None else truth, first)).sum())


def counted(labels: Sequence[str], flip: Flip, was: Indices, now: Indices, truth: Indices | None) -> FlipCount:
    """How often a forbidden flip happened; arguments as of `turned`.

    Raises:
        ParityError: the flip names a label that there is not.
    """
    unknown = [label for label in (*flip.of, *flip.into) if label not in labels]
    if unknown:
        raise ParityError(f"the policy's forbidden flip names {unknown[0]!r}; the labels are {', '.join(labels)}")
    return FlipCount(flip, turned(labels, flip.of, flip.into, was, now, truth))
