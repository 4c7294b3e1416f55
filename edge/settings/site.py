"""`[site]` of the profile: which laboratory this device stands in, and whether it may run what that did not accept."""

import re
from dataclasses import dataclass

from edge.errors import SettingsError

SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # as slides are named


@dataclass(frozen=True)
class SiteSettings:
    """[site]. `name` "" is a device that names no site. `study`: a bundle that the site did not accept runs, and every
    verdict, record and page says that it was not accepted.

    >>> SiteSettings("lab-3").study
    False
    """

    name: str = ""
    study: bool = False

    def __post_init__(self) -> None:
        if self.name and not SITE.fullmatch(self.name):
            raise SettingsError(f"site.name must be {SITE_IN_WORDS}; got {self.name!r}")


SITE_IN_WORDS = "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit"
