"""Every way in which the service can end, brought about on a booted machine: what systemd does then, and what is said.

Each test follows the cure that the line names, and leaves a serving instrument behind.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.pi.booted.instrument import RECORD, UNIT, goes_on, restarts
from tests.pi.machine import Booted, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
PROFILE = "/etc/leukoscope/edge.toml"
FAILED = "leukoscope-failed.service"


class Journal:
    """What is said from now on."""

    def __init__(self, machine: Booted) -> None:
        self._machine = machine
        lines = machine.told("journalctl", "--boot", "--lines=1", "--show-cursor", "--output=cat").splitlines()
        self._cursor = next(line.partition(": ")[2] for line in lines if line.startswith("-- cursor"))

    def lines(self, **wanted: str) -> list[str]:
        """The lines about an end with these fields. (Filtering itself, systemd 252's journalctl leaves one out.)"""
        told = self._machine.told("journalctl", f"--after-cursor={self._cursor}", "--no-pager", "--output=json")
        entries = [json.loads(line) for line in told.splitlines()]
        found = [each for each in entries if all(each.get(name) == value for name, value in wanted.items())]
        return [each["MESSAGE"] for each in found if str(each.get("MESSAGE")).startswith("Leukoscope does not serve")]

    def said(self) -> str:
        """The line about the end, once it is there."""
        return str(wait_until(lambda: self.lines(_SYSTEMD_UNIT=UNIT))[0])

    def everywhere(self) -> list[str]:
        """Lines that go to every terminal (priority "emerg", which journald forwards to wall)."""
        return self.lines(PRIORITY="0")


@contextmanager
def stopped(machine: Booted) -> Iterator[None]:
    """Change something while the service is down."""
    machine.run("systemctl", "stop", UNIT)
    yield
    machine.run("systemctl", "reset-failed", UNIT, FAILED, code=None)


@contextmanager
def profile(machine: Booted, change: str) -> Iterator[None]:
    """The profile with a change (of sed's) in it."""
    machine.run("cp", "-p", PROFILE, "/run/edge.toml")
    machine.run("sed", "-i", change, PROFILE)
    try:
        yield
    finally:
        machine.run("cp", "-p", "/run/edge.toml", PROFILE)


def down_for_good(machine: Booted) -> None:
    wait_until(lambda: machine.shown(UNIT, "ActiveState") == "failed")
    wait_until(lambda: machine.shown(FAILED, "ActiveState") == "inactive")


def waits(machine: Booted, pid: str) -> bool:
    """Whether a process has begun and now does nothing: two looks at its processor time."""
    looks = [machine.told("cut", "-d", " ", "-f", "14,15", f"/proc/{pid}/stat") for _ in range(2) if not time.sleep(1)]
    return looks[0] == looks[1] != "0 0"


def test_stopped_before_it_is_up_it_has_not_failed(serving: Booted, with_unit: Callable[..., None]) -> None:
    """The profile is a pipe that nobody writes to, so that the start takes as long as it likes."""
    serving.run("mkfifo", "-m", "644", "/run/never.toml")
    slow = "[Service]\nExecStart=\nExecStart=/opt/leukoscope/venv/bin/edge run --config /run/never.toml\n"

    def stop_in_the_start(lines: str) -> list[str]:
        with_unit(lines, "--no-block")
        pid = wait_until(lambda: serving.shown(UNIT, "SubState") == "start" and serving.shown(UNIT, "MainPID"))
        wait_until(lambda: waits(serving, pid))
        serving.run("systemctl", "stop", UNIT)
        return [serving.shown(UNIT, name) for name in ("ExecMainStatus", "Result", "ActiveState")]

    journal = Journal(serving)
    assert stop_in_the_start(slow) == ["130", "success", "inactive"]
    assert journal.lines() == []
    # The control: the same without what the unit says of 130.
    assert stop_in_the_start(f"{slow}SuccessExitStatus=\n") == ["130", "exit-code", "failed"]


def test_a_damaged_record_is_called_that_and_the_bundle_is_left_alone(serving: Booted) -> None:
    journal, aside = Journal(serving), f"{RECORD}.damaged"
    with stopped(serving):
        serving.run("bash", "-c", f"head -c 65536 /dev/zero | dd of={RECORD}/record.sqlite conv=notrunc status=none")
        serving.run("rm", "-f", f"{RECORD}/record.sqlite-wal", f"{RECORD}/record.sqlite-shm")
        serving.run("systemctl", "start", UNIT, code=None)
        down_for_good(serving)
        assert serving.shown(UNIT, "ExecMainStatus") == "1"
        said = journal.said()
        assert "the record is damaged" in said and "no rollback" in said and "self-test" not in said
        assert f"({RECORD}/record.sqlite: " in said
        assert f"error: {RECORD}/record.sqlite: " in serving.journal(UNIT)  # the program's own words
        assert wait_until(journal.everywhere) == [said]
        assert f"mv {RECORD} {aside}" in said
        serving.run("mv", RECORD, aside)
    serving.run("systemctl", "start", UNIT)
    goes_on(serving)


def test_a_wrong_profile_is_called_that(serving: Booted) -> None:
    journal = Journal(serving)
    with stopped(serving), profile(serving, "s/^keep = .*/kep = 1/"):
        serving.run("systemctl", "start", UNIT, code=None)
        down_for_good(serving)
        assert serving.shown(UNIT, "ExecMainStatus") == "2"
        said = journal.said()
        assert "the profile cannot be used" in said and f"mend {PROFILE}" in said and "kep" in said
        assert wait_until(journal.everywhere) == [said]
    serving.run("systemctl", "start", UNIT)
    goes_on(serving)


def test_a_camera_that_is_away_is_waited_for_and_disturbs_nobody(serving: Booted) -> None:
    journal = Journal(serving)
    with stopped(serving), profile(serving, 's|^uri = .*|uri = "uvc:/dev/video9"|'):
        serving.run("systemctl", "start", "--no-block", UNIT)
        said = journal.said()
        assert "no camera" in said and "/dev/video9" in said and "It is started again by itself" in said
        assert serving.shown(UNIT, "ExecMainStatus") == "4"
        wait_until(lambda: restarts(serving) > 0)
    goes_on(serving)  # nobody started it
    assert journal.everywhere() == []


def test_killed_and_without_its_software(serving: Booted) -> None:
    journal = Journal(serving)
    serving.run("mv", "-T", "/opt/leukoscope/venv", "/opt/leukoscope/venv.away")
    # (`systemctl kill` would kill what is to say so as well.)
    serving.run("kill", "-KILL", serving.shown(UNIT, "MainPID"))
    assert "killed by signal KILL" in journal.said()
    wait_until(lambda: any("the software is not there" in line for line in journal.lines()))
    serving.run("mv", "-T", "/opt/leukoscope/venv.away", "/opt/leukoscope/venv")
    goes_on(serving)
    assert journal.everywhere() == []
