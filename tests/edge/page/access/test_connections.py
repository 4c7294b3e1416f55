"""The installed command over TLS, as the network sees it: a first start, and slow, oversized, half-open connections."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.bench.browser import browsing
from tests.edge.page.access.site import API, PASSWORD

pytestmark = pytest.mark.slow  # a server of its own, and waits

# The real limits are ten seconds; the code that keeps them is the same.
SHORT_S = 0.6
_PROGRAM = f"""
import sys
from edge.page import serving
from edge.page.http import bodies
serving.HANDSHAKE_S = serving.HEAD_S = {SHORT_S}
bodies.BodyLimit.__init__.__defaults__ = ({SHORT_S},)
from edge.cli import main
sys.argv[0] = "edge"
main()
"""


@dataclass
class Served:
    """A page that was started with the installed command's code, over TLS, by a first secret."""

    process: "subprocess.Popen[str]"
    folder: Path
    port: int
    secret: str
    said: str

    @property
    def context(self) -> ssl.SSLContext:
        """A client's, that trusts the generated certificate and nothing else, and compares names."""
        return ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"https://localhost:{self.port}", verify=self.context, timeout=10)

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        return self.context.wrap_socket(plain, server_hostname="localhost")

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    profile = root / "edge.toml"
    profile.write_text(
        f'[page]\nhost = "0.0.0.0"\nport = 0\nfolder = "{root}/page"\n[record]\nfolder = "{root}/record"\n'
        f'[bench]\nsocket = "{root}/none.sock"\n'
    )
    words = [sys.executable, "-c", _PROGRAM, "page", "--config", str(profile)]
    issued = subprocess.run([*words, "--first-secret", "--json"], capture_output=True, text=True, check=True)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said, found = "", None
    while found is None:
        line = process.stderr.readline()
        assert line, said
        said += line
        found = re.search(r"https://\S+:(\d+)/", line)
    for line in process.stderr:
        said += line
        if "compare it" in line:
            break
    yield Served(process, root / "page", int(found[1]), json.loads(issued.stdout)["secret"], said)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def closed_after(connection: socket.socket, *, longest: float = 8.0) -> float:
    """Seconds until the other side closes."""
    start = time.monotonic()
    connection.settimeout(longest)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        pytest.fail(f"still open after {longest} s")
    except OSError:
        pass
    return time.monotonic() - start


def test_a_first_start_from_the_terminal_to_a_login(served: Served) -> None:
    with served.client() as browser:
        before = browser.get(f"{API}/session").json()
        assert before["first"] and before["generated"] and before["user"] is None
        assert before["fingerprint"] in served.said, "what the terminal shows is what the login page shows"
        der = ssl.PEM_cert_to_DER_cert((served.folder / "certificate.pem").read_text())
        import hashlib

        assert before["fingerprint"].replace(":", "").lower() == hashlib.sha256(der).hexdigest()
        form = {"secret": served.secret, "name": "anna", "password": PASSWORD}
        answer = browser.post(f"{API}/session/first", json=form)
        assert answer.status_code == 201
        assert all(each.startswith("__Host-leukoscope") for each in answer.cookies)
        assert "server" not in answer.headers and "strict-transport-security" in answer.headers
        assert browser.get(f"{API}/users").json()["items"][0]["name"] == "anna"
    stored = (served.folder / "access.sqlite-wal").read_bytes()
    assert re.search(rb"\$argon2id\$v=19\$m=32768,t=[2-8],p=1\$", stored), "measured on this machine"
    assert served.memory_mb() < 300


def test_a_connection_that_says_nothing_ends(served: Served) -> None:
    """Before TLS, after TLS, and between requests."""
    with socket.create_connection(("127.0.0.1", served.port), 10) as plain:
        assert SHORT_S * 0.5 < closed_after(plain) < SHORT_S + 3
    with served.connect() as silent:
        assert SHORT_S * 0.5 < closed_after(silent) < SHORT_S + 3


def test_a_head_that_comes_a_byte_at_a_time_ends(served: Served) -> None:
    """Slow-loris: every byte would start an idle limit anew; this one is for the whole head."""
    with served.connect() as slow:
        start = time.monotonic()
        with pytest.raises(OSError, match=r"\w"):
            for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-a: b\r\n" * 100:
                slow.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - start < SHORT_S + 3


def test_a_body_that_comes_a_byte_at_a_time_is_refused(served: Served) -> None:
    with served.connect() as slow:
        slow.sendall(
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 60000\r\n\r\n"
        )
        start, answer = time.monotonic(), b""
        slow.settimeout(0.05)
        while not answer and time.monotonic() - start < 8:
            slow.send(b" ")
            try:
                answer = slow.recv(4096)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ") and time.monotonic() - start < SHORT_S + 3


def test_honest_clients_are_answered_meanwhile(served: Served) -> None:
    with ExitStack() as stack:
        for number in range(60):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), 10))
            if number % 2:
                plain.send(b"\x16\x03\x01")  # the beginning of a handshake
        start = time.monotonic()
        with served.client() as browser:
            assert browser.get(f"{API}/session").status_code == 200
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 65537\r\n", 413),
        (b"Content-Length: 9999999999999999999\r\n", 413),
        (b"Content-Length: 99999999999999999999999999\r\n", 400),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n", 400),
    ],
)
def test_what_is_too_large_or_says_two_things_is_refused(served: Served, head: bytes, status: int) -> None:
    with served.connect() as connection:
        connection.sendall(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.sendall(head + b"\r\n")
        connection.settimeout(8)
        answer = connection.recv(4096)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"\r\ncontent-security-policy: default-src 'self'" in answer


def test_a_head_without_end_is_cut_off(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: aaaa\r\n" * 2000)
        connection.settimeout(8)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_body_without_an_announced_end_is_cut_off(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        for _ in range(5):
            connection.sendall(chunk)
        connection.settimeout(8)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "target",
    [
        "/static/../access.sqlite",
        "/static/%2e%2e/%2e%2e/page/access.sqlite",
        "/static/..%2f..%2fkey.pem",
        "/static//etc/passwd",
        "/static/%00",
        "/static/..\\key.pem",
        "/../../../../etc/passwd",
        "/api/v1/../../etc/passwd",
        "/api/v1/slides/..%2f..%2f/fields/1/image",
    ],
)
def test_nothing_outside_its_folders_is_served(served: Served, target: str) -> None:
    with served.connect() as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        connection.settimeout(8)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    status = int(answer.split(b" ", 2)[1])
    assert status in (303, 400, 401, 404, 405)
    assert b"root:" not in answer and b"SQLite" not in answer and b"PRIVATE" not in answer


def test_a_page_without_tls_is_not_there(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.settimeout(8)
        with suppress(OSError):
            assert b"HTTP/1.1 2" not in plain.recv(4096)


def test_a_browser_logs_in_over_tls_and_no_page_breaks_the_policy(served: Served) -> None:
    """In Chromium: secure cookies, no violation on any page, and a script that was slipped in does not run."""
    base = f"https://localhost:{served.port}"
    with browsing() as chromium:
        context = chromium.new_context(ignore_https_errors=True)  # as a person does who compared the fingerprint
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{base}/slides?q=S")
        assert page.url == f"{base}/login?next=%2Fslides%3Fq%3DS"
        expect(page.get_by_test_id("fingerprint")).to_have_text(re.compile("^([0-9A-F]{2}:){31}[0-9A-F]{2}$"))
        if context.request.get(f"{base}{API}/session").json()["first"]:
            page.get_by_test_id("first-secret").fill(served.secret)
            page.get_by_test_id("first-name").fill("anna")
            page.get_by_test_id("first-password").fill(PASSWORD)
            page.get_by_test_id("first-again").fill(PASSWORD)
            page.get_by_test_id("first").click()
        else:
            page.get_by_test_id("login-name").fill("anna")
            page.get_by_test_id("login-password").fill(PASSWORD)
            page.get_by_test_id("login-password").press("Enter")
        page.wait_for_url(f"{base}/slides?q=S")
        for path in ("/", "/slides", "/slides/S-1", "/controls", "/device", "/users"):
            page.goto(base + path)
            page.wait_for_load_state("networkidle")
        assert [each for each in said if "Content Security Policy" in each] == []
        cookies = {each["name"]: each for each in context.cookies()}
        assert {"__Host-leukoscope", "__Host-leukoscope-device"} <= set(cookies)
        assert all(each["secure"] and each["httpOnly"] for name, each in cookies.items() if name.startswith("__Host"))
        assert page.evaluate("document.cookie") == ""
        page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.slipped = 1';"
            " document.body.append(s); const p = document.createElement('p');"
            " p.innerHTML = '<img src=x onerror=\"window.slipped = 2\">'; document.body.append(p); }"
        )
        page.wait_for_timeout(300)
        assert page.evaluate("window.slipped") is None
        assert [each for each in said if "Content Security Policy" in each], "the look for violations sees one"
