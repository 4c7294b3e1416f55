"""What the page shows when pictures stop, and when the wire is cut: between instrument and page, page and browser."""

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bench.browser import context, listen
from tests.bench.processes import Bench, eventually
from tests.bench.proxy import Wire
from tests.bench.scripted import ScriptedInstrument
from tests.bench.technician import SOON_MS, Technician

pytestmark = pytest.mark.slow

TABS = 7
FRAMES = 600
MOST_GROWTH_MB = 4.0
AS_FAST_AS_TAKEN = 40.0  # a second: the page hears 50 messages of a browser, and hangs up on more


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as made:
        made.make_record()
        made.start_page()
        made.wait_for_page()
        made.api()
        yield made


@pytest.fixture
def instrument(bench: Bench) -> Iterator[ScriptedInstrument]:
    with ScriptedInstrument(bench.socket) as scripted:
        yield scripted


def drawn(page: Page) -> int:
    return int(page.get_by_test_id("picture").locator("canvas").get_attribute("data-sequence") or -1)


def at_the_bench(page: Page, url: str) -> Technician:
    one = Technician(page, url)
    one.logs_in()
    one.watches()
    return one


def test_seven_tabs_are_live_at_once(bench: Bench, instrument: ScriptedInstrument, browser: Browser) -> None:
    """HTTP/1.1 gives a browser six connections to a host; a stream that holds one leaves the seventh tab without."""
    with context(browser) as visitor:
        first = at_the_bench(visitor.new_page(), bench.url)
        tabs = [first, *(Technician(visitor.new_page(), bench.url) for _ in range(TABS - 1))]
        for tab in tabs[1:]:
            tab.opens()
        for tab in tabs:
            tab.watches()
            before = drawn(tab.page)
            eventually(lambda: drawn(tab.page) > before, "the picture goes on", 60)  # noqa: B023
        assert tabs[-1].page.evaluate("fetch('/api/v1/state').then((answer) => answer.status)") == 200


def test_half_a_picture_is_none(bench: Bench, instrument: ScriptedInstrument, browser: Browser) -> None:
    """The instrument's socket ends in the middle of a JPEG: the page comes back, and shows whole ones."""
    with context(browser) as visitor:
        one = at_the_bench(visitor.new_page(), bench.url)
        said = listen(one.page)
        made = instrument.connections
        instrument.cut.set()
        eventually(lambda: instrument.connections > made, "the page comes back to the instrument", 60)
        before = drawn(one.page)
        eventually(lambda: drawn(one.page) > before, "pictures come again", 60)
        assert said == []


def test_a_browser_s_wire_cut_in_the_middle_of_a_picture(
    bench: Bench, instrument: ScriptedInstrument, browser: Browser
) -> None:
    with Wire(bench.port) as wire, context(browser) as visitor:
        one = at_the_bench(visitor.new_page(), wire.url)
        made = wire.connections
        wire.cut.set()
        eventually(lambda: not wire.cut.is_set(), "the wire is cut", 60)
        eventually(lambda: wire.connections > made, "the browser comes back by itself", 60)
        before = drawn(one.page)
        eventually(lambda: drawn(one.page) > before, "pictures come again", 60)
        expect(one.sees("notices")).to_contain_text("Connected again", timeout=SOON_MS)


def test_a_still_picture_is_seen_to_be_still(bench: Bench, instrument: ScriptedInstrument, browser: Browser) -> None:
    with context(browser) as visitor:
        one = at_the_bench(visitor.new_page(), bench.url)
        instrument.silent.set()
        expect(one.sees("picture")).to_have_attribute("data-state", "still", timeout=SOON_MS)
        expect(one.sees("picture-age")).to_be_visible()
        instrument.silent.clear()
        one.watches()  # negative control: a live one is not called still
        expect(one.sees("picture-age")).to_be_hidden()


def test_a_page_that_hangs_is_seen_by_the_browser(
    bench: Bench, instrument: ScriptedInstrument, browser: Browser
) -> None:
    assert bench.page is not None
    with context(browser) as visitor:
        one = at_the_bench(visitor.new_page(), bench.url)
        os.kill(bench.page.pid, signal.SIGSTOP)
        try:
            expect(one.sees("picture")).to_have_attribute("data-state", "still", timeout=SOON_MS)
            expect(one.sees("link-state")).to_have_text("not connected", timeout=SOON_MS)
        finally:
            os.kill(bench.page.pid, signal.SIGCONT)
        one.watches()


def grown(bench: Bench, browser: Browser, frames: int) -> dict[str, float]:
    """Megabytes by which page and browser tab grow while so many pictures are drawn, and elements of the tab."""
    with context(browser) as visitor:
        page = visitor.new_page()
        at_the_bench(page, bench.url)
        devtools = visitor.new_cdp_session(page)
        devtools.send("Performance.enable")

        def held() -> dict[str, float]:
            devtools.send("HeapProfiler.collectGarbage")
            found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
            return {
                "page": bench.resident_mb("page"),
                "tab": found["JSHeapUsedSize"] / 2**20,
                "elements": found["Nodes"],
            }

        first = drawn(page)
        eventually(lambda: drawn(page) >= first + frames // 4, "a quarter is drawn", 3600)
        before = held()
        eventually(lambda: drawn(page) >= first + frames, "all are drawn", 3600)
        return {name: value - before[name] for name, value in held().items()}


def test_hundreds_of_pictures_leave_nothing_behind(bench: Bench, browser: Browser) -> None:
    with ScriptedInstrument(bench.socket, rate=AS_FAST_AS_TAKEN):
        growth = grown(bench, browser, FRAMES)
    assert growth["page"] <= MOST_GROWTH_MB and growth["tab"] <= MOST_GROWTH_MB and growth["elements"] < 100, growth
