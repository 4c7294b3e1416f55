"""A page over a small record and a stand-in for the instrument; one page a module, its stand-in anew for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
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


@pytest.fixture(scope="module")
def page(small_record: Path) -> Iterator[tuple[FastAPI, TestClient, StandInLink]]:
    """Of the demo, so that nobody logs in; changes carry the header against forged ones."""
    link = StandInLink()
    app = create_app(PageConfig(small_record, Path("/nowhere.sock"), demo=True), link=link)
    with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
        client.headers["X-Leukoscope-CSRF"] = client.get("/api/v1/session").json()["csrf"]
        yield app, client, link


@pytest.fixture
def client(page: tuple[FastAPI, TestClient, StandInLink]) -> TestClient:
    return page[1]


@pytest.fixture
def link(page: tuple[FastAPI, TestClient, StandInLink]) -> StandInLink:
    page[2].forget()
    return page[2]
