"""The history of the slots: an append-only file of JSON lines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.system.clock import Instant
from edge.system.durable import Durable

HISTORY = "history.jsonl"
_TAIL_BYTES = 256 * 2**10


class History:
    """The history of a slots folder.

    A kill in the middle of a line leaves a part of one; the next line begins on its own, and a reader passes over
    what is no JSON object.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = History(Path(folder), Durable())
    ...     history.add(Instant(0, 0, True), "rolled_back", {"why": "by hand"})
    ...     history.tail(1)
    [{'utc': '1970-01-01T00:00:00.000000000Z', 'synchronized': True, 'what': 'rolled_back', 'why': 'by hand'}]
    """

    def __init__(self, folder: Path, durable: Durable) -> None:
        self.path, self._durable = folder / HISTORY, durable

    def add(self, at: Instant, what: str, fields: Mapping[str, Any]) -> None:
        """Append one happening.

        Args:
            what: "installed", "confirmed", "fell_back", "rolled_back", "refused", ...
            fields: JSON; `why` in one line.
        """
        line = json.dumps({"utc": at.utc, "synchronized": at.synchronized, "what": what, **fields}, allow_nan=False)
        separator = b"" if self._ends_well() else b"\n"
        self._durable.append(f"note {what}", self.path, separator + line.encode() + b"\n")

    def tail(self, count: int) -> list[dict[str, Any]]:
        """The last happenings, oldest first; none where nothing happened yet."""
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(max(0, size - _TAIL_BYTES))
                lines = stream.read(_TAIL_BYTES).split(b"\n")
        except FileNotFoundError:
            return []
        found = [record for line in lines if (record := _object(line)) is not None]
        return found[-count:]

    def _ends_well(self) -> bool:
        try:
            with self.path.open("rb") as stream:
                if stream.seek(0, 2) == 0:
                    return True
                stream.seek(-1, 2)
                return stream.read(1) == b"\n"
        except FileNotFoundError:
            return True


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
