"""Who may do what: every route of the whole app, asked by nobody and by each role."""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi import Depends, FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.websockets import WebSocketDisconnect

from edge.page.access.guard import ANYONE, anyone, page_for, require, require_roles, roles_of_routes
from edge.page.access.roles import ROLES, covers
from edge.page.app import create_app
from edge.page.http.config import PageConfig
from tests.edge.page.access.site import Browser, Site
from tests.edge.page.standin import StandInLink
from tests.project.pages.page_routes import PAGE, table, whole_app, with_table

NAMES = {"administer": "anna", "operate": "otto", "look": "lena"}
ROUTES = [each for each in roles_of_routes(whole_app()) if not each[1].endswith("/session/first")]


@pytest.fixture(scope="module")
def whole(small_record: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, FastAPI, Browser]]:
    """The whole app with a user of each role; the browser keeps its lifespan open."""
    site = Site(tmp_path_factory.mktemp("roles") / "page")
    for role, name in NAMES.items():
        site.user(name, role)
    site.user("zoe", "administer")
    config = PageConfig(small_record, Path("/nowhere.sock"), site.access.settings)
    app = create_app(config, link=StandInLink(), access=site.access)
    with site.browser(app=app) as browser:
        yield site, app, browser
    site.access.close()


def asked(browser: Browser, method: str, path: str) -> str:
    """What a route says to a request without a sensible body: "login", "role" or "in"."""
    target = path.format(slide="S-1", field="1", name="nobody", identifier="none", path="none", number="1")
    if method == "WEBSOCKET":
        try:
            with (
                suppress(CancelledError),  # the socket is left while its route still works
                browser.websocket_connect(f"ws://localhost:8443{target}", headers={"Origin": browser.origin}),
            ):
                pass
            return "in"
        except WebSocketDisconnect as closed:
            return {"login-required": "login", "role-required": "role"}[closed.reason]
    answer = browser.request(method, target, json={} if method in ("POST", "PUT", "PATCH") else None)
    if answer.status_code == 303 and answer.headers["location"].startswith("/login?next="):
        return "login"
    kind = str(answer.json()["type"]) if "problem+json" in answer.headers.get("content-type", "") else ""
    ends = {"login-required": "login", "role-required": "role"}
    return ends.get(kind.rpartition(":")[2], "in")


@pytest.mark.parametrize("who", ["nobody", *ROLES])
def test_every_route_lets_its_role_in_and_no_lesser_one(whole: tuple[Site, FastAPI, Browser], who: str) -> None:
    site, _, browser = whole
    wrong = []
    browser.cookies.clear()
    for method, path, role in ROUTES:
        site.access.throttle.__init__()  # type: ignore[misc]
        if who == "nobody" or "/session" in path or not browser.cookies:
            browser.cookies.clear()
            browser.headers.pop("X-Leukoscope-CSRF", None)
        if who != "nobody" and not browser.cookies:
            entered = browser.log_in(NAMES[who])
            assert entered.status_code == 201, (path, entered.text)
        if role == ANYONE:
            expected = "in"
        elif who == "nobody":
            expected = "login"
        else:
            expected = "in" if covers(who, role) else "role"
        got = asked(browser, method, path)
        if "/session" in path:  # which may have ended it
            browser.cookies.clear()
        if got != expected:
            wrong.append(f"{method} {path} ({role}): {who} is told {got}, not {expected}")
    assert wrong == []
    assert len(ROUTES) > 25


def test_the_reference_lists_every_route_with_its_role() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == with_table(written, whole_app()), "python -m tests.project.pages.page_routes --write"


def test_a_route_more_is_missed_in_the_reference() -> None:
    app = whole_app()
    app.get("/api/v1/new", dependencies=[Depends(require("look"))])(lambda: None)
    written = PAGE.read_text(encoding="utf-8")
    assert written != with_table(written, app) and "| `GET /api/v1/new` | look |" in table(app)


def test_nothing_is_open_that_is_not_meant_to_be() -> None:
    """A route that is marked as open to anyone must be put here, too, by hand."""
    assert {f"{method} {path}" for method, path, role in roles_of_routes(whole_app()) if role == ANYONE} == {
        "GET /healthz",
        "GET /login",
        "GET /static/{name}",
        "GET /api/v1/session",
        "POST /api/v1/session",
        "POST /api/v1/session/first",
    }


def test_a_change_needs_more_than_looking() -> None:
    own = {"DELETE /api/v1/session", "POST /api/v1/session/password"}
    changes = {
        f"{method} {path}": role
        for method, path, role in roles_of_routes(whole_app())
        if method in ("POST", "PUT", "PATCH", "DELETE") and role != ANYONE
    }
    assert {name for name, role in changes.items() if role == "look"} == own


def test_a_route_without_a_role_does_not_start() -> None:
    def bare() -> None: ...

    def made() -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.get("/a", dependencies=[Depends(require("look"))])(bare)
        app.get("/b", dependencies=[Depends(page_for("operate"))])(bare)
        app.get("/c", dependencies=[Depends(anyone)])(bare)
        return app

    sound = made()
    require_roles(sound)
    assert [role for _, _, role in roles_of_routes(sound)] == ["look", "operate", "anyone"]

    async def plain(_: object) -> PlainTextResponse:
        return PlainTextResponse("x")

    added = {
        "GET /d": lambda app: app.get("/d")(bare),
        "WEBSOCKET /e": lambda app: app.websocket("/e")(bare),
        "GET /f": lambda app: app.router.routes.append(Route("/f", plain)),
        "GET /g/{path}": lambda app: app.mount("/g", plain),
        "GET /h/i": lambda app: app.router.routes.append(Mount("/h", routes=[Route("/i", plain)])),
        "GET /j": lambda app: _included(app, bare),
        "GET /openapi.json": lambda app: app.router.routes.extend(
            each for each in FastAPI(docs_url=None, redoc_url=None).routes
        ),
    }
    for name, add in added.items():
        app = made()
        add(app)
        with pytest.raises(RuntimeError) as refused:
            require_roles(app)
        assert name in str(refused.value)


def _included(app: FastAPI, route: object) -> None:
    from fastapi import APIRouter

    inner, outer = APIRouter(), APIRouter()
    inner.get("/j")(route)  # type: ignore[type-var]
    outer.include_router(inner)
    app.include_router(outer)


def test_the_highest_of_two_roles_counts() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(require("look"))])
    app.get("/a", dependencies=[Depends(require("administer"))])(lambda: None)
    assert roles_of_routes(app) == [("GET", "/a", "administer")]
