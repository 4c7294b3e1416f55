"""The routes on the instrument: how it is, its labels, and what it is asked to do."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from edge.page.api.parameters import ONE_LINE, SLIDE_PATTERN, Administrator, Key, Looker, Operator, TheBench
from edge.page.http.answers import problems
from edge.page.live.commands import DoneOut, give

router = APIRouter(tags=["instrument"])
_REFUSED = problems(409, 502, 503)


class AutomaticIn(BaseModel):
    """`on`: usable new fields are judged by themselves."""

    model_config = ConfigDict(extra="forbid")

    on: bool


class ExposureIn(BaseModel):
    """`locked`: exposure, gain and white balance stay as they are now."""

    model_config = ConfigDict(extra="forbid")

    locked: bool


class ReferenceIn(BaseModel):
    """`label`: the class of the next usable field."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(min_length=1, max_length=64, pattern=ONE_LINE)


class JudgementIn(BaseModel):
    """`slide`: refused unless this one is open; null for whichever is."""

    model_config = ConfigDict(extra="forbid")

    slide: str | None = Field(default=None, pattern=SLIDE_PATTERN, max_length=64)


class StateOut(BaseModel):
    """How the instrument is: `state` as its socket tells it (docs/reference/instrument-socket.md), `connected`, and
    `since` when. `state` is null while it is not connected; then `why` says what is wrong."""

    connected: bool
    since: str
    why: str
    state: dict[str, Any] | None


class RuleOut(BaseModel):
    """The rule of a slide's finding: name with its version, in words, and what is enough."""

    name: str
    words: str
    fields: int
    width: float


class BundleOut(BaseModel):
    """The model that judges."""

    name: str
    digest: str
    version: int | None
    signed_by: str
    certified: bool
    acceptance: str
    synthetic: bool | None


class LabelsOut(BaseModel):
    """The instrument's `hello`: model, labels, which of them are benign, the rule, and the limits of its gates."""

    software: str
    bundle: BundleOut
    labels: list[str]
    benign: list[str]
    camera: str
    simulated: bool
    camera_setup: str
    site: str
    study: bool
    rule: RuleOut
    gates: dict[str, dict[str, float | None]]
    size: tuple[int, int] | None


@router.get("/state", summary="How the instrument is")
async def get_state(_: Looker, bench: TheBench) -> StateOut:
    """How the instrument is now. This route answers without an instrument as well."""
    state = await bench.state()
    return StateOut(connected=bench.connected, since=bench.since, why=bench.why, state=state)


@router.get("/labels", responses=problems(503), summary="The model and its labels")
async def get_labels(_: Looker, bench: TheBench) -> LabelsOut:
    """Which model judges, its classes, and the rule of a slide's finding."""
    return LabelsOut.model_validate(bench.hello())


@router.post("/judgements", responses=_REFUSED, summary="Judge this field now")
async def judge(user: Operator, bench: TheBench, judgement: JudgementIn | None = None, key: Key = None) -> DoneOut:
    """Judge and record the next frame that is captured, whatever the gates say of it."""
    return await give(bench, "judge", user.name, key, slide=judgement.slide if judgement else None)


@router.put("/automatic", responses=_REFUSED, summary="Judge fields automatically, or not")
async def set_automatic(automatic: AutomaticIn, user: Operator, bench: TheBench, key: Key = None) -> DoneOut:
    """Whether a usable new field is judged by itself once the view stands still."""
    return await give(bench, "automatic", user.name, key, on=automatic.on)


@router.put("/exposure", responses=_REFUSED, summary="Lock the exposure, or not")
async def set_exposure(exposure: ExposureIn, user: Administrator, bench: TheBench, key: Key = None) -> DoneOut:
    """Whether exposure, gain and white balance stay as they are."""
    return await give(bench, "exposure", user.name, key, locked=exposure.locked)


@router.post("/reference-fields", status_code=201, responses=_REFUSED, summary="Collect a reference field")
async def collect_reference(reference: ReferenceIn, user: Administrator, bench: TheBench, key: Key = None) -> DoneOut:
    """Keep the next usable field as a reference field of a class."""
    return await give(bench, "reference", user.name, key, label=reference.label)
