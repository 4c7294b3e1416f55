"""The texts of the page: one catalogue a language, looked up by key, and the language that a browser asks for."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}  # the first is what others fall back to
LANGUAGE_COOKIE = "leukoscope_language"
_PLACE = re.compile(r"\{(\w+)\}")


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language of `LANGUAGES`, key -> text with places such as `{slide}`.

    >>> catalogue("de")["nav.slides"]
    'Objektträger'
    """
    text = (files("edge.page.front") / "catalogue" / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


class Texts:
    """The texts of one language, as templates call them.

    Args:
        language: of `LANGUAGES`.

    >>> Texts("en")("nav.slides")
    'Slides'
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with its places filled.

        Raises:
            KeyError: no such text, or a place without a value.
        """
        return _PLACE.sub(lambda place: str(values[place[1]]), self._texts[key])


def language_of(accept: str, chosen: str = "") -> str:
    """The language to answer in: the one chosen by the switch, else the best that the browser asks for.

    Args:
        accept: the header Accept-Language (RFC 9110, 12.5.4), "" without.
        chosen: what the cookie holds; anything that is no language is passed over.

    >>> language_of("fr, de-AT;q=0.8, en;q=0.5"), language_of("de", chosen="en"), language_of("fr")
    ('de', 'en', 'en')
    """
    if chosen in LANGUAGES:
        return chosen
    wanted = []
    for place, each in enumerate(accept[:500].split(",")):
        name, _, weight = each.strip().partition(";")
        main = name.strip().split("-")[0].lower()
        try:
            share = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            continue
        if main in LANGUAGES and share > 0:
            wanted.append((-share, place, main))
    return min(wanted)[2] if wanted else next(iter(LANGUAGES))
