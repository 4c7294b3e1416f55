"""What a browser is given: no page holds a script or style of its own, and nothing that was typed becomes one."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from edge.page.access.guard import roles_of_routes
from edge.page.access.wire.headers import POLICY
from edge.page.app import create_app
from edge.page.front import assets
from edge.page.http.config import PageConfig
from edge.record.slide_entries import CorrectionBody
from edge.record.store import Store
from edge.settings.page import PageSettings
from tests.edge.page.access.site import API, Browser, Site
from tests.edge.page.standin import StandInLink
from tests.project.pages.page_routes import whole_app

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "${7*7}",
    "\u202egnp.exe",
]
PAGES = sorted(
    path
    for method, path, _ in roles_of_routes(whole_app())
    if method == "GET" and not path.startswith(("/api/", "/static/", "/healthz"))
)


@pytest.fixture(scope="module")
def link() -> StandInLink:
    return StandInLink()


@pytest.fixture(scope="module")
def opened(small_record: Path, link: StandInLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The whole app, seen by anna, who administers."""
    site = Site(tmp_path_factory.mktemp("pages") / "page")
    site.user("anna", "administer")
    config = PageConfig(small_record, Path("/nowhere.sock"), site.access.settings)
    app: FastAPI = create_app(config, link=link, access=site.access)
    with site.browser(app=app) as browser:
        assert browser.log_in("anna").status_code == 201
        yield browser
    site.access.close()


class Inline(HTMLParser):
    """What the policy of the page would not run, or would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "script":
            self.scripts += 1
            if not named.get("src") and named.get("type") != "application/json":
                self.found.append("script without a source")
        if tag == "style":
            self.found.append("style element")
        if tag in ("base", "object", "embed", "iframe", "frame", "applet"):
            self.found.append(f"{tag} element")
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.found.append(f"{name} attribute")
            if name in ("src", "href", "action", "formaction", "poster", "data") and not _is_own(value or ""):
                self.found.append(f"{name} elsewhere: {value}")


def _is_own(address: str) -> bool:
    return not re.match(r"\s*([a-z][a-z0-9+.-]*:|//|\\)", address, re.IGNORECASE)


def inline(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    parser.close()
    return parser.found


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_script_or_style_of_its_own_or_from_elsewhere(opened: Browser, path: str) -> None:
    answer = opened.get(path.format(slide="S-1"))
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == POLICY and "unsafe" not in POLICY
    assert inline(answer.text) == []
    parser = Inline()
    parser.feed(answer.text)
    assert parser.scripts >= 1, "the look for scripts sees those that there are"


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<script>x()</script>", "script without a source"),
        ("<p style='color: red'>", "style attribute"),
        ("<style>p {}</style>", "style element"),
        ("<img src=/a.png onload='x()'>", "onload attribute"),
        ("<script src='https://cdn.example/x.js'></script>", "src elsewhere: https://cdn.example/x.js"),
        ("<link href='//cdn.example/x.css'>", "href elsewhere: //cdn.example/x.css"),
        ("<a href='JavaScript:x()'>", "href elsewhere: JavaScript:x()"),
        ("<base href='/x/'>", "base element"),
        ("<iframe src='/x'>", "iframe element"),
    ],
)
def test_what_the_policy_would_stop_is_found(html: str, fault: str) -> None:
    assert inline(html) == [fault]
    assert (
        inline("<p class='a' title='on fire'><a href='/slides?q=a:b'>x</a><script src='/static/x.js'></script>") == []
    )


MAKES_MARKUP = re.compile(
    r"\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function\b|setTimeout\(\s*[\"'`]"
    r"|createContextualFragment|DOMParser|srcdoc|\.on[a-z]+\s*=\s*[\"'`]|import\(|https?://"
)


def test_no_script_makes_markup_of_text_or_asks_elsewhere() -> None:
    scripts = {name: asset.data.decode() for name, asset in assets.assets().items() if name.endswith(".js")}
    assert len(scripts) > 5
    for name, text in scripts.items():
        code = re.sub(r"http://www\.w3\.org/\S+", "", text)  # names of namespaces
        assert MAKES_MARKUP.findall(code) == [], name
    for bad in (
        "x.innerHTML = y",
        "eval(x)",
        "a.insertAdjacentHTML('x', y)",
        'setTimeout("x()", 1)',
        "fetch('https://x')",
    ):
        assert MAKES_MARKUP.search(bad)


def quoted(html: str, hostile: str) -> bool:
    """Whether a page holds a text only in a form that is text."""
    return hostile not in html if set(hostile) & set("<>\"'") else True


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_in_an_address_stay_words(opened: Browser, hostile: str) -> None:
    from urllib.parse import quote

    word = quote(hostile, safe="")
    targets = [
        f"/slides/{word}",
        f"/slides?q={word}",
        f"/login?next={word}",
        f"/?lang={word}",
        f"/nothing/{word}",
        f"{API}/slides/{word}",
        f"{API}/slides?q={word}&cursor={word}",
        f"{API}/slides/S-1/fields?label={word}",
        f"/static/{word}",
    ]
    for target in targets:
        answer = opened.get(target, headers={"Accept-Language": hostile.encode()})
        assert answer.status_code < 500, target
        kind = answer.headers["content-type"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        if kind.startswith("text/html"):
            assert quoted(answer.text, hostile) and inline(answer.text) == [] and "49" not in _titles(answer.text), (
                target
            )
        else:
            assert kind.startswith(("application/json", "application/problem+json", "text/plain")), (target, kind)


def _titles(html: str) -> str:
    return " ".join(re.findall(r"<(?:title|h1)[^>]*>(.*?)</", html, re.DOTALL))


def test_hostile_names_and_notes_come_back_as_json_alone(opened: Browser) -> None:
    """Labels of tokens and names of users cannot hold markup; what may hold anything comes back as JSON text."""
    for hostile in HOSTILE:
        assert opened.post(f"{API}/users", json={"name": hostile, "role": "look"}).status_code == 422
        assert opened.post(f"{API}/tokens", json={"label": hostile, "role": "look"}).status_code == 422
        opened.app.state.access.throttle.__init__()
        stranger = Browser(opened.app, "192.0.2.77", opened.app.state.access.settings)  # type: ignore[arg-type]
        assert stranger.log_in(hostile, "x").status_code == 401
    answer = opened.get(f"{API}/audit?limit=200")
    tried = [(each["by"], each["detail"]) for each in answer.json()["items"] if each["what"] == "login-failed"]
    assert tried.count(("", "unknown name")) == len(HOSTILE), "what was typed may be a password, and is not kept"
    assert answer.headers["content-type"] == "application/json"


def test_a_note_reaches_the_instrument_as_typed_with_who_typed_it_and_a_slide_s_name_holds_no_markup(
    opened: Browser, link: StandInLink
) -> None:
    for hostile in HOSTILE:
        assert opened.post(f"{API}/slides", json={"slide": hostile}).status_code == 422
        note = {"label": "Pre", "agrees": False, "note": hostile}
        answer = opened.post(f"{API}/slides/S-1/fields/1/corrections", json=note)
        assert answer.status_code == 201 and answer.headers["content-type"] == "application/json"
        command = link.given[answer.json()["id"]]
        assert (command.by, command.arguments["note"]) == ("anna", hostile)


def test_hostile_notes_and_labels_of_a_record_come_back_as_json_alone(
    small_record: Path, tmp_path: Path, link: StandInLink
) -> None:
    """As an older program, or root, may have written them."""
    record = tmp_path / "record"
    shutil.copytree(small_record, record)
    with Store.open(record) as store, store.transaction() as transaction:
        for number, said in enumerate(HOSTILE, start=1):
            body = CorrectionBody(
                slide="S-00001", utc_ns=1, corrects=number, verdict=number, by=said, label=said, agrees=False, note=said
            )
            transaction.append(body)
    settings = PageSettings(folder=tmp_path / "page")
    app = create_app(PageConfig(record, Path("/nowhere.sock"), settings, demo=True), link=link)
    with Browser(app, "127.0.0.1", settings) as browser:
        for target in (f"{API}/slides/S-00001", f"{API}/slides/S-00001/fields", f"{API}/slides/S-00001/fields/1"):
            answer = browser.get(target)
            assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
            assert HOSTILE[0] in _texts(answer.json()) and answer.headers["x-content-type-options"] == "nosniff"
        html = browser.get("/slides/S-00001").text
        assert not [hostile for hostile in HOSTILE if hostile in html] and inline(html) == []


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_texts(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(_texts(each) for each in value))
    return {value} if isinstance(value, str) else set()


def test_a_page_asks_for_a_login_and_leads_back_within_the_page(opened: Browser) -> None:
    nobody = Browser(opened.app, "192.0.2.9", opened.app.state.access.settings)  # type: ignore[arg-type]
    answer = nobody.get("/slides?q=a&b=c")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fslides%3Fq%3Da%26b%3Dc")
    assert nobody.get("/login").status_code == 200
