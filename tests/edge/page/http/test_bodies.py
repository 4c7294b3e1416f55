"""Bodies of requests: too large, too slow, given up; and what a route gets of a right one."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from edge.page.http.bodies import BodyLimit


def asked(parts: list[Message], *, length: bytes | None = None, most: int = 10, slowest_s: float = 5) -> dict[str, Any]:
    """What an app behind the limit got, and what was answered."""
    found: dict[str, Any] = {"got": None, "status": None, "body": b""}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        found["got"] = message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> Message:
        if parts:
            return parts.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Message) -> None:
        found["status"] = message.get("status", found["status"])
        found["body"] += message.get("body", b"")

    headers = [] if length is None else [(b"content-length", length)]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(asyncio.wait_for(BodyLimit(app, most, slowest_s)(scope, receive, send), 10))
    return found


def part(data: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


def test_a_body_arrives_whole() -> None:
    found = asked([part(b"12345", True), part(b"", True), part(b"67890", False)], length=b"10")
    assert found["got"] == (b"1234567890", False) and found["status"] == 204


@pytest.mark.parametrize("length", [b"11", b"-1", b"x", b"9" * 4000])
def test_one_that_says_it_is_too_large_is_not_read(length: bytes) -> None:
    found = asked([], length=length)
    assert found["got"] is None and found["status"] == 413
    assert json.loads(found["body"])["type"] == "urn:leukoscope:problem:too-large"


def test_one_that_becomes_too_large_is_given_up() -> None:
    found = asked([part(b"123456", True), part(b"789012", True)], length=b"10")
    assert found["got"] is None and found["status"] == 413


def test_one_that_comes_too_slowly_is_given_up() -> None:
    found = asked([part(b"1", True)], slowest_s=0.05)
    assert found["got"] is None and found["status"] == 408


def test_a_client_that_goes_meanwhile_is_answered_nothing() -> None:
    found = asked([part(b"1", True), {"type": "http.disconnect"}])
    assert found["got"] is None and found["status"] is None
