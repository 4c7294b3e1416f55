"""A whole slide, read at the page in a browser as a person reads it: at a desk by day, on a phone in the dark.

The instrument, the page and the browser are the real ones, each a process of its own; the microscope is drawn.
"""

import json
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from edge.record.audit import verify
from tests.bench.browser import context, listen, serious
from tests.bench.processes import USER, Bench, eventually
from tests.bench.technician import SOON_MS, Technician

# A view stands still for some 1.8 s, and for 3 s of 15 s the focus is off, by up to 8 um.
CAMERA = "sim:Early?fps=10&motion=0.1&focus_drift=8&empty=0&seed=5"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench"), camera=CAMERA) as made:
        yield made.start()


def walk(one: Technician, bench: Bench, slide: str) -> None:
    """From the empty bench to the finding of a slide."""
    one.watches()
    expect(one.sees("notice")).to_contain_text("Research use only")
    expect(one.sees("simulated")).to_be_visible()
    assert serious(one.page) == []
    one.automatic(True)
    one.starts(slide)
    asked = bench.api()
    eventually(lambda: asked.get("/state")["state"]["tally"]["fields"], "a field judged by itself", SOON_MS / 1000)
    expect(one.fields().first).to_be_visible()
    one.automatic(False)

    # The meter follows the focus both ways, and says which way the hand goes.
    expect(one.sees("focus")).to_have_attribute("data-state", "bad", timeout=2 * SOON_MS)
    one.page.keyboard.press("Space")  # what is judged by key is recorded, also when it is refused
    expect(one.sees("focus-says")).to_contain_text("better: keep turning", timeout=2 * SOON_MS)
    expect(one.sees("focus")).to_have_attribute("data-state", "good", timeout=SOON_MS)
    expect(one.sees("focus-says")).to_contain_text("in focus")
    expect(one.fields().filter(has_text="out of focus").first).to_contain_text("by key", timeout=SOON_MS)

    # A field judged by key; the same field once more is seen to be the same, and is not counted.
    judged = one.judges()
    expect(one.sees("verdict")).not_to_have_attribute("data-kind", "none")
    for _ in range(8):
        judged = one.judges()
        if "seen (field" in judged.inner_text():
            break
    expect(judged).to_contain_text("seen (field")
    assert serious(one.page) == []
    state = asked.get("/state")["state"]
    assert state["slide"] == slide and state["tally"]["seen"] >= 1 and state["automatic"] is False

    # An expert says what a field is.
    one.sees("slide-link").click()
    gallery = one.sees("gallery")
    expect(gallery.locator("li").first).to_be_visible(timeout=SOON_MS)
    expect(one.sees("field-1")).to_be_visible()
    one.sees("correct-1").locator("summary").click()
    one.sees("label-1").select_option("Pro")
    one.sees("note-1").fill("fine chromatin")
    one.sees("send-1").click()
    expect(one.sees("corrected-1")).to_contain_text("Pro", timeout=SOON_MS)
    expect(one.sees("corrected-1")).to_contain_text(USER)
    image = gallery.locator("img").first
    expect(image).to_be_visible()
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    assert serious(one.page) == []

    # Closed: what it came to is said at the bench, and stays with the slide.
    one.opens("/")
    finding = one.closes()
    assert finding.strip()
    expect(one.sees("last-closed")).to_contain_text(slide)
    one.opens(f"/slides/{slide}")
    expect(one.sees("finding")).to_have_text(finding.strip(), timeout=SOON_MS)
    expect(one.sees("tally")).to_contain_text("Early")


def recorded(bench: Bench, slide: str) -> None:
    """What was done is in the chained record, with who did it; a correction changed no verdict."""
    assert verify(bench.record).sound
    with bench.stored() as record:
        bodies = [json.loads(row.body) for row in record.entries(through=record.head().id)]
    mine = [body for body in bodies if body.get("slide") == slide]
    acts = [(body["act"], body["by"]) for body in mine if body["type"] == "slide"]
    assert acts == [("opened", USER), ("closed", USER)]
    verdicts = {body["field"]: body for body in mine if body["type"] == "verdict"}
    assert {body.get("asked_by", "") for body in verdicts.values()} == {"", USER}
    assert all(body["image"] for body in verdicts.values()), "fields of a slide keep their images"
    [correction] = [body for body in mine if body["type"] == "correction"]
    assert (correction["corrects"], correction["label"], correction["by"]) == (1, "Pro", USER)
    assert verdicts[1]["label"] != "Pro"
    assert any(body.get("seen") for body in verdicts.values())


@pytest.mark.slow
def test_a_slide_is_read_from_login_to_finding(bench: Bench, browser: Browser) -> None:
    with context(browser) as visitor:
        one = Technician(visitor.new_page(), bench.url)
        said = listen(one.page)
        one.opens("/login")
        assert serious(one.page) == []
        one.logs_in_first(bench.secret())
        bench.known = True
        walk(one, bench, "walk-desktop")
        assert said == []
    recorded(bench, "walk-desktop")


@pytest.mark.slow
def test_a_slide_is_read_on_a_phone_in_the_dark(bench: Bench, browser: Browser) -> None:
    bench.api()
    with context(browser, "phone", "dark") as visitor:
        one = Technician(visitor.new_page(), bench.url)
        said = listen(one.page)
        one.logs_in()
        walk(one, bench, "walk-phone")
        wide = one.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide, "nothing is to be found by moving sideways"
        assert said == []
    recorded(bench, "walk-phone")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "scheme", "locale"),
    [("phone", "dark", "en-GB"), ("phone", "light", "de-DE"), ("desktop", "dark", "de-DE")],
)
def test_axe_finds_nothing_serious(
    bench: Bench, browser: Browser, size: str, scheme: Literal["light", "dark"], locale: str
) -> None:
    bench.api()
    with context(browser, size, scheme, locale=locale) as visitor:
        one = Technician(visitor.new_page(), bench.url)
        said = listen(one.page)
        one.opens("/login")
        found = {"/login": serious(one.page)}
        one.logs_in()
        for path in ("/", "/slides", "/controls", "/device", "/users"):
            one.opens(path)
            one.page.wait_for_load_state("networkidle") if path != "/" else one.watches()
            found[path] = serious(one.page)
            lang = one.page.locator("html").get_attribute("lang")
            assert lang == locale[:2], "the browser's language is the page's"
        assert not any(found.values()), found
        assert said == []


def test_axe_would_find_it(browser: Browser) -> None:
    """Negative control: grey on grey, and a field without a name."""
    with context(browser) as visitor:
        page = visitor.new_page()
        grey = '<p style="color:#999;background:#aaa">some words</p>'
        page.set_content(f'<!doctype html><html lang="en"><title>x</title><main>{grey}<input></main></html>')
        assert {line.split(" ")[0] for line in serious(page)} == {"color-contrast", "label"}
