"""Who may connect, and what becomes of a path on which somebody else listens, listened, or put something."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import InstrumentBusy, InstrumentUnavailable, SocketUnavailable, UsageError
from edge.instrument.socket import listening, server
from edge.instrument.socket.blocking import BlockingClient
from edge.instrument.socket.listening import Listener, Peer
from tests.edge.instrument.socket.fake import FakeInstrument
from tests.paths import ROOT

NOBODY, GROUP = 65534, 64321
ASKS = """
import os, socket, sys
path, uid, gid, *groups = sys.argv[1:]
os.setgroups([int(each) for each in groups]); os.setgid(int(gid)); os.setuid(int(uid))
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(path)
print(s.recv(16).decode() or "hung up")
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, as a test's own is not."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def asked(path: Path, uid: int, gid: int, groups: list[int]) -> str:
    """What another user's process is told."""
    words = [str(each) for each in (path, uid, gid, *groups)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ASKS, *words], capture_output=True, text=True, check=False, timeout=20
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user; see the next test")
def test_another_users_process_is_refused_and_the_groups_is_served(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeInstrument(folder / "s", group=str(GROUP)) as instrument:
        status = instrument.path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, GROUP)
        greeted = '{"kind":"hello",'
        assert asked(instrument.path, NOBODY, NOBODY, [GROUP]) == greeted
        assert asked(instrument.path, NOBODY, GROUP, []) == greeted
        assert "PermissionError" in asked(instrument.path, NOBODY, NOBODY, [])
        instrument.path.chmod(0o666)  # whatever the mode, the kernel says who it is
        assert asked(instrument.path, NOBODY, NOBODY, []) == "hung up"
        assert f"refused a client of user {NOBODY}" in caplog.text
        assert not instrument.server._clients
        with BlockingClient(instrument.path) as client:
            assert client.command("automatic", "anna", {"on": True}).ok


@pytest.mark.parametrize(
    ("peer", "admitted"),
    [
        (Peer(1, os.geteuid(), frozenset()), True),
        (Peer(1, 0, frozenset()), True),
        (Peer(1, 4711, frozenset({GROUP, 4711})), True),
        (Peer(1, 4711, frozenset({0, 4711})), False),
    ],
)
def test_root_the_same_user_and_the_group_are_admitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer, admitted: bool
) -> None:
    monkeypatch.setattr(server, "peer_of", lambda connection: peer)
    instrument = FakeInstrument(tmp_path / "s")
    with instrument:
        assert instrument.server._listener is not None
        instrument.server._listener.allowed = (GROUP,)
        if admitted:
            BlockingClient(instrument.path).close()
        else:
            with pytest.raises(InstrumentUnavailable, match="hung up"):
                BlockingClient(instrument.path)


def test_without_a_group_only_its_user_may_connect(tmp_path: Path) -> None:
    listener = Listener(tmp_path / "s")
    assert stat.S_IMODE(listener.path.stat().st_mode) == 0o600
    assert not listener.admits(Peer(1, 4711, frozenset({os.getegid()})))
    listener.close()
    assert not listener.path.exists()


def test_two_instruments_on_one_path(tmp_path: Path) -> None:
    with FakeInstrument(tmp_path / "s") as first:
        with pytest.raises(InstrumentBusy, match="another instrument serves on") as refused:
            FakeInstrument(tmp_path / "s").server.start()
        assert refused.value.exit_code == 4
        with BlockingClient(first.path) as client:
            assert client.hello.instrument == first.bench.instrument
    with FakeInstrument(tmp_path / "s") as second, BlockingClient(second.path) as client:
        assert client.hello.instrument == second.bench.instrument


def test_the_socket_of_an_instrument_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    killed = subprocess.Popen([sys.executable, "-m", "tests.edge.instrument.socket.fake", str(path)], cwd=ROOT)
    wait_for(path)
    with BlockingClient(path) as client:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert path.exists()
        with pytest.raises(InstrumentUnavailable, match=r"hung up|reset"):
            client.receive()
    with pytest.raises(InstrumentUnavailable, match="Connection refused"):
        BlockingClient(path)
    with FakeInstrument(path) as instrument, BlockingClient(path) as client:
        assert client.hello.instrument == instrument.bench.instrument


def test_a_client_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    with FakeInstrument(tmp_path / "s") as instrument:
        code = "import sys,pathlib; from edge.instrument.socket.blocking import BlockingClient as B\n"
        code += "c = B(pathlib.Path(sys.argv[1])); c.watch(previews=True); c.ready(); print(1, flush=True)\n"
        code += "while True: c.receive()"
        client = subprocess.Popen([sys.executable, "-c", code, str(instrument.path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert client.stdout is not None
        assert client.stdout.readline() == b"1\n"
        assert instrument.server._clients
        client.kill()
        client.wait()
        client.stdout.close()
        until = time.monotonic() + 5
        while instrument.server._clients and time.monotonic() < until:
            time.sleep(0.01)
        assert not instrument.server._clients
        assert not instrument.server.watched
        assert not instrument.server.wants_preview()


def test_another_program_on_the_path_is_left_alone(tmp_path: Path) -> None:
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(tmp_path / "s"))
    other.listen(1)
    with pytest.raises(InstrumentBusy, match="another program listens on"):
        Listener(tmp_path / "s")
    other.close()
    Listener(tmp_path / "s").close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("a report")
    with pytest.raises(UsageError, match="which is no socket"):
        Listener(path)
    assert path.read_text() == "a report"


@pytest.mark.parametrize(
    ("path", "group", "kind", "said"),
    [
        ("x" * 120, "", UsageError, "at most 107 bytes"),
        ("absent/s", "", SocketUnavailable, "No such file or directory"),
        ("s", "nobody-has-this-group", SocketUnavailable, "no group is called nobody-has-this-group"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path: Path, path: str, group: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        Listener(tmp_path / path, group)
    Listener(tmp_path / "s").close()  # nothing stays locked


def test_a_group_that_this_user_is_not_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chown(*words: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(listening.os, "chown", chown)
    with pytest.raises(SocketUnavailable, match=f"the user of the instrument must be in group {GROUP}"):
        Listener(tmp_path / "s", str(GROUP))
    assert not (tmp_path / "s").exists()


def test_a_socket_that_somebody_else_put_in_its_place_stays(tmp_path: Path) -> None:
    listener = Listener(tmp_path / "s")
    listener.path.unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(listener.path))
    listener.close()
    assert listener.path.exists()
    other.close()


def test_a_socket_that_systemd_made_is_taken_and_left(tmp_path: Path) -> None:
    """As systemd passes it: descriptor 3, beside one of another path."""
    path, other = tmp_path / "s", tmp_path / "other"
    code = (
        "import os, sys, pathlib; os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "from edge.instrument.socket.listening import Listener\n"
        "l = Listener(pathlib.Path(sys.argv[1])); print(l.socket.fileno(), sorted(l.allowed)); l.close()"
    )
    made = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for each, where in zip(made, (other, path), strict=True):
        each.bind(str(where))
        each.listen(1)
    path.chmod(0o660)

    def pass_on() -> None:
        os.dup2(made[0].fileno(), 3)
        os.dup2(made[1].fileno(), 4)

    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        env={**os.environ, "LISTEN_FDS": "2"},
        preexec_fn=pass_on,
        pass_fds=(3, 4),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["4", f"[{path.stat().st_gid}]"], done.stderr
    assert path.exists()
    for each in made:
        each.close()


def wait_for(path: Path) -> None:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
