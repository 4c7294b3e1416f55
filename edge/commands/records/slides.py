"""The `edge slides` command: the history of slides, and one slide with what was done to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import StoreError, UsageError
from edge.system.option_values import whole_number
from edge.system.streams import one_line

if TYPE_CHECKING:
    from edge.record.slide_entries import CorrectionBody, SlideBody
    from edge.record.slide_queries import SlideLine
    from edge.record.store import Store
    from edge.slides.tally import Tally

_MOST, _LARGEST = 50, 1_000_000


@dataclass(frozen=True)
class SlidesRequest:
    """List the slides of the record in `store`, or show `slide`.

    >>> slides("S-1", store="/srv/record").slide
    'S-1'
    """

    store: Path
    slide: str
    search: str
    most: int
    json: bool

    def execute(self) -> Outcome:
        """Reads and changes nothing, also while a run writes.

        Raises:
            UsageError: no record in that folder, or no such slide in it. StoreError: the record is damaged.
        """
        from edge.record.location import require_record
        from edge.record.store import Store

        require_record(self.store)
        try:
            return self._read(Store.open(self.store, read_only=True))
        except StoreError as error:
            raise StoreError(f"{self.store}: {error}; `edge verify` says what is wrong with the record") from error

    def _read(self, opened: "Store") -> Outcome:
        with opened as store:
            if not self.slide:
                return self._history(store)
            known = store.slides()
            if self.slide not in known:
                raise UsageError(f"slide {self.slide!r} is not in this record; `edge slides` lists them")
            with store.at_one_moment():
                return self._one(store, known[self.slide])

    def _history(self, store: "Store") -> Outcome:
        from edge.record.slide_queries import history

        with store.at_one_moment():
            found = history(store, self.search, most=self.most + 1)
        lines, more = found[: self.most], len(found) > self.most
        text = [f"{'slide':<24}{'state':<8}{'fields':>7}  finding"]
        text += [f"{line.slide:<24}{line.state or 'run':<8}{line.fields:>7}  {_words(line.act)}" for line in lines]
        if not lines:
            text = [f"no slide's name has {self.search!r} in it" if self.search else "no slide was read yet"]
        if more:
            text.append(f"... and older ones; --most {self.most * 2} shows more")
        return Outcome(record={"slides": [_line(line) for line in lines], "more": more}, text="\n".join(text))

    def _one(self, store: "Store", last_field: int) -> Outcome:
        from edge.record.slide_queries import acts, corrections, newest_run, state_after
        from edge.slides.names import name_hint
        from edge.slides.tally import Tally

        done, corrected = acts(store, self.slide), corrections(store, self.slide)
        newest = done[-1][1] if done else None
        tally, run = Tally.from_record(store, self.slide), newest_run(store, self.slide)
        finding = newest.finding if newest is not None and newest.act == "closed" else {}
        state, hint = state_after(newest) or "run", name_hint(self.slide)
        record: dict[str, Any] = {
            "slide": self.slide,
            "state": state,
            "fields": last_field,
            "tally": tally.as_record(),
            "finding": finding or None,
            "acts": [_act(number, body) for number, body in done],
            "corrections": [_correction(number, body) for number, body in corrected],
            "simulated": bool(run and run.simulated),
            "bundle": run.bundle if run else None,
            "hint": hint or None,
        }
        drawn = "  (simulated)" if run and run.simulated else ""
        text = [f"slide {self.slide}: {state}{drawn}", *_told(tally)]
        text += [f"judged by {one_line(str(run.provenance))}"] if run else []
        if newest is not None and newest.finding:
            why = f": {one_line(str(newest.finding['why']))}" if newest.finding.get("why") else ""
            text.append(f"finding: {_words(newest)}{why} (rule {one_line(str(newest.finding.get('rule', '?')))})")
        for _, body in done:
            by = f" by {one_line(body.by)}" if body.by else ""
            text.append(f"{body.utc[:19]}Z  {body.act}{by}{': ' if body.why else ''}{one_line(body.why)}")
        for _, word in corrected:
            said = "agrees" if word.agrees else f"says {one_line(word.label) or 'none of the classes'}"
            note = f": {one_line(word.note)}" if word.note else ""
            text.append(f"{word.utc[:19]}Z  field {word.corrects}: {one_line(word.by)} {said}{note}")
        text += [f"hint: {hint}"] if hint else []
        text.append("research use only: no finding in here is a diagnosis")
        return Outcome(record=record, text="\n".join(text))


def slides(slide: str = "", search: str = "", most: str = "", store: str = "", json: bool = False) -> SlidesRequest:
    """List the slides of a record, the newest first, or show one: what was done to it, its tally, finding, corrections.

    Works while a run writes. Research use only.

    Args:
        slide: name of the one to be shown; all are listed when left out.
        search: only those with this in their name, in small or capital letters.
        most: how many are listed (50 when left out).
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.record.entries import require_slide
    from edge.record.location import store_folder

    if slide and (search or most):
        raise UsageError("--search and --most go with the list of slides, not with one slide")
    if slide:
        try:
            require_slide(slide)
        except ValueError as error:
            raise UsageError(f"--{error}") from None
    number = whole_number(most, "--most", at_least=1, at_most=_LARGEST) if most else _MOST
    return SlidesRequest(store_folder(store), slide, search, number, json)


def _told(tally: "Tally") -> list[str]:
    """The tally, for a person."""
    lines = [f"fields counted: {tally.fields}; seen before and not counted: {tally.seen}"]
    answers = [f"{one_line(label)} {number}" for label, number in tally.labels.most_common()]
    reasons = [f"{one_line(reason)} {number}" for reason, number in tally.reasons.most_common()]
    lines += [f"answered: {', '.join(answers)}"] if answers else []
    lines += [f"not answered: {', '.join(reasons)}"] if reasons else []
    return lines


def _words(act: "SlideBody | None") -> str:
    """A closed slide's finding in words; "" without one."""
    from edge.slides.finding import IN_WORDS

    found = "" if act is None or act.act != "closed" else str(act.finding.get("finding", ""))
    return one_line(next((words for name, words in IN_WORDS.items() if name == found), found))


def _line(line: "SlideLine") -> dict[str, Any]:
    act = line.act
    return {
        "slide": line.slide,
        "state": line.state or "run",
        "fields": line.fields,
        "entry": line.entry,
        "utc": act.utc if act else None,
        "finding": act.finding.get("finding") if act and act.act == "closed" else None,
    }


def _act(number: int, body: "SlideBody") -> dict[str, Any]:
    told = {"entry": number, "utc": body.utc, "act": body.act, "by": body.by, "why": body.why, "run": body.run}
    return {**told, "command": body.command, "finding": body.finding or None}


def _correction(number: int, body: "CorrectionBody") -> dict[str, Any]:
    told = {"entry": number, "utc": body.utc, "field": body.corrects, "verdict": body.verdict, "by": body.by}
    return {**told, "label": body.label, "agrees": body.agrees, "note": body.note}
