"""A page over a small record and a stand-in for the instrument."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from edge.page.app import create_app
from edge.page.http.config import PageConfig
from tests.edge.page.standin import StandInLink
from tests.edge.slides.records import large_record

BASE = "http://127.0.0.1"


@pytest.fixture(scope="session")
def small_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven closed slides of 60 fields with images."""
    folder = tmp_path_factory.mktemp("page") / "record"
    large_record(folder, 7, 60, images=True)
    return folder


@pytest.fixture
def link() -> StandInLink:
    return StandInLink()


@pytest.fixture
def client(small_record: Path, link: StandInLink) -> Iterator[TestClient]:
    """Of the demo, so that nobody logs in; changes carry the header against forged ones."""
    app = create_app(PageConfig(small_record, Path("/nowhere.sock"), demo=True), link=link)
    with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
        client.headers["X-Leukoscope-CSRF"] = client.get("/api/v1/session").json()["csrf"]
        yield client
