"""The application of the page process: its rooms put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from edge.page.access.access import Access
from edge.page.access.guard import require, require_roles
from edge.page.access.installation import install
from edge.page.device.router import device_router
from edge.page.http import answers
from edge.page.http.bodies import BodyLimit
from edge.page.http.config import PageConfig

API = "/api/v1"
_ABOUT = "The bench of a Leukoscope: slides, their fields, the instrument and the device. Research use only."


def create_app(config: PageConfig) -> FastAPI:
    """The page over a record and the socket of an instrument. It owns no result: it may end at any time.

    Raises:
        UsageError: as `Access`.

    >>> from pathlib import Path
    >>> create_app(PageConfig(Path("/srv/record"), Path("/run/i.sock"), demo=True)).openapi()["info"]["title"]
    'Leukoscope'
    """

    access = Access(config.settings, demo=config.demo)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with access.running():
            yield

    app = FastAPI(
        title="Leukoscope",
        version="1",
        summary=_ABOUT,
        lifespan=lifespan,
        openapi_url=None,  # the API's own route gives it, to those who are logged in
        docs_url=None,  # their scripts come from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.config = config
    api = APIRouter(prefix=API, responses=answers.problems(401, 403, 422))
    api.include_router(device_router(config.machine), dependencies=[Depends(require("look"))])
    app.include_router(api)
    app.add_middleware(BodyLimit, most=config.limits.body_bytes)
    app.openapi = _described(app)  # type: ignore[method-assign]  # FastAPI's documented way
    install(app, access)
    require_roles(app)
    return app


def _described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """OpenAPI of an app, made once, with the problem that every route may answer with."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            shapes = schema.setdefault("components", {}).setdefault("schemas", {})
            shapes[answers.SCHEMA] = answers.ProblemOut.model_json_schema()
            app.openapi_schema = schema
        return app.openapi_schema

    return openapi
