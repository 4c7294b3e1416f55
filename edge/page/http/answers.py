"""Answers of the API: problems as OpenAPI describes them, and JSON with an entity tag."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from edge.page.problems import MEDIA_TYPE, Problem

ALWAYS_ASK = "private, no-cache"  # a browser may keep it, and asks each time whether it still holds: by its login
SCHEMA = "Problem"


class ProblemOut(BaseModel):
    """A request that was refused (RFC 9457). `type` stays; `title` and `detail` are for people. `faults`: of a request
    that was wrong, what is wrong where. `readable`: while the instrument is away, what can still be read."""

    type: str
    title: str
    status: int
    detail: str
    faults: list[dict[str, str]] | None = None
    readable: list[str] | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that may answer with problems of these statuses, for OpenAPI.

    >>> problems(404)[404]["description"]
    'Not Found'
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{SCHEMA}"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def matches(request: Request, tag: str) -> bool:
    """Whether the client has what an entity tag names, by `If-None-Match`."""
    given = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return tag.removeprefix("W/") in given or given == ["*"]


def unchanged(tag: str) -> Response:
    """304: what the client has still holds."""
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": ALWAYS_ASK})


def tagged(request: Request, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """A body as JSON with an entity tag, or 304 where the client has it."""
    data = body.model_dump_json().encode()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    if matches(request, tag):
        return unchanged(tag)
    more = {"ETag": tag, "Cache-Control": ALWAYS_ASK, **(headers or {})}
    return Response(data, media_type="application/json", headers=more)


def not_found(name: str, detail: str) -> Problem:
    """404 about something that is not in the record."""
    return Problem(404, name, detail)
