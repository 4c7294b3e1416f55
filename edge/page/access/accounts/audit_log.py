"""The audit log: who logged in, who failed to, what was changed about users; one JSON object a line, only added to."""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.errors import PageFolderError
from edge.system.durable import own_as_parent

_log = logging.getLogger(__name__)
FILE = "audit.jsonl"
MOST_BYTES = 512 * 1024  # of a file; with those before it 4 MiB, some 20,000 entries
FILES = 8
FAILURES_A_MINUTE = 20  # written one by one; the others as one number, so that a flood displaces nothing


class AuditLog:
    """The log in the page's folder. The oldest of `FILES` files goes when a new one begins.

    Args:
        folder: the page's.
        now: seconds since 1970.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._now, self._most_bytes = folder / FILE, now, most_bytes
        self._lock = threading.Lock()
        self._minute, self._failures, self._untold = 0, 0, 0

    def failed(self, name: str, address: str, why: str) -> None:
        """A login that failed. Of a flood the first of a minute are written, and how many there were besides."""
        minute = int(self._now() // 60)
        with self._lock:
            if minute != self._minute:
                self._tell_the_rest()
                self._minute, self._failures = minute, 0
            self._failures += 1
            if self._failures > FAILURES_A_MINUTE:
                self._untold += 1
                return
            self._write("login-failed", name[:64], address, why)

    def add(self, what: str, by: str, address: str = "", detail: str = "") -> None:
        """Anything else: what happened, who did it, from which address, and to whom."""
        with self._lock:
            self._tell_the_rest()
            self._write(what, by, address, detail)

    def newest(self, limit: int, before: int | None = None) -> list[dict[str, Any]]:
        """At most `limit` entries, newest first, with `number` below `before`."""
        found: list[dict[str, Any]] = []
        for entry in self._backwards():
            if before is None or entry["number"] < before:
                found.append(entry)
                if len(found) == limit:
                    break
        return found

    def _tell_the_rest(self) -> None:
        if self._untold:
            untold, self._untold = self._untold, 0
            self._write("login-failed", "", "", f"{untold} more in that minute")

    def _write(self, what: str, by: str, address: str, detail: str) -> None:
        utc = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds")
        try:
            with self._alone():
                self._append({"utc": utc, "what": what, "by": by, "address": address, "detail": detail})
        except OSError as error:
            raise PageFolderError(f"{self._path}: the audit log cannot be written: {error}") from error
        # As JSON: what somebody typed into a form must not make lines of a journal.
        _log.info(f"{what}: " + ", ".join(json.dumps(each) for each in (by, address, detail) if each))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process (`edge page --first-secret`) adds to the log."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _append(self, entry: dict[str, str]) -> None:
        self._make_room()
        last = next(self._backwards(), None)
        line = json.dumps({"number": last["number"] + 1 if last else 1, **entry}) + "\n"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":  # cut by a power cut
                line = "\n" + line
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        own_as_parent(self._path)

    def _make_room(self) -> None:
        if not self._path.exists() or self._path.stat().st_size < self._most_bytes:
            return
        for number in range(FILES - 1, 0, -1):
            older, newer = self._numbered(number), self._numbered(number - 1)
            if newer.exists():
                newer.replace(older)

    def _numbered(self, number: int) -> Path:
        return self._path.with_suffix(f".{number}.jsonl") if number else self._path

    def _backwards(self) -> Iterator[dict[str, Any]]:
        for number in range(FILES):
            try:
                lines = self._numbered(number).read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in reversed(lines):
                try:
                    entry = json.loads(line)
                except ValueError:  # cut by a power cut
                    continue
                if isinstance(entry, dict) and isinstance(entry.get("number"), int):
                    yield entry
