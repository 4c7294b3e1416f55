"""Key pairs for signing bundles: Ed25519, in files that every tool reads (PKCS #8 and SubjectPublicKeyInfo, PEM)."""

import logging
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle.keys import LARGEST_KEY_BYTES, PublicKey
from edge.bundle.statement import BUNDLE_NAME
from edge.errors import KeyFileError, UsageError
from edge.system.durable import write_new

_log = logging.getLogger(__name__)

LARGEST_PASSPHRASE_BYTES = 1024
_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs, and the public one that verifies what it signed."""

    public: PublicKey
    _private: Any

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """The 64 bytes of a DSSE signature of the payload."""
        from securesystemslib.dsse import Envelope

        return bytes.fromhex(Envelope(payload, payload_type, {}).sign(self.signer()).signature)

    def signer(self) -> Any:
        """The `securesystemslib.signer.CryptoSigner` of the same."""
        from securesystemslib.signer import CryptoSigner

        return CryptoSigner(self._private, self.public.as_dsse())


def generate(name: str, folder: Path, passphrase: bytes | None) -> tuple[Path, Path, PublicKey]:
    """Make a pair: `NAME.key` (mode 0600; encrypted where there is a passphrase) and `NAME.pub` in `folder`.

    Raises:
        UsageError: a name that is none, or a file of that name exists. OSError: they cannot be written; neither stays.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    if not BUNDLE_NAME.fullmatch(name):
        raise UsageError(f"NAME must be 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit; got {name!r}")
    key_path, public_path = folder / f"{name}.key", folder / f"{name}.pub"
    for path in (key_path, public_path):
        if os.path.lexists(path):
            raise UsageError(f"{path}: exists; a key is never overwritten: choose another name")
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for path, data, mode in ((key_path, pem, 0o600), (public_path, public_pem, 0o644)):
            write_new(path, data, mode)
            written.append(path)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise
    return key_path, public_path, PublicKey.from_pem(public_pem, name, str(public_path))


def load_private(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Read a private key; a warning says where others can read it too.

    Raises:
        KeyFileError: naming the file: not readable, a public key, a key of another kind, no passphrase or a wrong one.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_small(path, LARGEST_KEY_BYTES)
    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise KeyFileError(f"{path}: a public key, where the private one is expected (NAME.key)")
    if data.count(b"-----BEGIN ") != 1:
        raise KeyFileError(f"{path}: must hold one private key in PEM and nothing else")
    encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data
    if encrypted and not passphrase:
        raise KeyFileError(f"{path}: is encrypted; give its passphrase with --passphrase-file")
    if passphrase and not encrypted:
        raise KeyFileError(f"{path}: is not encrypted, and --passphrase-file was given; is it the right key?")
    try:
        private = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "the passphrase is wrong, or the file is damaged" if encrypted else "not a readable private key"
        raise KeyFileError(f"{path}: {why}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: must be an Ed25519 key; got {type(private).__name__.strip('_')}")
    _warn_if_others_may_read(path)
    return PrivateKey(PublicKey.from_raw(private.public_key().public_bytes_raw(), path.stem), private)


def load_public(path: Path) -> PublicKey:
    """Read a public key; KeyFileError, naming the file, where it is none."""
    return PublicKey.from_pem(read_small(path, LARGEST_KEY_BYTES), path.stem, str(path))


def read_passphrase(path: Path | None) -> bytes | None:
    """The first line of a file or pipe; None for no path. UsageError where it is empty or cannot be read."""
    if path is None:
        return None
    try:
        line = read_small(path, LARGEST_PASSPHRASE_BYTES).partition(b"\n")[0].rstrip(b"\r")
    except KeyFileError as error:
        raise UsageError(f"--passphrase-file {error}") from error
    if not line:
        raise UsageError(f"--passphrase-file {path}: its first line is empty")
    if path.is_file():
        _warn_if_others_may_read(path)
    return line


def read_small(path: Path, limit: int) -> bytes:
    """A file or pipe of `limit` bytes at most; KeyFileError, naming it, for anything else."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    if len(data) > limit:
        raise KeyFileError(f"{path}: larger than {limit} bytes")
    return data


def _warn_if_others_may_read(path: Path) -> None:
    if path.stat().st_mode & _OTHERS_MAY_READ:
        _log.warning(f"{path} can be read by others than its owner: chmod 600 {path}")
