"""The catalogues: the same texts in both languages, each used by a page, and the language that a browser asks for."""

import re
from importlib.resources import files

import pytest

from edge.page.front.texts import LANGUAGES, Texts, catalogue, language_of

ROOM = files("edge.page.front")
PLACE = re.compile(r"\{(\w+)\}")


def sources() -> str:
    """All templates and scripts, and the room's Python."""
    found = []
    waiting = [ROOM / "templates", ROOM / "static", ROOM / "router.py"]
    while waiting:
        each = waiting.pop()
        if each.is_dir():
            waiting += list(each.iterdir())
        elif each.name.endswith((".html", ".js", ".py")):
            found.append(each.read_text(encoding="utf-8"))
    return "\n".join(found)


def unused(keys: set[str], text: str) -> set[str]:
    """Keys that stand nowhere in quotes, and whose beginning is not put together with a name either."""
    quoted = set(re.findall(r"[\"'`]([a-z]+\.[\w.-]+)[\"'`]", text))
    begun = set(re.findall(r"[\"'`]([a-z]+\.(?:[a-z]+_)?)(?:\$\{|[\"'] ~)", text))
    around = {(a, b) for a, b in re.findall(r"[\"'`]([a-z]+\.)\$\{[^}]*\}([\w]+)`", text)}
    around |= {(a, b) for a, b in re.findall(r"[\"']([a-z]+\.)[\"'] ~ \w+ ~ [\"'](\w+)[\"']", text)}
    return {
        key
        for key in keys - quoted
        if not any(key.startswith(each) for each in begun)
        and not any(key.startswith(a) and key.endswith(b) for a, b in around)
    }


def missing(keys: set[str], text: str) -> set[str]:
    """Keys that a page asks for and no catalogue has."""
    asked = set(re.findall(r"\bt\(\"([a-z]+\.[\w.-]+)\"(?! ~)", text)) | set(
        re.findall(r"\(\"\S+\", \"(keys\.\w+)\"\)", text)
    )
    return asked - keys


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_every_language_says_all_that_english_says(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    assert all(other.values())
    assert {k for k in english if set(PLACE.findall(english[k])) != set(PLACE.findall(other[k]))} == set()
    same = {key for key in english if english[key] == other[key] and " " in english[key] and "{" not in english[key]}
    assert same == set()  # a sentence that was left in English


def test_every_text_is_used_and_every_text_that_is_asked_for_is_there() -> None:
    keys, text = set(catalogue("en")), sources()
    assert unused(keys, text) == set()
    assert missing(keys, text) == set()


def test_a_key_that_nobody_uses_or_has_is_found() -> None:
    """Negative control."""
    text = sources() + 't("bench.no_such_text")'
    assert unused({"bench.nobody_asks", "layout.skip"}, text) == {"bench.nobody_asks"}
    assert missing(set(catalogue("en")), text) == {"bench.no_such_text"}


@pytest.mark.parametrize(
    ("accept", "chosen", "language"),
    [
        ("", "", "en"),
        ("de-DE,de;q=0.9,en;q=0.8", "", "de"),
        ("fr;q=1, en;q=0.4, de;q=0.5", "", "de"),
        ("de;q=0", "", "en"),
        ("*;q=nonsense, de", "", "de"),
        ("de", "en", "en"),
        ("de", "../../etc/passwd", "de"),
        ("fr, ja", "", "en"),
    ],
)
def test_the_language_is_the_switch_s_else_the_browser_s(accept: str, chosen: str, language: str) -> None:
    assert language_of(accept, chosen) == language


def test_a_text_without_a_value_for_its_place_is_an_error() -> None:
    texts = Texts("en")
    assert texts("address.qr", url="https://x/") == "QR code of https://x/"
    with pytest.raises(KeyError, match="url"):
        texts("address.qr")
