"""Runs inside the virtual board (`virtual_board.py`): waits for the instrument, disturbs it, and prints what it saw.

Standard library only: it is the device's own Python that runs it.
"""

import json
import platform
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

UNIT, RECORD = "leukoscope.service", "/var/lib/leukoscope/record"
PATIENCE_S = 400.0


def told(*words: str) -> str:
    """Standard output of a command, whatever its exit code."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def read(path: str) -> str:
    """A file of the kernel's."""
    return Path(path).read_text()


def shown(name: str) -> str:
    """A property of the service."""
    return told("systemctl", "show", "--value", f"--property={name}", UNIT)


def rows(query: str) -> list[Any]:
    """Of the record; nothing before there is one."""
    try:
        record = sqlite3.connect(f"file:{RECORD}/record.sqlite?mode=ro", uri=True)
        return record.execute(query).fetchall()
    except sqlite3.Error:
        return []


def verdicts() -> int:
    """How many are stored."""
    return int(rows("SELECT count(*) FROM verdicts")[0][0]) if rows("SELECT 1") else 0


def until(true: Any) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


def report(**facts: Any) -> None:
    """One line on the console; the others read it there."""
    print(f"\nREPORT {json.dumps(facts)}", flush=True)


def main() -> None:
    """In the order in which it happens."""
    report(machine=platform.machine(), kernel=platform.release(), up_s=float(read("/proc/uptime").split()[0]))
    before = verdicts()
    report(active=until(lambda: shown("ActiveState") == "active"), state=shown("ActiveState"))
    report(
        judged=until(lambda: verdicts() > before + 1),
        first=rows("SELECT label, reason FROM verdicts ORDER BY id DESC")[:2],
    )
    pid = shown("MainPID")
    status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
    group = "/sys/fs/cgroup" + read(f"/proc/{pid}/cgroup").strip().partition("::")[2]
    report(
        uid=status["Uid"].split()[0],
        capabilities=status["CapEff"].strip(),
        seccomp=status["Seccomp"].strip(),
        links=told("nsenter", "-t", pid, "-n", "ip", "-o", "link").count("\n") + 1,
        memory_most=read(f"{group}/memory.max").strip(),
        memory_peak=read(f"{group}/memory.peak").strip(),
        groups=told("id", "-nG", "leukoscope"),
        camera=told("stat", "-c", "%A %G", "/dev/video0"),
        watchdog=told("journalctl", "-b", "--no-pager", "-o", "cat", "-g", "hardware watchdog")[:300],
        failed=told("systemctl", "--failed", "--no-legend", "--plain"),
    )
    subprocess.run(["systemctl", "kill", "--signal=KILL", UNIT], check=False)
    until(lambda: int(shown("NRestarts") or 0) > 0 and shown("ActiveState") == "active")
    before = verdicts()
    again = until(lambda: verdicts() > before)
    account = ("setpriv", "--reuid=leukoscope", "--regid=leukoscope", "--init-groups")
    report(
        restarts=int(shown("NRestarts")),
        judged_again=again,
        verified=told(*account, "/opt/leukoscope/venv/bin/edge", "verify", "--store", RECORD)[:200],
        said=told("journalctl", "-b", "-u", UNIT, "--no-pager", "-o", "cat")[-600:],
        exposure=told("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1:],
    )


if __name__ == "__main__":
    main()
