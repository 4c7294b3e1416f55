"""Under which camera set-up an image file was taken, where a `fields.csv` beside it or above says so."""

from collections.abc import Mapping
from pathlib import Path

from edge.commissioning.fields_table import TABLE_NAME, FieldsTableError, read_table

_FOLDERS_UP = 2  # the table lies beside a folder a class


class CameraSetups:
    """Looks the set-up of image files up, reading each table once.

    >>> CameraSetups().of(Path("/nowhere/a.png"))
    {}
    """

    def __init__(self) -> None:
        self._tables: dict[Path, Mapping[str, str]] = {}

    def of(self, image: Path) -> dict[str, str]:
        """`{"camera_setup": digest}` of an image; empty where no table says it."""
        for folder in list(image.absolute().parents)[:_FOLDERS_UP]:
            if digest := self._table(folder).get(image.absolute().relative_to(folder).as_posix()):
                return {"camera_setup": digest}
        return {}

    def _table(self, folder: Path) -> Mapping[str, str]:
        """File -> digest, of the rows that have one; a table that cannot be read says nothing here."""
        if folder not in self._tables:
            try:
                rows = read_table(folder / TABLE_NAME) if (folder / TABLE_NAME).is_file() else ()
            except FieldsTableError:
                rows = ()
            self._tables[folder] = {row.file: row.camera_setup for row in rows if row.camera_setup}
        return self._tables[folder]
