"""What the page tells of the device: findings with cures, control charts and trends, each computed by one at a time."""

import threading
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from edge.page.device.cached import Cached
from edge.page.device.router import device_router
from edge.page.device.state import look
from edge.system.machine import Finding, Machine


def client(machine: Machine) -> TestClient:
    app = FastAPI()
    app.include_router(device_router(machine), prefix="/api/v1")
    return TestClient(app)


def test_a_bare_machine_is_told_in_words(tmp_path: Path) -> None:
    with client(Machine(store=tmp_path / "record")) as browser:
        told = browser.get("/api/v1/device").json()
        controls, trends = browser.get("/api/v1/controls").json(), browser.get("/api/v1/trends").json()
    names = [finding["name"] for finding in told["findings"]]
    assert {"system", "self-test", "disk", "clock", "temperature"} <= set(names)
    assert (
        "bench socket" not in names and "V4L2 cameras" not in names
    )  # no socket asked for; cameras are not the page's
    assert told["selftest"] is None and told["bundle"] is None and told["uptime_s"] > 0
    assert all(finding["cure"] for finding in told["findings"] if finding["state"] in ("missing", "warning"))
    assert controls == {"demanded": False, "problem": "", "slides": []}
    assert trends["measures"] == [] and "edge setup-camera" in trends["why"]


def test_the_worst_finding_is_the_state_and_a_probe_that_fails_is_one(tmp_path: Path) -> None:
    def broken(_: Machine) -> list[Finding]:
        raise ZeroDivisionError

    fine, warned = Finding("a", "ok", ""), Finding("b", "warning", "", "mend it")
    machine = Machine(store=tmp_path)
    assert look(machine, [("a", lambda _: [fine])]).state == "ok"
    assert look(machine, [("a", lambda _: [fine]), ("b", lambda _: [warned])]).state == "warning"
    told = look(machine, [("a", lambda _: [fine]), ("c", broken)])
    assert told.state == "ok" and told.findings[1].state == "unknown" and told.findings[1].name == "c"


@pytest.mark.parametrize("keep_s", [60.0, 0.0])
def test_one_looks_at_a_time_and_the_others_take_its_answer(keep_s: float) -> None:
    inside, most, asked = 0, 0, 0

    def slow() -> int:
        nonlocal inside, most, asked
        inside, asked = inside + 1, asked + 1
        most = max(most, inside)
        time.sleep(0.02)
        inside -= 1
        return asked

    cached = Cached(slow, keep_s)
    threads = [threading.Thread(target=cached) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert asked == (1 if keep_s else 8)  # negative control: without keeping, each looks for itself


def test_an_answer_grows_old() -> None:
    now = [0.0]
    cached = Cached(lambda: now[0], 5.0, clock=lambda: now[0])
    assert cached() == 0.0
    now[0] = 4.9
    assert cached() == 0.0
    now[0] = 5.0
    assert cached() == 5.0


def test_what_fails_is_not_kept() -> None:
    answers = iter([OSError("not now"), None])

    def look_once() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "there"

    cached = Cached(look_once, 60.0)
    with pytest.raises(OSError, match="not now"):
        cached()
    assert cached() == "there"
