"""Logins and sessions: cookies, how a session ends, and what is stored of it."""

from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from edge.page.access.accounts.sessions import MOST_SESSIONS
from edge.page.access.guard import CSRF
from tests.edge.page.access.site import API, PASSWORD, Site, problem

NEW = "eleven quiet microtomes"


def test_a_login_and_a_logout(site: Site) -> None:
    browser = site.browser()
    assert browser.who() is None
    answer = browser.log_in("Anna")  # whatever the capitals, the record has the name as it was made
    assert answer.status_code == 201 and answer.json()["user"] == {"name": "anna", "role": "administer"}
    assert browser.who() == "anna"
    cookie = browser.cookies["leukoscope-8443"]
    assert browser.delete(f"{API}/session").status_code == 204
    assert browser.who() is None
    browser.cookies.set("leukoscope-8443", cookie)  # whoever kept a copy has nothing
    assert browser.who() is None
    assert problem(browser.get(f"{API}/users")) == (401, "login-required")


def cookies(site: Site) -> list[tuple[str, dict[str, str]]]:
    answer = site.browser().log_in("anna")
    read = [SimpleCookie(each) for each in answer.headers.get_list("set-cookie")]
    return [(name, {k: str(v) for k, v in morsel.items() if v}) for each in read for name, morsel in each.items()]


def test_cookies_over_tls_are_of_this_host_and_no_script_s(tmp_path: Path) -> None:
    site = Site(tmp_path / "page", {"host": "0.0.0.0"})
    site.user("anna", "administer")
    session, device = cookies(site)
    flags = {"path": "/", "secure": "True", "httponly": "True", "samesite": "strict"}
    assert session == ("__Host-leukoscope", flags)
    assert device == ("__Host-leukoscope-device", flags | {"max-age": str(180 * 86_400)})


def test_cookies_on_loopback_without_tls_are_of_this_port(site: Site) -> None:
    (name, flags), _ = cookies(site)
    assert name == "leukoscope-8443"
    assert flags == {"path": "/", "httponly": "True", "samesite": "strict"}


def test_a_cookie_that_was_planted_is_not_taken_over(site: Site) -> None:
    """Session fixation: the attacker's cookie is neither the session's nor any session's afterwards."""
    attacker, victim = site.browser(), site.browser()
    attacker.log_in("lena")
    planted = attacker.cookies["leukoscope-8443"]
    victim.cookies.set("leukoscope-8443", planted)
    answer = victim.log_in("anna")
    issued = SimpleCookie(answer.headers.get_list("set-cookie")[0])["leukoscope-8443"].value
    assert issued != planted and len(issued) >= 43
    assert attacker.who() is None
    made_up = site.browser()
    made_up.cookies.set("leukoscope-8443", "A" * 43)
    made_up.log_in("anna")
    other = site.browser()
    other.cookies.set("leukoscope-8443", "A" * 43)
    assert other.who() is None


def test_a_session_that_nobody_uses_ends(site: Site) -> None:
    browser = site.browser()
    browser.log_in("otto")
    for _ in range(5):
        site.pass_time(29 * 60)
        assert browser.who() == "otto"
    site.pass_time(30 * 60 + 1)
    assert browser.who() is None


def test_a_session_ends_after_its_hours_however_it_is_used(site: Site) -> None:
    browser = site.browser()
    browser.log_in("otto")
    for _ in range(12 * 3 - 1):
        site.pass_time(20 * 60)
        assert browser.who() == "otto"
    site.pass_time(20 * 60)
    assert browser.who() is None


def test_a_clock_that_goes_back_prolongs_no_session(site: Site) -> None:
    browser = site.browser()
    browser.log_in("otto")
    site.wall -= 200
    assert browser.who() == "otto"
    site.wall -= 200
    assert browser.who() is None


def test_another_password_ends_every_session_of_the_user_alone(site: Site) -> None:
    here, there, other = site.browser(), site.browser(), site.browser()
    here.log_in("otto")
    there.log_in("otto")
    other.log_in("lena")
    wrong = here.post(f"{API}/session/password", json={"old": "wrong", "new": NEW})
    assert problem(wrong) == (401, "wrong-login") and there.who() == "otto"
    weak = here.post(f"{API}/session/password", json={"old": PASSWORD, "new": "otto"})
    assert problem(weak) == (422, "weak-password")
    answer = here.post(f"{API}/session/password", json={"old": PASSWORD, "new": NEW})
    assert answer.status_code == 200
    assert (here.who(), there.who(), other.who()) == ("otto", None, "lena")
    here.headers[CSRF] = answer.json()["csrf"]
    assert here.delete(f"{API}/session").status_code == 204
    assert site.browser().log_in("otto").status_code == 401
    assert site.browser().log_in("otto", NEW).status_code == 201


def test_another_role_or_the_end_of_an_account_ends_its_sessions(site: Site) -> None:
    admin, otto, lena = site.browser(), site.browser(), site.browser()
    admin.log_in("anna")
    otto.log_in("otto")
    lena.log_in("lena")
    assert admin.patch(f"{API}/users/otto", json={"role": "look"}).status_code == 200
    assert otto.who() is None and lena.who() == "lena"
    assert admin.delete(f"{API}/users/lena").status_code == 204
    assert lena.who() is None and site.browser().log_in("lena").status_code == 401
    otto.log_in("otto")
    assert admin.patch(f"{API}/users/otto", json={"role": "look"}).status_code == 200  # no change: nothing ends
    assert otto.who() == "otto"


def test_a_socket_learns_that_its_session_ended(site: Site) -> None:
    import asyncio

    from starlette.requests import HTTPConnection

    browser = site.browser()
    browser.log_in("otto")
    cookie = f"leukoscope-8443={browser.cookies['leukoscope-8443']}"
    scope = {"type": "websocket", "headers": [(b"cookie", cookie.encode())]}

    async def found() -> None:
        identity = await site.access.identify(HTTPConnection(scope))
        assert identity is not None and identity.name == "otto"
        for _ in range(4):  # a bench that is watched is in use
            site.pass_time(20 * 60)
            assert await site.access.still_valid(identity)
        site.access.users.set_role(site.access.users.named("otto"), "look")
        assert not await site.access.still_valid(identity)

    asyncio.run(found())


def test_sessions_of_a_user_are_bounded(site: Site) -> None:
    first = site.browser()
    first.log_in("otto")
    for _ in range(MOST_SESSIONS):
        site.wall += 1
        site.browser().log_in("otto")
    assert first.who() is None
    for _ in range(MOST_SESSIONS):  # in one instant: the newest holds all the same
        newest = site.browser()
        newest.log_in("otto")
        assert newest.who() == "otto"
    [(count,)] = site.access.db.rows("SELECT count(*) FROM sessions")
    assert count == MOST_SESSIONS


def test_nothing_that_lets_anybody_in_is_stored(site: Site) -> None:
    browser = site.browser()
    browser.log_in("anna")
    code, _ = site.access.once.issue(None)
    token = browser.post(f"{API}/tokens", json={"label": "lims", "role": "look"}).json()["secret"]
    secrets = [PASSWORD, code, code.replace("-", ""), token, *browser.cookies.values(), browser.headers[CSRF]]
    assert len(browser.cookies) == 2
    files = [path for path in site.folder.iterdir() if path.is_file()]
    assert {"access.sqlite", "access.sqlite-wal", "audit.jsonl"} <= {path.name for path in files}
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600, path.name
        held = path.read_bytes()
        assert [secret for secret in secrets if secret.encode() in held] == [], path.name
    assert site.folder.stat().st_mode & 0o777 == 0o700
    assert b"$argon2id$" in b"".join(path.read_bytes() for path in files)  # the search does find what is there


def test_a_session_holds_after_the_page_was_started_again(site: Site, tmp_path: Path) -> None:
    browser = site.browser()
    browser.log_in("otto")
    again = Site(site.folder)
    restarted = again.browser()
    restarted.cookies = browser.cookies
    assert restarted.who() == "otto"


@pytest.mark.parametrize("path", ["/session/password", "/users", "/tokens", "/session"])
def test_the_demo_has_no_users(tmp_path: Path, path: str) -> None:
    from fastapi import FastAPI

    from edge.page.access.access import Access
    from edge.page.access.installation import install
    from edge.settings.page import PageSettings
    from tests.edge.page.access.site import Browser

    settings = PageSettings(folder=tmp_path / "none")
    app = FastAPI()
    install(app, Access(settings, demo=True))
    browser = Browser(app, "127.0.0.1", settings)
    session = browser.get(f"{API}/session").json()
    assert session["user"] == {"name": "demo", "role": "administer"} and session["kind"] == "demo"
    forms = {
        "/session/password": {"old": "a", "new": "b"},
        "/users": {"name": "x", "role": "look"},
        "/tokens": {"label": "x", "role": "look"},
        "/session": {"name": "x", "password": "y"},
    }
    browser.headers[CSRF] = session["csrf"]
    assert problem(browser.post(API + path, json=forms[path])) == (409, "demo")
    assert not (tmp_path / "none").exists()
