"""What the service says of its end: the true cause and its cure, for every way that `edge run` can end."""

import inspect
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge import errors
from edge.commands.command_line import DEFECT, INTERRUPTED, fail
from tests.edge.serving.service_manager import Manager
from tests.firmware.paper_roots import SCRIPTS
from tests.firmware.test_units import section

SCRIPT = SCRIPTS / "systemd/why-it-ended.sh"
# (exit code, what the error is about): what must be said, the cure, and what must not be said.
ENDS = {
    (1, "selftest"): ("self-test failed", "edge selftest", "record"),
    (1, "record"): ("record is damaged", "edge verify --store", "self-test"),
    (1, "bundle"): ("no bundle that is installed may serve", "edge slots", "self-test"),
    (2, "profile"): ("profile cannot be used", "/etc/leukoscope/edge.toml", "self-test"),
    (2, "bundle"): ("bundle is altered", "edge update", "profile"),
    (2, "keys"): ("trusted keys", "/etc/leukoscope/trusted", "profile"),
    (2, "camera"): ("camera of the profile", "[camera]", "self-test"),
    (2, "request"): ("request is wrong", "systemctl cat", "profile"),
    (2, "system"): ("system refused a file", "path it names", "profile"),
    (4, "camera"): ("no camera", "plug it in", "stays down"),
    (4, "record"): ("no room, read-only, or held", "edge prune", "stays down"),
    (4, "edgetpu"): ("Edge TPU", "run-on-a-coral", "stays down"),
    (4, "software"): ("part of the software is missing", "install.sh", "stays down"),
    (4, "bundle"): ("no bundle to serve now", "edge update", "stays down"),
    (4, "system"): ("lacks something", "edge doctor", "stays down"),
}
RESULTS = {
    ("exit-code", str(DEFECT)): "fault of the program",
    ("exit-code", "203"): "install.sh",
    ("exit-code", "226"): "sandbox",
    ("exit-code", "99"): "which it does not have",
    ("watchdog", "ABRT"): "it hung",
    ("oom-kill", "KILL"): "more memory",
    ("timeout", "0"): "in time",
    ("signal", "KILL"): "killed by signal KILL",
    ("core-dump", "SEGV"): "killed by signal SEGV",
    ("protocol", "0"): "before it served",
    ("resources", ""): "resources",
}


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    """A `systemctl` that knows the unit's status."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$*" = "show --value --property=StatusText leukoscope.service" ] && cat "$STATUS_FILE"\n'
    )
    program.chmod(0o755)
    return tmp_path


def told(bus: Path, status: str, *words: str, **systemd: str) -> str:
    """What the script says when the unit's last status is `status`."""
    (bus / "status").write_text(status + "\n")
    environment = {"PATH": f"{bus / 'bin'}:{os.environ['PATH']}", "STATUS_FILE": str(bus / "status"), **systemd}
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == ""
    return done.stderr


def ended(code: object, result: str = "exit-code") -> Mapping[str, str]:
    """What systemd hands to ExecStopPost."""
    return {"SERVICE_RESULT": result, "EXIT_CODE": "exited", "EXIT_STATUS": str(code)}


@pytest.mark.parametrize(("code", "part"), ENDS)
def test_every_end_has_its_own_cause_and_cure(bus: Path, code: int, part: str) -> None:
    what, cure, never = ENDS[code, part]
    line = told(bus, f"failed ({part}): /x: as it happened (so)", **ended(code))
    assert line.startswith("<4>Leukoscope does not serve: ") and line.count("\n") == 1
    assert what in line and cure in line and "(/x: as it happened (so))" in line
    assert never not in line.replace("as it happened", "")
    assert ("It stays down" in line) == (code in (1, 2))
    monitor = {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": str(code)}
    everywhere = told(bus, f"failed ({part}): /x: as it happened (so)", "--for-every-terminal", **monitor)
    assert everywhere == (line.replace("<4>", "<0>") if code in (1, 2) else "")


def test_the_ends_have_lines_of_their_own() -> None:
    said = [what for what, _, _ in ENDS.values()] + list(RESULTS.values())
    assert len(set(said)) == len(said)


@pytest.mark.parametrize(("result", "status"), RESULTS)
def test_ends_that_are_not_the_program_s_word(bus: Path, result: str, status: str) -> None:
    line = told(bus, "serves; 12 answered", **ended(status, result))
    assert RESULTS[result, status] in line and "12 answered" not in line and line.count("\n") == 1
    assert "started again" in line


def test_an_end_in_order_and_a_stop_say_nothing(bus: Path) -> None:
    assert told(bus, "complete", **ended(0, "success")) == ""
    assert told(bus, "", **ended(INTERRUPTED, "success")) == ""
    assert told(bus, "", **ended(INTERRUPTED)) == ""


def test_without_a_message_bus_the_code_alone_is_said(bus: Path) -> None:
    (bus / "bin/systemctl").write_text("#!/bin/sh\nexit 1\n")
    line = told(bus, "", **ended(1))
    assert "the answer no" in line and "self-test" not in line


def test_every_error_is_about_something_the_script_knows() -> None:
    """A new class of errors gets a cause that is told, at the code that it ends with."""
    script = SCRIPT.read_text()
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.LeukoscopeError):
            assert (error.exit_code, error.concerns) in ENDS or f" {error.concerns})" not in script, name
            assert error.concerns in {part for _, part in ENDS}, name


def test_those_that_stay_down_are_those_of_the_unit() -> None:
    [codes] = section(SCRIPTS / "systemd/leukoscope.service", "Service")["RestartPreventExitStatus"]
    block = re.findall(r"  exit-code:(\d+)\)\n    for_good=yes", SCRIPT.read_text())
    assert block == codes.split()


def test_the_program_tells_its_manager_what_its_end_is_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = Manager(f"@why-{os.getpid()}")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    assert fail("/r: damaged\nhere", 1, errors.StoreError.concerns) == 1
    assert manager.heard(5) == "STATUS=failed (record): /r: damaged here"
    assert fail("interrupted", INTERRUPTED) == INTERRUPTED
    assert manager.heard(0.2) is None
    manager.close()
    capsys.readouterr()
