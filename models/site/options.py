"""The options that say how a site's fields are read: the same words for `models audit`, `models adapt` and `convert
accept`."""

import os
from dataclasses import dataclass
from pathlib import Path

from edge.commissioning.fields_table import TABLE_NAME
from models.errors import DatasetError
from models.site.fields import SiteFields, load_site, require_one_camera
from models.site.name_patterns import NamePattern


@dataclass(frozen=True)
class SiteOptions:
    """Where a site's fields are, and what the table beside them leaves open.

    Attributes:
        data: a folder a class. pattern: on file names, where `fields.csv` does not say it all; "" for none.
        camera: only fields of this one are taken; "" for all.
        mixed_cameras: that several cameras took the fields is meant.

    >>> site_options("site", pattern="{slide}_{field}.png").pattern
    '{slide}_{field}.png'
    """

    data: Path
    pattern: str = ""
    camera: str = ""
    mixed_cameras: bool = False

    def names_slides(self) -> bool:
        """True where a table lies beside the images, whatever is wrong with it, or a pattern reads slides."""
        return os.path.lexists(self.data / TABLE_NAME) or "{slide}" in self.pattern

    def load(self) -> SiteFields:
        """The fields, whatever cameras took them: what an audit reads.

        Raises:
            DatasetError, FieldsTableError: as `load_site`.
        """
        return load_site(self.data, pattern=self.pattern or None, camera=self.camera or None)

    def require_one_camera(self, site: SiteFields) -> None:
        """What training and acceptance need besides; DatasetError where cameras are mixed and nobody said so."""
        if not self.mixed_cameras:
            require_one_camera(site)


def site_options(data: str, pattern: str = "", camera: str = "", mixed_cameras: bool = False) -> SiteOptions:
    """The checked options of a command line. In a command's help:

        data: folder with one sub-folder of images a class, and `fields.csv` or names that PATTERN reads.
        pattern: what file names say, such as '{slide}_{field}.png'; also {session}, {camera}, {date}, * for any.
        camera: take only the fields of this camera.
        mixed_cameras: several cameras took the fields, and that is meant.

    Raises:
        DatasetError: no data named; a pattern that is none.
    """
    if not data:
        raise DatasetError("data must name a folder with one sub-folder of images a class")
    if pattern:
        NamePattern.of(pattern)
    return SiteOptions(Path(data), pattern, camera, mixed_cameras)
