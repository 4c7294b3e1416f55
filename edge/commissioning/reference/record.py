"""The reference record: a record of its own beside a device's, of labelled fields, which retention leaves alone.

It lies in the folder `reference` of the device's record and has the same database, chain, images and lock, so that
fields can be collected whatever happens to the device's record, and `edge verify` checks it as any other.
"""

from collections.abc import Iterator
from pathlib import Path

from edge.commissioning.control.series import instrument
from edge.record.entries import ReferenceBody, read_body
from edge.record.reader import Reader, Row
from edge.record.schema import DATABASE
from edge.record.store import Store

FOLDER = "reference"
_MARK = '"type":"reference"'  # in the canonical text of an entry, which has no spaces


def reference_folder(store: Path) -> Path:
    """The reference record's folder, of a device whose record is in `store`.

    >>> reference_folder(Path("/srv/record"))
    PosixPath('/srv/record/reference')
    """
    return store / FOLDER


def has_references(store: Path) -> bool:
    """Whether the device whose record is in `store` has a reference record."""
    return (reference_folder(store) / DATABASE).exists()


def references(record: Reader, *, through: int | None = None) -> Iterator[tuple[Row, ReferenceBody]]:
    """The reference fields of an open record, oldest first, up to entry `through` (None: the head now)."""
    last = record.head().id if through is None else through
    for row in record.entries(after=record.base().id, through=last):
        if _MARK in row.body and isinstance(body := read_body(row.body), ReferenceBody):
            yield row, body


def collected(store: Path) -> list[ReferenceBody]:
    """The reference fields of the device whose record is in `store`; none where it has no reference record.

    Raises:
        StoreError: it cannot be read.
    """
    if not has_references(store):
        return []
    with Store.open(reference_folder(store), read_only=True) as record:
        return [body for _, body in references(record)]


def camera_name(uri: str) -> str:
    """Which camera a URI names: of `sim:` the laboratory and its camera, of a replay "", since nothing says it.

    >>> camera_name("picamera2:0"), camera_name("sim:healthy?site=2&slide=7"), camera_name("replay:/srv/fields")
    ('picamera2:0', 'sim:?site=2', '')
    """
    named = instrument(uri)
    return "" if named == "replay:" else named
