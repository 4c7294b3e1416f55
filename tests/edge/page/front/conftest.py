"""One browser for the tests of the pages, and a page of the stand-in for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.edge.page.front.stand_in import StandIn, serving

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium where it is, else playwright's own."""
    with sync_playwright() as playwright:
        found = str(CHROMIUM) if CHROMIUM.exists() else None
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[StandIn, str]]:
    stand_in = StandIn()
    with serving(stand_in) as url:
        yield stand_in, url


@pytest.fixture
def stand_in(served: tuple[StandIn, str]) -> StandIn:
    """As new."""
    served[0].reset()
    return served[0]


@pytest.fixture
def opened(stand_in: StandIn, served: tuple[StandIn, str], browser: Browser) -> Iterator[Opened]:
    """`opened(path, size="desktop", dark=False, language="en-GB")`: a page that has begun. A script's error fails."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_page(path: str = "/", size: str = "desktop", dark: bool = False, language: str = "en-GB") -> Page:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=language,
            timezone_id="UTC",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"dialog {dialog.message}"))
        page.goto(f"{served[1]}{path}")
        page.wait_for_selector("html[data-begun]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
