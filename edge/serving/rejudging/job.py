"""One rejudging: sources through a bundle, or through an older one and a new one, to counts and a verdict."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.errors import ImageFileError
from edge.inference.answer import answer_field
from edge.inference.licence import UNBOUND
from edge.serving.judges import Judges, again, jobs_for
from edge.serving.rejudging.comparison import Comparison
from edge.serving.rejudging.journal import Answers, Journal
from edge.serving.rejudging.limits import Check, Limits, verdict_of
from edge.serving.rejudging.stored_fields import Source, StoredField, Told, all_fields
from edge.serving.serve import Served
from edge.system.progress import Progress

MOST_FIELDS = 10**9  # no bound on how many threads are worth while: sources are not counted by their images


@dataclass(frozen=True)
class Rejudging:
    """Stored fields under another bundle. No licence holds anything back: it is the models that are compared.

    Attributes:
        new: the bundle. old: the one that it is compared with; None compares with what was stored.
        folder: of the journal; None keeps none. jobs: fields judged at the same time, None as many as there are cores.
    """

    sources: Sequence[Source]
    new: Served
    old: Served | None
    limits: Limits
    folder: Path | None
    jobs: int | None

    def run(self) -> tuple[dict[str, Any], list[Check]]:
        """The record and the checks. What was judged before, for these bundles, is taken from the journal.

        Raises:
            StoreError: a source cannot be read. OSError: the journal cannot be written.
        """
        comparison = Comparison(self.new.bundle.contract.benign_labels)
        about = {"bundle": self.new.bundle.digest, "against": None if self.old is None else self.old.bundle.digest}
        jobs = self.jobs or jobs_for(self.new, MOST_FIELDS)
        total = sum(source.count() for source in self.sources)
        with ExitStack() as stack:
            journal = None if self.folder is None else stack.enter_context(Journal(self.folder, about))
            progress = stack.enter_context(Progress("judging stored fields", total))
            bundles = (self.new,) if self.old is None else (self.old, self.new)
            unbound = tuple(replace(each, licence=UNBOUND) for each in bundles)
            judges = Judges(unbound, jobs, lambda first: tuple(again(each) for each in first))
            fields = self._to_do(comparison, journal, progress)
            under_way: list[StoredField] = []

            def noted() -> Iterator[StoredField]:
                for field in fields:
                    under_way.append(field)
                    yield field

            for answers in judges.each(noted(), _judged):
                field = under_way.pop(0)
                if journal is not None:
                    journal.add(field.key, answers)
                _count(comparison, field, answers)
            taken = 0 if journal is None else journal.taken
        checks = comparison.checks(self.limits)
        record = {
            "format": 1,
            "bundle": self.new.bundle.name,
            "bundle_digest": self.new.bundle.digest,
            "against": None if self.old is None else self.old.bundle.name,
            "against_digest": about["against"],
            "sources": [str(source.path) for source in self.sources],
            "limits": self.limits.name,
            "verdict": verdict_of(checks),
            "checks": [{"name": check.name, "verdict": check.verdict, "why": check.why} for check in checks],
            "taken_from_journal": taken,
            **comparison.as_record(),
        }
        return record, checks

    def _to_do(self, comparison: Comparison, journal: Journal | None, progress: Progress) -> Iterator[StoredField]:
        """The fields that have to be judged; what is known of the others is counted."""
        before = 0
        for position, field in all_fields(self.sources):
            progress.advance(position - before)
            before = position
            if field is None:
                continue
            if field.image is None:
                comparison.skip(field)
            elif journal is not None and (known := journal.known(field.key)) is not None:
                _count(comparison, field, known)
            else:
                yield field


def _judged(bundles: tuple[Served, ...], field: StoredField) -> Answers:
    try:
        pixels = field.pixels()
    except ImageFileError as error:
        return Answers(unread=str(error))
    found = [answer_field(each.gates, each.classifier, pixels) for each in bundles]
    return Answers(tuple(Told(each.label, each.reason) for each in found))


def _count(comparison: Comparison, field: StoredField, answers: Answers) -> None:
    if answers.unread:
        comparison.skip(field, answers.unread)
    else:
        *old, now = answers.told
        comparison.add(field, now, old[0] if old else None)
