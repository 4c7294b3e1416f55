"""The tally of a slide: its counted fields by answer, those that were refused by reason, and what experts correct."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Protocol

from msgspec import UNSET, UnsetType

from edge.inference.decision import LOW_CONFIDENCE
from edge.inference.licence import NOT_LICENSED
from edge.record.entries import RunBody, read_body
from edge.record.reader import Reader
from edge.record.slide_entries import CorrectionBody
from edge.record.slide_queries import corrections, verdicts

UNANSWERED = (LOW_CONFIDENCE, NOT_LICENSED)  # reasons of fields that the gates let through


class Judged(Protocol):
    """What of a verdict is counted: `edge.record.entries.Entry` and `VerdictBody` have it."""

    @property
    def label(self) -> str | None:
        """The class, None where there is none."""

    @property
    def reason(self) -> str | None:
        """Why there is none."""

    @property
    def seen(self) -> int | UnsetType | None:
        """The field that was counted before."""


class Tally:
    """What was counted of one slide. A field that was seen before is not counted; a correction changes no count.

    Args:
        benign: the labels that are benign.

    Attributes:
        fields: how many were counted. seen: how many were not, because they show again what was counted.
        labels: counted fields by class. reasons: counted fields without one, by why.
        corrections: the newest of each field that has one, by the field's number.

    >>> from edge.record.entries import Entry
    >>> from edge.system.clock import Instant
    >>> tally = Tally(["Benign"])
    >>> tally.add(Entry(Instant(0, 0, None), 1, "", "Pre", None, None, (0.1, 0.9), {}, {}, None))
    >>> tally.answered, tally.other
    (1, 1)
    """

    def __init__(self, benign: Iterable[str]) -> None:
        self.benign = frozenset(benign)
        self.fields = self.seen = 0
        self.labels: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.corrections: dict[int, CorrectionBody] = {}

    @classmethod
    def from_record(cls, store: Reader, slide: str, benign: Iterable[str] | None = None) -> "Tally":
        """That of a slide's fields in the record, as far as retention left them.

        Args:
            benign: the labels that are; None: those of the newest run that judged a field of the slide.
        """
        counted = cls(() if benign is None else benign)
        runs = set()
        for _, verdict in verdicts(store, slide):
            counted.add(verdict)
            runs.add(verdict.run)
        for _, correction in corrections(store, slide):
            counted.correct(correction)
        if benign is None:
            counted.benign = benign_labels(store, runs)
        return counted

    def add(self, judged: Judged) -> None:
        """Count one more verdict."""
        if judged.seen is not None and judged.seen is not UNSET:
            self.seen += 1
            return
        self.fields += 1
        if judged.label is not None:
            self.labels[judged.label] += 1
        else:
            self.reasons[str(judged.reason)] += 1

    def correct(self, correction: CorrectionBody) -> None:
        """Note a correction, which is newer than those before."""
        self.corrections[correction.corrects] = correction

    @property
    def answered(self) -> int:
        """Counted fields that have a class."""
        return self.labels.total()

    @property
    def as_benign(self) -> int:
        """Those with a benign one."""
        return sum(number for label, number in self.labels.items() if label in self.benign)

    @property
    def other(self) -> int:
        """Those with another one."""
        return self.answered - self.as_benign

    @property
    def passed(self) -> int:
        """Counted fields that the gates let through, with or without a class."""
        return self.answered + sum(self.reasons[reason] for reason in UNANSWERED)

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable; labels and reasons by how many there are."""
        agreed = sum(correction.agrees for correction in self.corrections.values())
        return {
            "fields": self.fields,
            "seen": self.seen,
            "passed": self.passed,
            "answered": self.answered,
            "as_benign": self.as_benign,
            "other": self.other,
            "labels": dict(self.labels.most_common()),
            "reasons": dict(self.reasons.most_common()),
            "agreed": agreed,
            "disagreed": len(self.corrections) - agreed,
        }


def benign_labels(store: Reader, runs: Collection[int]) -> frozenset[str]:
    """The labels that are benign to the newest of these runs; none where it is one of before, which did not say."""
    text = store.run_body(max(runs)) if runs else None
    run = None if text is None else read_body(text)
    return frozenset(run.benign) if isinstance(run, RunBody) and run.benign is not UNSET else frozenset()
