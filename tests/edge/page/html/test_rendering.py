"""`edge.page.html`: texts are escaped, a missing value is an error, and templates of a package find the base page."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import PageUnavailable, TemplateValueError
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from tests.edge.page.html.page_checks import SCRIPT, check_page, faults

PAGE = """{% extends "base.html" %}
{% from "macros.html" import banner, cards, code, fact, facts, figure, table %}
{% block title %}{{ title }}{% endblock %}
{% block content %}
<h1>{{ self.title() }}</h1>
{% call banner("pass", title) %}<p>{{ title }}</p>{% endcall %}
{{ cards([(title, title)]) }}
{{ table(rows) }}
{% call facts() %}{% call fact(title) %}{{ code(title) }}{% endcall %}{% endcall %}
{% call figure(picture) %}{{ picture.description }}{% endcall %}
{% endblock %}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with the template `page.html`, and a `base.html` that must not be taken."""
    folder = tmp_path / "a_package_with_pages"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "templates" / "page.html").write_text(PAGE, "utf-8")
    (folder / "templates" / "base.html").write_text("no policy", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    sys.modules.pop(folder.name, None)


def values(text: str) -> dict[str, object]:
    table = Table((text, "n"), [(text, "1"), (text, text)], numbers={1}, code={0}, strong={1})
    return {"title": text, "rows": table, "picture": Picture(b"\x89PNG", "png", text)}


def test_every_macro_escapes(package: str) -> None:
    check_page(lambda: render_page(package, "page.html", **values(SCRIPT)))


def test_what_the_macros_make(package: str) -> None:
    html = render_page(package, "page.html", **values("plain"))
    assert faults(html) == []
    assert '<tr class="strong"><td><code>plain</code></td><td class="n">plain</td></tr>' in html
    assert '<div class="scroll"><table>' in html and '<img src="data:image/png;base64,iVBORw==" alt="plain">' in html
    assert "<th>plain</th><td><code>plain</code></td>" in html and '<div class="word">plain</div>' in html


@pytest.mark.parametrize("missing", ["title", "rows", "picture"])
def test_a_missing_value_is_an_error_that_names_it(package: str, missing: str) -> None:
    given = values("plain")
    del given[missing]
    with pytest.raises(TemplateValueError, match=rf"page\.html: '{missing}' is undefined"):
        render_page(package, "page.html", **given)


def test_a_missing_field_is_an_error_too(package: str) -> None:
    with pytest.raises(TemplateValueError, match="has no attribute 'description'"):
        render_page(package, "page.html", **values("plain") | {"picture": {"source": "data:image/png;base64,"}})


@pytest.mark.parametrize("row", [("1",), ("1", "2", "3")])
def test_a_row_of_another_length_than_the_head_is_refused(row: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="rows must have 2 cells, as head has; got"):
        Table(("a", "b"), [("1", "2"), row])


def test_without_jinja_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(PageUnavailable, match=r"pip install '\.\[html\]'"):
        render_page("edge.page.html", "base.html")


def test_no_command_loads_jinja_until_it_writes_a_page() -> None:
    code = "import sys, edge.cli, models.cli, convert.cli, edge.page.html; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
