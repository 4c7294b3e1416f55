"""The routes of the HTML pages, their styles, scripts and texts. The pages hold no data: they ask the API for it."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from edge.page.access.guard import access_of, anyone, page_for
from edge.page.device.address import address
from edge.page.front.assets import assets, modules_of, version
from edge.page.front.qr import qr_svg
from edge.page.front.rendering import render
from edge.page.front.texts import LANGUAGE_COOKIE, LANGUAGES, Texts, language_of

THEME_COOKIE = "leukoscope_theme"
THEMES = ("dark", "light")  # anything else: as the browser's machine says
NAV = {"bench": "/", "slides": "/slides", "controls": "/controls", "device": "/device", "users": "/users"}
KEYS = (
    ("␣", "keys.judge"),
    ("J", "keys.judge"),
    ("P", "keys.pause"),
    ("A", "keys.automatic"),
    ("C", "keys.close"),
    ("G", "keys.gallery"),
    ("E", "keys.exposure"),
    ("?", "keys.help"),
    ("Esc", "keys.escape"),
)
_YEAR_S = 365 * 24 * 3600
_FOREVER = f"public, max-age={_YEAR_S}, immutable"


def front_router() -> APIRouter:
    """The routes of the pages, and `/static/`.

    >>> sorted(route.path for route in front_router().routes)[:4]
    ['/', '/controls', '/device', '/login']
    """
    router = APIRouter(include_in_schema=False)

    def page(path: str, name: str, role: Any, values: Callable[[Request], dict[str, Any]] = lambda _: {}) -> None:
        @router.get(path, dependencies=[Depends(role)], response_class=HTMLResponse)
        def _page(request: Request) -> Response:
            return _answer(request, name, values(request))

    page("/login", "login", anyone)
    page("/", "bench", page_for("look"))
    page("/slides", "slides", page_for("look"))
    page("/slides/{slide}", "slide", page_for("look"))
    page("/controls", "controls", page_for("look"))
    page("/device", "device", page_for("look"), _addresses)
    page("/users", "users", page_for("look"))  # one's own password; the rest is shown to who administers

    @router.get("/static/{name:path}", dependencies=[Depends(anyone)])
    async def _static(request: Request, name: str) -> Response:
        return static(request, name)

    return router


def _addresses(request: Request) -> dict[str, Any]:
    """Where the page is found: the number with its code first, for a phone, then all others."""
    settings = access_of(request).settings
    found = address(settings, port=request.url.port)
    others = [each for each in found.urls if each != found.by_number]
    return {"loopback": settings.loopback, "number": found.by_number, "code": qr_svg(found.by_number), "others": others}


def static(request: Request, name: str) -> Response:
    """A file by its name in the table; below its version it may be kept for ever. 404 for what is not in the table."""
    lasting = name.startswith(f"{version()}/")
    asset = assets().get(name.removeprefix(f"{version()}/"))
    if asset is None:
        return Response("not found\n", 404, media_type="text/plain")
    headers = {"ETag": asset.tag, "Cache-Control": _FOREVER if lasting else "no-cache"}
    if request.headers.get("If-None-Match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.data, headers=headers, media_type=asset.kind)


def _answer(request: Request, name: str, values: dict[str, Any]) -> Response:
    wished = request.query_params.get("lang", "")
    language = language_of(
        request.headers.get("Accept-Language", ""),
        wished if wished in LANGUAGES else request.cookies.get(LANGUAGE_COOKIE, ""),
    )
    theme = request.cookies.get(THEME_COOKIE, "")
    html = render(
        f"{name}.html",
        t=Texts(language),
        page=name,
        theme=theme if theme in THEMES else "",
        languages=LANGUAGES,
        nav=NAV,
        keys=KEYS,
        static=f"/static/{version()}",
        modules=modules_of(f"js/pages/{name}.js"),
        **values,
    )
    answer = HTMLResponse(html, headers={"Cache-Control": "no-cache", "Vary": "Cookie, Accept-Language"})
    if wished in LANGUAGES:
        secure = request.url.scheme == "https"
        answer.set_cookie(
            LANGUAGE_COOKIE, wished, max_age=_YEAR_S, path="/", samesite="strict", secure=secure, httponly=True
        )
    return answer
