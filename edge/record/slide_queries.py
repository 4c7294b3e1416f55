"""Slides in the record: what was done to one, its verdicts, corrections and commands, and the history of all slides.

Each query is answered by an index, whatever the record's size: `docs/studies/slides/record_speed.py` measures that.
"""

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import UNSET, Struct

from edge.inference.licence import SUSPICIOUS
from edge.record.chain import canonical
from edge.record.entries import PrunedBody, RunBody, VerdictBody, read_body
from edge.record.reader import Reader
from edge.record.slide_entries import Act, CommandBody, CorrectionBody, SlideBody

State = Literal["open", "paused", "closed", ""]
STATES: dict[Act, State] = {
    "opened": "open",
    "continued": "open",
    "reopened": "open",
    "paused": "paused",
    "closed": "closed",
}
_MAY_FOLLOW: dict[State, tuple[Act, ...]] = {
    "": ("opened",),
    "open": ("paused", "closed"),
    "paused": ("paused", "continued", "closed"),  # paused twice: the instrument was started again meanwhile
    "closed": ("reopened",),
}
LONGEST_NOTE, LONGEST_BY = 500, 64
OLD_COMMANDS = 1000  # that `recent_commands` gives when not asked for more
_CHUNK = 500
_ACT = "type = 'slide' AND type IN ('run', 'slide')"  # as the index `acts` says it
_COMMAND, _COMMANDED = "json_extract(body, '$.command')", "type IN ('slide', 'correction', 'command')"  # `commands`


class SlideLine(Struct, frozen=True):
    """A line of the history of slides.

    Attributes:
        slide: its name. fields: the last field number given. entry: its newest run's or act's, by which lines are
            ordered; 0 where retention removed all of them.
        act: the newest, None of a slide that was only run.

    >>> SlideLine("s1", fields=20, entry=7, act=None).state
    ''
    """

    slide: str
    fields: int
    entry: int
    act: SlideBody | None

    @property
    def state(self) -> State:
        """open, paused or closed; "" of a slide that was only run."""
        return state_after(self.act)


def state_after(act: SlideBody | None) -> State:
    """The state that an act leaves a slide in; "" before the first."""
    return "" if act is None else STATES[act.act]


def may_follow(act: SlideBody | None) -> tuple[Act, ...]:
    """The acts that may come next."""
    return _MAY_FOLLOW[state_after(act)]


def acts(store: Reader, slide: str) -> list[tuple[int, SlideBody]]:
    """What happened to a slide, in order, each with the number of its entry."""
    query = f"SELECT id, body FROM entries WHERE slide = ? AND {_ACT} ORDER BY id"
    found = ((number, read_body(text)) for number, text in store.select(query, slide))
    return [(number, body) for number, body in found if isinstance(body, SlideBody)]


def newest_act(store: Reader, slide: str) -> tuple[int, SlideBody] | None:
    """What happened to a slide last; None where nothing did (it was only run), or retention removed it."""
    query = f"SELECT id, body FROM entries WHERE id = (SELECT max(id) FROM entries WHERE slide = ? AND {_ACT})"
    return _act(store, query, slide)


def open_slide(store: Reader) -> tuple[int, SlideBody] | None:
    """The newest act of the slide that is open, or paused, at the end of the record; None where none is.

    What a start takes up again. Retention keeps it beside the checkpoint where it removes its entry.
    """
    found = _act(store, f"SELECT id, body FROM entries WHERE id = (SELECT max(id) FROM entries WHERE {_ACT})")
    if found is None and (checkpoint := _checkpoint(store)) is not None and checkpoint.carried_act is not UNSET:
        found = _numbered_act(checkpoint.carried_act)
    return found if found is not None and state_after(found[1]) in ("open", "paused") else None


def newest_run(store: Reader, slide: str) -> RunBody | None:
    """The run of a slide that began last; None where retention removed its beginning."""
    query = """SELECT body FROM entries WHERE id = (
                   SELECT max(id) FROM entries WHERE slide = ? AND type = 'run' AND type IN ('run', 'slide'))"""
    for (text,) in store.select(query, slide):
        body = read_body(text)
        return body if isinstance(body, RunBody) else None
    return None


def corrections(store: Reader, slide: str) -> list[tuple[int, CorrectionBody]]:
    """Every correction of a slide's fields, in order, each with its entry's number; the newest of a field holds."""
    query = "SELECT id, body FROM entries WHERE slide = ? AND field IS NULL AND type = 'correction' ORDER BY id"
    found = ((number, read_body(text)) for number, text in store.select(query, slide))
    return [(number, body) for number, body in found if isinstance(body, CorrectionBody)]


def verdicts(
    store: Reader, slide: str, *, after: int = 0, most: int | None = None
) -> Iterator[tuple[int, VerdictBody]]:
    """The verdicts of a slide behind field `after`, in order of fields, each with the number of its entry."""
    query = """SELECT id, body, field FROM entries WHERE slide = ? AND field > ? AND type = 'verdict'
               ORDER BY field LIMIT ?"""
    left = most
    while left is None or left > 0:
        rows = store.select(query, slide, after, _CHUNK if left is None else min(left, _CHUNK))
        for number, text, _ in rows:
            body = read_body(text)
            if isinstance(body, VerdictBody):
                yield number, body
        if not rows:
            return
        after, left = rows[-1][2], None if left is None else left - len(rows)


def verdict(store: Reader, slide: str, field: int) -> tuple[int, VerdictBody] | None:
    """One verdict and the number of its entry; None where there is none, or retention removed it.

    Of a removed one whose correction is still there the checkpoint holds a copy; its image is gone.
    """
    for number, text in store.select("SELECT id, body FROM entries WHERE slide = ? AND field = ?", slide, field):
        body = read_body(text)
        return (number, body) if isinstance(body, VerdictBody) else None
    for number, kept in carried_verdicts(store).items():
        if (kept.slide, kept.field) == (slide, field):
            return number, kept
    return None


def automatic_set(store: Reader, slide: str) -> bool | None:
    """What `automatic` was last set to since a slide was opened or reopened; None where nobody set it."""
    opened = max((number for number, body in acts(store, slide) if body.act in ("opened", "reopened")), default=0)
    query = """SELECT body FROM entries WHERE slide = ? AND field IS NULL AND type = 'command' AND id > ?
               ORDER BY id DESC"""
    for (text,) in store.select(query, slide, opened):
        body = read_body(text)
        if isinstance(body, CommandBody) and body.name == "automatic" and not body.refused:
            return bool(body.arguments["on"])
    return None


def carried_verdicts(store: Reader) -> dict[int, VerdictBody]:
    """The verdicts that retention removed while corrections of them stayed, by the number of their entry."""
    checkpoint = _checkpoint(store)
    if checkpoint is None or checkpoint.carried_verdicts is UNSET:
        return {}
    found = {int(number): read_body(canonical(body)) for number, body in checkpoint.carried_verdicts.items()}
    return {number: body for number, body in found.items() if isinstance(body, VerdictBody)}


def command(store: Reader, identifier: str) -> tuple[int, SlideBody | CorrectionBody | CommandBody] | None:
    """The entry of a command that was given before, and its number; None where there is none."""
    query = f"SELECT id, body FROM entries WHERE {_COMMAND} = ? AND {_COMMANDED} ORDER BY +id DESC LIMIT 1"
    for number, text in store.select(query, identifier):
        body = read_body(text)
        return (number, body) if isinstance(body, SlideBody | CorrectionBody | CommandBody) else None
    return None


def recent_commands(
    store: Reader, most: int = OLD_COMMANDS
) -> dict[str, tuple[int, SlideBody | CorrectionBody | CommandBody]]:
    """The newest commands by id, oldest first, each with its entry and that entry's number: what came of it."""
    found: dict[str, tuple[int, SlideBody | CorrectionBody | CommandBody]] = {}
    newest = f"SELECT id FROM entries WHERE {_COMMANDED} ORDER BY +id DESC LIMIT ?"
    query = f"SELECT id, body FROM entries WHERE id IN ({newest}) ORDER BY id DESC"
    for number, text in reversed(store.select(query, most)):
        body = read_body(text)
        if isinstance(body, SlideBody | CorrectionBody | CommandBody) and body.command:
            found[body.command] = number, body
    return found


def commands_twice(store: Reader, most: int = 100) -> list[tuple[str, int]]:
    """Ids of commands that stand in more than one entry of a kind, and in how many: none is done twice.

    One that was refused may be given again.
    """
    query = f"""SELECT {_COMMAND}, count(*) FROM entries WHERE {_COMMANDED} AND {_COMMAND} != ''
                AND json_extract(body, '$.refused') IS NULL GROUP BY 1, type HAVING count(*) > 1 LIMIT ?"""
    return store.select(query, most)


def history(
    store: Reader, search: str = "", *, before: SlideLine | tuple[int, str] | None = None, most: int = 50
) -> list[SlideLine]:
    """Slides, the newest first: by the run that began or the act that came last.

    Args:
        search: a part of the name, in small or capital letters; "" for all.
        before: the last line of the piece before, or its (entry, slide).
    """
    entry, name = (before.entry, before.slide) if isinstance(before, SlideLine) else before or (2**62, "")
    query = """
        SELECT slide, fields, entry FROM (
            SELECT slide, fields, coalesce((
                SELECT max(id) FROM entries WHERE entries.slide = slides.slide AND type IN ('run', 'slide')
            ), 0) AS entry FROM slides WHERE instr(lower(slide), lower(?))
        ) WHERE (entry, slide) < (?, ?) ORDER BY entry DESC, slide DESC LIMIT ?"""
    lines = []
    for slide, fields, newest in store.select(query, search, entry, name, most):
        act = newest_act(store, slide)
        lines.append(SlideLine(slide, fields, newest, None if act is None else act[1]))
    return lines


def require_act(store: Reader, slide: str, act: Act) -> None:
    """Raise ValueError where the slide's state, or another one that is open, does not allow that act."""
    newest = newest_act(store, slide)
    opened = open_slide(store)
    if opened is not None and opened[1].slide != slide:
        raise ValueError(f"slide {opened[1].slide} is {state_after(opened[1])}; close it before {slide} is {act}")
    if newest is None and opened is not None:
        newest = opened  # its entry was removed, and the checkpoint holds it
    before = None if newest is None else newest[1]
    if before is None and store.base().id and act != "opened":
        return  # what came before was removed
    if act not in may_follow(before):
        raise ValueError(
            f"act must be one of {', '.join(may_follow(before))} for slide {slide}, which "
            f"{'was not opened' if before is None else f'was {before.act} last'}; got {act!r}"
        )


def require_corrects(store: Reader, correction: CorrectionBody) -> int:
    """The entry of the verdict that a correction is about; ValueError where it can be about none."""
    for name, text, longest in (("by", correction.by, LONGEST_BY), ("note", correction.note, LONGEST_NOTE)):
        if len(text) > longest or not text.isprintable():
            raise ValueError(f"{name} must be one line of at most {longest} characters; got {text[:80]!r}")
    if not correction.by:
        raise ValueError("by must say who corrects; got ''")
    slide, label = correction.slide, correction.label
    found = verdict(store, slide, correction.corrects)
    if found is None or correction.verdict not in (0, found[0]):
        raise ValueError(f"corrects must be a field of slide {slide} with a verdict; got {correction.corrects}")
    number, judged = found
    answered = judged.label or ""
    begun = store.run_body(judged.run)
    run = None if begun is None else read_body(begun)
    known = dict.fromkeys([*(run.labels if isinstance(run, RunBody) else ()), answered])
    if label and label not in known:
        raise ValueError(f"label must be one of {', '.join(filter(None, known))}, or empty; got {label!r}")
    if correction.agrees and label != answered and not (answered == SUSPICIOUS and label):
        raise ValueError(f"label must be {answered!r}, as was answered, where the reader agrees; got {label!r}")
    if not correction.agrees and label == answered:
        raise ValueError(f"label must not be {answered!r}, as was answered, where the reader does not agree")
    return number


def _act(store: Reader, query: str, *values: str) -> tuple[int, SlideBody] | None:
    for number, text in store.select(query, *values):
        body = read_body(text)
        return (number, body) if isinstance(body, SlideBody) else None
    return None


def _checkpoint(store: Reader) -> PrunedBody | None:
    query = "SELECT body FROM entries WHERE type = 'pruned' AND type != 'verdict' ORDER BY id DESC LIMIT 1"
    for (text,) in store.select(query):
        body = read_body(text)
        return body if isinstance(body, PrunedBody) else None
    return None


def _numbered_act(carried: dict[str, Any]) -> tuple[int, SlideBody] | None:
    body = read_body(canonical(carried["body"]))
    return (int(carried["entry"]), body) if isinstance(body, SlideBody) else None
