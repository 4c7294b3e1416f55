"""Refusals of the page as problem documents (RFC 9457), each under a name that stays."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

_log = logging.getLogger(__name__)
TYPE = "urn:leukoscope:problem:"
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818  (the name of the standard)
    """A request that is refused. Raise it anywhere below a route.

    >>> Problem(404, "no-slide", "no slide is called S-1").body()["type"]
    'urn:leukoscope:problem:no-slide'

    Args:
        status: HTTP status, 400 to 599.
        name: stable, letters and dashes; the end of `type`.
        detail: one sentence for whoever asked.
        headers: further headers of the response.
        more: further members of the document.
    """

    def __init__(
        self, status: int, name: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail = status, name, detail
        self.headers, self.more = dict(headers or {}), more

    def body(self) -> dict[str, Any]:
        """The members of the document."""
        title = HTTPStatus(self.status).phrase
        return {"type": TYPE + self.name, "title": title, "status": self.status, "detail": self.detail, **self.more}

    def response(self) -> "Response":
        """The document as a response."""
        from starlette.responses import JSONResponse

        return JSONResponse(self.body(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def answer_with_problems(app: "FastAPI") -> None:
    """Have every refusal of `app` answered as a problem document: ours, the framework's, and defects (500)."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    async def ours(_: "Request", error: Exception) -> "Response":
        assert isinstance(error, Problem)
        return error.response()

    async def framework(_: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return Problem(error.status_code, name, str(error.detail), headers=error.headers).response()

    async def invalid(_: "Request", error: Exception) -> "Response":
        assert isinstance(error, RequestValidationError)
        faults = [
            {"where": ".".join(str(part) for part in each["loc"]), "what": str(each["msg"])} for each in error.errors()
        ]
        first = f"{faults[0]['where']}: {faults[0]['what']}" if faults else "not what this route takes"
        return Problem(422, "invalid-request", first, faults=faults[:16]).response()

    async def defect(request: "Request", error: Exception) -> "Response":
        _log.error("%s %s ended with a defect", request.method, request.url.path, exc_info=error)
        return Problem(500, "defect", "the page has a defect; its log says more").response()

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, defect)
