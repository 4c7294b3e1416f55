"""The routes on a slide's fields: lists of them, one field, its image, and corrections."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from edge.page.api.parameters import (
    ONE_LINE,
    Cursor,
    FieldNumber,
    Key,
    Limit,
    Looker,
    Operator,
    SlideName,
    TheBench,
    ThePictures,
    TheRecord,
    TheTallies,
    Width,
)
from edge.page.http.answers import ALWAYS_ASK, matches, not_found, problems, tagged, unchanged
from edge.page.live.commands import DoneOut, give
from edge.page.records.answers import FieldOut, FieldsOut
from edge.page.records.fields import Order, fields, one_field
from edge.page.records.pictures import image_of, tag

router = APIRouter(prefix="/slides/{slide}/fields", tags=["fields"])
_FILES: dict[str, Any] = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/jpeg")
}


class CorrectionIn(BaseModel):
    """An expert's word on a field. `label`: the class that the expert sees, "" for none of the model's; `agrees`: that
    is what was answered."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(max_length=64, pattern=ONE_LINE)
    agrees: bool
    note: str = Field(default="", max_length=500, pattern=ONE_LINE)


@router.get("", response_model=FieldsOut, responses=problems(304, 404, 503), summary="The fields of a slide")
async def get_fields(
    request: Request,
    slide: SlideName,
    _: Looker,
    record: TheRecord,
    tallies: TheTallies,
    label: Annotated[str, Query(max_length=64, description="Fields that were answered so.")] = "",
    reason: Annotated[str, Query(max_length=64, description="Fields that were not answered, for this reason.")] = "",
    order: Annotated[Order, Query(description="By number, or the most suspicious first.")] = "number",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response:
    """A piece of the fields. While fields arrive, nothing is given twice."""
    question = fields(slide, tallies, label=label, reason=reason, order=order, cursor=cursor, limit=limit)
    return tagged(request, await record.ask(question, not_found("no-slide", f"no slide is called {slide}")))


@router.get("/{field}", response_model=FieldOut, responses=problems(304, 404, 503), summary="One field")
async def get_field(
    request: Request, slide: SlideName, field: FieldNumber, _: Looker, record: TheRecord, tallies: TheTallies
) -> Response:
    """A field with its verdict, or the reason why there is none, and what experts said of it."""
    missing = not_found("no-slide", f"no slide is called {slide}")
    return tagged(request, await record.ask(one_field(slide, field, tallies), missing))


@router.get(
    "/{field}/image",
    response_class=Response,
    responses={200: {"content": _FILES, "description": "The image"}, **problems(304, 404, 409, 503)},
    summary="The image of a field",
)
async def get_image(
    request: Request,
    slide: SlideName,
    field: FieldNumber,
    _: Looker,
    record: TheRecord,
    pictures: ThePictures,
    width: Width = None,
) -> Response:
    """The file that was recorded, or a smaller JPEG of it. The entity tag is the file's sha256, then the width."""
    missing = not_found("no-slide", f"no slide is called {slide}")
    image = await record.ask(lambda store: image_of(store, slide, field), missing)
    entity = tag(image, width)
    if matches(request, entity):
        return unchanged(entity)
    picture = await record.ask(lambda store: pictures.get(store, image, width), missing)
    headers = {"ETag": entity, "Cache-Control": ALWAYS_ASK}
    return Response(picture.data, media_type=picture.media_type, headers=headers)


@router.post(
    "/{field}/corrections",
    status_code=201,
    responses=problems(404, 409, 502, 503),
    summary="Correct a field, or agree",
)
async def correct_field(
    slide: SlideName, field: FieldNumber, word: CorrectionIn, user: Operator, bench: TheBench, key: Key = None
) -> DoneOut:
    """Record an expert's word on a field. The verdict stays as it is; the newest word holds."""
    told = {"slide": slide, "field": field, "label": word.label, "agrees": word.agrees, "note": word.note}
    return await give(bench, "correct", user.name, key, **told)
