"""Sources of bundles, told apart by how they are written.

| SOURCE | what it is |
|---|---|
| `https://.../NAME.zip` | one bundle, zipped |
| `https://...`, `http://...` | a TUF repository (`edge.serving.update.repository`), which its signatures protect |
| a folder with `manifest.json` | one bundle |
| any other folder, a mounted stick | every bundle and every zip file in it, two folders deep |
| a file | one bundle, zipped |
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from edge.bundle.files import FILE_LIMITS
from edge.bundle.policy import MANIFEST, SIGNATURE
from edge.errors import BundleError, UpdateError, UpdateSourceError, UsageError
from edge.serving.update.candidates import Announced, Candidate
from edge.system.folders import read_folder, read_named
from edge.system.strict_json import read_object

_log = logging.getLogger(__name__)

LARGEST_ZIP_BYTES = sum(FILE_LIMITS.values())
MOST_CANDIDATES, MOST_ENTRIES, DEEPEST = 64, 2000, 2
_KINDS_OF_URL = ("http", "https")


@dataclass(frozen=True)
class FolderCandidate:
    """A bundle in a folder.

    >>> FolderCandidate(Path("/media/stick/tiny-int8")).folder
    'tiny-int8'
    """

    path: Path
    later: str = ""
    announced: Announced | None = None

    @property
    def origin(self) -> str:
        return str(self.path)

    @property
    def folder(self) -> str:
        return self.path.name or self.path.resolve().name

    def head(self) -> Mapping[str, bytes]:
        names = [name for name in (MANIFEST, SIGNATURE) if os.path.lexists(self.path / name)]
        return {name: read_named(self.path, name, FILE_LIMITS[name], BundleError) for name in names}

    def files(self) -> Mapping[str, bytes]:
        return read_folder(self.path, _listed(self.head()[MANIFEST]))


@dataclass
class ZipCandidate:
    """A zipped bundle: a file, or what was fetched. Read once, in full, within the limits of a bundle's files.

    >>> import io, zipfile
    >>> data = io.BytesIO()
    >>> with zipfile.ZipFile(data, "w") as archive:
    ...     archive.writestr("tiny-int8/manifest.json", "{}")
    >>> ZipCandidate("tiny.zip", data.getvalue()).folder
    'tiny-int8'
    """

    origin: str
    data: bytes | None = None
    later: str = ""
    announced: Announced | None = None
    _read: tuple[str, Mapping[str, bytes]] | None = field(default=None, repr=False)

    @property
    def folder(self) -> str:
        return self._once()[0]

    def head(self) -> Mapping[str, bytes]:
        files = self._once()[1]
        return {name: files[name] for name in (MANIFEST, SIGNATURE) if name in files}

    def files(self) -> Mapping[str, bytes]:
        return self._once()[1]

    def _once(self) -> tuple[str, Mapping[str, bytes]]:
        if self._read is None:
            from edge.bundle.archives.archive import read_zip

            data = self.data
            if data is None:
                path = Path(self.origin)
                data = read_named(path.parent, path.name, LARGEST_ZIP_BYTES, BundleError)
            folder, files = read_zip(data, self.origin, FILE_LIMITS)
            self._read = folder or PurePosixPath(urlsplit(self.origin).path).stem, files
            self.data = None
        return self._read


def is_repository(source: str) -> bool:
    """Whether a source is the URL of a TUF repository."""
    parts = urlsplit(source)
    return parts.scheme in _KINDS_OF_URL and not parts.path.endswith(".zip")


def find(source: str) -> Iterable[Candidate]:
    """What a source offers that is no repository.

    Raises:
        UsageError: nothing is there, or it is a kind of URL that is not fetched.
        UpdateSourceError: a URL cannot be fetched.
    """
    parts = urlsplit(source)
    if parts.scheme in _KINDS_OF_URL:
        if parts.scheme != "https":
            raise UsageError(f"{source}: a zip file is fetched by https alone; nothing else would protect its way here")
        return [_fetched(source)]
    if "://" in source:
        raise UsageError(
            f"{source}: must be a folder, a .zip file, an https URL of one, or the URL of a TUF repository"
        )
    path = Path(source)
    if path.is_dir():
        if os.path.lexists(path / MANIFEST):
            return [FolderCandidate(path)]
        return list(_searched(path))
    if not path.exists():
        raise UsageError(f"{source}: no such file or folder")
    return [ZipCandidate(str(path))]


def _listed(manifest: bytes) -> dict[str, int]:
    """The most bytes of each file: what its bundle's manifest lists, where it lists that, within the limits."""
    files = read_object(manifest, MANIFEST, BundleError).get("files")
    limits = dict(FILE_LIMITS)
    for name, entry in files.items() if isinstance(files, dict) else ():
        size = entry.get("size") if isinstance(entry, dict) else None
        if name in limits and type(size) is int and size >= 0:
            limits[name] = min(limits[name], size)
    return limits


def _fetched(url: str) -> ZipCandidate:
    try:
        from edge.serving.update.fetch import Fetcher, download
    except ImportError as error:
        raise UpdateSourceError(
            f"fetching needs tuf and urllib3 ({error}): pip install '.[device]' in a clone of Leukoscope"
        ) from error
    _log.info(f"fetching {url}")
    return ZipCandidate(url, download(url, LARGEST_ZIP_BYTES, Fetcher(only_https=True)))


def _searched(root: Path) -> Iterator[Candidate]:
    """Bundles and zip files below a folder, sorted by path; links and hidden names are passed over."""
    found = looked = 0
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            _log.warning(f"{folder}: {error.strerror}")
            continue
        for entry in entries:
            looked += 1
            if looked > MOST_ENTRIES or found >= MOST_CANDIDATES:
                raise UpdateError(f"{root}: holds too much to look through; name the bundle's folder or zip file")
            path = Path(entry.path)
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                if os.path.lexists(path / MANIFEST):
                    found += 1
                    yield FolderCandidate(path)
                elif depth < DEEPEST:
                    waiting.append((path, depth + 1))
            elif entry.name.endswith(".zip"):
                found += 1
                yield ZipCandidate(str(path))
