"""Slides as the API tells of them: a piece of the history, and one slide with what was done to it."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET
from pydantic import ValidationError

from edge.page.http.answers import not_found
from edge.page.records import cursors
from edge.page.records.answers import (
    ActOut,
    CorrectionOut,
    FindingOut,
    SlideLineOut,
    SlideOut,
    SlidesOut,
    State,
    TallyOut,
)
from edge.page.records.order import SlideOrder
from edge.page.records.tallies import Tallies
from edge.record.entries import RunBody, read_body
from edge.record.reader import Reader
from edge.record.slide_entries import CorrectionBody, SlideBody
from edge.record.slide_queries import SlideLine, acts, corrections, state_after
from edge.slides.names import name_hint
from edge.slides.tally import Tally

_log = logging.getLogger(__name__)


def slides(order: SlideOrder, search: str, cursor: str, limit: int) -> Callable[[Reader], SlidesOut]:
    """The question for a piece of the history, the newest first; Problem 422 for another list's cursor."""
    before = cursors.read(cursor, tuple[cursors.Number, str]) if cursor else None

    def ask(store: Reader) -> SlidesOut:
        with store.at_one_moment():
            found = order.lines(store, search, before, limit + 1)
            items = [_line(store, each) for each in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        return SlidesOut(items=items, next=None if last is None else cursors.written((last.entry, last.slide)))

    return ask


def one_slide(slide: str, tallies: Tallies) -> Callable[[Reader], SlideOut]:
    """The question for one slide; Problem 404 where the record has none of that name."""

    def ask(store: Reader) -> SlideOut:
        with store.at_one_moment():
            fields = last_field(store, slide)
            done = acts(store, slide)
            corrected = corrections(store, slide)
            number, run = _last_run(store, slide)
            closed = _closed(done, number)
            tally = _tally(closed, corrected) if closed else _counted(tallies.of(store, slide).tally, corrected)
        newest = done[-1][1] if done else None
        return SlideOut(
            slide=slide,
            state=_state(newest),
            fields=fields,
            tally=tally,
            finding=closed,
            labels=list(run.labels) if run else [],
            benign=closed.benign if closed else _benign(run),
            acts=[_act(entry, body) for entry, body in done],
            corrections=[correction_out(entry, body) for entry, body in corrected],
            simulated=bool(run and run.simulated),
            bundle=run.bundle if run else "",
            hint=name_hint(slide),
        )

    return ask


def last_field(store: Reader, slide: str) -> int:
    """The last field number given of a slide; Problem 404 where the record has no such slide."""
    found = store.select("SELECT fields FROM slides WHERE slide = ?", slide)
    if not found:
        raise not_found("no-slide", f"no slide of the record is called {slide}")
    return int(found[0][0])


def finding_out(recorded: Mapping[str, Any] | None) -> FindingOut | None:
    """A finding as the API tells of it; None where there is none that this version knows."""
    if not recorded:
        return None
    try:
        return FindingOut.model_validate(recorded)
    except ValidationError as error:
        _log.warning(f"a finding is none that this version knows: {error.error_count()} faults")
        return None


def correction_out(entry: int, body: CorrectionBody) -> CorrectionOut:
    """A correction as the API tells of it."""
    return CorrectionOut(
        entry=entry,
        field=body.corrects,
        verdict=body.verdict,
        by=body.by,
        label=body.label,
        agrees=body.agrees,
        note=body.note,
        utc=body.utc,
    )


def _line(store: Reader, line: SlideLine) -> SlideLineOut:
    act = line.act
    utc, by = (act.utc, act.by) if act is not None else (_utc(store, line.entry), "")
    return SlideLineOut(
        slide=line.slide,
        state=_state(act),
        fields=line.fields,
        entry=line.entry,
        utc=utc,
        by=by,
        finding=finding_out(act.finding) if act is not None and act.act == "closed" else None,
        hint=name_hint(line.slide),
    )


def _act(entry: int, body: SlideBody) -> ActOut:
    told = {name: getattr(body, name) for name in ("act", "by", "why", "command", "utc")}
    return ActOut(entry=entry, finding=finding_out(body.finding), **told)


def _state(act: SlideBody | None) -> State:
    return state_after(act) or "run"


def _utc(store: Reader, entry: int) -> str:
    found = store.select("SELECT coalesce(json_extract(body, '$.utc'), '') FROM entries WHERE id = ?", entry)
    return str(found[0][0]) if found else ""


def _closed(done: list[tuple[int, SlideBody]], last_run: int) -> FindingOut | None:
    """The finding of a slide that is closed; None of another one, and where it was run again without the bench."""
    if not done or done[-1][1].act != "closed" or done[-1][0] < last_run:
        return None
    return finding_out(done[-1][1].finding)


def _tally(closed: FindingOut, corrected: list[tuple[int, CorrectionBody]]) -> TallyOut:
    """The tally that the closing recorded, which retention does not change, with the corrections of today."""
    newest = {body.corrects: body.agrees for _, body in corrected}
    agreed = sum(newest.values())
    return closed.tally.model_copy(update={"agreed": agreed, "disagreed": len(newest) - agreed})


def _counted(tally: Tally, corrected: list[tuple[int, CorrectionBody]]) -> TallyOut:
    for _, correction in corrected:
        tally.correct(correction)
    return TallyOut(**tally.as_record())


def _benign(run: RunBody | None) -> list[str]:
    return [] if run is None or run.benign is UNSET else list(run.benign)


def _last_run(store: Reader, slide: str) -> tuple[int, RunBody | None]:
    """The newest run of a slide, and its entry; 0 and None where there is none."""
    query = """SELECT id, body FROM entries WHERE slide = ? AND type = 'run' AND type IN ('run', 'slide')
               ORDER BY +id DESC LIMIT 1"""
    for number, text in store.select(query, slide):
        body = read_body(text)
        return number, body if isinstance(body, RunBody) else None
    return 0, None
