"""The figure of what the page adds to a device is that of its record."""

import json

import pytest

from tests.install.page_size import HOW_TO, RECORD, line, with_line


def test_the_how_to_says_what_was_measured() -> None:
    record = json.loads(RECORD.read_text())
    assert with_line(HOW_TO.read_text(), line(record)) == HOW_TO.read_text()
    assert all(0 < case["added_mb"] < 40 for case in record["cases"])


def test_another_figure_would_be_seen() -> None:
    record = json.loads(RECORD.read_text())
    record["cases"][0]["added_mb"] += 1
    assert with_line(HOW_TO.read_text(), line(record)) != HOW_TO.read_text()
    with pytest.raises(ValueError, match="one pair of marks"):
        with_line("no marks", "12 MB")
