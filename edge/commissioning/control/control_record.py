"""The control record: a record of its own beside a device's, in which every control is a run, and which nothing prunes.

It lies in the folder `control` of the device's record, has the same database, chain and lock, and can so be written
while a run holds the device's record (docs/decisions/0033-control.md). `ControlRecord` follows it: each look reads what
came since the last one, and checks its links in the chain.
"""

from collections.abc import Sequence
from pathlib import Path

from edge.errors import StoreError
from edge.record.chain import link
from edge.record.entries import ControlBody, read_body
from edge.record.reader import Row
from edge.record.schema import DATABASE
from edge.record.store import Store

FOLDER = "control"
_MARK = '"type":"control"'  # in the canonical text of an entry, which has no spaces


def control_folder(store: Path) -> Path:
    """The control record's folder, of a device whose record is in `store`.

    >>> control_folder(Path("/srv/record"))
    PosixPath('/srv/record/control')
    """
    return store / FOLDER


class ControlRecord:
    """The controls of a control record, oldest first, as of the last `look`.

    Args:
        folder: of the control record; it need not exist.

    Attributes:
        controls: every one that was recorded, with its entry number and digest.

    >>> record = ControlRecord(Path("/srv/nothing"))
    >>> record.look(), record.controls
    (False, [])
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._last = Row(0, "", "")
        self.controls: list[tuple[Row, ControlBody]] = []

    @property
    def bodies(self) -> Sequence[ControlBody]:
        """The controls alone."""
        return [body for _, body in self.controls]

    def look(self) -> bool:
        """Read what was recorded since; whether there is another control.

        A record that was replaced, pruned or shortened is read anew.

        Raises:
            StoreError: it cannot be read, or an entry was altered or is missing.
        """
        if not (self._folder / DATABASE).exists():
            if self._name:
                raise StoreError(f"{self._folder}: the control record is gone")
            return False
        with Store.open(self._folder, read_only=True) as store:
            start = store.snapshot()
            before = len(self.controls)
            if start.head.record != self._name or not start.base.id <= self._last.id <= start.head.id:
                self._name, self._last, self.controls, before = start.head.record, start.base, [], -1
            for row in store.entries(after=self._last.id, through=start.head.id):
                self._take(row)
            if (self._last.id, self._last.digest) != (start.head.id, start.head.digest):
                raise StoreError(f"{self._folder}: the control record does not end as its head says; see `edge verify`")
        return len(self.controls) != before

    def _take(self, row: Row) -> None:
        last = self._last
        if row.id != last.id + 1 or link(last.digest, row.id, row.body) != row.digest:
            self._name = ""  # read from its beginning next time: it may have been restored
            raise StoreError(f"{self._folder}: entry {row.id} of the control record was altered; see `edge verify`")
        self._last = row
        if _MARK in row.body and isinstance(body := read_body(row.body), ControlBody):
            self.controls.append((row, body))
