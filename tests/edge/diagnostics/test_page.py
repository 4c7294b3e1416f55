"""What `edge doctor` says of the bench page: each state with its cure, and nothing where there is no page."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.diagnostics import board
from edge.diagnostics.page import bench_socket, certificate, page, record_access
from edge.diagnostics.profile_machine import GENERATED, machine_of
from edge.page.access.wire import certificate as wire
from edge.settings.bench import BenchSettings
from edge.settings.page import PageSettings
from edge.settings.profile import Settings
from edge.system.machine import Machine

UID, GROUP = 61002, 61001  # of the page's account; of the record


def machine(root: Path, **more: object) -> Machine:
    """A machine with the page's account, whose record's folder is `root/record`."""
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nleukoscope-page:x:{UID}:{UID}::/:/bin/false\n")
    (root / "etc/group").write_text(f"root:x:0:\nleukoscope:x:{GROUP}:leukoscope-page\nleukoscope-page:x:{UID}:\n")
    return Machine(root=root, store=root / "record", **more)  # type: ignore[arg-type]


@contextmanager
def answering(path: Path, line: bytes) -> Iterator[None]:
    """Somebody at a socket who says one line to who connects."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.sendall(line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_without_a_page_nothing_is_said(tmp_path: Path) -> None:
    assert page(Machine(root=tmp_path, store=tmp_path)) == []
    assert machine_of(Settings()).bench_socket is None


@pytest.mark.parametrize(
    ("line", "state", "said"),
    [
        (b'{"kind":"hello","version":1,"software":"leukoscope 0.1.0"}\n', "ok", "leukoscope 0.1.0"),
        (b"something else\n", "ok", "it answers"),
        (b"", "warning", "refused to talk"),
    ],
)
def test_who_answers_at_the_socket_is_said(line: bytes, state: str, said: str, tmp_path: Path) -> None:
    with answering(tmp_path / "s", line):
        [found] = bench_socket(machine(tmp_path, bench_socket=tmp_path / "s"))
    assert found.state == state and said in found.found


def test_a_socket_where_nobody_listens_or_that_is_not_there_is_missing(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left"))
    left.close()
    for name, said in (("left", "nobody listens"), ("none", "it is not there")):
        [found] = bench_socket(machine(tmp_path, bench_socket=tmp_path / name))
        assert found.state == "missing" and said in found.found and "systemctl restart leukoscope" in found.cure


def record(root: Path) -> Path:
    folder = root / "record"
    (folder / "images/s1").mkdir(parents=True)
    (folder / "record.sqlite").write_text("")
    for path in (root, folder, folder / "images", folder / "images/s1"):
        path.chmod(0o755)
    (folder / "record.sqlite").chmod(0o644)
    return folder


@pytest.fixture
def open_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest's own folders are closed to others; those of a device are not."""
    monkeypatch.setattr("edge.diagnostics.page._above", lambda _: [])


@pytest.mark.usefixtures("open_above")
def test_a_record_that_the_page_may_read_and_not_write_is_in_order(tmp_path: Path) -> None:
    folder = record(tmp_path)
    [found] = record_access(machine(tmp_path))
    assert found.state == "ok", found
    for path, mode, state in ((folder, 0o757, "warning"), (folder / "record.sqlite", 0o646, "warning")):
        before = path.stat().st_mode
        path.chmod(mode)
        [found] = record_access(machine(tmp_path))
        assert (found.state, str(path) in found.found) == (state, True)
        path.chmod(before)


@pytest.mark.usefixtures("open_above")
@pytest.mark.parametrize("name", ["record.sqlite", "record.sqlite-wal", "record.sqlite-shm", "images", ""])
def test_what_it_may_not_read_is_named(name: str, tmp_path: Path) -> None:
    folder = record(tmp_path)
    path = folder / name
    if not path.exists():
        path.write_text("")
    path.chmod(0o700 if path.is_dir() else 0o600)
    [found] = record_access(machine(tmp_path))
    assert found.state == "missing" and f"may not read {path}" in found.found and "install.sh --page" in found.cure


def test_a_folder_above_that_lets_nobody_through_is_named(tmp_path: Path) -> None:
    record(tmp_path)
    tmp_path.chmod(0o700)
    [found] = record_access(machine(tmp_path))
    assert found.state == "missing" and "may not read /" in found.found


@pytest.mark.parametrize(("days", "state"), [(200, "ok"), (10, "warning"), (-1, "missing")])
def test_a_certificate_is_told_by_the_time_it_holds(days: int, state: str, tmp_path: Path) -> None:
    wire.generate(tmp_path, ["localhost"], datetime.now(UTC) - wire.VALID + timedelta(days=days + 1, hours=1))
    [found] = certificate(machine(tmp_path, page_certificate=tmp_path / wire.CERTIFICATE))
    assert found.state == state and bool(found.cure) == (state != "ok")


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("no certificate")
    [found] = certificate(machine(tmp_path, page_certificate=tmp_path / "c.pem"))
    assert found.state == "missing" and "is no certificate" in found.found
    assert certificate(machine(tmp_path, page_certificate=tmp_path / "none.pem")) == []


def test_the_machine_is_that_of_the_profile(tmp_path: Path) -> None:
    networked = PageSettings(host="0.0.0.0", folder=tmp_path)
    found = machine_of(Settings(bench=BenchSettings(socket=tmp_path / "i.sock"), page=networked))
    assert found.bench_socket == tmp_path / "i.sock"
    assert found.page_certificate == tmp_path / wire.CERTIFICATE and wire.CERTIFICATE == GENERATED
    assert machine_of(Settings(page=PageSettings(folder=tmp_path))).page_certificate is None  # no TLS, no certificate


def test_the_page_asks_for_under_voltage_what_is_not_forgotten_by_being_asked(tmp_path: Path) -> None:
    pi = machine(tmp_path)
    assert board.supply(pi) == []
    sensor = tmp_path / "sys/class/hwmon/hwmon1"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("rpi_volt\n")
    for alarm, state in (("0", "ok"), ("1", "warning")):
        (sensor / "in0_lcrit_alarm").write_text(alarm)
        [found] = board.supply(pi)
        assert found.state == state
