"""The service of a booted machine, as its tests look at it: the record, verdicts that go on, restarts."""

import json
from collections.abc import Callable
from typing import Any

from tests.pi.machine import Booted, wait_until

UNIT, RECORD, EDGE = "leukoscope.service", "/var/lib/leukoscope/record", "/opt/leukoscope/venv/bin/edge"
AS_SERVICE = ("setpriv", "--reuid=leukoscope", "--regid=leukoscope", "--init-groups", "--no-new-privs")


def select(machine: Booted, query: str) -> list[list[Any]]:
    """Rows of the record, read beside the service."""
    script = (
        f"import json, sqlite3; c = sqlite3.connect('file:{RECORD}/record.sqlite?mode=ro', uri=True);"
        f"print(json.dumps(c.execute({query!r}).fetchall()))"
    )
    rows: list[list[Any]] = json.loads(machine.told(*AS_SERVICE, "/opt/leukoscope/venv/bin/python", "-I", "-c", script))
    return rows


def stored(machine: Booted) -> int:
    """Verdicts in the record."""
    [[count]] = select(machine, "SELECT count(*) FROM verdicts")
    return int(count)


def goes_on(machine: Booted) -> None:
    """Wait until the service is up and a verdict more is stored."""
    wait_until(lambda: machine.shown(UNIT, "ActiveState") == "active")
    before = stored(machine)
    wait_until(lambda: stored(machine) > before)


def restarts(machine: Booted) -> int:
    return int(machine.shown(UNIT, "NRestarts"))


def restarted(machine: Booted, act: Callable[[], Any]) -> None:
    """Do something after which systemd starts the service again, and wait until it serves."""
    before = restarts(machine)
    act()
    wait_until(lambda: restarts(machine) > before)
    goes_on(machine)
