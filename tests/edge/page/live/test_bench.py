"""The page's one link to the instrument, over its real socket: what is asked for, and what comes after it was away."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from websockets.sync.client import ClientConnection, connect

from edge.instrument.socket.client import InstrumentLink
from edge.instrument.socket.messages import Preview
from edge.page.app import create_app
from edge.page.http.config import PageConfig
from edge.page.live import bench as module
from tests.edge.instrument.socket.fake import FakeInstrument
from tests.edge.page.served import served, until


@pytest.fixture
def page(small_record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FastAPI, Path]]:
    monkeypatch.setattr(module, "INTEREST_S", 0.5)
    app = create_app(PageConfig(small_record, tmp_path / "i.sock", demo=True))
    with served(app) as (base, _):
        yield base, app, tmp_path / "i.sock"


def link_of(browser: ClientConnection, connected: bool) -> dict[str, Any]:
    """The next `link` that says so."""
    while True:
        said = browser.recv(timeout=10)
        message = json.loads(said) if isinstance(said, str) else {}
        if message.get("kind") == "link" and message["connected"] is connected:
            assert isinstance(message, dict)
            return message


def test_an_instrument_nobody_looks_at_is_asked_for_nothing(page: tuple[str, FastAPI, Path]) -> None:
    base, app, path = page
    with FakeInstrument(path) as instrument:
        until(lambda: app.state.bench.connected)
        assert not instrument.server.watched and not instrument.server.wants_preview()
        state = httpx.get(f"{base}/api/v1/state").json()
        assert state["connected"] and state["state"]["mode"] == "none"
        until(lambda: not instrument.server.watched)  # a while after somebody asked
        with connect(base.replace("http", "ws") + "/api/v1/live", max_size=2**22) as browser:
            while not isinstance(browser.recv(timeout=5), bytes):
                pass
            assert instrument.server.watched and not instrument.server.wants_preview()  # it was not acknowledged
            browser.send('{"kind":"ready"}')
            while not isinstance(browser.recv(timeout=5), bytes):
                pass
        until(lambda: not instrument.server.watched and not instrument.server.wants_preview())


def test_an_instrument_that_is_killed_comes_back_by_itself(page: tuple[str, FastAPI, Path]) -> None:
    """The record is read meanwhile, and a command that was done is answered alike by the next start."""
    base, _, path = page
    with httpx.Client(base_url=f"{base}/api/v1", timeout=15) as client:
        client.headers["X-Leukoscope-CSRF"] = client.get("/session").json()["csrf"]
        key = {"Idempotency-Key": f"{7:032x}"}
        with connect(base.replace("http", "ws") + "/api/v1/live", max_size=2**22) as browser:
            link_of(browser, False)
            with FakeInstrument(path) as first:
                link_of(browser, True)
                opened = client.post("/slides", json={"slide": "S-1"}, headers=key)
                assert opened.status_code == 201
            gone = link_of(browser, False)
            assert gone["why"]
            assert client.get("/state").json()["state"] is None
            assert len(client.get("/slides").json()["items"]) == 7
            with FakeInstrument(path, bench=first.bench) as second:
                link_of(browser, True)
                again = client.post("/slides", json={"slide": "S-1"}, headers=key)
                assert again.json() == opened.json() and len(second.bench.slides) == 1
                assert client.get("/state").json()["state"]["mode"] == "paused"


def test_a_preview_that_is_asked_for_while_the_link_is_closing_is_asked_for_again(tmp_path: Path) -> None:
    """Between the end of a connection and the word of it nothing is sent, and the page may ask."""

    async def story() -> None:
        link = InstrumentLink(tmp_path / "i.sock")
        link.start()
        with FakeInstrument(tmp_path / "i.sock") as first:
            assert await link.wait_connected(5)
            reader = link.subscribe()
            said = link._set

            def asked_before(status: Any) -> None:
                if not status.connected:
                    reader.ready()
                said(status)

            link._set = asked_before  # type: ignore[method-assign]
            await asyncio.to_thread(first.close)
        with FakeInstrument(tmp_path / "i.sock", bench=first.bench):
            async with asyncio.timeout(5):
                async for each in reader:
                    if isinstance(each.message, Preview):
                        break
            await link.close()

    asyncio.run(story())
