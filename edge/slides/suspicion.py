"""The order in which a reader looks at a slide's fields: the most suspicious first."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from edge.record.entries import VerdictBody
from edge.slides.tally import UNANSWERED

_Verdict = TypeVar("_Verdict", bound=VerdictBody)


def suspicion(verdict: VerdictBody, labels: Sequence[str], benign: Collection[str]) -> tuple[int, float, int]:
    """A key to sort by, least first: answers that are not benign, by probability; fields that were not answered though
    the gates let them through, by the probability of what is not benign; refused ones; benign ones, least sure first.

    Args:
        labels: of the verdict's run, in the order of its probabilities.

    >>> from edge.record.entries import Entry, verdict_body
    >>> from edge.system.clock import Instant
    >>> entry = Entry(Instant(0, 0, None), 1, "", "Pre", None, None, (0.1, 0.9), {}, {}, None)
    >>> suspicion(verdict_body(1, "s1", 1, entry, None), ("Benign", "Pre"), ("Benign",))
    (0, -0.9, 1)
    """
    probabilities = verdict.probabilities or ()
    other = sum(p for label, p in zip(labels, probabilities, strict=False) if label not in benign)
    if verdict.label is not None:
        return (3 if verdict.label in benign else 0), -other, verdict.field
    return (1 if verdict.reason in UNANSWERED else 2), -other, verdict.field


def most_suspicious_first(
    verdicts: Iterable[_Verdict], labels: Sequence[str], benign: Collection[str]
) -> list[_Verdict]:
    """The verdicts of one slide in that order."""
    return sorted(verdicts, key=lambda verdict: suspicion(verdict, labels, benign))
