"""The picture of the bench that README shows, taken of `edge page --demo` in Debian's Chromium.

python -m tests.edge.page.demo.picture       # writes docs/images/bench_page.png
"""

import re
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.paths import ROOT

PICTURE = ROOT / "docs/images/bench_page.png"
CAMERA = "sim:Pre?fps=15&seed=11&empty=0&motion=0.3"
WIDTH, HEIGHT = 1280, 800
FIELDS = 21  # that are answered before the picture is taken
PATIENCE_S = 240.0


def take(url: str, to: Path) -> None:
    """Open a slide there, wait until it adds up, and write the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
            page.goto(url)
            _open_slide(page, url)
            end = time.monotonic() + PATIENCE_S
            while _answered(page, url) < FIELDS:
                assert time.monotonic() < end, f"not {FIELDS} fields within {PATIENCE_S:g} s"
                page.wait_for_timeout(200)
            page.wait_for_timeout(300)
            page.screenshot(path=str(to))
        finally:
            browser.close()


def _answered(page: Page, url: str) -> int:
    tally = page.request.get(f"{url}api/v1/state").json()["state"]["tally"]
    return int(tally["answered"]) if tally else 0


def _open_slide(page: Page, url: str) -> None:
    session = page.request.get(f"{url}api/v1/session").json()
    headers = {"X-Leukoscope-CSRF": session["csrf"]}
    answer = page.request.post(f"{url}api/v1/slides", data={"slide": "S-2026-0041"}, headers=headers)
    assert answer.ok, answer.text()


def main(words: list[str]) -> int:
    """Start the demonstration, take the picture, end it."""
    to = Path(words[0]) if words else PICTURE
    edge = Path(sys.executable).with_name("edge")
    command = [edge, "page", "--demo", "--port", "0", "--camera", CAMERA]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            url = next(found[1] for line in process.stderr if (found := re.search(r"bench page: (\S+)", line)))
            take(url, to)
        finally:
            process.terminate()
    print(to)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
