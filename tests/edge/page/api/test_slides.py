"""The routes on slides: history, one slide, and what is done to it."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from msgspec import structs

from edge.page.app import create_app
from edge.page.http.config import PageConfig
from edge.record.entries import Entry
from edge.record.entry_parts import moment
from edge.record.slide_entries import CorrectionBody
from edge.record.slide_queries import verdicts
from edge.record.store import Store
from tests.edge.page.conftest import BASE
from tests.edge.page.standin import StandInLink, state
from tests.edge.record.records import NOON
from tests.edge.slides.records import SLIDES_INFO, bodies, large_record

KEY = "0123456789abcdef0123456789abcdef"


def problem(answer: object) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    body = answer.json()  # type: ignore[attr-defined]
    assert body["status"] == answer.status_code  # type: ignore[attr-defined]
    return body["status"], body["type"].removeprefix("urn:leukoscope:problem:")


def test_the_history_comes_in_pieces_and_ends(client: TestClient) -> None:
    pieces, cursor = [], ""
    while True:
        piece = client.get("/api/v1/slides", params={"limit": 3, "cursor": cursor}).json()
        pieces.append([each["slide"] for each in piece["items"]])
        cursor = piece["next"]
        if cursor is None:
            break
    assert pieces == [["S-00007", "S-00006", "S-00005"], ["S-00004", "S-00003", "S-00002"], ["S-00001"]]


def test_search_finds_a_part_of_the_name_in_any_case_and_nothing_else(client: TestClient) -> None:
    def found(q: str) -> list[str]:
        return [each["slide"] for each in client.get("/api/v1/slides", params={"q": q}).json()["items"]]

    assert found("s-00003") == found("0003") == ["S-00003"]
    assert found("%") == found("S-9") == []


def test_a_slide_tells_what_the_record_says_of_it(client: TestClient, small_record: Path) -> None:
    slide = client.get("/api/v1/slides/S-00004").json()
    [closed] = [
        each for each in bodies(small_record, "slide") if each["act"] == "closed" and each["slide"] == "S-00004"
    ]
    assert slide["state"] == "closed" and [each["act"] for each in slide["acts"]] == ["opened", "closed"]
    assert slide["tally"] == closed["finding"]["tally"]  # counted anew from the verdicts, and as it was closed
    assert slide["finding"]["finding"] == closed["finding"]["finding"]
    assert slide["labels"] == ["Benign", "Early", "Pre", "Pro"] and slide["benign"] == ["Benign"]
    assert [each["field"] for each in slide["corrections"]] == [1]
    line = client.get("/api/v1/slides", params={"q": "S-00004"}).json()["items"][0]
    assert line["finding"] == slide["finding"] and line["fields"] == slide["fields"] == 60


def test_a_closed_slide_keeps_its_tally_and_one_that_was_run_again_is_counted(tmp_path: Path) -> None:
    """Corrections after the closing are shown; fields that came without the bench are counted."""
    large_record(tmp_path, 1, 20)
    app = create_app(PageConfig(tmp_path, Path("/nowhere.sock"), demo=True), link=StandInLink())
    with TestClient(app, base_url=BASE) as client:
        before = client.get("/api/v1/slides/S-00001").json()
        with Store.open(tmp_path) as store:
            label = next(body.label for _, body in verdicts(store, "S-00001") if body.field == 2) or ""
            word = {"corrects": 2, "verdict": 0, "by": "reader-2", "label": label, "agrees": True}
            store.append_correction(CorrectionBody(slide="S-00001", **moment(NOON), **word))
            after = client.get("/api/v1/slides/S-00001").json()
            assert after["finding"] == before["finding"]
            assert after["tally"] == {**before["tally"], "agreed": before["tally"]["agreed"] + 1}
            run = store.begin(structs.replace(SLIDES_INFO, slide="S-00001"), NOON)
            store.write(run, [Entry(NOON, 1, "", "Pre", None, None, (0.1, 0.1, 0.7, 0.1), {}, {}, None)])
            again = client.get("/api/v1/slides/S-00001").json()
            assert again["tally"]["fields"] == 21 - before["tally"]["seen"] and again["finding"] is None


@pytest.mark.parametrize("name", ["S-99999", "s-00001", "S-0000"])
def test_another_name_is_no_slide(client: TestClient, name: str) -> None:
    assert problem(client.get(f"/api/v1/slides/{name}")) == (404, "no-slide")


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fetc", "-a", "a" * 65, "a b", "a%00b"])
def test_what_can_name_no_slide_reaches_no_question(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/v1/slides/{name}")
    assert answer.status_code in (404, 422) and b"S-0000" not in answer.content


def test_a_tag_that_still_holds_is_answered_304_and_another_is_not(client: TestClient) -> None:
    first = client.get("/api/v1/slides")
    again = client.get("/api/v1/slides", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    other = client.get("/api/v1/slides", headers={"If-None-Match": '"0"'})
    assert other.status_code == 200 and other.content == first.content


@pytest.mark.parametrize("cursor", ["x", "eyJhIjoxfQ", "WzEsMl0", "WzQ2MTE2ODYwMTg0MjczODc5MDUsImEiXQ", "=", "é"])
def test_a_cursor_of_something_else_is_refused(client: TestClient, cursor: str) -> None:
    assert problem(client.get("/api/v1/slides", params={"cursor": cursor})) == (422, "cursor")


def test_the_open_slide_has_the_instruments_finding(small_record: Path) -> None:
    """A slide that the record closed keeps its own, whatever the instrument says."""
    link = StandInLink()
    app = create_app(PageConfig(small_record, Path("/nowhere.sock"), demo=True), link=link)
    with TestClient(app, base_url=BASE) as client:
        closed = client.get("/api/v1/slides/S-00004").json()["finding"]
        bench = app.state.bench
        found = {**closed, "finding": "undecided", "why": "of the instrument"}
        bench._state = state(slide="S-00004", finding=found)
        assert bench.finding_of("S-00004").why == "of the instrument" and bench.finding_of("S-00001") is None
        assert client.get("/api/v1/slides/S-00004").json()["finding"] == closed


@pytest.mark.parametrize("act", ["pause", "continue", "close", "reopen"])
def test_an_act_is_given_to_the_instrument_once(client: TestClient, link: StandInLink, act: str) -> None:
    for _ in range(2):
        answer = client.post(f"/api/v1/slides/S-1/{act}", headers={"Idempotency-Key": KEY})
        assert answer.status_code == 200 and answer.json()["id"] == KEY
    given = link.given[KEY]
    assert (given.name, given.by, given.arguments) == (act, "demo", {"slide": "S-1"})
    assert list(link.given) == [KEY]


def test_a_slide_is_opened_and_a_key_of_another_command_is_refused(client: TestClient, link: StandInLink) -> None:
    opened = client.post("/api/v1/slides", json={"slide": "S-1"}, headers={"Idempotency-Key": KEY})
    assert opened.status_code == 201 and link.given[KEY].arguments == {"slide": "S-1"}
    other = client.post("/api/v1/slides", json={"slide": "S-2"}, headers={"Idempotency-Key": KEY})
    assert problem(other) == (409, "id-reused")
    without = client.post("/api/v1/slides", json={"slide": "S-3"})
    assert len(without.json()["id"]) == 32 and without.json()["id"] in link.given


@pytest.mark.parametrize(
    "body", [{}, {"slide": ""}, {"slide": "../x"}, {"slide": 7}, {"slide": "a", "more": 1}, [], None]
)
def test_a_wrong_slide_is_given_to_nobody(client: TestClient, link: StandInLink, body: object) -> None:
    assert problem(client.post("/api/v1/slides", json=body)) == (422, "invalid-request")
    assert link.given == {}


@pytest.mark.parametrize("key", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32])
def test_a_wrong_key_is_given_to_nobody(client: TestClient, link: StandInLink, key: str) -> None:
    answer = client.post("/api/v1/slides", json={"slide": "S-1"}, headers={"Idempotency-Key": key})
    assert problem(answer) == (422, "invalid-request") and link.given == {}


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [("slide_open", 409, "slide-open"), ("unknown_slide", 404, "unknown-slide"), ("unavailable", 503, "unavailable"),
     ("failed", 502, "failed"), ("busy", 503, "busy")],
)  # fmt: skip
def test_what_the_instrument_refuses_is_a_problem(
    client: TestClient, link: StandInLink, error: str, status: int, name: str
) -> None:
    link.refuse["open"] = error
    assert problem(client.post("/api/v1/slides", json={"slide": "S-1"})) == (status, name)


def test_without_an_instrument_the_record_is_read_and_a_command_says_what_is_wrong(small_record: Path) -> None:
    app = create_app(PageConfig(small_record, Path("/nowhere.sock"), demo=True), link=StandInLink(up=False))
    with TestClient(app, base_url=BASE) as client:
        csrf = {"X-Leukoscope-CSRF": client.get("/api/v1/session").json()["csrf"]}
        answer = client.post("/api/v1/slides", json={"slide": "S-1"}, headers=csrf)
        assert problem(answer) == (503, "instrument-away")
        assert "no instrument answers" in answer.json()["detail"] and "fields" in answer.json()["readable"]
        assert problem(client.get("/api/v1/labels")) == (503, "instrument-away")
        state = client.get("/api/v1/state").json()
        assert state["connected"] is False and state["state"] is None and state["why"] == "no instrument answers"
        assert len(client.get("/api/v1/slides").json()["items"]) == 7


def test_without_a_record_the_history_is_empty_and_no_slide_is_there(tmp_path: Path) -> None:
    app = create_app(PageConfig(tmp_path, Path("/nowhere.sock"), demo=True), link=StandInLink())
    with TestClient(app, base_url=BASE) as client:
        assert client.get("/api/v1/slides").json() == {"items": [], "next": None}
        assert problem(client.get("/api/v1/slides/S-1")) == (404, "no-slide")
        (tmp_path / "record.sqlite").write_bytes(b"no database")
        assert problem(client.get("/api/v1/slides")) == (503, "record-unavailable")
