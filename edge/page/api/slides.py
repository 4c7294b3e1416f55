"""The routes on slides: the history, one slide, and what is done to it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from edge.page.api.parameters import (
    SLIDE_PATTERN,
    Cursor,
    Key,
    Limit,
    Looker,
    Operator,
    SlideName,
    TheBench,
    TheOrder,
    TheRecord,
    TheTallies,
)
from edge.page.http.answers import not_found, problems, tagged
from edge.page.live.commands import DoneOut, give
from edge.page.records.answers import SlideOut, SlidesOut
from edge.page.records.slides import one_slide, slides

router = APIRouter(tags=["slides"])
_REFUSED = problems(404, 409, 502, 503)


class SlideIn(BaseModel):
    """The slide that is put under the lens."""

    model_config = ConfigDict(extra="forbid")

    slide: str = Field(pattern=SLIDE_PATTERN, max_length=64)


@router.get("/slides", response_model=SlidesOut, responses=problems(304, 503), summary="The history of slides")
async def get_slides(
    request: Request,
    _: Looker,
    record: TheRecord,
    order: TheOrder,
    q: Annotated[str, Query(max_length=64, description="A part of the identifier.")] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response:
    """Slides, the newest first: by the run that began or the act that came last."""
    return tagged(request, await record.ask(slides(order, q, cursor, limit), SlidesOut(items=[], next=None)))


@router.get("/slides/{slide}", response_model=SlideOut, responses=problems(304, 404, 503), summary="One slide")
async def get_slide(
    request: Request, slide: SlideName, _: Looker, record: TheRecord, tallies: TheTallies, bench: TheBench
) -> Response:
    """What was done to a slide, its tally, its finding, and what experts corrected."""
    found = await record.ask(one_slide(slide, tallies), not_found("no-slide", f"no slide is called {slide}"))
    if found.finding is None and found.state in ("open", "paused"):
        found.finding = bench.finding_of(slide)
    return tagged(request, found)


@router.post("/slides", status_code=201, responses=_REFUSED, summary="Open a slide")
async def open_slide(slide: SlideIn, user: Operator, bench: TheBench, key: Key = None) -> DoneOut:
    """Open a slide that the record does not have yet. One slide is open at a time."""
    return await give(bench, "open", user.name, key, slide=slide.slide)


@router.post("/slides/{slide}/pause", responses=_REFUSED, summary="Pause the open slide")
async def pause_slide(slide: SlideName, user: Operator, bench: TheBench, key: Key = None) -> DoneOut:
    """Judge nothing until the slide is continued."""
    return await give(bench, "pause", user.name, key, slide=slide)


@router.post("/slides/{slide}/continue", responses=_REFUSED, summary="Continue a paused slide")
async def continue_slide(slide: SlideName, user: Operator, bench: TheBench, key: Key = None) -> DoneOut:
    """Go on with the slide that is paused."""
    return await give(bench, "continue", user.name, key, slide=slide)


@router.post("/slides/{slide}/close", responses=_REFUSED, summary="Close the slide")
async def close_slide(slide: SlideName, user: Operator, bench: TheBench, key: Key = None) -> DoneOut:
    """End the slide: its finding is recorded."""
    return await give(bench, "close", user.name, key, slide=slide)


@router.post("/slides/{slide}/reopen", responses=_REFUSED, summary="Reopen a closed slide")
async def reopen_slide(slide: SlideName, user: Operator, bench: TheBench, key: Key = None) -> DoneOut:
    """Go on with a slide that was closed: an entry is added, and none is changed."""
    return await give(bench, "reopen", user.name, key, slide=slide)
