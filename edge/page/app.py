"""The application of the page process: its rooms put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, Depends, FastAPI

from edge.page.access.access import Access
from edge.page.access.guard import require, require_roles
from edge.page.access.installation import install
from edge.page.api import fields, health, instrument, live, openapi, slides
from edge.page.device.router import device_router
from edge.page.front.router import front_router
from edge.page.http import answers
from edge.page.http.bodies import BodyLimit
from edge.page.http.config import PageConfig
from edge.page.live.bench import Bench
from edge.page.live.link import Link, SocketLink
from edge.page.live.sockets import Sockets
from edge.page.problems import Problem
from edge.page.records.order import SlideOrder
from edge.page.records.pictures import Pictures
from edge.page.records.readers import Readers
from edge.page.records.tallies import Tallies

API = "/api/v1"
_ABOUT = "The bench of a Leukoscope: slides, their fields, the instrument and the device. Research use only."


def create_app(config: PageConfig, link: Link | None = None, access: Access | None = None) -> FastAPI:
    """The page over a record and the socket of an instrument. It owns no result: it may end at any time.

    Args:
        link: to the instrument; None for the one over `config.socket`.
        access: who may use the page; None for what `config.settings` says.

    Raises:
        UsageError, PageFolderError, CertificateError: as `Access`.

    >>> from pathlib import Path
    >>> create_app(PageConfig(Path("/srv/record"), Path("/run/i.sock"), demo=True)).openapi()["info"]["title"]
    'Leukoscope'
    """
    access = access or Access(config.settings, demo=config.demo)
    limits = config.limits
    readers, tallies = Readers(config.store, limits.readers), Tallies()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        bench = app.state.bench = Bench(link or SocketLink(config.socket), readers, tallies)
        following = asyncio.create_task(bench.run())
        warming = asyncio.create_task(_warmed(app.state.order, readers))
        try:
            async with access.running():
                yield
        finally:
            for task in (following, warming):
                task.cancel()
            await asyncio.gather(following, warming, return_exceptions=True)
            readers.close()

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
    app.state.config, app.state.readers, app.state.tallies = config, readers, tallies
    app.state.order, app.state.pictures = SlideOrder(), Pictures(limits.image_bytes)
    app.state.sockets = Sockets(limits.sockets, limits.sockets_of_user)
    api = APIRouter(prefix=API, responses=answers.problems(401, 403, 413, 422, 500))
    for room in (slides, fields, instrument, live, openapi):
        api.include_router(room.router)
    api.include_router(device_router(config.machine), dependencies=[Depends(require("look"))])
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(front_router())
    openapi.describe(app)
    app.add_middleware(BodyLimit, most=limits.body_bytes)
    install(app, access)
    require_roles(app)
    return app


async def _warmed(order: SlideOrder, readers: Readers) -> None:
    """List the slides before somebody asks for them, if they can be read now."""
    with suppress(Problem):
        await readers.ask(order.warm, 0)
