"""What changes: answers kept, changed, gained and lost, field by field and slide by slide."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge.inference.licence import Finding
from edge.serving.rejudging.limits import Check, Limits, number_check, share_check
from edge.serving.rejudging.stored_fields import StoredField, Told
from edge.slides.rules import RULES
from edge.slides.tally import Tally

MOST_NAMED = 1000  # fields and slides that are listed by name; all are counted


@dataclass(frozen=True)
class _Judged:
    """As `edge.slides.tally.Judged`."""

    label: str | None
    reason: str | None
    seen: None = None


class Comparison:
    """Counts of what was said of fields then and is said now. Memory grows with slides, not with fields.

    Args:
        benign: the labels that are. rule: of a slide's finding.

    >>> comparison = Comparison(["Benign"])
    >>> field = StoredField("0" * 64, "s1", 1, Told("Pre", None), False, None, "")
    >>> comparison.add(field, Told("Benign", None))
    >>> comparison.malignant_to_benign
    1
    """

    def __init__(self, benign: Iterable[str], rule: str = "tenth-1") -> None:
        self._benign, self._rule = frozenset(benign), RULES[rule]
        self.stored = self.without_image = self.judged = 0
        self.kept = self.changed = self.gained = self.lost = self.unanswered = 0
        self.malignant_to_benign = self.unanswered_to_benign = 0
        self.unread: list[str] = []
        self.unreadable = 0
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._named: list[dict[str, Any]] = []
        self._slides: defaultdict[str, tuple[Tally, Tally]] = defaultdict(
            lambda: (Tally(self._benign), Tally(self._benign))
        )

    def skip(self, field: StoredField, why: str = "") -> None:
        """A field that cannot be judged: no image was kept, or `why` it cannot be read."""
        self.stored += 1
        if not why:
            self.without_image += 1
            return
        self.unreadable += 1
        if len(self.unread) < MOST_NAMED:
            self.unread.append(f"slide {field.slide}, field {field.field}: {why}")

    def add(self, field: StoredField, now: Told, was: Told | None = None) -> None:
        """A field that was judged again; `was` in place of what was stored."""
        was = was or field.was
        self.stored += 1
        self.judged += 1
        self._pairs[str(was), str(now)] += 1
        if was.label is None:
            self.unanswered += now.label is None
            self.gained += now.label is not None
            self.unanswered_to_benign += now.label in self._benign
        elif now.label is None:
            self.lost += 1
        elif was.label == now.label:
            self.kept += 1
        else:
            self.changed += 1
            if now.label in self._benign and was.label not in self._benign:
                self.malignant_to_benign += 1
        if str(was) != str(now) and now.label in self._benign and len(self._named) < MOST_NAMED:
            self._named.append({"slide": field.slide, "field": field.field, "was": str(was), "now": str(now)})
        if not field.seen:
            for tally, told in zip(self._slides[field.slide], (was, now), strict=True):
                tally.add(_Judged(told.label, told.reason))

    def checks(self, limits: Limits) -> list[Check]:
        """Every limit, in the order of the file."""
        on, both = limits.fields, self.kept + self.changed
        enough = Check("fields", "pass", f"fields: {self.judged} judged under both")
        if self.judged < on.fewest:
            enough = Check("fields", "inconclusive", f"fields: {self.judged} judged under both, {on.fewest} needed")
        lost = sum(was == "suspicious" != now for _, was, now in self._findings())
        return [
            number_check("unreadable images", self.unreadable, 0),
            enough,
            self._benign_check(on.malignant_to_benign),
            share_check("answers changed", self.changed, both, on.changed),
            share_check("answers lost", self.lost, both + self.lost, on.lost),
            number_check("suspicious slides lost", lost, limits.slides.suspicious_lost),
        ]

    def _benign_check(self, most: int) -> Check:
        """A safety figure that cannot be counted is no zero."""
        name = "malignant to benign"
        if not self._benign:
            return Check(name, "inconclusive", f"{name}: not counted, the bundle names no benign label")
        return number_check(name, self.malignant_to_benign, most)

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable; None of what cannot be counted, since no label is benign.

        `to_benign` names fields that are benign now and were not; `findings` counts slides by pair.
        """
        findings = list(self._findings())
        pairs = Counter((was, now) for _, was, now in findings)
        changed = [{"slide": slide, "was": was, "now": now} for slide, was, now in findings if was != now]
        return {
            "stored": self.stored,
            "without_image": self.without_image,
            "unreadable": self.unreadable,
            "unread": self.unread,
            "judged": self.judged,
            "kept": self.kept,
            "changed": self.changed,
            "gained": self.gained,
            "lost": self.lost,
            "unanswered": self.unanswered,
            "malignant_to_benign": self.malignant_to_benign if self._benign else None,
            "unanswered_to_benign": self.unanswered_to_benign if self._benign else None,
            "answers": _rows(self._pairs),
            "to_benign": self._named,
            "slides": {
                "rule": self._rule.name,
                "compared": len(findings),
                "findings": _rows(pairs),
                "changed": changed[:MOST_NAMED],
            },
        }

    def _findings(self) -> Iterable[tuple[str, Finding, Finding]]:
        for slide, tallies in sorted(self._slides.items()):
            was, now = (self._rule.judge(each.fields, each.passed, each.as_benign, each.other) for each in tallies)
            yield slide, was, now


def _rows(pairs: Counter[tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{"was": was, "now": now, "number": number} for (was, now), number in sorted(pairs.items())]
