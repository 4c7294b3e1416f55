"""docs/reference/page-security.md is held to the tests that it names."""

import re

from tests.paths import ROOT

PAGE = ROOT / "docs/reference/page-security.md"


def named_tests(text: str) -> set[tuple[str, str]]:
    """(file, test) of every test that a page names."""
    return set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))


def missing(text: str) -> set[str]:
    """Tests that a page names and that are not there, or not in one file of that name."""
    wrong = set()
    for file, name in named_tests(text):
        found = [path for path in (ROOT / "tests").rglob(file) if f"def {name}(" in path.read_text("utf-8")]
        if len(found) != 1:
            wrong.add(f"{file}::{name}")
    return wrong


def test_every_test_that_the_page_names_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(named_tests(text)) > 40
    assert missing(text) == set()


def test_every_row_names_a_test() -> None:
    rows = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "::" not in line
    ]
    assert [row for row in rows if not row.startswith(("| attack ", "| route ", "| `"))] == []


def test_what_is_not_there_would_be_found() -> None:
    """Negative control."""
    assert missing("| x | `test_logins.py::test_no_such` |") == {"test_logins.py::test_no_such"}
    assert missing("| x | `test_logins.py::test_a_thousand_wrong_logins` |") == set()
