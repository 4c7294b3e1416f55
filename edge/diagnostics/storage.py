"""The disk under the record: room, how long a commit takes, and whether retention can make room."""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from edge.record.retention import GOES_ON, HELD_BACK
from edge.record.schema import DATABASE
from edge.record.store import Store
from edge.system.durable import sync_stream
from edge.system.machine import Finding, Machine

FULL_MIB, NEARLY_FULL_MIB = 100, 1024
SLOW_COMMIT_MS = 200.0
_WRITTEN_MIB, _COMMITS, _PAGE = 4, 5, 4096


def disk(machine: Machine) -> Sequence[Finding]:
    """Free space, and the speed of a bounded write in the store's folder; nothing of it stays."""
    folder, where, free = _where(machine)
    findings = [_room(where, free)]
    if free < 2 * _WRITTEN_MIB:
        return findings
    try:
        rate, commit_ms = _speed(folder)
    except OSError as error:
        cure = f"give {machine.user} the right to write there, remount it writable, or name another folder"
        return [*findings, Finding("disk speed", "missing", f"{where}: {error.strerror}", cure)]
    found = f"{_WRITTEN_MIB} MiB written and flushed at {rate:.0f} MB/s; a commit takes {commit_ms:.1f} ms"
    if commit_ms > SLOW_COMMIT_MS:
        cure = "use an A2 card, a USB SSD or NVMe; commits are grouped, so that verdicts wait and none is lost"
        return [*findings, Finding("disk speed", "warning", found, cure)]
    return [*findings, Finding("disk speed", "ok", found)]


def room(machine: Machine) -> Sequence[Finding]:
    """Free space alone: nothing is written."""
    _, where, free = _where(machine)
    return [_room(where, free)]


def retention(machine: Machine) -> Sequence[Finding]:
    """Whether anything held retention back when it was last applied, as the record says; nothing without a record."""
    if not (machine.store / DATABASE).exists():
        return []
    with Store.open(machine.store, read_only=True) as store:
        last = store.last_event((HELD_BACK, GOES_ON))
    if last is None or last.kind == GOES_ON:
        return [Finding("retention", "ok", "nothing held it back")]
    cure = "export the slide with `edge export`, or set only_exported = false under [retention]"
    if "clock" in last.detail:
        cure = "let the clock be synchronized (`timedatectl`), or set gigabytes under [retention]"
    return [Finding("retention", "warning", f"held back since {last.utc[:19]}Z: {last.detail}", cure)]


def _where(machine: Machine) -> tuple[Path, str, int]:
    """(a folder on the record's disk, what it is called, MiB that are free there)."""
    folder = existing(machine.store.absolute())
    where = str(machine.store) if folder == machine.store.absolute() else f"{machine.store} (to be made in {folder})"
    return folder, where, shutil.disk_usage(folder).free // 2**20


def _room(where: str, free_mib: int) -> Finding:
    found = f"{where}: {free_mib / 1024:.1f} GiB free" if free_mib >= 1024 else f"{where}: {free_mib} MiB free"
    cure = "make room: `edge export` what is to be kept, then let retention delete it"
    if free_mib < FULL_MIB:
        return Finding("disk", "missing", f"{found}, {FULL_MIB} MiB needed", cure)
    return Finding(
        "disk", "warning" if free_mib < NEARLY_FULL_MIB else "ok", found, cure if free_mib < NEARLY_FULL_MIB else ""
    )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _speed(folder: Path) -> tuple[float, float]:
    """(MB/s of one long flushed write, median milliseconds of a one-page write with fsync, which a commit costs)."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-", buffering=0) as probe:
        block = os.urandom(2**20)
        start = time.perf_counter()
        for _ in range(_WRITTEN_MIB):
            probe.write(block)
        sync_stream(probe)
        rate = _WRITTEN_MIB * 2**20 / 1e6 / (time.perf_counter() - start)
        commits = []
        for _ in range(_COMMITS):
            start = time.perf_counter()
            probe.write(block[:_PAGE])
            sync_stream(probe)
            commits.append((time.perf_counter() - start) * 1e3)
    return rate, sorted(commits)[_COMMITS // 2]
