"""What the API says of the record: slides, their fields, what experts corrected, as JSON."""

from typing import Literal

from pydantic import BaseModel, Field

State = Literal["open", "paused", "closed", "run"]


class TallyOut(BaseModel):
    """What was counted of a slide. `fields`: counted ones; `seen`: shown again and not counted; `passed`: let through
    by the gates; `answered`: with a class, `as_benign` and `other` of them; `agreed`, `disagreed`: by experts."""

    fields: int
    seen: int
    passed: int
    answered: int
    as_benign: int
    other: int
    labels: dict[str, int]
    reasons: dict[str, int]
    agreed: int = 0
    disagreed: int = 0


class FindingOut(BaseModel):
    """What a slide comes to. `finding`: "suspicious", "benign", "undecided", "refused" or "not_enough_fields"; `why`:
    one sentence; `rule`: name and version; `interval`: 95 %, of the share of answered fields that are not benign, null
    where benign answers are withheld; `withheld`: why they are; `fields`, `width`: what is enough."""

    finding: str
    why: str
    rule: str
    benign: list[str]
    tally: TallyOut
    interval: tuple[float, float] | None
    fields: int
    width: float
    withheld: str = ""


class ActOut(BaseModel):
    """What happened to a slide. `entry`: its number in the record; `by`: who asked for it, "" for the instrument."""

    entry: int
    act: str
    by: str
    why: str
    command: str
    utc: str
    finding: FindingOut | None = None


class CorrectionOut(BaseModel):
    """An expert's word on a field; the newest of a field holds, and no verdict changes. `label`: "" for none."""

    entry: int
    field: int
    verdict: int
    by: str
    label: str
    agrees: bool
    note: str
    utc: str


class SlideLineOut(BaseModel):
    """A line of the history. `state`: "run" of a slide that was only run, without the bench; `fields`: the last number
    given; `entry`: the newest run or act; `finding`: of a closed one; `hint`: where the name looks like a person's."""

    slide: str
    state: State
    fields: int
    entry: int
    utc: str
    by: str
    finding: FindingOut | None
    hint: str


class SlidesOut(BaseModel):
    """A piece of the history, the newest first. `next`: the cursor of the next piece, null at the end."""

    items: list[SlideLineOut]
    next: str | None


class SlideOut(BaseModel):
    """A slide. `tally`: of its verdicts in the record; `finding`: that of its closing, else the instrument's; `labels`,
    `benign`: of its runs; `removed`: retention removed a part of it."""

    slide: str
    state: State
    fields: int
    tally: TallyOut
    finding: FindingOut | None
    labels: list[str]
    benign: list[str]
    acts: list[ActOut]
    corrections: list[CorrectionOut]
    simulated: bool
    bundle: str
    hint: str


class ImageOut(BaseModel):
    """The image that was kept. `url`: where it is; `sha256`: of the file, also its entity tag."""

    url: str
    sha256: str
    bytes: int


class FieldOut(BaseModel):
    """A field of a slide. `label`: the class, or else `reason`, `detail`; `probabilities`: by class, null where no
    model was asked or benign answers are withheld; `gates`: measured values; `seen`: the field that it shows again, and
    is not counted for; `asked_by`: who asked for it; `corrections`: in order."""

    entry: int
    slide: str
    field: int
    run: int
    utc: str
    sequence: int
    label: str | None
    reason: str | None
    detail: str | None
    probabilities: dict[str, float] | None
    gates: dict[str, float | None]
    seen: int | None
    asked_by: str
    image: ImageOut | None
    corrections: list[CorrectionOut] = Field(default_factory=list)


class FieldsOut(BaseModel):
    """A piece of a slide's fields. `next`: the cursor of the next piece, null at the end."""

    items: list[FieldOut]
    next: str | None
