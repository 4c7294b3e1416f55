"""The pictures of the bench in the documentation: a drawn slide at the page, in a browser without a window.

python -m tests.bench.pictures docs/images
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Literal

import cv2
from playwright.sync_api import Browser, expect

from tests.bench.browser import browsing, context, picture
from tests.bench.processes import Bench, eventually
from tests.bench.technician import SOON_MS, Technician

# A slide of blasts, looked at piece by piece: in focus for four fifths of the time.
CAMERA = "sim:Pre?fps=15&motion=0.1&focus_drift=3&empty=0.05&places=1000&seed=12"
SLIDE = "S-2026-0117"
FIELDS = 24
LARGEST = 300_000  # bytes


def draw(folder: Path) -> list[Path]:
    """All of them; some two minutes."""
    with tempfile.TemporaryDirectory() as work, browsing() as browser:
        bench = Bench(Path(work), camera=CAMERA, size=(640, 480))
        with bench:
            bench.start().api()
            made = [*_at_the_desk(browser, bench, folder), *_on_a_phone(browser, bench, folder)]
    for path in made:
        _shrink(path)
    return made


def _at_the_desk(browser: Browser, bench: Bench, folder: Path) -> list[Path]:
    names = ("bench-desktop.png", "bench-gallery.png", "bench-focus.png")
    desktop, gallery, focus = (folder / name for name in names)
    with context(browser) as visitor:
        one = Technician(visitor.new_page(), bench.url)
        one.logs_in()
        one.starts(SLIDE)
        expect(one.fields().nth(FIELDS - 1)).to_be_visible(timeout=240_000)
        one.judges()
        expect(one.sees("focus")).to_have_attribute("data-state", "good", timeout=SOON_MS)
        picture(one.page, desktop)
        expect(one.sees("focus")).to_have_attribute("data-state", "bad", timeout=2 * SOON_MS)
        picture(one.page, focus)
        one.opens(f"/slides/{SLIDE}")
        expect(one.sees("gallery").locator("img").nth(3)).to_be_visible(timeout=SOON_MS)
        one.page.wait_for_load_state("networkidle")
        picture(one.page, gallery)
    return [desktop, gallery, focus]


def _on_a_phone(browser: Browser, bench: Bench, folder: Path) -> list[Path]:
    made = []
    schemes: tuple[Literal["light", "dark"], ...] = ("dark", "light")
    for scheme in schemes:
        with context(browser, "phone", scheme) as visitor:
            one = Technician(visitor.new_page(), bench.url)
            one.logs_in()
            one.watches()
            before = one.newest()
            eventually(lambda: one.newest() > before, "a new field", 60)  # noqa: B023
            made.append(folder / f"bench-phone-{scheme}.png")
            picture(one.page, made[-1])
    return made


def _shrink(path: Path) -> None:
    """To a palette where it is too large for a repository."""
    if path.stat().st_size <= LARGEST:
        return
    from PIL import Image

    Image.fromarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)).quantize(128).save(path, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the bench's pictures.")
    parser.add_argument("folder", type=Path)
    for path in draw(parser.parse_args().folder):
        print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
