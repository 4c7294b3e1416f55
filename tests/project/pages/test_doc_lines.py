"""Pages have lines of at most 120 characters, but for table rows and for output shown as it was printed."""

import re
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.project.pages.paragraphs import LONGEST_LINE

FOLDERS = ("docs", "firmware_scripts", "tests")
PAGES = [*sorted(ROOT.glob("*.md")), *(page for name in FOLDERS for page in sorted((ROOT / name).rglob("*.md")))]
SHOWN_OUTPUT = re.compile(r"^ *```text\n.*?^ *```", re.MULTILINE | re.DOTALL)


def long_lines(text: str) -> list[str]:
    """Lines that are too long, output and table rows left out."""
    lines = SHOWN_OUTPUT.sub("", text).splitlines()
    return [line for line in lines if len(line) > LONGEST_LINE and not line.lstrip().startswith("|")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_of_pages_are_short(page: Path) -> None:
    assert not long_lines(page.read_text(encoding="utf-8"))


def test_a_long_line_would_be_found() -> None:
    """Negative control."""
    long = "x" * (LONGEST_LINE + 1)
    assert long_lines(f"short\n{long}\n| {long} |\n```text\n{long}\n```\n```\n{long}\n```\n") == [long, long]
