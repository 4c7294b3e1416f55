"""The routes of the pages: language, theme and headers, and files that come from the table and from nowhere else."""

import re
from importlib.resources import files

import pytest
from fastapi.testclient import TestClient

from edge.page.front.assets import assets, modules_of, version
from edge.page.front.router import NAV, THEME_COOKIE
from edge.page.front.texts import LANGUAGE_COOKIE
from tests.edge.page.front.stand_in import StandIn, app_of

PAGES = ["/login", *NAV.values(), "/slides/S-0412"]


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(app_of(StandIn()))


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_has_no_inline_script_or_style_and_only_files_that_are_there(
    client: TestClient, path: str, language: str
) -> None:
    answer = client.get(path, headers={"Accept-Language": language})
    html = answer.text
    assert answer.status_code == 200 and f'<html lang="{language}"' in html
    assert (
        re.findall(r"<style|style=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)|https?://(?!127\.0\.0\.1|www\.w3)", html)
        == []
    )
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
    assert len(files) > 5
    for each in files:
        assert client.get(each).status_code == 200, each
    # negative control: the pattern finds what it is for
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=", "<script>x</script><p onclick='x'>") != []


def test_the_switch_of_languages_is_kept_and_anything_else_is_passed_over(client: TestClient) -> None:
    answer = client.get("/?lang=de", headers={"Accept-Language": "en"})
    assert '<html lang="de"' in answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{LANGUAGE_COOKIE}=de;") and "HttpOnly" in cookie and "SameSite=strict" in cookie
    other = TestClient(client.app)
    for hostile in ("../de", "<script>", "xx"):
        answer = other.get("/", params={"lang": hostile})
        assert '<html lang="en"' in answer.text and "set-cookie" not in answer.headers


def test_the_theme_is_the_cookie_s_before_anything_is_drawn(client: TestClient) -> None:
    def html(theme: str) -> str:
        return TestClient(client.app, cookies={THEME_COOKIE: theme}).get("/").text

    assert '<html lang="en" data-theme="dark">' in html("dark")
    assert "data-theme" not in html('"><script>') and "data-theme" not in html("")


def test_files_are_kept_for_ever_below_their_version_and_asked_for_elsewhere(client: TestClient) -> None:
    lasting = client.get(f"/static/{version()}/bench.css")
    assert lasting.headers["cache-control"].endswith("immutable")
    asked = client.get("/static/bench.css")
    assert asked.headers["cache-control"] == "no-cache" and asked.text == lasting.text
    again = client.get("/static/bench.css", headers={"If-None-Match": asked.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/bench.css", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../router.py",
        "..%2frouter.py",
        "%2e%2e/%2e%2e/settings/profile.py",
        "/etc/passwd",
        "js/../../router.py",
        "js",
        "",
        "templates/layout.html",
        "bench.css%00.js",
    ],
)
def test_nothing_beside_the_table_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404 and "import" not in answer.text


def test_the_stylesheet_of_the_reports_is_the_page_s_too(client: TestClient) -> None:
    from edge.page.html.rendering import _environment

    source = _environment("edge.page.html").get_template("style.css").render()
    assert client.get("/static/style.css").text.strip() == source.strip()


def test_every_module_of_a_page_is_fetched_at_once() -> None:
    known = modules_of("js/pages/bench.js")
    assert "js/bench/live.js" in known and "js/lib/texts.js" in known  # the second by way of others
    assert "js/pages/users.js" not in known
    assert set(known) <= set(assets())


def test_the_device_page_shows_its_address_by_number_with_a_code(client: TestClient) -> None:
    html = client.get("/device").text
    assert re.search(r'data-testid="address">http://127\.0\.0\.1:\d+/<', html)
    assert html.count("<svg") == 1 and "<path" in html


def test_templates_list_their_names_for_tests() -> None:
    wrong = {}
    for template in (files("edge.page.front") / "templates").iterdir():
        comment, _, body = template.read_text(encoding="utf-8").partition("#}")
        names = set(re.findall(r'data-testid="([\w-]+)"', body))
        listed = set(re.findall(r"[\w-]+", comment.split("(data-testid):")[-1]))
        if names - listed:
            wrong[template.name] = names - listed
    assert wrong == {}


SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|setHTML|\.cssText"
)


def test_no_script_makes_markup_or_code_of_text() -> None:
    scripts = {name: each.data.decode() for name, each in assets().items() if name.endswith(".js")}
    assert len(scripts) > 25
    assert {name: found for name, text in scripts.items() if (found := SINKS.findall(text))} == {}
    assert SINKS.findall("box.innerHTML = note; eval(note)") == ["innerHTML", "eval("]  # negative control
