"""Keys, trusted folders and signed bundles for tests; every key is made when it is asked for."""

import base64
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convert.signing.keys import PrivateKey, generate, load_private
from convert.signing.signing import sign
from edge.bundle.manifest import manifest_bytes
from edge.bundle.statement import PAYLOAD_TYPE, Statement
from edge.bundle.trusted import TrustedKeys
from tests.paths import ROOT

SHIPPED = ROOT / "models" / "bundles" / "custom_cnn-int8"
NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
VERSION = 20261124120000  # of what is signed at NOON


def make_key(folder: Path, name: str) -> PrivateKey:
    """A fresh pair in `folder`, NAME.key and NAME.pub."""
    path, _, _ = generate(name, folder, None)
    return load_private(path, None)


def trusted(*keys: PrivateKey, **more: Any) -> TrustedKeys:
    """As a machine trusts them."""
    return TrustedKeys(Path("/trusted"), {key.public.id: key.public for key in keys}, held=True, **more)


def trusted_folder(folder: Path, keys: Path, *names: str) -> Path:
    """A folder of trusted keys with copies of `keys/NAME.pub`."""
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(keys / f"{name}.pub", folder)
    return folder


def signed_copy(folder: Path, key: PrivateKey, source: Path = SHIPPED, version: int | None = None) -> Path:
    """A copy of a bundle in `folder`, under its own name, signed."""
    path = folder / source.name
    shutil.copytree(source, path)
    sign(path, key, version=version, now=NOON)
    return path


def resealed(path: Path, **changes: bytes) -> None:
    """Alter files (`golden__npz=...`) and make the manifest agree, as somebody would who builds bundles by hand."""
    for name, data in changes.items():
        (path / name.replace("__", ".")).write_bytes(data)
    files = {p.name: p.read_bytes() for p in path.iterdir() if not p.name.startswith("manifest")}
    (path / "manifest.json").write_bytes(manifest_bytes(files))


def statement(path: Path, **changes: Any) -> Statement:
    """What would be signed of a bundle, changed."""
    import hashlib

    digest = hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()
    fields = {"bundle": path.name, "version": VERSION, "manifest_sha256": digest, "signed_at": "2026-11-24T12:00:00Z"}
    return Statement(**{**fields, **changes})


def envelope(payload: bytes, signatures: Mapping[str, bytes], payload_type: str = PAYLOAD_TYPE) -> bytes:
    """A DSSE envelope, whatever is in it."""
    listed = [{"keyid": key, "sig": base64.b64encode(sig).decode()} for key, sig in signatures.items()]
    record = {"payload": base64.b64encode(payload).decode(), "payloadType": payload_type, "signatures": listed}
    return json.dumps(record).encode()


def sign_by_hand(path: Path, *keys: PrivateKey, payload: bytes | None = None, payload_type: str = PAYLOAD_TYPE) -> None:
    """Write a `manifest.sig`, also one that `convert sign` would refuse to write."""
    payload = statement(path).to_bytes() if payload is None else payload
    signatures = {key.public.id: key.sign(payload_type, payload) for key in keys}
    (path / "manifest.sig").write_bytes(envelope(payload, signatures, payload_type))
