"""What tests of access share: a page with a user of each role."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.page.access.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """anna administers, otto operates, lena looks."""
    made = Site(tmp_path / "page")
    for name, role in (("anna", "administer"), ("otto", "operate"), ("lena", "look")):
        made.user(name, role)
    yield made
    made.access.close()
