"""Messages name an installation that works: no package index has `leukoscope`."""

import re

from tests.paths import ROOT

FROM_AN_INDEX = re.compile(r"pip install '?leukoscope")


def test_no_message_sends_people_to_an_index() -> None:
    assert FROM_AN_INDEX.search("pip install 'leukoscope[device]'"), "negative control"
    files = [path for floor in ("edge", "models", "convert") for path in (ROOT / floor).rglob("*.py")]
    assert files and not [path for path in files if FROM_AN_INDEX.search(path.read_text(encoding="utf-8"))]
