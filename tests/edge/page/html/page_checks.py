"""Checks of every HTML page: its content policy, nothing from outside, and no text that becomes markup."""

from collections.abc import Callable, Collection, Mapping
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from jinja2 import Environment

from edge.page.html import rendering

SCRIPT = "<script>alert('&')</script>"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
VOID = {"meta", "img", "br"}
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "section",
        "footer",
        "div",
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
    ),
    *("li", "b", "strong", "span", "br", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "figure", "img"),
    *("figcaption", "svg", "rect", "path"),
}
_ENVIRONMENT = rendering._environment


def scripted(value: Any, words: Collection[str], named: Collection[str] = ()) -> Any:
    """A record with `SCRIPT` before every text that is not one of `words`, which the page looks up.

    Args:
        value: as JSON has it, or a msgspec record, which stays of its type.
        words: texts that choose what is shown, such as a verdict.
        named: keys of mappings whose own keys are texts too, such as labels.
    """
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **scripted(fields, words, named))
    if isinstance(value, str):
        return value if value in words else SCRIPT + value
    if isinstance(value, Mapping):
        inner = {key: scripted(entry, words, named) for key, entry in value.items()}
        return {
            key: {SCRIPT + name: entry for name, entry in inner[key].items()}
            if key in named and isinstance(inner[key], dict)
            else inner[key]
            for key in inner
        }
    if isinstance(value, list | tuple):
        return [scripted(entry, words, named) for entry in value]
    if value is None or value is msgspec.UNSET or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"value must be as JSON has it, or a msgspec record; got {type(value).__name__}")


def check_page(make: Callable[[], str]) -> None:
    """The page that `make` writes from a `scripted` record is safe, and would not be without autoescape."""
    html = make()
    assert faults(html) == []
    assert html.count("&lt;script&gt;") > 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_environment", _careless)
        assert "tag script" in faults(make())


def faults(html: str) -> list[str]:
    """What a page must not have, in words."""
    page = _Page()
    page.feed(html)
    found = [f"tag {tag}" for tag in page.tags if tag not in ALLOWED]
    found += [f"from outside: {address}" for address in page.addresses if not address.startswith("data:image/")]
    found += [f"open: {tag}" for tag in page.open]
    if html.count("<table") != html.count('<div class="scroll"><table') + html.count('<table class="bars"'):
        found.append("a table that cannot scroll")
    if page.policies != [POLICY]:
        found.append(f"policies {page.policies}")
    return found


class _Page(HTMLParser):
    """Its tags, those left open, its addresses and content policies."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.policies: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("src", "href", "action", "data") if name in given]
        self.tags += [f"attribute {name}" for name in given if name.startswith("on")]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(given.get("content"))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.tags.append(f"closed {tag}")


def _careless(package: str) -> Environment:
    return _ENVIRONMENT.__wrapped__(package).overlay(autoescape=False)
