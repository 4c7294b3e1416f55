"""Entries about slides at the bench: what happened to one, what an expert corrects, and commands that were given."""

from typing import Any, Literal

from msgspec import field

from edge.record.entry_parts import EntryBody

Act = Literal["opened", "paused", "continued", "closed", "reopened"]


class SlideBody(EntryBody, frozen=True, kw_only=True, omit_defaults=True, tag="slide"):
    """What happened to a slide. A slide that is closed may be reopened, which adds an entry and changes none.

    Attributes:
        run: that judged then; None where none did. by: who asked for it, "" for the instrument itself.
        command: id of the command, 32 hexadecimal digits; "" without one.
        why: one sentence, such as "the instrument was started again"; "" where `by` is enough.
        finding: what the slide came to, of a closed one (`edge.slides.finding`); empty otherwise.

    >>> SlideBody(run=1, slide="s1", utc_ns=0, act="opened", by="operator").act
    'opened'
    """

    run: int | None
    slide: str
    act: Act
    by: str = ""
    command: str = ""
    why: str = ""
    finding: dict[str, Any] = field(default_factory=dict)


class CorrectionBody(EntryBody, frozen=True, kw_only=True, omit_defaults=True, tag="correction"):
    """An expert's word on a field. The verdict stays as it was recorded; the newest correction of a field holds.

    Attributes:
        corrects: number of the field, and verdict: of its entry. by: who says so.
        label: the class that the expert sees; "" for none of the model's.
        agrees: that is what was answered. note: one line.

    >>> CorrectionBody(slide="s1", utc_ns=0, corrects=7, verdict=12, by="reader-2", label="Pre", agrees=True).label
    'Pre'
    """

    slide: str
    corrects: int  # not `field`: a slide has each number once
    verdict: int
    by: str
    label: str
    agrees: bool
    note: str = ""
    command: str = ""


class CommandBody(EntryBody, frozen=True, kw_only=True, omit_defaults=True, tag="command"):
    """A command that changed something and has no entry of another kind: who gave it, and what came of it.

    >>> CommandBody(run=1, slide=None, utc_ns=0, command="0" * 32, name="automatic", by="operator").refused
    ''
    """

    run: int | None
    slide: str | None
    command: str
    name: str
    by: str
    arguments: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
