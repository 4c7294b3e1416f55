"""One browser and one bench a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.bench.browser import browsing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with browsing() as started:
        yield started
