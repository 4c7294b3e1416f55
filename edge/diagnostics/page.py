"""The bench page: is the instrument's socket there, does it run, may it read the record, does its certificate hold.

Nothing is found where the profile asks for no socket and no page is installed.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.record.images import IMAGES
from edge.record.schema import DATABASE
from edge.system.machine import Finding, Machine

UNIT = "leukoscope-page.service"
SOCKET, SERVICE, RECORD, CERTIFICATE = "bench socket", "page", "page's record", "page's certificate"
EXPIRES_SOON = timedelta(days=30)
_INSTALL = "install.sh --page"
_RESTART = "`systemctl restart leukoscope`; `journalctl -u leukoscope -n 30` says why"
_ANSWER_S = 2.0
_LONGEST_HELLO = 64 * 1024
_SYSTEMCTL_S = 5.0


def page(machine: Machine) -> Sequence[Finding]:
    """All of them."""
    return [*bench_socket(machine), *unit(machine), *record_access(machine), *certificate(machine)]


def bench_socket(machine: Machine) -> Sequence[Finding]:
    """Whether somebody answers at the socket that the profile names."""
    path = machine.bench_socket
    if path is None:
        return []
    try:
        said = _hello(path)
    except PermissionError:
        return [Finding(SOCKET, "unknown", f"{path} is not for {machine.user} to ask", "ask as root")]
    except OSError as error:
        return [Finding(SOCKET, "missing", f"{path}: {_why_silent(error)}", _RESTART)]
    if said is None:
        return [Finding(SOCKET, "warning", f"{path}: it refused to talk to {machine.user}", "ask as the page's user")]
    return [Finding(SOCKET, "ok", f"{path}: {said}")]


def unit(machine: Machine) -> Sequence[Finding]:
    """Whether the page's unit runs; nothing where it is not installed."""
    if not (machine.root / "etc/systemd/system" / UNIT).exists():
        return []
    program = shutil.which("systemctl")
    if program is None or machine.root != Path("/"):
        return [Finding(SERVICE, "unknown", f"{UNIT} is installed; no systemd says whether it runs")]
    command = [program, "show", "--property=ActiveState,SubState,StatusText", UNIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SYSTEMCTL_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return [Finding(SERVICE, "unknown", f"systemctl does not say whether {UNIT} runs: {error}")]
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    state = said.get("ActiveState", "")
    if not state:
        return [Finding(SERVICE, "unknown", f"systemctl does not say whether {UNIT} runs")]
    found = f"{UNIT}: {state} ({said.get('SubState', '')})"
    if state == "active":
        return [Finding(SERVICE, "ok", found)]
    cure = f"`systemctl restart {UNIT}`; `journalctl -u {UNIT} -n 30` says why"
    return [Finding(SERVICE, "missing", f"{found} {said.get('StatusText', '')}".strip(), cure)]


def record_access(machine: Machine) -> Sequence[Finding]:
    """Whether the page's user may read the record, and may not write to it; nothing without that user or a record."""
    account = _account(machine)
    if account is None or not (machine.store / DATABASE).exists():
        return []
    uid, gids = account
    for path, wanted in _needed(machine.store):
        granted = _granted(path, uid, gids)
        if granted & wanted != wanted:
            cure = f"chgrp and chmod it as its folder is (g+{'rx' if path.is_dir() else 'r'}); {_INSTALL} sets both"
            return [Finding(RECORD, "missing", f"{machine.page_user} may not read {path}", cure)]
        if granted & 0o2 and path.absolute().is_relative_to(machine.store.absolute()):
            cure = "take the right to write away: `chmod go-w` it, and `chown` it to the instrument's account"
            return [Finding(RECORD, "warning", f"{machine.page_user} may write to {path}", cure)]
    return [Finding(RECORD, "ok", f"{machine.page_user} reads {machine.store} and cannot write to it")]


def certificate(machine: Machine) -> Sequence[Finding]:
    """How long the page's certificate holds; nothing where there is none."""
    path = machine.page_certificate
    if path is None or not _there(path):
        return []
    try:
        ends = _end_of(path)
    except PermissionError:
        return [Finding(CERTIFICATE, "unknown", f"{path} cannot be read by {machine.user}", "ask as root")]
    except (OSError, ValueError) as error:
        return [Finding(CERTIFICATE, "missing", f"{path} is no certificate: {error}", "remove it, restart the page")]
    return [_validity(f"{path}: valid until {ends:%Y-%m-%d}", ends - datetime.now(UTC))]


def _validity(until: str, left: timedelta) -> Finding:
    if left > EXPIRES_SOON:
        return Finding(CERTIFICATE, "ok", until)
    cure = "renew the site's certificate, or remove a generated one; then restart the page, and compare its fingerprint"
    if left > timedelta(0):
        return Finding(CERTIFICATE, "warning", f"{until}: {left.days} days left", cure)
    return Finding(CERTIFICATE, "missing", f"{until}: it has expired, and browsers refuse it", cure)


def _why_silent(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there: the instrument does not run"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens: the instrument ended"
    return f"no answer ({error.strerror or 'not in time'})"


def _hello(path: Path) -> str | None:
    """Which software answers; None where it hangs up at once.

    Raises:
        OSError: nobody does, or not in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_ANSWER_S)
        link.connect(os.fspath(path))
        line = b""
        while b"\n" not in line and len(line) < _LONGEST_HELLO:
            more = link.recv(4096)
            if not more:
                return None
            line += more
    with suppress(ValueError):
        hello = json.loads(line.partition(b"\n")[0])
        if isinstance(hello, dict):
            return str(hello.get("software", "it answers"))[:80]
    return "it answers"


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True


def _end_of(path: Path) -> datetime:
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def _account(machine: Machine) -> tuple[int, frozenset[int]] | None:
    """(uid, gids) of the page's user, by the files of the machine; None without one."""
    lines = (machine.text("etc/passwd") or "").splitlines()
    fields = next((line.split(":") for line in lines if line.startswith(f"{machine.page_user}:")), None)
    if fields is None or len(fields) < 4:
        return None
    gids = {int(fields[3])}
    for line in (machine.text("etc/group") or "").splitlines():
        _, _, gid, members = (*line.split(":"), "", "", "")[:4]
        if machine.page_user in members.split(",") and gid.isdigit():
            gids.add(int(gid))
    return int(fields[2]), frozenset(gids)


def _needed(store: Path) -> Iterator[tuple[Path, int]]:
    """Paths with the bits that reading the record takes: 1 to enter, 4 to read, 5 to list."""
    whole = store.absolute()
    yield from ((folder, 0o1) for folder in _above(whole))
    yield whole, 0o5
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        if (whole / name).exists():
            yield whole / name, 0o4
    if (whole / IMAGES).is_dir():
        yield whole / IMAGES, 0o1
        newest = max((whole / IMAGES).iterdir(), key=lambda path: path.stat().st_mtime, default=None)
        if newest is not None:
            yield newest, 0o1


def _above(folder: Path) -> list[Path]:
    return list(reversed(folder.parents))


def _granted(path: Path, uid: int, gids: frozenset[int]) -> int:
    """The three mode bits that hold for an account; access lists are not asked."""
    status = path.stat()
    shift = 6 if status.st_uid == uid else 3 if status.st_gid in gids else 0
    return (status.st_mode >> shift) & 0o7
