"""Errors are problem documents, whoever refuses: a route, the framework, or what stands before both."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.edge.page.api.test_slides import problem
from tests.edge.page.standin import StandInLink

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/api/v1/slides/", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("DELETE", "/api/v1/slides", 405, "method-not-allowed"),
        ("PATCH", "/api/v1/automatic", 405, "method-not-allowed"),
        ("TRACE", "/api/v1/slides", 405, "method-not-allowed"),
        ("GET", "/api/v1/live", 404, "not-found"),  # it is a WebSocket
    ],
)
def test_what_is_not_there_is_a_problem(client: TestClient, method: str, path: str, status: int, name: str) -> None:
    assert problem(client.request(method, path)) == (status, name)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 60_000, b'{"slide":' * 6000, b'{"slide":' + b"1" * 5000 + b"}", b'{"slide":NaN}',
     b'{"slide":"\\ud800"}', b'{"slide":"a\\u0000"}', b"null", b'"S-1"', b'{"slide":"S-1","slide":["x"]}'],
    ids=range(12),
)  # fmt: skip
def test_a_body_that_is_no_right_json_is_given_to_nobody(client: TestClient, link: StandInLink, body: bytes) -> None:
    answer = client.post("/api/v1/slides", content=body, headers=JSON)
    assert answer.status_code in (400, 422) and answer.headers["content-type"] == "application/problem+json"
    assert link.given == {}


def test_another_media_type_is_no_json(client: TestClient, link: StandInLink) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post("/api/v1/slides", content=b'{"slide":"S-1"}', headers={"Content-Type": kind})
        assert answer.status_code == 422 and link.given == {}


@pytest.mark.parametrize("length", [65536, 65537])
def test_a_body_may_be_so_large_and_no_larger(client: TestClient, length: int) -> None:
    answer = client.post("/api/v1/slides", content=b" " * length, headers=JSON)
    assert problem(answer) == ((413, "too-large") if length > 65536 else (422, "invalid-request"))


def test_a_body_of_unknown_length_is_measured(client: TestClient) -> None:
    answer = client.post("/api/v1/slides", content=(b" " * 1000 for _ in range(100)), headers=JSON)
    assert problem(answer) == (413, "too-large")


def test_every_route_describes_its_problems(page: tuple[FastAPI, TestClient, StandInLink]) -> None:
    described = page[1].get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    shapes = described["components"]["schemas"]
    assert "HTTPValidationError" not in shapes and {"type", "title", "status", "detail"} <= set(
        shapes["Problem"]["required"]
    )
    wanted = {
        "/api/v1/slides", "/api/v1/slides/{slide}", "/api/v1/slides/{slide}/fields/{field}/image", "/api/v1/judgements",
        "/api/v1/slides/{slide}/fields/{field}/corrections", "/api/v1/automatic", "/api/v1/exposure", "/api/v1/state",
        "/api/v1/reference-fields", "/api/v1/labels", "/api/v1/controls", "/api/v1/trends", "/api/v1/device",
        "/api/v1/session", "/api/v1/session/password", "/api/v1/users", "/api/v1/tokens",
    } | {f"/api/v1/slides/{{slide}}/{act}" for act in ("pause", "continue", "close", "reopen")}  # fmt: skip
    assert wanted <= set(described["paths"])
    for path, operations in described["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if path.startswith("/api/") and status.startswith(("4", "5")):
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
            assert not path.startswith("/api/") or "4XX" in operation["responses"]
