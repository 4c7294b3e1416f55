"""The server: a client that does not take its answer is let go, and harms nobody; a signal ends it all in order."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response
from websockets.sync.client import connect

from edge.errors import AddressUnavailable
from edge.page import serving
from edge.page.api import live
from edge.page.app import create_app
from edge.page.http.config import Limits, PageConfig
from edge.page.serving import listen
from tests.edge.instrument.socket.fake import FakeInstrument
from tests.edge.page.served import served, until

SHORT_S = 0.5
_LARGE = 32 * 2**20  # more than the kernel keeps for both sides


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code with shorter waits."""
    for name, seconds in (("HEAD_S", SHORT_S), ("STALLED_S", SHORT_S), ("CLOSE_S", 0.2)):
        monkeypatch.setattr(serving, name, seconds)
    monkeypatch.setattr(live, "_LOOK_S", 0.1)


def trickle(connection: socket.socket, ended: threading.Event) -> None:
    """Read a byte now and then until the other side has hung up."""
    try:
        while connection.recv(1):
            time.sleep(0.05)
    except OSError:
        pass
    ended.set()


def test_an_answer_that_is_not_taken_ends_and_one_that_is_taken_slowly_does_not(impatient: None) -> None:
    app = FastAPI()
    app.add_api_route("/large", lambda: Response(bytes(_LARGE)))
    with served(app) as (base, page):
        port = int(base.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as still,
            socket.create_connection(("127.0.0.1", port)) as slow,
        ):
            for each, keeps in ((still, b"keep-alive"), (slow, b"close")):
                each.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: " + keeps + b"\r\n\r\n")
            until(lambda: len(page.server_state.connections) == 2)
            taken, begun = 0, time.monotonic()
            while taken < _LARGE and (part := slow.recv(2**18)):  # 8 MB/s, four times as long as a stall may last
                taken += len(part)
                time.sleep(2**18 / (2**23 * 2))
            assert taken >= _LARGE and time.monotonic() - begun > 2 * SHORT_S
            until(lambda: not page.server_state.connections)
            still.settimeout(5)
            left = 0
            while part := still.recv(2**20):  # what the kernels held
                left += len(part)
            assert left < _LARGE


@pytest.fixture
def bench(small_record: Path, tmp_path: Path, impatient: None) -> Iterator[tuple[str, FastAPI, serving.PageServer]]:
    limits = Limits(acknowledge_s=SHORT_S)
    with FakeInstrument(tmp_path / "i.sock", fps=50) as instrument:
        app = create_app(PageConfig(small_record, instrument.path, demo=True, limits=limits))
        with served(app) as (base, page):
            yield base, app, page


def test_a_browser_that_reads_a_byte_now_and_then_harms_nobody_and_is_let_go(
    bench: tuple[str, FastAPI, serving.PageServer],
) -> None:
    base, app, page = bench
    address = base.replace("http", "ws") + "/api/v1/live"
    host, port = base.removeprefix("http://").split(":")
    ended = threading.Event()
    with socket.create_connection((host, int(port))) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(
            f"GET /api/v1/live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        threading.Thread(target=trickle, args=(lazy, ended), daemon=True).start()
        until(lambda: app.state.bench.watchers == 1)
        with connect(address, max_size=2**22) as honest:
            previews, begun = [], time.monotonic()
            while time.monotonic() - begun < 1.5:
                said = honest.recv(timeout=2)
                if isinstance(said, bytes):
                    previews.append(struct.unpack(">I", said[:4])[0])
                    honest.send('{"kind":"ready"}')
            assert len(previews) >= 4 and previews == sorted(set(previews))
        until(lambda: app.state.bench.watchers == 0 and not page.server_state.connections)
        lazy.settimeout(5)
        while lazy.recv(2**20):  # what the kernels held, then the end
            pass
        assert ended.wait(5)


def test_the_page_ends_in_time_whoever_is_connected(bench: tuple[str, FastAPI, serving.PageServer]) -> None:
    base, app, page = bench
    with connect(base.replace("http", "ws") + "/api/v1/live", max_size=2**22) as browser:
        until(lambda: app.state.bench.watchers == 1)
        page.should_exit = True
        with pytest.raises(Exception, match="1012"):  # service restart
            while True:
                browser.recv(timeout=5)


def test_where_nobody_can_listen_is_said() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=rf"at 127\.0\.0\.1, port {port}: Address already in use;"):
            listen("127.0.0.1", port)
    with pytest.raises(AddressUnavailable, match=r"cannot be served at 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


@pytest.mark.slow
def test_the_page_survives_kills_and_owns_no_result(small_record: Path, tmp_path: Path) -> None:
    """Killed, it comes back with everything; Ctrl-C ends it with 0 and the service manager is told."""
    with FakeInstrument(tmp_path / "i.sock") as instrument:
        words = [sys.executable, "-m", "edge.cli", "page", "--demo", "--port", "0", "--store", str(small_record)]
        words += ["--socket", str(instrument.path)]
        found = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.settimeout(10)
            environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
            for ended_by in (signal.SIGKILL, signal.SIGINT):
                process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
                try:
                    said = manager.recv(1000).decode()
                    while "READY=1" not in said:
                        said = manager.recv(1000).decode()
                    base = said.partition("at ")[2].strip().rstrip("/")
                    with httpx.Client(base_url=base) as client:
                        until(lambda: client.get("/healthz").json() == {"page": "ok", "instrument": True})
                        found.append(client.get("/api/v1/slides").json())
                        csrf = {"X-Leukoscope-CSRF": client.get("/api/v1/session").json()["csrf"]}
                        key = {"Idempotency-Key": f"{1:032x}"}
                        done = client.post("/api/v1/slides", json={"slide": "S-1"}, headers={**csrf, **key})
                        assert done.status_code == 201, done.text
                    assert "WATCHDOG=1" in manager.recv(1000).decode()
                finally:
                    process.send_signal(ended_by)
                    code = process.wait(10)
            rest = []
            manager.setblocking(False)
            try:
                while True:
                    rest.append(manager.recv(1000).decode())
            except BlockingIOError:
                pass
        assert code == 0 and any("STOPPING=1" in each for each in rest)
        assert found[0] == found[1] and json.dumps(found[0]).count("S-0000") == 7
        assert [each.slide for each in instrument.bench.slides] == ["S-1"]  # asked for twice, and done once


def test_an_answer_s_body_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
