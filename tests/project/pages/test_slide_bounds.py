"""Pages about slides: the tables of bounds as they would be written, and every refusal explained."""

from typing import get_args, get_type_hints

import pytest

from models.site.refusals import Caution, RefusalName
from models.statistics.intervals import exact_upper
from tests.paths import ROOT
from tests.project.pages.slide_bounds import BOUNDS, PAGE, slides_needed, with_tables


@pytest.mark.parametrize(("missed", "slides"), [(0, (29, 59, 149, 299)), (1, (46, 93, 236, 473))])
def test_slides_needed_are_the_known_ones(missed: int, slides: tuple[int, ...]) -> None:
    assert tuple(slides_needed(missed, bound) for bound in BOUNDS) == slides
    for bound, n in zip(BOUNDS, slides, strict=True):
        assert exact_upper(missed, n) <= bound < exact_upper(missed, n - 1)


def test_the_page_has_the_tables_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page
    assert with_tables(page.replace("| 29 |", "| 28 |")) == page


def test_every_refusal_and_caution_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "audit-your-slides.md").read_text(encoding="utf-8")
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert named == {*get_args(RefusalName), *get_args(get_type_hints(Caution)["name"])}
