"""The audit of slides in a record (`edge verify`): acts in order, corrections of what is there, findings that follow.

Each finding ends with its stable name in square brackets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import UNSET
from msgspec.structs import replace

from edge.errors import StoreError
from edge.record.entries import Body, RunBody, VerdictBody, read_body
from edge.record.reader import Reader, Row
from edge.record.slide_entries import CommandBody, CorrectionBody, SlideBody
from edge.record.slide_queries import carried_verdicts, commands_twice, may_follow, state_after
from edge.slides.finding import SlideFinding, contradiction
from edge.slides.tally import Tally

ACT_ORDER = "slide_act_order"  # an act that the slide's state did not allow
TWO_OPEN = "two_slides_open"
NO_VERDICT = "correction_no_verdict"  # a correction of no verdict of that slide
NO_FIELD = "seen_no_field"  # a field that was seen before as one that is later, not there, or not counted
FINDING = "finding_contradicted"  # of a closed slide, by its own verdicts
COMMAND_TWICE = "command_twice"


@dataclass
class _Slide:
    """What was read of a slide so far."""

    act: SlideBody | None = None
    first_field: int = 0
    tally: Tally = field(default_factory=lambda: Tally(()))
    seen: set[int] = field(default_factory=set)
    benign: frozenset[str] | None = None  # to the run that was read last; None of one that does not say
    run: int = 0  # the last whose beginning was read


class SlideCheck:
    """One pass over the entries of a record, in order; memory goes with the number of slides.

    Args:
        store: the record. base: the last entry that retention removed; what came before it cannot be checked.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from edge.record.store import Store
    >>> with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
    ...     list(SlideCheck(store, base=0).end())
    []
    """

    def __init__(self, store: Reader, base: int) -> None:
        self._store, self._base = store, base
        self._slides: dict[str, _Slide] = {}
        self._open = ""
        self._carried: dict[int, VerdictBody] | None = None

    def check(self, row: Row, body: Body) -> Iterator[str]:
        """What is wrong with one entry, a sentence each."""
        match body:
            case RunBody():
                self._run(self._of(body.slide), body)
            case VerdictBody():
                yield from self._verdict(self._of(body.slide), body)
            case SlideBody():
                yield from self._act(self._of(body.slide), body)
            case CorrectionBody():
                yield from self._correction(row, body)
            case CommandBody():
                pass

    def end(self) -> Iterator[str]:
        """What only the whole record shows."""
        for command, times in commands_twice(self._store):
            yield f"command {command} was recorded {times} times [{COMMAND_TWICE}]"

    def _of(self, slide: str) -> _Slide:
        return self._slides.setdefault(slide, _Slide())

    def _run(self, slide: _Slide, body: RunBody) -> None:
        slide.run = body.run
        slide.benign = None if body.benign is UNSET else frozenset(body.benign)

    def _verdict(self, slide: _Slide, body: VerdictBody) -> Iterator[str]:
        if body.run != slide.run:  # its beginning was removed
            text = self._store.run_body(body.run)
            begun = None if text is None else read_body(text)
            slide.run, slide.benign = body.run, None
            if isinstance(begun, RunBody):
                self._run(slide, begun)
        slide.first_field = slide.first_field or body.field
        slide.tally.add(body)
        if body.seen is UNSET:
            return
        slide.seen.add(body.field)
        if not 1 <= body.seen < body.field or body.seen in slide.seen:
            yield (
                f"field {body.field} of slide {body.slide} was seen as field {body.seen}, which was not counted before "
                f"it [{NO_FIELD}]"
            )

    def _act(self, slide: _Slide, body: SlideBody) -> Iterator[str]:
        known = slide.act is not None or not self._base
        if known and body.act not in may_follow(slide.act):
            before = "was not opened" if slide.act is None else f"was {slide.act.act} last"
            yield f"slide {body.slide} is {body.act}, and {before} [{ACT_ORDER}]"
        if self._open not in ("", body.slide) and body.act != "closed":
            yield f"slide {body.slide} is {body.act} while slide {self._open} is not closed [{TWO_OPEN}]"
        slide.act = replace(body, finding={})
        if state_after(body) == "closed":
            self._open = "" if self._open == body.slide else self._open
        else:
            self._open = body.slide
        if body.finding and body.act != "closed":
            yield f"slide {body.slide} is {body.act} with a finding [{FINDING}]"
        elif body.finding and (not self._base or slide.first_field == 1):
            yield from self._finding(slide, body)

    def _finding(self, slide: _Slide, body: SlideBody) -> Iterator[str]:
        try:
            found = SlideFinding.of(body.finding)
        except StoreError as error:
            yield f"slide {body.slide}: {error} [{FINDING}]"
            return
        slide.tally.benign = frozenset(found.benign) if slide.benign is None else slide.benign
        if wrong := contradiction(found, slide.tally):
            yield f"the finding of slide {body.slide} does not follow from its verdicts: {wrong} [{FINDING}]"

    def _correction(self, row: Row, body: CorrectionBody) -> Iterator[str]:
        if body.verdict <= self._base:
            if self._carried is None:
                self._carried = carried_verdicts(self._store)
            kept = self._carried.get(body.verdict)
            found = None if kept is None else (kept.slide, kept.field)
        else:
            query = "SELECT slide, field FROM entries WHERE id = ? AND id < ? AND type = 'verdict'"
            found = next(iter(self._store.select(query, body.verdict, row.id)), None)
        if found != (body.slide, body.corrects):
            yield (
                f"field {body.corrects} of slide {body.slide} is corrected, and entry {body.verdict} is no verdict "
                f"on it [{NO_VERDICT}]"
            )
