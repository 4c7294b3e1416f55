"""The page about the architecture is current: its rooms, arrows and names are those of the code."""

import json
import re
from dataclasses import replace

import pytest

from docs.studies.architecture.house import ROOT, House, read_house
from docs.studies.architecture.layout import crossings, layered
from docs.studies.architecture.map import PAGE, draw, with_table

RECORD = ROOT / "docs" / "images" / "architecture.json"
CURE = "python -m docs.studies.architecture.map write docs/images/architecture.png"


@pytest.fixture(scope="module")
def house() -> House:
    return read_house()


def missing(name: str) -> bool:
    """Whether nothing in the checkout has this dotted name of a module, or of a definition in one."""
    path = ROOT / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return False
    module = path.parent.with_suffix(".py")
    definition = rf"^(?:def|class) {path.name}\b|^{path.name}\b.* = "
    return not module.is_file() or not re.search(definition, module.read_text(encoding="utf-8"), re.MULTILINE)


def test_rooms_and_arrows_are_current(house: House) -> None:
    assert json.loads(RECORD.read_text(encoding="utf-8")) == vars(house), CURE


def test_the_tables_of_rooms_are_current(house: House) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text, house.table()), CURE


def test_every_room_says_what_lives_there(house: House) -> None:
    assert all(said.endswith(".") for said in house.sentences.values())
    assert {room for room in house.arrows if (ROOT / room.replace(".", "/")).is_dir()} <= house.sentences.keys()


def test_names_in_the_page_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    dotted = set(re.findall(r"`((?:edge|models|convert|docs)(?:\.\w+)+)`", text))
    paths = set(re.findall(r"`((?:edge|models|convert|docs)/[\w./]+)`", text))
    assert len(dotted) > 20 and len(paths) > 20
    assert not {name for name in dotted if missing(name)}
    assert not {path for path in paths if "NAME" not in path and not (ROOT / path).exists()}
    assert missing("edge.instrument.pipeline.pipeline.NoSuchThing") and missing("edge.no_room.module")


def test_implied_arrows_are_left_out_of_the_picture(house: House) -> None:
    small = replace(house, arrows={"edge.a": ["edge.b", "edge.c"], "edge.b": ["edge.c"], "edge.c": []})
    assert small.inside("edge") == {"edge.a": ["edge.b"], "edge.b": ["edge.c"], "edge.c": []}


def test_rows_are_ordered_so_that_lines_do_not_cross() -> None:
    layout = layered([["a", "b"], ["c", "d"]], {"a": ["d"], "b": ["c"], "c": [], "d": []})
    assert crossings(layout) == 0


def test_a_line_over_several_rows_has_a_place_in_each() -> None:
    layout = layered([["a"], ["b"], ["c"]], {"a": ["b", "c"], "b": ["c"], "c": []})
    assert [len(row) for row in layout.rows] == [1, 2, 1]
    assert sum(layout.passes(name) for row in layout.rows for name in row) == 1


def test_the_picture_is_drawn(house: House) -> None:
    assert draw(house).startswith(b"\x89PNG")
