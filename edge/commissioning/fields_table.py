"""`fields.csv`: of each labelled field of a laboratory its slide, session, camera and day.

`edge export --reference` writes it beside a folder a class; `models audit`, `models adapt` and `convert accept` read
it. Slides, not fields, are what is independent: without this table nobody can say what a folder of images shows.
"""

import csv
import datetime
import io
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from msgspec import Struct

from edge.errors import EdgeError
from edge.record.entry_parts import SLIDE
from edge.system.files import read_at_most

TABLE_NAME = "fields.csv"
LARGEST_TABLE_BYTES = 2**28
REQUIRED = ("file", "slide", "label")
OPTIONAL = ("session", "camera", "date", "sha256", "camera_setup")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FieldsTableError(EdgeError, ValueError):
    """A `fields.csv` that cannot be used. Cure: the row and column that the message names."""


class FieldRow(Struct, frozen=True):
    """One labelled field.

    Attributes:
        file: path below the table's folder, forward slashes.
        slide: which glass slide, named as `edge.record.entries.SLIDE` allows. label: its class.
        session: what was taken in one sitting, "" where not known. camera: which one, "" where not known.
        date: the day it was taken, ISO 8601 (2026-11-30), "" where not known.
        sha256: of the file's bytes, hex, "" where not said. camera_setup: digest of the set-up it was taken under, "".

    >>> FieldRow("healthy/S-0412_0001.png", "S-0412", "healthy", date="2026-11-30").session
    ''
    """

    file: str
    slide: str
    label: str
    session: str = ""
    camera: str = ""
    date: str = ""
    sha256: str = ""
    camera_setup: str = ""


def read_table(path: Path) -> tuple[FieldRow, ...]:
    """The rows of a `fields.csv`, UTF-8 with a header; columns in any order, further ones not looked at.

    Raises:
        FieldsTableError: no such file, not UTF-8, a required column missing, a value that is none, a file named twice.
    """
    try:
        text = read_at_most(path, LARGEST_TABLE_BYTES, FieldsTableError).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FieldsTableError(f"{path} must be UTF-8 text; byte {error.start} is not") from error
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise FieldsTableError(
                f"{path} must have the columns {', '.join(REQUIRED)}; {', '.join(missing)} is missing"
            )
        rows = tuple(_row(path, reader.line_num, cells) for cells in reader)
    except csv.Error as error:
        raise FieldsTableError(f"{path} must be CSV; line {reader.line_num}: {error}") from error
    seen: set[str] = set()
    for row in rows:
        if row.file in seen:
            raise FieldsTableError(f"{path} must name each file once; {row.file} stands there again")
        seen.add(row.file)
    return rows


def table_text(rows: Iterable[FieldRow]) -> str:
    """The table as it is written: header, one line a field, `\\n` at line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = (*REQUIRED, *OPTIONAL)
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return out.getvalue()


def _row(path: Path, line: int, cells: dict[str | None, str | list[str] | None]) -> FieldRow:
    values = {name: str(cells.get(name) or "").strip() for name in (*REQUIRED, *OPTIONAL)}
    where = f"{path}, line {line}"
    inside = PurePosixPath(values["file"])
    if not values["file"] or inside.is_absolute() or ".." in inside.parts or "\\" in values["file"]:
        raise FieldsTableError(f"{where}: file must be a path below the table's folder; got {values['file']!r}")
    if not SLIDE.fullmatch(values["slide"]):
        raise FieldsTableError(
            f"{where}: slide must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; "
            f"got {values['slide']!r}"
        )
    if not values["label"]:
        raise FieldsTableError(f"{where}: label must name a class; it is empty")
    if values["date"] and not is_day(values["date"]):
        raise FieldsTableError(f"{where}: date must be like 2026-11-30; got {values['date']!r}")
    for name in ("sha256", "camera_setup"):
        if values[name] and not _DIGEST.fullmatch(values[name]):
            raise FieldsTableError(f"{where}: {name} must be 64 hex digits; got {values[name]!r}")
    return FieldRow(**values)


def is_day(text: str) -> bool:
    """Whether text is a day of the calendar, written 2026-11-30."""
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
