"""The route that gives the API's own description, and how that is made."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse

from edge.page.api.parameters import Looker
from edge.page.http import answers

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def get_description(request: Request, _: Looker) -> JSONResponse:
    """OpenAPI 3.1 of the API."""
    return JSONResponse(request.app.openapi())


def describe(app: FastAPI) -> None:
    """Have `app.openapi()` tell of problems as what they are, and of the ways to log in."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            parts = schema.setdefault("components", {})
            parts.setdefault("schemas", {})[answers.SCHEMA] = answers.ProblemOut.model_json_schema()
            parts["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer", "description": "A token for programs (`POST /tokens`)."},
            }
            schema["security"] = [{"token": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
