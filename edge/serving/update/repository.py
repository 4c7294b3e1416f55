"""A TUF repository of bundles, as a device reads it (https://theupdateframework.io; written by `convert publish`).

python-tuf's `ngclient` sees to it that what arrives is fresh, not older than what was seen before, of one piece, and
of the signed length and hash. Each file of a bundle is a target `NAME/VERSION/FILE`, and the target of its manifest
says in its signed custom fields what release it belongs to and which part of all devices it is for.
"""

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import Updater, UpdaterConfig

from edge.bundle.files import FILE_LIMITS
from edge.bundle.policy import MANIFEST, SIGNATURE
from edge.bundle.statement import BUNDLE_NAME
from edge.errors import BundleError, UpdateError, UpdateSourceError
from edge.serving.update import rollout as rings
from edge.serving.update.candidates import Announced, Candidate
from edge.serving.update.fetch import Fetcher, said
from edge.system.durable import own_as_parent, sync_path
from edge.system.files import read_at_most

_log = logging.getLogger(__name__)

DEFAULT_ROOT = Path("/etc/leukoscope/tuf/root.json")
LARGEST_ROOT_BYTES = 2**20
CUSTOM = {"name", "version", "rollout", "digest"}
_LIMITS = UpdaterConfig(
    max_root_rotations=64,
    root_max_length=512_000,
    timestamp_max_length=16_384,
    snapshot_max_length=256_000,
    targets_max_length=4_000_000,
)


@dataclass(frozen=True)
class Release:
    """A release in a repository: its targets by the name of the file, and the percentage of devices it is for.

    >>> str(Release("tiny-int8", 3, rollout=20, digest="0" * 64, targets={}))
    'tiny-int8/3'
    """

    name: str
    version: int
    rollout: int
    digest: str
    targets: Mapping[str, TargetFile]

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class Repository:
    """A repository, refreshed once when it is made.

    Args:
        url: of the folder that holds `metadata/` and `targets/`.
        root: the bootstrap root metadata: what the trust in all of it begins with.
        cache: folder for the metadata seen last; without it older metadata could not be told.
        fetcher: tests give one of less patience.

    Raises:
        UpdateSourceError: no answer, too slow, or more than was announced.
        UpdateError: what answers is expired, older than seen before, of different pieces, or not signed as it must be.
    """

    def __init__(self, url: str, root: bytes, cache: Path, fetcher: Fetcher | None = None) -> None:
        self.url = url.rstrip("/")
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        with _narrowed(self.url), tempfile.TemporaryDirectory() as nowhere:
            self._updater = Updater(
                str(cache),
                f"{self.url}/metadata/",
                target_dir=nowhere,
                target_base_url=f"{self.url}/targets/",
                fetcher=fetcher or Fetcher(),
                config=_LIMITS,
                bootstrap=root,
            )
            self._updater.refresh()
            _settle(cache)
            # ngclient looks targets up by path and lists none; what it verified and wrote last is read from its cache.
            targets = Metadata[Targets].from_file(str(cache / "targets.json")).signed
        self._targets = targets.targets

    def releases(self) -> list[Release]:
        """What is offered, to whichever device; what is no release by its form is passed over with a note."""
        found = []
        for path, target in sorted(self._targets.items()):
            if path.endswith(f"/{MANIFEST}"):
                try:
                    found.append(self._release(path, target))
                except ValueError as error:
                    _log.warning(f"{self.url}: {path}: {error}")
        return found

    def download(self, target: TargetFile, limit: int) -> bytes:
        """The bytes of a target.

        Raises:
            BundleError: it is larger than `limit`, which its metadata says before anything is fetched.
            UpdateSourceError, UpdateError: as in the constructor.
        """
        if target.length > limit:
            raise BundleError(f"{self.url}: {target.path}: {target.length} bytes; such a file has {limit} at most")
        with _narrowed(f"{self.url}: {target.path}"), tempfile.TemporaryDirectory() as folder:
            path = self._updater.download_target(target, str(Path(folder) / "target"))
            return Path(path).read_bytes()

    def _release(self, path: str, target: TargetFile) -> Release:
        custom = target.custom
        if not isinstance(custom, dict) or set(custom) != CUSTOM:
            raise ValueError(f"its custom fields must be {', '.join(sorted(CUSTOM))}")
        name, version, rollout, digest = (custom[key] for key in ("name", "version", "rollout", "digest"))
        if not isinstance(name, str) or not BUNDLE_NAME.fullmatch(name) or path != f"{name}/{version}/{MANIFEST}":
            raise ValueError("its name and version are not those of its path")
        if type(version) is not int or version < 1 or type(rollout) is not int or not 0 <= rollout <= 100:
            raise ValueError("version must be at least 1, and rollout 0..100")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError("digest must be 64 hexadecimal digits")
        folder = f"{name}/{version}/"
        targets = {p.removeprefix(folder): t for p, t in self._targets.items() if p.startswith(folder)}
        unknown = sorted(set(targets) - set(FILE_LIMITS))
        if unknown:
            raise ValueError(f"holds {unknown[0]!r}, which is no file of a bundle")
        return Release(name, version, rollout, digest, targets)


@dataclass(frozen=True)
class ReleaseCandidate:
    """A release as an update weighs it."""

    repository: Repository
    release: Release
    later: str

    @property
    def origin(self) -> str:
        return f"{self.repository.url} {self.release}"

    @property
    def folder(self) -> str:
        return self.release.name

    @property
    def announced(self) -> Announced:
        return Announced(self.release.name, self.release.version, self.release.digest)

    def head(self) -> Mapping[str, bytes]:
        targets = self.release.targets
        return {name: self._file(name) for name in (MANIFEST, SIGNATURE) if name in targets}

    def files(self) -> Mapping[str, bytes]:
        _log.info(f"fetching {self.origin}")
        return {name: self._file(name) for name in self.release.targets}

    def _file(self, name: str) -> bytes:
        return self.repository.download(self.release.targets[name], FILE_LIMITS[name])


def offered(repository: Repository, device: str, name: str) -> list[Candidate]:
    """The releases of `name` ("" for any)."""
    candidates: list[Candidate] = []
    for release in repository.releases():
        if not name or release.name == name:
            where = rings.position(device, str(release))
            later = f"is offered to {release.rollout} % of devices; this one stands at {where} of 0 to 99"
            turn = rings.eligible(device, str(release), release.rollout)
            candidates.append(ReleaseCandidate(repository, release, "" if turn else later))
    return candidates


def bootstrap_root(path: Path | None) -> bytes:
    """The root metadata that this device was given; UpdateError where there is none."""
    path = path or DEFAULT_ROOT
    if not path.exists():
        raise UpdateError(f"{path}: missing; a repository is trusted by its root metadata: put its root.json there")
    return read_at_most(path, LARGEST_ROOT_BYTES, UpdateError)


@contextmanager
def _narrowed(url: str) -> Iterator[None]:
    """What python-tuf raises leaves as one of ours, in one line."""
    try:
        yield
    except ExpiredMetadataError as error:
        cure = "somebody keeps news from this device, the repository was not refreshed, or the clock is wrong"
        raise UpdateError(f"{url}: {error}: {cure}") from error
    except RepositoryError as error:
        raise UpdateError(f"{url}: {error or type(error).__name__}") from error
    except DownloadError as error:
        raise UpdateSourceError(f"{url}: {said(error)}") from error


def _settle(cache: Path) -> None:
    """Make the metadata durable, and the service's: versions seen are what a rollback is told by."""
    for path in sorted([cache, *cache.rglob("*")]):
        if path.is_symlink():
            continue
        own_as_parent(path)
        sync_path(path)
