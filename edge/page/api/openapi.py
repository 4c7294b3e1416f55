"""The route that gives the API's own description, and how that is made."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from edge.page.api.parameters import Looker
from edge.page.http import answers

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def get_description(request: Request, _: Looker) -> JSONResponse:
    """OpenAPI 3.1 of the API."""
    return JSONResponse(await run_in_threadpool(request.app.openapi))  # made at the first request: that takes a while


def describe(app: FastAPI) -> None:
    """Have `app.openapi()` tell of problems as what they are, on every route, and of the token for programs."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    _complete(operation["responses"], api=path.startswith("/api/"))
            parts = schema.setdefault("components", {})
            shapes = parts.setdefault("schemas", {})
            shapes[answers.SCHEMA] = answers.ProblemOut.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which no route answers with
                shapes.pop(name, None)
            parts["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer", "description": "A token for programs (`POST /tokens`)."},
            }
            schema["security"] = [{"token": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _complete(responses: dict[str, Any], *, api: bool) -> None:
    """Any route may refuse a request: what it does not name itself is a problem too."""
    known = answers.problems(422, 503)
    if api or "422" in responses:
        responses["422"] = known[422]
    if api:
        responses.setdefault("4XX", {**known[422], "description": "A problem of the request"})
        responses.setdefault("503", {**known[503], "description": "Not now"})
