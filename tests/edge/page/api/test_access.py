"""Who may ask what of the whole page: each route by its role, the live socket by its login, tokens for programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.websockets import WebSocketDisconnect

from edge.page.access.guard import CSRF, roles_of_routes
from edge.page.api import live
from edge.page.app import create_app
from edge.page.http.config import PageConfig
from tests.edge.page.access.site import API, Browser, Site, problem
from tests.edge.page.standin import StandInLink

ROLES = {
    "look": ["GET"],
    "operate": ["POST /slides", "POST /judgements", "PUT /automatic", "POST /slides/{slide}/fields/{field}/corrections"]
    + [f"POST /slides/{{slide}}/{act}" for act in ("pause", "continue", "close", "reopen")],
    "administer": ["PUT /exposure", "POST /reference-fields"],
}


@pytest.fixture
def site(small_record: Path, tmp_path: Path) -> Iterator[Site]:
    """The whole page, which people log in to."""
    site = Site(tmp_path)
    for role in ("look", "operate", "administer"):
        site.user(role, role)
    config = PageConfig(small_record, Path("/nowhere.sock"), site.access.settings)
    site.app = create_app(config, link=StandInLink(), access=site.access)
    yield site
    site.access.close()


def test_each_route_of_the_api_has_the_role_that_is_written_down(site: Site) -> None:
    roles = {f"{method} {path.removeprefix(API)}": role for method, path, role in roles_of_routes(site.app)}
    for role in ("operate", "administer"):
        for route in ROLES[role]:
            assert roles.pop(route) == role
    for path in ("/slides", "/slides/{slide}", "/slides/{slide}/fields/{field}/image", "/state", "/openapi.json"):
        assert roles[f"GET {path}"] == "look"
    assert roles["WEBSOCKET /live"] == "look" and roles["GET /healthz"] == "anyone"


def test_nobody_reads_without_a_login(site: Site) -> None:
    with site.browser() as stranger:
        for path in ("/slides", "/slides/S-00001/fields/1/image", "/state", "/openapi.json", "/device"):
            assert problem(stranger.get(f"{API}{path}")) == (401, "login-required")
        assert stranger.get("/healthz").status_code == 200
        with pytest.raises(WebSocketDisconnect) as refused, _live(stranger):
            pass
        assert refused.value.code == 1008


def test_a_role_does_what_it_may_and_no_more(site: Site) -> None:
    with site.browser() as browser:
        browser.log_in("look")
        assert browser.get(f"{API}/slides").status_code == 200
        assert problem(browser.post(f"{API}/slides", json={"slide": "S-1"})) == (403, "role-required")
        browser.log_in("operate")
        assert browser.post(f"{API}/slides", json={"slide": "S-1"}).status_code == 201
        assert problem(browser.put(f"{API}/exposure", json={"locked": True})) == (403, "role-required")
        del browser.headers[CSRF]
        assert problem(browser.post(f"{API}/judgements")) == (403, "csrf")


def test_a_program_gives_a_command_by_its_token_in_its_owners_name(site: Site) -> None:
    with site.browser() as browser:
        browser.log_in("administer")
        made = browser.post(f"{API}/tokens", json={"label": "laboratory-1", "role": "operate"})
        assert made.status_code == 201, made.text
    with site.browser() as program:
        program.headers["Authorization"] = f"Bearer {made.json()['secret']}"
        done = program.post(f"{API}/slides", json={"slide": "S-1"})
        assert done.status_code == 201
        with _live(program) as socket:
            assert json.loads(socket.receive_text())["kind"] == "link"


def test_a_logout_ends_the_socket_of_that_login_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    with site.browser() as one:
        other = site.browser()
        one.log_in("look")
        other.portal = one.portal  # one event loop, as in the page
        other.log_in("operate")
        with _live(one) as first, _live(other) as second:
            assert one.delete(f"{API}/session").status_code in (200, 204)
            with pytest.raises(WebSocketDisconnect) as ended:
                while True:
                    first.receive_text()
            assert ended.value.code == live.REVOKED
            assert json.loads(second.receive_text())["kind"] == "link"
            assert site.app.state.bench.watchers == 1


def _live(browser: Browser):  # type: ignore[no-untyped-def]  # starlette names its session in private
    address = browser.origin.replace("http", "ws") + f"{API}/live"
    return browser.websocket_connect(address, headers={"origin": browser.origin})
