"""The other pages in a browser: what they show and ask for, and that axe finds nothing serious on any page."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.edge.page.front.conftest import Opened
from tests.edge.page.front.made_up import MARKUP
from tests.edge.page.front.stand_in import StandIn
from tests.edge.page.front.test_bench import posts, until

PAGES = ("/", "/slides", "/slides/S-0412", "/controls", "/device", "/users", "/login")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SMALLEST = 24  # px, WCAG 2.2, 2.5.8
SMALL_TARGETS = """smallest => [...document.querySelectorAll("button, a, input, select, summary, textarea")]
    .filter(each => each.checkVisibility() && !each.matches(".skip"))
    .filter(each => !each.closest("p.soft, td, th, li:not(.gallery li)"))  // inline, and far from others
    .map(each => [each.outerHTML.slice(0, 90), each.getBoundingClientRect()])
    .filter(([, box]) => box.width < smallest || box.height < smallest).map(([text]) => text)"""


def faults(page: Page) -> list[str]:
    """What axe finds, moderate and graver."""
    found = Axe().run(page, options={"runOnly": TAGS}).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:140]}"
        for each in found
        if each["impact"] != "minor"
        for node in each["nodes"]
    ]


def shown(opened: Opened, stand_in: StandIn, path: str, **options: Any) -> Page:
    """A page with all that it can show."""
    stand_in.open()
    stand_in.role = None if path == "/login" else "administer"
    page = opened(path, **options)
    if path == "/":
        page.wait_for_selector("#mode[data-mode=open]")
        page.wait_for_selector("#focus[data-state=good]")
        stand_in.push(stand_in.judged(7, "Pre", seen=3))
        page.wait_for_selector("#verdict[data-kind=suspicious]")
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    return page


@pytest.mark.parametrize("path", [PAGES[0], pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(opened: Opened, stand_in: StandIn, path: str, dark: bool) -> None:
    for each in PAGES if path == "all" else [path]:
        size, language = ("phone", "de-DE") if dark and path == "all" else ("desktop", "en-GB")
        page = shown(opened, stand_in, each, dark=dark, size=size, language=language)
        assert faults(page) == [], each
        assert page.evaluate(SMALL_TARGETS, SMALLEST) == [], each
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), each


def test_axe_and_the_measure_of_targets_find_what_they_are_for(opened: Opened, stand_in: StandIn) -> None:
    """Negative control."""
    page = shown(opened, stand_in, "/")
    page.evaluate(
        """() => {
            document.querySelector("main").append(document.createElement("input"));
            document.querySelector("#judge").classList.add("tiny");
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(".tiny { min-height: 0; height: 20px; padding: 0 }"
                + ".meter-says { color: #ddd !important }");
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    found = faults(page)
    assert any(each.startswith("label") for each in found) and any(each.startswith("color-contrast") for each in found)
    assert any('id="judge"' in each for each in page.evaluate(SMALL_TARGETS, SMALLEST))


@pytest.mark.slow
def test_dialogs_have_no_faults_either(opened: Opened, stand_in: StandIn) -> None:
    page = shown(opened, stand_in, "/")
    for key, dialog in (("?", "help-dialog"), ("c", "close-dialog")):
        page.keyboard.press(key)
        expect(page.get_by_test_id(dialog)).to_be_visible()
        assert faults(page) == []
        page.keyboard.press("Escape")
        expect(page.get_by_test_id(dialog)).to_be_hidden()


def test_a_slide_shows_its_fields_and_takes_an_expert_s_word(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/slides/S-0412")
    expect(page.get_by_test_id("finding")).to_have_text("suspicious")
    expect(page.get_by_test_id("finding-why")).to_contain_text("95 % interval: 5.7% to 43.7%")
    first = page.locator("#gallery > li").first
    expect(first).to_have_attribute("data-testid", "field-5")  # the suspicious one
    expect(page.get_by_test_id("corrected-5")).to_contain_text(MARKUP)  # as text
    assert page.locator("img[onerror]").count() == 0
    page.get_by_test_id("correct-1").locator("summary").click()
    page.get_by_test_id("note-1").fill("two blasts")
    page.get_by_test_id("label-1").select_option("Pre")
    page.get_by_test_id("send-1").click()
    route = "slides/S-0412/fields/{}/corrections"
    until(
        lambda: posts(stand_in) == [("POST", route.format(1), {"label": "Pre", "agrees": False, "note": "two blasts"})]
    )
    expect(page.get_by_test_id("field-1")).to_be_focused()
    page.get_by_test_id("correct-3").locator("summary").click()  # a field without a class: "agrees" says none
    page.get_by_test_id("agree-3").click()
    until(lambda: posts(stand_in)[1:] == [("POST", route.format(3), {"label": "", "agrees": True, "note": ""})])
    page.get_by_test_id("reopen").click()
    until(lambda: posts(stand_in)[-1] == ("POST", "slides/S-0412/reopen", None))


@pytest.mark.slow
def test_fields_are_chosen_by_class_and_by_reason(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/slides/S-0412")
    none = {"items": [], "next": None}
    stand_in.extra["slides/S-0412/fields?order=suspicious&limit=24&reason=out_of_focus"] = none
    page.get_by_test_id("filter").select_option("reason:out_of_focus")
    expect(page.locator("#none")).to_be_visible()
    assert page.locator("#gallery > li").count() == 0
    stand_in.extra["slides/S-0412/fields?order=number&limit=24"] = {
        "items": [stand_in.extra["slides/S-0412/fields/2"]],
        "next": None,
    }
    page.get_by_test_id("filter").select_option("")
    page.get_by_test_id("order").select_option("number")
    expect(page.locator("#gallery > li")).to_have_count(1)
    page.locator("#gallery button").first.click()
    expect(page.get_by_test_id("large")).to_be_visible()


@pytest.mark.slow
def test_the_history_is_searched_and_one_piece_is_shown_at_a_time(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/slides")
    expect(page.locator("#rows tr")).to_have_count(12)
    expect(page.locator("#rows")).to_contain_text("looks like a name")
    stand_in.extra["slides?limit=50&q=&cursor=abc"] = {"items": stand_in.extra["slides"]["items"][:3], "next": None}
    page.get_by_test_id("more").click()
    expect(page.locator("#rows tr")).to_have_count(3)  # the first piece has gone
    expect(page.get_by_test_id("more")).to_be_hidden()
    stand_in.extra["slides?limit=50&q=S-04"] = {"items": stand_in.extra["slides"]["items"][:1], "next": None}
    page.get_by_test_id("search").fill("S-04")
    expect(page.locator("#rows tr")).to_have_count(1)
    assert page.url.endswith("?q=S-04")


@pytest.mark.slow
def test_controls_and_trends_are_drawn_and_said(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/controls")
    chart = page.get_by_test_id("chart-brightness")
    assert chart.locator("svg .mark-out").count() == 2 and chart.locator("svg .mark-baseline").count() == 20
    assert "30 controls, 2 rejected" in (chart.locator("svg").get_attribute("aria-label") or "")
    expect(page.get_by_test_id("trend-brightness")).to_contain_text("limit is reached in 4.3 days")
    expect(page.get_by_test_id("licence")).to_have_text("tiny-int8 · lab-3: passed")
    expect(page.get_by_test_id("demanded")).to_contain_text("No field is answered without a control")
    expect(page.get_by_test_id("simulated")).to_be_visible()


@pytest.mark.slow
def test_the_device_says_the_worst_first_and_what_to_do(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/device")
    names = page.locator("#findings h3 span[lang=en]").all_text_contents()
    assert names == ["clock", "self-test", "temperature", "disk"]
    expect(page.get_by_test_id("findings")).to_contain_text("To do: connect the network, or set the clock")
    expect(page.get_by_test_id("bundle")).to_contain_text("passed, on drawn images only")
    expect(page.get_by_test_id("fingerprint")).to_contain_text("AB:AB")
    assert page.locator("[data-testid=qr] svg path").count() > 0
    expect(page.get_by_test_id("simulated")).to_be_visible()


@pytest.mark.slow
def test_users_are_made_changed_and_removed(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/users")
    expect(page.get_by_test_id("audit")).to_contain_text(MARKUP)
    made = {"user": {"name": "reader-3"}, "secret": "one-time-secret", "expires": "2026-12-01T08:00:00+00:00"}
    stand_in.extra["POST users"] = made
    page.get_by_test_id("add-name").fill("reader-3")
    page.get_by_test_id("add").click()
    expect(page.get_by_test_id("secret")).to_have_text("one-time-secret")
    page.get_by_test_id("role-night-shift").select_option("look")
    until(lambda: posts(stand_in)[-1] == ("PATCH", "users/night-shift", {"role": "look"}))
    page.get_by_test_id("remove-night-shift").click()
    page.get_by_test_id("sure-no").click()
    page.get_by_test_id("remove-night-shift").click()
    page.get_by_test_id("sure-yes").click()
    until(lambda: posts(stand_in)[-1] == ("DELETE", "users/night-shift", None))
    assert sum(each[0] == "DELETE" for each in posts(stand_in)) == 1
    stand_in.refuse("PATCH users/anna", 409, "last-administrator", "somebody must be left")
    page.get_by_test_id("role-anna").select_option("look")
    expect(page.get_by_test_id("users-says")).to_contain_text("Somebody must be left who administers")


@pytest.mark.slow
def test_who_may_only_look_changes_a_password_and_sees_no_users(opened: Opened, stand_in: StandIn) -> None:
    stand_in.role = "look"
    page = opened("/users")
    expect(page.get_by_test_id("password-send")).to_be_visible()
    assert page.get_by_test_id("users").count() == 0


def test_a_login_goes_where_it_was_asked_for_and_never_elsewhere(opened: Opened, stand_in: StandIn) -> None:
    stand_in.role = None
    stand_in.refuse("POST session", 401, "wrong-login", "the name or the password is wrong")
    page = opened("/login?next=%2Fslides%3Fq%3DS")
    page.get_by_test_id("login-name").fill("anna")
    page.get_by_test_id("login-password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("login-error")).to_have_text("The name or the password is wrong.")
    del stand_in.extra["POST session"]
    stand_in.role = "look"
    page.get_by_test_id("login").click()
    page.wait_for_url("**/slides?q=S")
    other = opened("/slides")
    other.goto(other.url.replace("/slides", "/login?next=https%3A%2F%2Fevil.example%2F"))
    other.wait_for_url("**/")
    assert "evil" not in other.url


@pytest.mark.slow
def test_a_session_that_ended_leads_to_the_login(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/device")
    stand_in.role = None
    page.reload()
    page.wait_for_url("**/login?next=%2Fdevice")


@pytest.mark.slow
def test_theme_and_language_are_kept(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/slides?q=S", language="de-DE")
    assert page.locator("h1").inner_text() == "Objektträger"
    page.get_by_test_id("theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"
    page.get_by_test_id("language").click()
    page.wait_for_selector("html[lang=en][data-theme=dark][data-begun]", state="attached")
    assert page.locator("h1").inner_text() == "Slides" and "q=S" in page.url
