"""Public keys: Ed25519, in PEM files as every tool writes them (SubjectPublicKeyInfo, RFC 8410)."""

import hashlib
import importlib
from dataclasses import dataclass
from typing import Any

from edge.errors import KeyFileError, TrustUnavailable

LARGEST_KEY_BYTES = 4096
_BEGIN, _HEAD = b"-----BEGIN ", b"-----BEGIN PUBLIC KEY-----"


@dataclass(frozen=True)
class PublicKey:
    """A key that verifies.

    Attributes:
        id: sha256 over the 32 raw bytes, 64 hexadecimal digits: what signatures and revocations name it by.
        raw: the 32 bytes.
        name: of the file it came from, without its suffix; for people.

    >>> PublicKey.from_raw(bytes(32), "officer").id[:12]
    '66687aadf862'
    """

    id: str
    raw: bytes
    name: str

    @classmethod
    def from_raw(cls, raw: bytes, name: str) -> "PublicKey":
        """A key by its 32 bytes."""
        return cls(hashlib.sha256(raw).hexdigest(), raw, name)

    @classmethod
    def from_pem(cls, data: bytes, name: str, shown: str) -> "PublicKey":
        """Read a PEM file that holds one Ed25519 public key and nothing else.

        Raises:
            KeyFileError: beginning with `shown`: a private key, a key of another kind, several, or none.
            TrustUnavailable: `cryptography` or `securesystemslib` is not installed.
        """
        if b"PRIVATE KEY" in data:
            raise KeyFileError(f"{shown}: a private key, where the public one is expected (NAME.pub)")
        if not data.lstrip().startswith(_HEAD) or data.count(_BEGIN) != 1:
            raise KeyFileError(f"{shown}: must hold one public key in PEM and nothing else")
        try:
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
            from cryptography.hazmat.primitives.serialization import load_pem_public_key

            importlib.import_module("securesystemslib.dsse")
        except ImportError as error:
            raise TrustUnavailable(
                f"signatures cannot be verified: {error}; pip install '.[device]' in a clone of Leukoscope"
            ) from error
        try:
            key = load_pem_public_key(data)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{shown}: not a readable public key") from error
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(f"{shown}: must be an Ed25519 key; got {type(key).__name__.strip('_')}")
        return cls.from_raw(key.public_bytes_raw(), name)

    def as_dsse(self) -> Any:
        """The `securesystemslib.signer.SSlibKey` of the same."""
        from securesystemslib.signer import SSlibKey

        return SSlibKey(self.id, "ed25519", "ed25519", {"public": self.raw.hex()})
