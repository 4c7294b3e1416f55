"""`edge page --demo`: both processes start and end together, on loopback alone, and every refusal is one line.

The instrument is the pretended one of the socket's tests; `test_bench_in_one_command` runs the real one.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.commands.page import DemoRequest, page
from edge.errors import UsageError
from edge.page.demo.demo import SOCKET, Demo, _private_folder
from tests.paths import ROOT

EDGE = Path(sys.executable).with_name("edge")
PRETENDED = """
import os, sys, threading
from pathlib import Path
from tests.edge.instrument.socket.fake import FakeInstrument
print("note: it is pretended", file=sys.stderr, flush=True)
Path(sys.argv[2] + ".pid").write_text(str(os.getpid()))
with FakeInstrument(Path(sys.argv[2])):
    threading.Event().wait()
"""
DEMO = """
import sys
from edge.cli import COMMANDS
from edge.commands import page
from edge.commands.command_line import main
from edge.page.demo import demo
make = page._demo
def pretended(*words):
    from dataclasses import replace
    return replace(make(*words), program=(sys.executable, sys.argv[1]))
page._demo = pretended
sys.exit(main("edge", COMMANDS, ["page", "--demo", *sys.argv[2:]]))
"""


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary ones; pytest's own has a longer path than a socket may have."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@contextmanager
def running(tmp_path: Path, *words: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A demonstration with the pretended instrument, and the address that it printed."""
    (tmp_path / "pretended.py").write_text(PRETENDED)
    command = [sys.executable, "-c", DEMO, str(tmp_path / "pretended.py"), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)) as process:
        assert process.stderr is not None
        said = ""
        try:
            for line in process.stderr:
                said += line
                if found := re.search(r"bench page: (http://127\.0\.0\.1:\d+/)", line):
                    yield process, found[1]
                    break
            else:
                raise AssertionError(said)
        finally:
            if process.poll() is None:
                process.kill()


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def child_of(tmp_path: Path) -> int:
    [file] = tmp_path.glob("leukoscope-demo-*/instrument.sock.pid")
    return int(file.read_text())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_both_and_leaves_nothing(short: Path) -> None:
    with running(short, "--port", "0") as (process, url):
        pid = child_of(short)
        [folder] = short.glob("leukoscope-demo-*")
        assert folder.stat().st_mode & 0o077 == 0
        session = get(f"{url}api/v1/session")
        assert session["user"] == {"name": "demo", "role": "administer"}  # nobody logged in
        listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=False).stdout
        ours = [line.split()[3] for line in listening.splitlines() if f"pid={process.pid}," in line]
        assert all(where.startswith("127.0.0.1:") for where in ours)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not alive(pid) and not list(short.glob("leukoscope-demo-*"))
    with pytest.raises(urllib.error.URLError):
        get(f"{url}api/v1/session")


def test_a_dead_instrument_ends_the_page_and_is_said_with_its_reason(short: Path) -> None:
    with running(short, "--port", "0") as (process, _):
        os.kill(child_of(short), signal.SIGKILL)
        assert process.wait(20) == 4
        assert process.stderr is not None
        last = process.stderr.read().splitlines()[-1]
    assert last.startswith("error: the instrument was killed by SIGKILL: ")
    assert not list(short.glob("leukoscope-demo-*"))


def test_a_port_that_is_taken_is_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [EDGE, "page", "--demo", "--port", port],
            capture_output=True,
            text=True,
            check=False,
            env=environment(tmp_path),
        )
    assert done.returncode == 4
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [
        f"error: the page cannot be served at 127.0.0.1, port {port}: Address already in use; end what listens there, "
        "or name another port"
    ]
    assert not list(tmp_path.glob("leukoscope-demo-*"))


def test_nothing_of_this_machine_s_profile_is_read_and_nothing_is_opened_outside(tmp_path: Path) -> None:
    settings = Demo().settings(tmp_path)
    assert settings.page.loopback and not settings.page.tls
    assert settings.store == tmp_path / "record" and settings.camera_uri.startswith("sim:")
    assert settings.bench.socket is not None and settings.bench.socket.parent == tmp_path
    kept = Demo(store=tmp_path / "kept").settings(tmp_path)
    assert kept.store == tmp_path / "kept"


def test_a_long_name_of_the_temporary_folder_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 60) / ("y" * 60)
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with _private_folder() as folder:
        assert len(str(folder / SOCKET)) <= 107
    assert not folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    with _private_folder() as folder:
        assert folder.parent == Path("/var/tmp")


def test_what_does_not_belong_to_a_demonstration_is_refused() -> None:
    for words in (
        {"demo": True, "host": "0.0.0.0"},
        {"demo": True, "config": "/etc/leukoscope/edge.toml"},
        {"demo": True, "camera": "picamera2:0"},
        {"demo": True, "first_secret": True},
        {"demo": True, "address": True},
        {"camera": "sim:"},
        {"address": True, "first_secret": True},
    ):
        with pytest.raises(UsageError):
            page(**words)  # type: ignore[arg-type]
    assert isinstance(page(demo=True), DemoRequest)


@pytest.mark.slow
def test_bench_in_one_command(short: Path) -> None:
    """The real instrument with the bundle that ships: a slide is opened through the page, judged, and kept."""
    words = [EDGE, "page", "--demo", "--port", "0", "--store", str(short / "kept")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment(short)) as process:
        assert process.stderr is not None
        said = [next(process.stderr)]
        while "bench page: " not in said[-1]:
            said.append(next(process.stderr))
        url = said[-1].split("bench page: ")[1].strip()
        csrf = str(get(f"{url}api/v1/session")["csrf"])
        body = json.dumps({"slide": "demo-1"}).encode()
        headers = {"X-Leukoscope-CSRF": csrf, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}api/v1/slides", body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status < 300
        end = time.monotonic() + 120
        while not get(f"{url}api/v1/slides/demo-1/fields")["items"]:
            assert time.monotonic() < end, "no field was judged"
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    done = subprocess.run([EDGE, "verify", "--store", short / "kept"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(short.glob("leukoscope-demo-*"))
