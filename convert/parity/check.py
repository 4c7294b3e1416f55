"""One rule of a policy applied: its outcome, and how chance is allowed for in shares and falls."""

from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from models.statistics.intervals import p_at_most, paired_difference_lower

Verdict = Literal["pass", "fail", "inconclusive"]
CHANCE = 0.05  # a p-value below this rules chance out, where images are few
SLACK = 1e-9  # a value on its limit passes, whatever the last bit of a float says


class Check(msgspec.Struct, frozen=True):
    """One rule applied.

    Attributes:
        name: stable, such as "accuracy-drop".
        outcome: of this rule alone.
        measured, limit: in `unit`; measured is None where there was nothing to measure.
        unit: "percent", "points" or "images".
        sense: "at most" or "at least" the limit.
        message: one sentence a person can act on.
        subject: the class it is about, or None.
        more: how many more images would decide an inconclusive rule (of the class, where it is about one), if they came
            out as those so far; None if no number would. Unset where the rule is decided.

    >>> Check("images", "pass", 300, 300, "images", "at least", "300 images").outcome
    'pass'
    """

    name: str
    outcome: Verdict
    measured: float | None
    limit: float
    unit: Literal["percent", "points", "images"]
    sense: Literal["at most", "at least"]
    message: str
    subject: str | None = None
    more: int | UnsetType | None = UNSET


class Fall(NamedTuple):
    """A fall in points: as measured, and the part of it that is beyond chance (its one-sided lower bound)."""

    measured: float
    proven: float

    @classmethod
    def of(cls, lost: int, gained: int, images: int, confidence: float) -> "Fall":
        """Of shares of the same images, of which `lost` only count before and `gained` only after."""
        proven = 100 * paired_difference_lower(lost, gained, images, confidence)
        return cls(100 * (lost - gained) / images, proven)


def enough(name: str, count: int, needed: int, what: str, subject: str | None = None) -> Check:
    """At least `needed` images."""
    if count >= needed:
        return Check(name, "pass", count, needed, "images", "at least", f"{count} {what}", subject)
    message = f"{count} {what}, {needed} needed to say"
    return Check(name, "inconclusive", count, needed, "images", "at least", message, subject, needed - count)


def share(name: str, what: str, counts: tuple[int, int], limit: float, needed: int) -> Check:
    """`counts`, those alike and all, at least `limit` percent; below `needed` images chance must be ruled out."""
    alike, images = counts
    if images == 0:
        message = f"{what}: nothing to judge"
        return Check(name, "inconclusive", None, limit, "percent", "at least", message, more=needed)
    measured = 100 * alike / images
    if measured >= limit - SLACK:
        return Check(name, "pass", measured, limit, "percent", "at least", f"{what} ({measured:.2f} %)")
    message = f"{what} ({measured:.2f} %), at least {limit:g} % required"
    if images >= needed or p_at_most(alike, images, limit / 100) < CHANCE:
        return Check(name, "fail", measured, limit, "percent", "at least", message)
    return Check(name, "inconclusive", measured, limit, "percent", "at least", message, more=needed - images)


def at_most_images(name: str, count: int, limit: int, what: str) -> Check:
    """A count of images, not estimated: above its limit it fails however few there are."""
    outcome: Verdict = "pass" if count <= limit else "fail"
    message = what if count <= limit else f"{what}, {limit} allowed"
    return Check(name, outcome, count, limit, "images", "at most", message)
