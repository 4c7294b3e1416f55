"""What an app is given so that everybody is asked: routes, handlers, and the checks before every request."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.errors import PageFolderError
from edge.page.access.access import Access
from edge.page.access.guard import LoginNeeded
from edge.page.access.routes.administration import administration
from edge.page.access.routes.session import session_routes
from edge.page.access.wire.defects import Defects
from edge.page.access.wire.headers import SecurityHeaders
from edge.page.access.wire.hosts import KnownHosts, names_of_machine
from edge.page.access.wire.origins import SameOrigin
from edge.page.problems import Problem, answer_with_problems

API = "/api/v1"


def install(app: FastAPI, access: Access) -> None:
    """Put `access` before everything that `app` has. Call it last but for `guard.require_roles(app)`, and run the app's
    lifespan within `access.running()`."""
    app.state.access = access
    answer_with_problems(app)
    app.add_exception_handler(LoginNeeded, _to_login)
    app.add_exception_handler(PageFolderError, _folder)
    app.include_router(session_routes, prefix=API)
    app.include_router(administration, prefix=API)
    settings = access.settings
    # The last one added is the first to see a request.
    app.add_middleware(Defects)
    app.add_middleware(SameOrigin)
    app.add_middleware(KnownHosts, names=[*names_of_machine(), *settings.names])
    app.add_middleware(SecurityHeaders, tls=settings.tls)


async def _to_login(_: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeeded)
    return RedirectResponse(error.to, 303)


async def _folder(_: Request, error: Exception) -> Response:
    return Problem(503, "page-folder", str(error)).response()
