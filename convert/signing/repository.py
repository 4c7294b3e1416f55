"""A TUF repository of bundles in a folder of static files, for any web server (https://theupdateframework.io).

```
REPO/metadata/N.root.json  N.targets.json  N.snapshot.json  timestamp.json
REPO/targets/NAME/VERSION/SHA256.FILE
```
What is there is verified from its root before anything is signed on top of it: a web server that was broken into gets
nothing signed. Files are written in the order in which devices come to need them, `timestamp.json` last, so
that a reader meets the old repository or the new one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from convert.errors import PublishError
from convert.signing.repository_keys import ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleKeys
from convert.signing.signing import read_signature
from edge.bundle import bundle as bundles
from edge.bundle.bundle import NO_KEYS, rests_on_synthetic
from edge.bundle.certified_policy import laxer_policy
from edge.bundle.files import CERTIFICATE, FILE_LIMITS
from edge.bundle.policy import MANIFEST
from edge.system.files import write_whole
from edge.system.folders import read_folder
from edge.system.strict_json import read_object

ROOT_DAYS, TARGETS_DAYS, FRESH_DAYS = 730, 365, 30
_SPECIFICATION = "1.0.31"


class Published(msgspec.Struct, frozen=True):
    """One release, as `custom` of its target files has it: the percentage of devices it is for (`rollout`), and the
    sha256 of its manifest (`digest`).

    >>> Published("smear-int8", 3, 10, "ab" * 32).rollout
    10
    """

    name: str
    version: int
    rollout: int
    digest: str


class Publication:
    """A repository, read and verified; changed in memory by the methods, written by `write`.

    Args:
        folder: REPO.
        now: in UTC.
    """

    def __init__(
        self,
        folder: Path,
        root: Metadata[Root],
        targets: Metadata[Targets],
        snapshot: Metadata[Snapshot],
        timestamp: Metadata[Timestamp],
        now: datetime,
    ) -> None:
        self._folder, self._now = folder, now
        self._root, self._targets, self._snapshot, self._timestamp = root, targets, snapshot, timestamp
        self._files: dict[str, bytes] = {}  # targets to be written
        self._changed: set[str] = set()

    # --- making and reading -----------------------------------------------------------------------------------

    @classmethod
    def new(cls, folder: Path, keys: RoleKeys, threshold: int, now: datetime) -> "Publication":
        """An empty repository, its root signed by all root keys.

        Raises:
            PublishError: something stands there, a role has no key, or fewer root keys than `threshold`.
        """
        if folder.exists() and any(folder.iterdir()):
            raise PublishError(f"{folder}: is not empty; a repository starts in a new folder")
        if len(keys.of(ROOT)) < threshold:
            raise PublishError(f"{keys.folder}: {len(keys.of(ROOT))} root keys, and {threshold} shall have to sign")
        root = Root(spec_version=_SPECIFICATION, expires=_later(now, ROOT_DAYS), consistent_snapshot=True)
        targets = Targets(spec_version=_SPECIFICATION, expires=_later(now, TARGETS_DAYS))
        snapshot = Snapshot(spec_version=_SPECIFICATION, expires=_later(now, FRESH_DAYS))
        timestamp = Timestamp(spec_version=_SPECIFICATION, expires=_later(now, FRESH_DAYS))
        made = cls(folder, Metadata(root), Metadata(targets), Metadata(snapshot), Metadata(timestamp), now)
        for role in ROLES:
            made._give_keys(role, keys, threshold if role == ROOT else 1)
        made._changed = set(ROLES)
        return made

    @classmethod
    def load(cls, folder: Path, now: datetime) -> "Publication":
        """Read a repository and verify it from its first root on; what is only expired is fine.

        Raises:
            PublishError: none is there, or it is not signed as its root says.
        """
        metadata = folder / "metadata"
        try:
            root = _newest_root(metadata)
            timestamp = _read(metadata / "timestamp.json", Timestamp)
            root.signed.verify_delegate(TIMESTAMP, timestamp.signed_bytes, timestamp.signatures)
            version = timestamp.signed.snapshot_meta.version
            snapshot = _read(metadata / f"{version}.snapshot.json", Snapshot)
            root.signed.verify_delegate(SNAPSHOT, snapshot.signed_bytes, snapshot.signatures)
            version = snapshot.signed.meta["targets.json"].version
            targets = _read(metadata / f"{version}.targets.json", Targets)
            root.signed.verify_delegate(TARGETS, targets.signed_bytes, targets.signatures)
        except (RepositoryError, DeserializationError, KeyError) as error:
            raise PublishError(f"{folder}: not a repository as its root says: {error}") from error
        return cls(folder, root, targets, snapshot, timestamp, now)

    @property
    def releases(self) -> list[Published]:
        """What is offered, by name and version."""
        found = []
        for path, target in self._targets.signed.targets.items():
            if path.endswith(f"/{MANIFEST}"):
                try:
                    found.append(msgspec.convert(target.custom, Published))
                except msgspec.ValidationError as error:
                    raise PublishError(f"{self._folder}: {path}: its custom metadata: {error}") from error
        return sorted(found, key=lambda release: (release.name, release.version))

    @property
    def versions(self) -> dict[str, int]:
        """Role to version."""
        return {role: metadata.signed.version for role, metadata in self._signed().items()}

    @property
    def expires(self) -> dict[str, str]:
        """Role to the time after which devices refuse it, UTC."""
        return {role: f"{m.signed.expires:%Y-%m-%dT%H:%M:%SZ}" for role, m in self._signed().items()}

    @property
    def root_file(self) -> Path:
        """The newest root metadata: what a device is given."""
        return self._folder / "metadata" / f"{self._root.signed.version}.root.json"

    # --- changing -----------------------------------------------------------------------------------------------

    def add(self, bundle: Path, rollout: int) -> Published:
        """Offer a signed bundle to `rollout` percent of devices.

        Raises:
            BundleError: it is not whole, or not certified. PublishError: not signed, signed as something else, or not
                newer than what is offered under its name.
        """
        files = read_folder(bundle, FILE_LIMITS)
        loaded = bundles.assemble(bundle, files, trust=NO_KEYS, allow_unsigned=True)
        if loaded.signature is None:
            raise PublishError(f"{bundle}: is not signed, and no device would run it; `convert sign` signs it")
        statement = read_signature(bundle, loaded.signature).statement
        if statement.manifest_sha256 != loaded.digest or statement.bundle != bundle.resolve().name:
            raise PublishError(f"{bundle}: its signature is of another bundle")
        newest = max((r.version for r in self.releases if r.name == statement.bundle), default=0)
        if statement.version <= newest:
            raise PublishError(f"{bundle}: version {statement.version}; version {newest} is offered already")
        release = Published(statement.bundle, statement.version, rollout, loaded.digest)
        for name, data in files.items():
            path = f"{release.name}/{release.version}/{name}"
            target = TargetFile.from_data(path, data, ["sha256"])
            target.unrecognized_fields["custom"] = msgspec.to_builtins(release)
            self._targets.signed.targets[path] = target
            self._files[f"{release.name}/{release.version}/{target.hashes['sha256']}.{name}"] = data
        self._changed.add(TARGETS)
        return release

    def roll_out(self, name: str, version: int, rollout: int) -> Published:
        """Offer a release to another percentage of devices; PublishError where there is none of it."""
        offered = [r for r in self.releases if (r.name, r.version) == (name, version)]
        if not offered:
            known = ", ".join(f"{r.name}/{r.version}" for r in self.releases) or "none"
            raise PublishError(f"{self._folder}: offers no {name}/{version}; there is {known}")
        release = Published(name, version, rollout, offered[0].digest)
        for path, target in self._targets.signed.targets.items():
            if path.startswith(f"{name}/{version}/"):
                target.unrecognized_fields["custom"] = msgspec.to_builtins(release)
        self._changed.add(TARGETS)
        return release

    def certified(self, release: Published) -> dict[str, bool | str | None]:
        """What speaks against a release's certificate: `synthetic_certificate` and `lax_policy`, as bundles have them;
        both None where its certificate is not in the repository.

        Asked of the certificate itself: a device refuses a key in `custom` that it does not know.
        """
        path = f"{release.name}/{release.version}/{CERTIFICATE}"
        target = self._targets.signed.targets.get(path)
        nothing: dict[str, bool | str | None] = {"synthetic_certificate": None, "lax_policy": None}
        if target is None:
            return nothing
        name = f"{release.name}/{release.version}/{target.hashes['sha256']}.{CERTIFICATE}"
        try:
            data = self._files.get(name) or (self._folder / "targets" / name).read_bytes()
            target.verify_length_and_hashes(data)
        except (OSError, RepositoryError):
            return nothing
        certificate = read_object(data, name, PublishError)
        return {"synthetic_certificate": rests_on_synthetic(certificate), "lax_policy": laxer_policy(certificate)}

    def refresh(self) -> None:
        """Say anew that this is the newest there is."""
        self._changed.add(SNAPSHOT)

    def rotate(self, keys: RoleKeys) -> list[str]:
        """Give roles the keys in a folder instead of theirs; roles without a key in it keep what they have."""
        for role in keys.keys:
            self._give_keys(role, keys, self._root.signed.roles[role].threshold)
        self._changed |= {ROOT, *keys.keys}
        return sorted(keys.keys)

    def _give_keys(self, role: str, keys: RoleKeys, threshold: int) -> None:
        root = self._root.signed
        if len(keys.of(role)) < threshold:
            raise PublishError(f"{keys.folder}: {len(keys.of(role))} keys of {role}, and {threshold} have to sign")
        for key_id in [*root.roles[role].keyids] if role in root.roles else []:
            root.revoke_key(key_id, role)
        root.roles[role] = Role([], threshold)
        for key in keys.of(role):
            root.add_key(key.public.as_dsse(), role)

    # --- signing and writing ------------------------------------------------------------------------------------

    def write(self, keys: RoleKeys, days: int, old_root: RoleKeys | None = None) -> None:
        """Sign what changed, and write it.

        Args:
            keys: private keys of the roles that sign.
            days: until snapshot and timestamp expire.
            old_root: root keys until now, where they are rotated: both sign.

        Raises:
            PublishError: a role's keys are not those that root names, or too few. OSError: it cannot be written.
        """
        self._sign(keys, days, old_root)
        metadata, targets = self._folder / "metadata", self._folder / "targets"
        metadata.mkdir(parents=True, exist_ok=True)
        targets.mkdir(parents=True, exist_ok=True)
        for name, data in self._files.items():
            (targets / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(targets / name, data)
        signed = self._signed()
        for role in (ROOT, TARGETS, SNAPSHOT):
            if role in self._changed:
                write_whole(metadata / f"{signed[role].signed.version}.{role}.json", signed[role].to_bytes())
        write_whole(metadata / "timestamp.json", self._timestamp.to_bytes())

    def _signed(self) -> Mapping[str, Metadata[Any]]:
        return dict(zip(ROLES, (self._root, self._targets, self._snapshot, self._timestamp), strict=True))

    def _sign(self, keys: RoleKeys, days: int, old_root: RoleKeys | None) -> None:
        """New versions and expiry of all that changed, and of what follows from it."""
        first = not (self._folder / "metadata" / "timestamp.json").exists()
        self._changed |= {SNAPSHOT, TIMESTAMP}
        lasting = {ROOT: ROOT_DAYS, TARGETS: TARGETS_DAYS, SNAPSHOT: days, TIMESTAMP: days}
        for role, metadata in self._signed().items():
            if role in self._changed:
                metadata.signed.version += 0 if first else 1
                metadata.signed.expires = _later(self._now, lasting[role])
        self._snapshot.signed.meta["targets.json"] = MetaFile(self._targets.signed.version)
        self._timestamp.signed.snapshot_meta = MetaFile(self._snapshot.signed.version)
        for role, metadata in self._signed().items():
            if role in self._changed:
                self._sign_one(role, metadata, keys, old_root)

    def _sign_one(self, role: str, metadata: Metadata[Any], keys: RoleKeys, old_root: RoleKeys | None) -> None:
        signers = [*keys.of(role)]
        if role == ROOT and old_root is not None:
            signers += old_root.of(ROOT)
        metadata.signatures.clear()
        for key in signers:
            metadata.sign(key.signer(), append=True)
        try:
            self._root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            if role == ROOT and metadata.signed.version > 1:
                before = _read(self._folder / "metadata" / f"{metadata.signed.version - 1}.root.json", Root)
                before.signed.verify_delegate(ROOT, metadata.signed_bytes, metadata.signatures)
        except RepositoryError as error:
            raise PublishError(f"{keys.folder}: these are not the {role} keys of {self._folder}: {error}") from error


def _newest_root(metadata: Path) -> Metadata[Root]:
    """The newest root, each signed by the threshold of the one before."""
    root = _read(metadata / "1.root.json", Root)
    root.verify_delegate(ROOT, root)
    while (metadata / f"{root.signed.version + 1}.root.json").exists():
        following = _read(metadata / f"{root.signed.version + 1}.root.json", Root)
        root.verify_delegate(ROOT, following)
        following.verify_delegate(ROOT, following)
        root = following
    return root


def _read(path: Path, kind: Any) -> Metadata[Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PublishError(f"{path}: {error.strerror}") from error
    return Metadata[kind].from_bytes(data)


def _later(now: datetime, days: int) -> datetime:
    return now.replace(microsecond=0) + timedelta(days=days)


def utc_now() -> datetime:
    """The clock, in UTC."""
    return datetime.now(UTC)
