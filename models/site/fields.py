"""A laboratory's labelled fields: the images of a folder with slide, session, camera and day of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge.commissioning.fields_table import TABLE_NAME, FieldRow, read_table
from models.data.dataset import ImageSet, Sample, scan
from models.errors import DatasetError


@dataclass(frozen=True)
class SiteField:
    """One labelled field: its image, and where it comes from.

    Attributes:
        sample: the image (path, name, label, sha256).
        row: its row of `fields.csv`; what is not known is "" there.
    """

    sample: Sample
    row: FieldRow

    @property
    def label(self) -> str:
        """Its class."""
        return self.sample.label

    @property
    def slide(self) -> str:
        """Its glass slide."""
        return self.row.slide


@dataclass(frozen=True)
class SiteFields:
    """The labelled fields of one site, in the order of their names.

    Attributes:
        root: the folder. labels: the classes, sorted. fields: all of them. images: the set as `scan` found it.
    """

    root: Path
    labels: tuple[str, ...]
    fields: tuple[SiteField, ...]
    images: ImageSet

    @cached_property
    def slides(self) -> Mapping[str, tuple[SiteField, ...]]:
        """Slide -> its fields, slides sorted by name."""
        found: dict[str, list[SiteField]] = {}
        for field in self.fields:
            found.setdefault(field.slide, []).append(field)
        return {slide: tuple(found[slide]) for slide in sorted(found)}


def load_site(root: Path, labels: Sequence[str] | None = None) -> SiteFields:
    """Read a folder a class and the `fields.csv` beside the class folders.

    Raises:
        DatasetError: no usable images; no `fields.csv`; an image that it does not name; another label or digest there
            than here.
        FieldsTableError: a `fields.csv` that cannot be used.
    """
    images = scan(root, labels)
    table = root / TABLE_NAME
    if not table.is_file():
        raise DatasetError(f"data must say which slide each field is of: {table} does not exist")
    rows = {row.file: row for row in read_table(table)}
    fields = []
    for sample in images.samples:
        row = rows.get(sample.name)
        if row is None:
            raise DatasetError(f"{table} must name every image; {sample.name} is not there")
        if row.label != sample.label:
            raise DatasetError(f"{table} says {row.label} of {sample.name}, which lies in the folder {sample.label}")
        if row.sha256 and row.sha256 != sample.sha256:
            raise DatasetError(f"{sample.name} is not the file that {table} names: its sha256 differs")
        fields.append(SiteField(sample, row))
    return SiteFields(root, images.labels, tuple(fields), images)
