"""How soon the bench is painted, and how old its pictures are; the study is `python -m docs.studies.page.viewing`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from docs.studies.page.clients import spread
from docs.studies.page.viewing import CAMERA, WATCH_STRIP, first_paints
from tests.bench.browser import context
from tests.bench.processes import Bench
from tests.bench.technician import Technician

pytestmark = [pytest.mark.slow, pytest.mark.alone]

FIRST_PAINT_MS, GLASS_TO_PAGE_MS = 1000, 300


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench"), CAMERA) as made:
        yield made.start()


def test_the_bench_is_painted_soon_and_its_pictures_are_of_now(bench: Bench, browser: Browser) -> None:
    bench.api()
    with context(browser) as visitor:
        one = Technician(visitor.new_page(), bench.url)
        one.logs_in()
        paints = spread(first_paints(one.page, bench.url))
        assert paints["median"] <= FIRST_PAINT_MS, paints
        one.watches()
        ages = spread(one.page.evaluate(WATCH_STRIP, 40))
    # A strip that was misread would say decades.
    assert 0 < ages["median"] <= GLASS_TO_PAGE_MS and ages["largest"] < 60_000, ages
