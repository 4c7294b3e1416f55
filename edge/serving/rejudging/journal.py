"""The journal of a rejudging: what was said of each field, in order, so that work that was cut off goes on."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from edge.serving.rejudging.stored_fields import Told
from edge.system.durable import sync_stream

NAME = "rejudged.jsonl"
SYNC_EVERY = 200  # answers


@dataclass(frozen=True)
class Answers:
    """What each bundle says of a field, the new one last; or why its image cannot be read."""

    told: tuple[Told, ...] = ()
    unread: str = ""


class Journal:
    """Answers of before, taken in the order of the fields as long as they are the same, then written on.

    Args:
        folder: exists. about: what it is of: bundles and their digests; a journal about something else is begun anew.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self._path, self._about = folder / NAME, {"format": 1, **about}
        self._file: IO[bytes] = self._path.open("r+b" if self._path.exists() else "w+b")
        self.taken = self._unsynced = 0
        self._reading = self._same()

    def _same(self) -> bool:
        found = _object(self._file.readline())
        if found == self._about:
            return True
        self._file.seek(0)
        self._file.truncate()
        self._write(self._about)
        return False

    def known(self, key: str) -> Answers | None:
        """What was said of the next field, if it was that one; else everything from here on is forgotten."""
        if not self._reading:
            return None
        start = self._file.tell()
        found = _object(self._file.readline())
        if found is not None and found.get("key") == key:
            self.taken += 1
            return Answers(tuple(Told(*each) for each in found.get("told", ())), found.get("unread", ""))
        self._file.seek(start)
        self._file.truncate()
        self._reading = False
        return None

    def add(self, key: str, answers: Answers) -> None:
        """Write what is said of a field."""
        told = {"told": [[each.label, each.reason] for each in answers.told]}
        self._write({"key": key, **({"unread": answers.unread} if answers.unread else told)})

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")
        self._unsynced += 1
        if self._unsynced >= SYNC_EVERY:
            sync_stream(self._file)
            self._unsynced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _object(line: bytes) -> dict[str, Any] | None:
    """The object of a whole line; None of one that was cut off."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
