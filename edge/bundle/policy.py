"""What may run here: the one sentence of `edge.bundle`, applied to a manifest before anything of it is parsed."""

import hashlib
import json
from pathlib import Path

from edge.bundle.envelope import Envelope, Signed
from edge.bundle.statement import Statement
from edge.bundle.trusted import TrustedKeys
from edge.errors import SignatureError

SIGNATURE, MANIFEST = "manifest.sig", "manifest.json"
INSTALLATION = Path(__file__).resolve().parents[2]  # the folder that holds the packages `edge` and `models`
# Name and manifest sha256 of every bundle that ships; `python -m tests.project.shipped_manifests --write` renews it.
SHIPPED_MANIFESTS = Path(__file__).with_name("shipped_manifests.json")


def permit(
    path: Path,
    manifest: bytes,
    signature: bytes | None,
    trust: TrustedKeys,
    *,
    allow_unsigned: bool = False,
    any_name: bool = False,
) -> Signed | None:
    """Decide whether the bundle whose manifest this is may run.

    Args:
        path: the bundle's folder: named in messages, compared with the folder of shipped bundles, and its name (links
            followed) with the one that was signed.
        manifest, signature: the raw bytes of `manifest.json` and of `manifest.sig`, None where there is none.
        allow_unsigned: a bundle that is not signed by a trusted key may run. A revoked one may not.
        any_name: the folder may be called otherwise than the signed name, as an update's slots are.

    Returns:
        What trusted keys signed; None for a bundle that runs unsigned: shipped here where no key is held, or allowed.

    Raises:
        SignatureError: it may not run; says why and what would help.
    """
    digest = hashlib.sha256(manifest).hexdigest()
    if digest in trust.revoked_bundles:
        raise SignatureError(f"{path}: bundle {digest[:12]} was revoked ({trust.folder})")
    if not trust.held:
        if allow_unsigned or is_shipped(path, digest):
            return None
        raise SignatureError(
            f"{path}: this machine holds no trusted key, so that only the bundle of its own installation runs; put the "
            f"signer's public key into {trust.folder}, or say --allow-unsigned"
        )
    try:
        return verify(path, digest, signature, trust, any_name=any_name)
    except SignatureError:
        if allow_unsigned:
            return None
        raise


def verify(path: Path, digest: str, signature: bytes | None, trust: TrustedKeys, *, any_name: bool = False) -> Signed:
    """What trusted keys say of the manifest with this sha256; arguments and SignatureError as in `permit`."""
    if signature is None:
        raise SignatureError(f"{path}: not signed: {SIGNATURE} is missing")
    shown = str(path / SIGNATURE)
    envelope = Envelope.from_bytes(signature, shown)
    keys = envelope.verified_by(trust.keys)
    if not keys:
        raise SignatureError(f"{shown}: {_why_not(envelope, trust)}")
    statement = Statement.from_bytes(envelope.payload, shown)  # not parsed before it was verified
    if statement.manifest_sha256 != digest:
        raise SignatureError(f"{shown}: signs another manifest than the {MANIFEST} beside it")
    folder = path.resolve().name
    if not any_name and statement.bundle != folder:
        raise SignatureError(f"{shown}: was signed for bundle {statement.bundle}; this folder is called {folder!r}")
    return Signed(statement, keys)


def shipped_bundles() -> Path | None:
    """The folder of the bundles that ship beside this package; None without one.

    It is found from this file: whatever else is called `models` on the import path ships nothing.
    """
    folder = INSTALLATION / "models" / "bundles"
    return folder if folder.is_dir() else None


def is_shipped(path: Path, digest: str) -> bool:
    """Whether a folder, links followed, is a shipped bundle whose manifest has the sha256 that shipped."""
    shipped, folder = shipped_bundles(), path.resolve()
    if shipped is None or folder.parent != shipped.resolve():
        return False
    pinned: dict[str, str] = json.loads(SHIPPED_MANIFESTS.read_bytes())
    return pinned.get(folder.name) == digest


def _why_not(envelope: Envelope, trust: TrustedKeys) -> str:
    signers = sorted(envelope.signatures)
    shown = ", ".join(key[:12] for key in signers)
    if known := [key for key in signers if key in trust.keys]:
        return f"the signature by key {known[0][:12]} ({trust.keys[known[0]].name}) does not hold: altered"
    if revoked := [key for key in signers if key in trust.revoked_keys]:
        return f"signed by key {revoked[0][:12]}, which was revoked ({trust.folder})"
    return f"signed by {shown}, none of them a trusted key ({trust.folder} holds {len(trust.keys)})"
