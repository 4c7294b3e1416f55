"""What is checked of every request before anybody is asked who they are: headers, host, origin; and CSRF after."""

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect

from edge.page.access.guard import CSRF, anyone, require
from edge.page.access.installation import install
from edge.page.access.wire.hosts import is_own, names_of_machine
from tests.edge.page.access.site import API, Browser, Site, problem

LIVE = "ws://localhost:8443/live"


@pytest.fixture
def app(site: Site) -> FastAPI:
    """The page's app with a change, a socket, and a route that fails."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.post("/change", dependencies=[Depends(require("operate"))])
    def change() -> str:
        return "done"

    @app.get("/defect", dependencies=[Depends(anyone)])
    def defect() -> None:
        raise RuntimeError("the inside of the program")

    @app.websocket("/live", dependencies=[Depends(require("look"))])
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    install(app, site.access)
    return app


@pytest.fixture
def otto(site: Site, app: FastAPI) -> Browser:
    browser = site.browser(app=app)
    assert browser.log_in("otto").status_code == 201
    return browser


def test_a_change_needs_the_value_of_this_session(otto: Browser, site: Site, app: FastAPI) -> None:
    assert otto.post("/change").json() == "done"
    value = otto.headers.pop(CSRF)
    assert problem(otto.post("/change")) == (403, "csrf")
    other = site.browser(app=app)
    other.log_in("otto")
    for wrong in ("", "x", value[:-1], other.headers[CSRF], value.upper()):
        assert problem(otto.post("/change", headers={CSRF: wrong})) == (403, "csrf")
    assert otto.post("/change", headers={CSRF: value}).json() == "done"
    assert otto.get(f"{API}/session").json()["csrf"] == value


def test_a_form_of_another_site_changes_nothing(otto: Browser) -> None:
    """Even one that knew the value: browsers say where a request comes from."""
    own = otto.origin
    assert otto.post("/change", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).json() == "done"
    for origin in ("https://evil.example", "null", own.replace("http", "https"), own + "0", f"{own}, {own}"):
        assert problem(otto.post("/change", headers={"Origin": origin})) == (403, "cross-site")
    for relation in ("cross-site", "same-site", "none"):
        assert problem(otto.post("/change", headers={"Sec-Fetch-Site": relation})) == (403, "cross-site")
    login = otto.post(f"{API}/session", json={"name": "x", "password": "y"}, headers={"Origin": "https://evil.example"})
    assert problem(login) == (403, "cross-site")


def test_a_login_by_a_form_is_none(site: Site) -> None:
    """What a form of another site can send without asking is not JSON."""
    body = '{"name": "otto", "password": "seven violet stages"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = site.browser().post(f"{API}/session", content=body, headers={"Content-Type": kind})
        assert problem(answer) == (422, "invalid-request")
    assert site.browser().post(f"{API}/session", content=body, headers={"Content-Type": "application/json"}).is_success


def test_a_socket_of_another_site_or_of_nobody_does_not_open(otto: Browser, site: Site, app: FastAPI) -> None:
    with otto.websocket_connect(LIVE, headers={"Origin": otto.origin}) as socket:
        assert socket.receive_text() == "hello"
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        with pytest.raises(WebSocketDisconnect) as refused, otto.websocket_connect(LIVE, headers=headers):
            pass
        assert (refused.value.code, refused.value.reason) == (1008, "cross-site")
    nobody = site.browser(app=app)
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        nobody.websocket_connect(LIVE, headers={"Origin": otto.origin}),
    ):
        pass
    assert (closed.value.code, closed.value.reason) == (1008, "login-required")


def test_a_name_that_is_not_the_machine_s_is_refused(otto: Browser, site: Site, app: FastAPI) -> None:
    """DNS rebinding: evil.example resolves to this machine, and its script asks with that name."""
    for host in (
        "evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "",
        "a b",
        "localhost:80:80",
        "[::1",
        "x@localhost",
    ):
        assert problem(otto.get("/api/v1/session", headers={"Host": host})) == (421, "wrong-host")
    with pytest.raises(WebSocketDisconnect) as refused:
        headers = {"Host": "evil.example:8443", "Origin": "http://evil.example:8443"}
        with otto.websocket_connect(LIVE, headers=headers):
            pass
    assert refused.value.reason == "wrong-host"
    for host in ("LOCALHOST", "127.0.0.1:9", "[::1]:8443", "localhost.", *names_of_machine()):
        assert otto.get("/api/v1/session", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "server", "own"),
    [
        ("192.0.2.7", ("192.0.2.7", 8443), True),
        ("192.0.2.8", ("192.0.2.7", 8443), False),
        ("192.0.2.7", ("::ffff:192.0.2.7", 8443), True),
        ("fe80::1", ("fe80::1%eth0", 8443), True),
        ("evil.example", ("192.0.2.7", 8443), False),
        ("192.0.2.7", None, False),
    ],
)
def test_an_address_is_right_where_the_connection_came_to_it(
    host: str, server: tuple[str, int] | None, own: bool
) -> None:
    assert is_own(host, server) is own


NAMES = {
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cache-control",
}


def test_every_answer_has_the_headers(otto: Browser, site: Site, app: FastAPI) -> None:
    """Also those that no route gives: refusals, what is not there, and a defect."""
    answers = [
        otto.get(f"{API}/session"),
        otto.get("/nothing"),
        otto.post("/change", headers={CSRF: "x"}),
        otto.get("/x", headers={"Host": "evil.example"}),
        otto.post("/change", headers={"Origin": "https://evil.example"}),
        otto.get("/defect"),
        otto.request("TRACE", "/change"),
        site.browser(app=app).get(f"{API}/users"),
    ]
    assert [each.status_code for each in answers] == [200, 404, 403, 421, 403, 500, 405, 401]
    for answer in answers:
        assert set(answer.headers) >= NAMES, answer.url
        assert {"server", "x-powered-by", "strict-transport-security", "access-control-allow-origin"}.isdisjoint(
            answer.headers
        )
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'self'",
            "img-src": "'self' blob:",
            "connect-src": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
            "form-action": "'self'",
            "object-src": "'none'",
        }
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"


def test_a_defect_tells_nothing_of_the_inside(otto: Browser, caplog) -> None:
    answer = otto.get("/defect")
    assert problem(answer) == (500, "defect")
    assert "inside of the program" not in answer.text and "inside of the program" in caplog.text


def test_over_tls_a_browser_comes_by_tls_from_then_on(tmp_path) -> None:
    site = Site(tmp_path / "page", {"host": "0.0.0.0"})
    assert site.browser().get(f"{API}/session").headers["strict-transport-security"] == "max-age=2592000"


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "otto"}',
        "[]",
        "[" * 30_000,
        '{"name": ' * 10_000,
        '{"name": "\\ud800", "password": "x"}',
        '{"name": "x", "password": "\\udfff"}',
        '{"name": NaN, "password": 1e999}',
        "null",
        '{"name": 1, "password": "x"}',
        '{"name": "a", "password": "b", "role": "administer"}',
        "{",
        "\xff",
    ],
)
def test_a_body_that_is_none_is_refused_with_words(site: Site, body: str) -> None:
    answer = site.browser().post(
        f"{API}/session", content=body.encode("latin-1"), headers={"Content-Type": "application/json"}
    )
    assert problem(answer)[0] in (400, 422)
