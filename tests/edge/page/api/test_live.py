"""The WebSocket of a page: what it is told, what it may say, and when it is let go."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from msgspec import structs
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from edge.instrument.socket.messages import Meters, Preview, Verdict
from edge.page.api import live
from edge.page.app import create_app
from edge.page.http.config import Limits, PageConfig
from edge.page.live.watcher import MOST_MESSAGES
from tests.edge.instrument.socket.samples import SAMPLES
from tests.edge.page.conftest import BASE
from tests.edge.page.served import until
from tests.edge.page.standin import StandInLink, state

LIVE = "ws://127.0.0.1/api/v1/live"
JPEG = b"\xff\xd8 a picture \xff\xd9"
PREVIEW: Any = SAMPLES[Preview]
Page = tuple[FastAPI, TestClient, StandInLink]


@contextmanager
def browser(page: Page) -> Iterator[WebSocketTestSession]:
    """A browser that was told how things stand."""
    with page[1].websocket_connect(LIVE) as socket:
        told = [json.loads(socket.receive_text())["kind"] for _ in range(2)]
        while (kind := json.loads(socket.receive_text())["kind"]) == "link":  # said again now and then
            pass
        assert [*told, kind] == ["link", "hello", "state"]
        yield socket


def say(page: Page, message: Any, payload: bytes = b"") -> None:
    portal = page[1].portal
    assert portal is not None
    portal.call(page[2].say, message, payload)


def call(page: Page, name: str, *given: Any) -> None:
    portal = page[1].portal
    assert portal is not None
    portal.call(getattr(page[2], name), *given)


def text(socket: WebSocketTestSession) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(socket.receive_text())
    return said


def test_browsers_are_told_what_the_instrument_says(page: Page) -> None:
    with browser(page) as first, browser(page) as second:
        say(page, SAMPLES[Verdict])
        for socket in (first, second):
            verdict = text(socket)
            assert (verdict["kind"], verdict["id"], verdict["label"]) == ("verdict", 341, "Pre")


def test_a_preview_comes_once_and_the_next_after_it_was_acknowledged(page: Page) -> None:
    with browser(page) as socket:
        say(page, structs.replace(PREVIEW, sequence=7), JPEG)
        data = socket.receive_bytes()
        sequence, reserved, milliseconds = struct.unpack(">IId", data[:16])
        assert (sequence, reserved, data[16:]) == (7, 0, JPEG)
        assert milliseconds == pytest.approx(PREVIEW.utc_ns / 1e6)
        say(page, structs.replace(PREVIEW, sequence=8), JPEG)  # not acknowledged: left out
        socket.send_text('{"kind":"ready"}')
        until(lambda: next(iter(page[0].state.bench._watchers)).ready)
        say(page, structs.replace(PREVIEW, sequence=9), JPEG)
        assert struct.unpack(">I", socket.receive_bytes()[:4]) == (9,)


def test_ten_browsers_share_one_stream_and_the_fastest_has_the_next_one_asked_for(
    page: Page, link: StandInLink
) -> None:
    sockets: list[WebSocketTestSession] = []
    managers = [browser(page) for _ in range(10)]
    try:
        sockets = [each.__enter__() for each in managers]
        until(lambda: link.readies >= 1)
        asked = link.readies
        say(page, PREVIEW, JPEG)
        for socket in sockets:
            assert socket.receive_bytes()[16:] == JPEG
        assert link.readies == asked  # nobody was ready yet
        sockets[3].send_text('{"kind":"ready"}')
        until(lambda: link.readies == asked + 1)
        sockets[4].send_text('{"kind":"ready"}')
        say(page, structs.replace(PREVIEW, sequence=1), JPEG)
        assert sockets[3].receive_bytes()[16:] == JPEG
    finally:
        for each in managers:
            each.__exit__(None, None, None)


def test_nothing_is_asked_of_the_instrument_while_nobody_looks(page: Page, link: StandInLink) -> None:
    until(lambda: page[0].state.bench.watchers == 0)
    say(page, state())
    assert link.readies == 0
    with browser(page) as socket:
        until(lambda: link.watched == (True, True) and link.readies == 1)
        socket.send_text('{"kind":"watch","previews":false}')
        until(lambda: link.watched == (False, True))
    until(lambda: link.watched[0] is False and page[0].state.bench.watchers == 0)


def test_of_meters_only_the_newest_waits_and_of_verdicts_all(page: Page) -> None:
    with browser(page) as socket:
        portal = page[1].portal
        assert portal is not None

        async def much() -> None:
            for number in range(20):  # before the socket's own task has a turn
                await page[2].say(structs.replace(SAMPLES[Meters], sequence=number))
                await page[2].say(structs.replace(SAMPLES[Verdict], id=1000 + number))

        portal.call(much)
        told = [text(socket) for _ in range(21)]
        assert [each["id"] for each in told[:20]] == list(range(1000, 1020))
        assert told[20]["kind"] == "meters" and told[20]["sequence"] == 19


def test_what_did_not_fit_is_told_from_the_record(page: Page) -> None:
    """A browser that was told of all but the last two entries, and then of too much at once."""
    newest = page[1].get("/api/v1/slides").json()["items"][0]["entry"]
    with browser(page) as socket:
        portal = page[1].portal
        assert portal is not None
        say(page, structs.replace(SAMPLES[Verdict], id=newest - 2))
        assert text(socket)["id"] == newest - 2

        async def too_much() -> None:
            for number in range(MOST_MESSAGES + 1):
                await page[2].say(structs.replace(SAMPLES[Verdict], id=newest + number))

        portal.call(too_much)
        told = [text(socket) for _ in range(3)]
        assert [each["kind"] for each in told] == ["correction", "slide", "link"]
        assert told[2]["missed"] == 2 and told[2]["entry"] == newest


def test_a_page_hears_something_while_the_instrument_is_away(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LOOK_S", 0.05)
    monkeypatch.setattr(live, "_SILENT_S", 0.1)
    with browser(page) as socket:
        call(page, "lose", "it hung up")
        assert [text(socket)["connected"] for _ in range(3)] == [False] * 3
        call(page, "connect")
        until(lambda: page[0].state.bench.connected)


def test_since_is_answered_from_the_record(page: Page) -> None:
    with browser(page) as socket:
        socket.send_text('{"kind":"since","entry":0}')
        told = [text(socket)]
        while told[-1]["kind"] != "link":
            told.append(text(socket))
        link = told.pop()
        assert len(told) == link["missed"] == 200 and link["complete"] is False  # of 7 slides with 60 fields
        assert [each["id"] for each in told] == sorted(each["id"] for each in told)
        assert told[-1]["kind"] == "slide" and told[-1]["act"] == "closed" and told[-1]["id"] == link["entry"]
        socket.send_text(json.dumps({"kind": "since", "entry": link["entry"] - 2}))
        assert [text(socket)["kind"] for _ in range(3)] == ["correction", "slide", "link"]
        socket.send_text(json.dumps({"kind": "since", "entry": link["entry"]}))
        assert text(socket)["missed"] == 0


def test_an_instrument_that_goes_and_comes_back_is_told_with_what_was_missed(page: Page) -> None:
    bench = page[0].state.bench
    with browser(page) as socket:
        newest = page[1].get("/api/v1/slides").json()["items"][0]["entry"]
        bench._entry = newest - 2  # as if the last correction and closing had been recorded meanwhile
        call(page, "lose", "it hung up")
        gone = text(socket)
        assert gone["kind"] == "link" and gone["connected"] is False and gone["why"] == "it hung up"
        call(page, "connect")
        told = [text(socket) for _ in range(4)]
        assert [each["kind"] for each in told] == ["hello", "correction", "slide", "link"]
        assert told[-1]["connected"] is True and told[-1]["missed"] == 2 and told[-1]["complete"] is True


@pytest.mark.parametrize(
    "said",
    ["x", "[]", "{}", '{"kind":"ready', '{"kind":"command"}', '{"kind":"since"}', '{"kind":"since","entry":-1}',
     '{"kind":"since","entry":true}', '{"kind":"since","entry":1e3}', '{"kind":"since","entry":99999999999999999999}',
     '{"kind":"watch"}', '{"kind":"watch","previews":1}', "[" * 400, "x" * 513, b"bytes"],
)  # fmt: skip
def test_what_no_page_says_ends_the_socket(page: Page, said: str | bytes) -> None:
    with browser(page) as socket:
        socket.send_text(said) if isinstance(said, str) else socket.send_bytes(said)
        with pytest.raises(WebSocketDisconnect) as ended:
            while True:
                socket.receive_text()
        assert ended.value.code == live.WRONG


def test_a_browser_that_says_too_much_is_let_go(page: Page) -> None:
    with browser(page) as socket:
        for _ in range(3 * live._MOST_A_SECOND):
            socket.send_text('{"kind":"ready"}')
        with pytest.raises(WebSocketDisconnect) as ended:
            while True:
                socket.receive_text()
        assert ended.value.code == live.WRONG


@pytest.fixture
def strict(small_record: Path) -> Iterator[Page]:
    """A page with small limits."""
    link = StandInLink()
    limits = Limits(sockets=3, sockets_of_user=2, acknowledge_s=0.3)
    app = create_app(PageConfig(small_record, Path("/nowhere.sock"), demo=True, limits=limits), link=link)
    with TestClient(app, base_url=BASE) as client:
        yield app, client, link


def test_a_preview_that_is_not_acknowledged_ends_the_socket(strict: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LOOK_S", 0.05)
    with browser(strict) as socket:
        say(strict, PREVIEW, JPEG)
        socket.receive_bytes()
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_text()
        assert ended.value.code == live.SLOW
    until(lambda: strict[0].state.bench.watchers == 0)


def test_sockets_are_counted_and_one_that_ends_makes_room(strict: Page) -> None:
    with browser(strict), browser(strict):
        with strict[1].websocket_connect(LIVE) as third, pytest.raises(WebSocketDisconnect) as refused:
            third.receive_text()
        assert refused.value.code == live.FULL
    until(lambda: strict[0].state.sockets.open == 0)
    with browser(strict):
        assert strict[0].state.sockets.open == 1


def test_a_login_that_ends_ends_the_socket(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    access = page[0].state.access

    async def revoked(_: object) -> bool:
        return False

    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    monkeypatch.setattr(access, "still_valid", revoked)
    with page[1].websocket_connect(LIVE) as socket, pytest.raises(WebSocketDisconnect) as ended:
        while True:
            socket.receive_text()
    assert ended.value.code == live.REVOKED


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": f"{BASE}:81"}])
def test_a_page_of_another_site_gets_no_socket(page: Page, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, page[1].websocket_connect(LIVE, headers=headers):
        pass
    assert refused.value.reason == "cross-site"
    with page[1].websocket_connect(LIVE, headers={"origin": BASE}) as socket:  # the control
        assert text(socket)["kind"] == "link"
