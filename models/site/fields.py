"""A laboratory's labelled fields: the images of a folder with slide, session, camera and day of each.

What is known of a field comes from `fields.csv`, then from its name (a pattern), then from its EXIF data: each fills
what those before left open.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec.structs import replace

from edge.commissioning.fields_table import TABLE_NAME, FieldRow, is_day, read_table
from edge.commissioning.patient_names import patient_hint
from edge.inference.images import REASONS
from edge.system.wording import counted
from models.data.dataset import ImageSet, Sample, scan
from models.errors import DatasetError
from models.site.image_facts import ImageFacts, image_facts
from models.site.name_patterns import NamePattern

_log = logging.getLogger(__name__)
_READERS = 4
_UNREADABLE = (*REASONS, "misnamed")  # text named .png; an image without the suffix of one


@dataclass(frozen=True)
class SiteField:
    """One labelled field: its image, and where it comes from.

    Attributes:
        sample: the image (path, name, label, sha256).
        row: its row of `fields.csv`, what that leaves open filled from the name and from EXIF; what nothing says is "".
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
        return self._by("slide")

    @cached_property
    def sessions(self) -> Mapping[str, tuple[SiteField, ...]]:
        """Session -> its fields, sorted by name; "" holds those whose session is not known."""
        return self._by("session")

    @cached_property
    def cameras(self) -> Mapping[str, tuple[SiteField, ...]]:
        """Camera -> its fields, sorted by name; "" holds those whose camera is not known."""
        return self._by("camera")

    def _by(self, column: str) -> Mapping[str, tuple[SiteField, ...]]:
        found: dict[str, list[SiteField]] = {}
        for field in self.fields:
            found.setdefault(getattr(field.row, column), []).append(field)
        return {value: tuple(found[value]) for value in sorted(found)}


def load_site(
    root: Path, labels: Sequence[str] | None = None, *, pattern: str | None = None, camera: str | None = None
) -> SiteFields:
    """Read a folder a class, and what is known of each field.

    Args:
        root: with the class folders, and `fields.csv` beside them unless `pattern` names the slides.
        labels: the classes; None takes every folder with images.
        pattern: on file names (`NamePattern`), which fills what the table leaves open.
        camera: take only the fields of this one.

    Raises:
        DatasetError: no usable images, one class, an image that cannot be read; a slide that nothing names; a name that
            does not fit the pattern; another label or digest in the table than here; a name like a patient's; no field
            of that camera.
        FieldsTableError: a `fields.csv` that cannot be used.
    """
    root = Path(root)
    names = None if pattern is None else NamePattern.of(pattern)
    images = scan(root, labels)
    _require_readable(images)
    rows = _table(root, images, names)
    facts = _facts(images.samples, rows)
    fields = tuple(
        SiteField(sample, _row(sample, rows.get(sample.name), names, facts.get(sample.name, ImageFacts())))
        for sample in images.samples
    )
    _refuse_patients(fields)
    site = SiteFields(root, images.labels, fields, images)
    return site if camera is None else _of_camera(site, camera)


def require_one_camera(site: SiteFields) -> None:
    """Raise DatasetError where more than one camera took the fields, or where it is known of some of them only."""
    cameras = {name: len(fields) for name, fields in site.cameras.items()}
    if len(cameras) < 2:
        return
    said = ", ".join(f"{name or 'not known'}: {number}" for name, number in cameras.items())
    raise DatasetError(
        f"data must be of one camera, and its fields are of several ({said}): "
        "take one with --camera NAME, or say --mixed-cameras"
    )


def _require_readable(images: ImageSet) -> None:
    unreadable = [problem for problem in images.problems if problem.kind in _UNREADABLE and not problem.used]
    if unreadable:
        more = f" (and {counted(len(unreadable) - 1, 'other')})" if len(unreadable) > 1 else ""
        raise DatasetError(f"data must hold images that can be read; replace or remove {unreadable[0]}{more}")


def _table(root: Path, images: ImageSet, names: NamePattern | None) -> Mapping[str, FieldRow]:
    """The rows of `fields.csv` by file; none where a pattern names the slides instead."""
    table = root / TABLE_NAME
    if os.path.lexists(table) and not table.is_file():
        raise DatasetError(f"{table} must be a table, a regular file that is there; it is none")
    if not table.is_file():
        if names is None or "slide" not in names.places:
            raise DatasetError(
                f"data must say which slide each field is of: {table} does not exist; write it, or give a pattern on "
                "the names, such as --pattern '{slide}_{field}.png'"
            )
        return {}
    rows = {row.file: row for row in read_table(table)}
    known = {sample.name for sample in images.samples}
    missing = [row.file for row in rows.values() if row.file not in known and row.label in images.labels]
    if missing:
        _log.warning(f"{table} names {counted(len(missing), 'file')} that {root} does not have, such as {missing[0]}")
    return rows


def _facts(samples: Sequence[Sample], rows: Mapping[str, FieldRow]) -> Mapping[str, ImageFacts]:
    """EXIF of the images of which the table does not say camera and day."""
    open_ones = [s for s in samples if not ((row := rows.get(s.name)) and row.camera and row.date)]
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda sample: image_facts(sample.path), open_ones)
        return {sample.name: facts for sample, facts in zip(open_ones, found, strict=True)}


def _row(sample: Sample, row: FieldRow | None, names: NamePattern | None, facts: ImageFacts) -> FieldRow:
    """What is known of one field; a conflict between two sources is an error, not a choice."""
    said: Mapping[str, str] = {} if names is None else names.read(sample.name)
    if row is None:
        if "slide" not in said:
            raise DatasetError(f"{TABLE_NAME} must name every image; {sample.name} is not there")
        row = FieldRow(sample.name, said["slide"], sample.label)
    if row.label != sample.label:
        raise DatasetError(f"{TABLE_NAME} says {row.label} of {sample.name}, which lies in the folder {sample.label}")
    if row.sha256 and row.sha256 != sample.sha256:
        raise DatasetError(f"{sample.name} is not the file that {TABLE_NAME} names: its sha256 differs")
    for column, value in said.items():
        before = getattr(row, column, value)
        if before and before != value:
            raise DatasetError(f"{TABLE_NAME} says {column} {before} of {sample.name}, and its name says {value}")
    if (date := said.get("date", "")) and not is_day(date):
        raise DatasetError(f"{sample.name}: {date} is no day; rename it, or give a pattern without {{date}}")
    filled: dict[str, Any] = {
        "session": row.session or said.get("session", ""),
        "camera": row.camera or said.get("camera", "") or facts.camera,
        "date": row.date or said.get("date", "") or facts.date,
    }
    return replace(row, **filled)


def _refuse_patients(fields: Sequence[SiteField]) -> None:
    """DatasetError for a slide, session or file that looks like a patient: it would go on into every record, page and
    bundle. A file's name may hold its class and the day it was taken."""
    slides = Counter(field.slide for field in fields)
    sessions = Counter(field.row.session for field in fields)
    hints = [patient_hint("slide", name) for name in slides]
    hints += [patient_hint("session", name, dates=False) for name in sessions]
    files = sorted({PurePosixPath(f.row.file).stem.replace(f.label, "") for f in fields})
    hints += [patient_hint("file", name, dates=False) for name in files]
    if found := [hint for hint in hints if hint]:
        raise DatasetError(found[0])


def _of_camera(site: SiteFields, camera: str) -> SiteFields:
    fields = site.cameras.get(camera, ())
    if not fields:
        there = ", ".join(name or "not known" for name in site.cameras)
        raise DatasetError(f"camera must be one that took fields; got {camera!r}, and there are {there}")
    labels = tuple(label for label in site.labels if any(field.label == label for field in fields))
    if len(labels) < 2:
        raise DatasetError(f"data must hold two or more classes; camera {camera} took {', '.join(labels)} only")
    kept = {field.sample.name for field in fields}
    samples = tuple(sample for sample in site.images.samples if sample.name in kept)
    images = ImageSet(site.root, labels, samples, site.images.problems, site.images.parts)
    return SiteFields(site.root, labels, fields, images)
