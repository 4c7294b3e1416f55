"""The short table in README.md is the records'."""

import pytest

from tests.project.pages import readme_table


def test_the_table_in_the_readme_is_current() -> None:
    text = readme_table.README.read_text(encoding="utf-8")
    assert text == readme_table.with_headline(text), "python -m tests.project.pages.readme_table --write"


def test_what_weighs_most_is_shown() -> None:
    assert "blocks of file numbers" in readme_table.headline()
    assert "calls Benign there" in readme_table.headline()


def test_a_row_that_is_gone_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(readme_table, "ROWS", (*readme_table.ROWS, "no such row"))
    with pytest.raises(ValueError, match="no such row"):
        readme_table.headline()
