"""The demonstration's child: waited for, said with its reason when it ends, ended in order, and never left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import InstrumentUnavailable
from edge.page.demo.instrument import Instrument

SOUND = """
    import signal, socket, sys, time
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[2])
    server.listen()
    print("note: it serves", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[2] + ".ended", "w").close(), sys.exit(130)))
    time.sleep(60)
"""
REFUSED = """
    import sys
    print("warning: something else", file=sys.stderr)
    print("error: camera.uri: there is no camera of that name", file=sys.stderr)
    sys.exit(2)
"""
SILENT = "import time; time.sleep(60)"
STUBBORN = """
    import signal, socket, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[2])
    server.listen()
    time.sleep(60)
"""


def child(folder: Path, program: str) -> Instrument:
    (folder / "child.py").write_text(textwrap.dedent(program))
    return Instrument(folder / "i.sock", [], (sys.executable, str(folder / "child.py")))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_it_is_waited_for_and_ended_in_order(tmp_path: Path) -> None:
    with child(tmp_path, SOUND) as instrument:
        instrument.wait_until_ready(20.0)
        assert not instrument.ended()
        pid = instrument.pid
        assert os.getpgid(pid) != os.getpgid(0)  # Ctrl-C at the terminal is not for it
    assert gone(pid) and (tmp_path / "i.sock.ended").exists()


def test_one_that_does_not_start_is_said_with_its_own_reason(tmp_path: Path) -> None:
    with (
        child(tmp_path, REFUSED) as instrument,
        pytest.raises(InstrumentUnavailable, match=r"exit code 2: camera\.uri: there is no camera of that name"),
    ):
        instrument.wait_until_ready(20.0)


def test_one_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with (
        child(tmp_path, SILENT) as instrument,
        pytest.raises(InstrumentUnavailable, match=r"does not answer within 0.3 s; it said: nothing"),
    ):
        instrument.wait_until_ready(0.3)
    assert gone(instrument.pid)


def test_one_that_is_killed_is_said_by_its_signal(tmp_path: Path) -> None:
    with child(tmp_path, SOUND) as instrument:
        instrument.wait_until_ready(20.0)
        os.kill(instrument.pid, signal.SIGKILL)
        assert until(instrument.ended)
        assert instrument.why() == "the instrument was killed by SIGKILL: note: it serves"


def test_one_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.page.demo.instrument.STOP_S", 0.3)
    with child(tmp_path, STUBBORN) as instrument:
        instrument.wait_until_ready(20.0)
        pid = instrument.pid
    assert gone(pid)


def test_it_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(textwrap.dedent(SOUND))
    parent = f"""
import sys, time
from pathlib import Path
from edge.page.demo.instrument import Instrument
folder = Path({str(tmp_path)!r})
with Instrument(folder / "i.sock", [], (sys.executable, str(folder / "child.py"))) as instrument:
    instrument.wait_until_ready(20.0)
    print(instrument.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    assert until((tmp_path / "i.sock.ended").exists)  # in order, by SIGTERM
    assert until(lambda: gone(pid) or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
