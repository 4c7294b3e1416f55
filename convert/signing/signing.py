"""Signing a bundle: a statement about its manifest, beside it in `manifest.sig`; and the bundle as one file."""

import logging
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from datetime import UTC, datetime
from pathlib import Path

from convert.errors import SigningError
from convert.signing.keys import PrivateKey
from edge.bundle import bundle as bundles
from edge.bundle.archives.archive import read_zip, zip_bytes
from edge.bundle.bundle import NO_KEYS, Bundle
from edge.bundle.envelope import LARGEST_ENVELOPE_BYTES, Envelope
from edge.bundle.files import FILE_LIMITS
from edge.bundle.keys import PublicKey
from edge.bundle.policy import SIGNATURE
from edge.bundle.statement import PAYLOAD_TYPE, Statement, time_text
from edge.bundle.trusted import TrustedKeys
from edge.errors import SignatureError
from edge.system.durable import sync_path
from edge.system.files import read_at_most, write_whole
from edge.system.folders import read_folder

_log = logging.getLogger(__name__)

LARGEST_ZIP_BYTES = 2**20 * (sum(FILE_LIMITS.values()) // 2**20 + 1)
_FIRST_YEAR = 2026  # of this software: a clock before it was never set


@dataclass(frozen=True)
class Signature:
    """What a `manifest.sig` says now: the statement, and the ids of all keys in it; `lax_policy` and `accepted` as
    `Bundle` has them."""

    statement: Statement
    keys: tuple[str, ...]
    lax_policy: str | None = None
    accepted: str = ""


def sign(
    path: Path,
    key: PrivateKey,
    *,
    version: int | None = None,
    add: bool = False,
    replace: bool = False,
    allow_uncertified: bool = False,
    allow_synthetic: bool = False,
    now: datetime | None = None,
) -> Signature:
    """Sign the bundle in a folder; `manifest.sig` is written whole or not at all, and verified once it stands.

    Args:
        version: 1..2**53 - 1; None is the time of signing (`version_of`), or with `add` the version that is signed.
        add: put a signature beside those that are there, over the same statement.
        replace: sign anew, with a higher version than the signature that is there.
        allow_uncertified: sign although the certificate does not say "pass".
        allow_synthetic: sign although synthetic images certified it; every device and record that runs it says so.
        now: in UTC; None is the clock.

    Raises:
        BundleError: the bundle is not whole, or not certified. SigningError: certified on synthetic images; signed
            already, by this key or at all, or with another version or manifest; a clock that was never set. OSError: it
            cannot be written.
    """
    bundle = bundles.load(path, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=allow_uncertified)
    if bundle.synthetic and not allow_synthetic:
        raise SigningError(
            f"{path}: its certificate rests on synthetic images only, so that its accuracy is not known; convert it "
            "with --data, or add --allow-synthetic"
        )
    if bundle.gates is None:
        _log.warning(f"{path}: has no gates.json, and devices refuse it but with --ungated; `convert gates` fits one")
    found = None if bundle.signature is None else read_signature(path, bundle.signature)
    if add:
        envelope = _to_add_to(path, bundle, found, key, version)
    else:
        envelope = Envelope(_statement(path, bundle, found, version, replace, now).to_bytes(), {})
    signature = key.sign(PAYLOAD_TYPE, envelope.payload)
    envelope = Envelope(envelope.payload, {**envelope.signatures, key.public.id: signature})
    _write(path, envelope.to_bytes())
    trust = TrustedKeys(path, {key.public.id: key.public}, held=True)
    bundles.load(path, trust=trust, allow_uncertified=allow_uncertified)
    return replace_fields(
        read_signature(path, envelope.to_bytes()), lax_policy=bundle.lax_policy, accepted=bundle.accepted
    )


def verify(source: Path, trust: TrustedKeys) -> Bundle:
    """The bundle in a folder or zip file, verified in full; its certificate may say anything.

    Raises:
        BundleError: it is not signed by one of the keys, revoked, or not whole.
    """
    if source.is_dir():
        return bundles.load(source, trust=trust, allow_uncertified=True)
    folder, files = read_zip(read_at_most(source, LARGEST_ZIP_BYTES, SigningError), str(source), FILE_LIMITS)
    path = source / folder if folder else source
    return bundles.assemble(path, files, trust=trust, allow_uncertified=True, any_name=not folder)


def pack(path: Path) -> tuple[Bundle, bytes]:
    """A bundle and the zip file of it, whatever its certificate and signature say."""
    files = read_folder(path, FILE_LIMITS)
    bundle = bundles.assemble(path, files, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)
    return bundle, zip_bytes(path.resolve().name, files)


def read_signature(path: Path, data: bytes) -> Signature:
    """What a `manifest.sig` says, without asking whether it holds; SignatureError where it is none."""
    shown = str(path / SIGNATURE)
    envelope = Envelope.from_bytes(data, shown)
    return Signature(Statement.from_bytes(envelope.payload, shown), tuple(sorted(envelope.signatures)))


def version_of(now: datetime) -> int:
    """The time of signing as a version, `20261124143000` for 14:30:00 UTC on 24 November 2026.

    It grows by itself on every machine that knows the time, says when the bundle was released, and needs no list of the
    versions given so far.
    """
    if now.year < _FIRST_YEAR:
        raise SigningError(f"this machine's clock says {now:%Y-%m-%d}; set it, or give --version")
    return int(now.strftime("%Y%m%d%H%M%S"))


def public_keys(keys: tuple[PublicKey, ...]) -> TrustedKeys:
    """Keys named one by one, as if a machine trusted them."""
    return TrustedKeys(Path("--public"), {key.id: key for key in keys}, held=True)


def _statement(
    path: Path, bundle: Bundle, found: Signature | None, version: int | None, replace: bool, now: datetime | None
) -> Statement:
    """A new statement about the bundle."""
    if found is not None and not replace:
        signers = ", ".join(key[:12] for key in found.keys)
        raise SigningError(
            f"{path}: is signed already, version {found.statement.version} by {signers}; --add puts a signature beside "
            "it, --replace signs it anew"
        )
    now = now or datetime.now(UTC)
    version = version_of(now) if version is None else version
    if found is not None and version <= found.statement.version:
        raise SigningError(f"{path}: version must be above {found.statement.version}, which was signed; got {version}")
    try:
        return Statement(path.resolve().name, version, bundle.digest, time_text(now))
    except SignatureError as error:
        raise SigningError(f"{path}: {error}") from error


def _to_add_to(path: Path, bundle: Bundle, found: Signature | None, key: PrivateKey, version: int | None) -> Envelope:
    """The envelope that is there, after a look at what a further signature would confirm."""
    if found is None or bundle.signature is None:
        raise SigningError(f"{path}: is not signed; there is nothing to --add to")
    said = found.statement
    if said.manifest_sha256 != bundle.digest:
        raise SigningError(f"{path / SIGNATURE}: signs another manifest; --replace signs this one")
    if said.bundle != path.resolve().name:
        raise SigningError(
            f"{path / SIGNATURE}: was signed for bundle {said.bundle}; this folder is called {path.name!r}"
        )
    if version is not None and version != said.version:
        raise SigningError(f"{path}: --add confirms version {said.version}, which is signed; got --version {version}")
    if key.public.id in found.keys:
        raise SigningError(f"{path}: key {key.public.id[:12]} has signed it already")
    return Envelope.from_bytes(bundle.signature, str(path / SIGNATURE))


def _write(path: Path, data: bytes) -> None:
    """`manifest.sig` in one step; what is unfinished lies beside the folder, where no bundle is spoilt by it."""
    assert len(data) <= LARGEST_ENVELOPE_BYTES
    folder = path.resolve()
    write_whole(folder / SIGNATURE, data, staging_folder=folder.parent)
    sync_path(folder)
