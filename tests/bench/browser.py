"""Chromium without a window, driven by playwright; and what axe finds on a page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "tablet": {"width": 820, "height": 1180},
    "desktop": {"width": 1366, "height": 768},
}
expect.set_options(timeout=20_000)  # milliseconds; what is expected comes at once unless the machine is busy
# WCAG 2.2 AA and what it contains; "best-practice" rules are no success criteria.
CRITERIA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def chromium() -> str:
    """Where Debian's browser is; skips where it cannot be had."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no chromium: apt-get install chromium")
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """One browser."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def context(
    browser: Browser, size: str = "desktop", scheme: Literal["light", "dark"] = "light", **more: Any
) -> Iterator[BrowserContext]:
    """A visitor with cookies of their own."""
    made = browser.new_context(
        viewport=SIZES[size],
        color_scheme=scheme,
        locale=more.pop("locale", "en-GB"),
        has_touch=size != "desktop",
        reduced_motion="reduce",
        **more,
    )
    made.set_default_timeout(30_000)
    try:
        yield made
    finally:
        made.close()


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical on what is shown, of the criteria of WCAG 2.2 AA; a line each."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": CRITERIA}, "resultTypes": ["violations"]})
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {node['target']} {node['html'][:160]}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def listen(page: Page) -> list[str]:
    """Errors of scripts and of the console from now on: what a person would never see, and must not be there."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            said.append(f"console: {message.text}")

    page.on("pageerror", lambda error: said.append(f"script: {error}"))
    page.on("console", hear)
    return said


def picture(page: Page, path: Path) -> None:
    """What is shown, as a small PNG."""
    page.screenshot(path=str(path), animations="disabled")
