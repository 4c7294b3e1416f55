"""`manifest.sig`: a DSSE envelope around a statement, read without trusting it.

DSSE: https://github.com/secure-systems-lab/dsse. The form is checked here, strictly; what exactly is signed, and
whether a signature holds, is securesystemslib's business.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.bundle.keys import PublicKey
from edge.bundle.statement import PAYLOAD_TYPE, Statement
from edge.errors import SignatureError
from edge.system.strict_json import read_object

LARGEST_ENVELOPE_BYTES = 4096
MOST_SIGNATURES = 8
_SIGNATURE_BYTES = 64  # Ed25519 (RFC 8032, 5.1.6)
_KEY_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Envelope:
    """A statement's bytes and signatures over them, by key id, 64 bytes each. Nothing of it is verified.

    >>> envelope = Envelope(b"{}", {"0" * 64: bytes(64)})
    >>> Envelope.from_bytes(envelope.to_bytes(), "manifest.sig") == envelope
    True
    """

    payload: bytes
    signatures: Mapping[str, bytes]

    @classmethod
    def from_bytes(cls, data: bytes, shown: str) -> "Envelope":
        """Check the form of an envelope; its payload is not looked into.

        Raises:
            SignatureError: beginning with `shown`: too large, not plain JSON, another payload type, keys missing or
                unknown, signatures that are none of Ed25519, two by one key.
        """
        if len(data) > LARGEST_ENVELOPE_BYTES:
            raise SignatureError(f"{shown}: larger than {LARGEST_ENVELOPE_BYTES} bytes")
        record = read_object(data, shown, SignatureError)
        if set(record) != {"payload", "payloadType", "signatures"}:
            raise SignatureError(f"{shown}: must hold payload, payloadType and signatures")
        if record["payloadType"] != PAYLOAD_TYPE:
            raise SignatureError(f"{shown}: payloadType must be {PAYLOAD_TYPE}; got {record['payloadType']!r:.80}")
        listed = record["signatures"]
        if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_SIGNATURES:
            raise SignatureError(f"{shown}: signatures must be a list of 1 to {MOST_SIGNATURES}")
        signatures: dict[str, bytes] = {}
        for entry in listed:
            if not isinstance(entry, dict) or set(entry) != {"keyid", "sig"}:
                raise SignatureError(f"{shown}: a signature must hold keyid and sig")
            key_id = entry["keyid"]
            if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
                raise SignatureError(f"{shown}: keyid must be 64 hexadecimal digits; got {key_id!r:.80}")
            if key_id in signatures:
                raise SignatureError(f"{shown}: two signatures by key {key_id[:12]}")
            signature = _from_base64(entry["sig"], f"{shown}: sig")
            if len(signature) != _SIGNATURE_BYTES:
                raise SignatureError(f"{shown}: sig must be {_SIGNATURE_BYTES} bytes; got {len(signature)}")
            signatures[key_id] = signature
        return cls(_from_base64(record["payload"], f"{shown}: payload"), signatures)

    def to_bytes(self) -> bytes:
        """The file; equal envelopes give equal bytes. SignatureError where it would be larger than a reader takes."""
        record = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": key_id, "sig": base64.b64encode(signature).decode()}
                for key_id, signature in sorted(self.signatures.items())
            ],
        }
        data = json.dumps(record, indent=2, sort_keys=True).encode() + b"\n"
        if len(data) > LARGEST_ENVELOPE_BYTES or len(self.signatures) > MOST_SIGNATURES:
            raise SignatureError(f"an envelope holds {MOST_SIGNATURES} signatures at most; got {len(self.signatures)}")
        return data

    def verified_by(self, keys: Mapping[str, PublicKey]) -> tuple[str, ...]:
        """The ids of those `keys` whose signature over the payload holds, sorted; by unknown keys nothing is asked."""
        from securesystemslib.exceptions import UnverifiedSignatureError

        envelope = self.as_dsse()
        verified = []
        for key_id in sorted(self.signatures.keys() & keys.keys()):
            try:
                envelope.verify([keys[key_id].as_dsse()], threshold=1)
            except UnverifiedSignatureError:
                continue
            verified.append(key_id)
        return tuple(verified)

    def as_dsse(self) -> Any:
        """The `securesystemslib.dsse.Envelope` of the same."""
        from securesystemslib.dsse import Envelope as Dsse
        from securesystemslib.signer import Signature

        return Dsse(
            self.payload, PAYLOAD_TYPE, {key: Signature(key, sig.hex()) for key, sig in self.signatures.items()}
        )


@dataclass(frozen=True)
class Signed:
    """A verified signature: what it says, and the ids of the trusted keys that say it, at least one, sorted."""

    statement: Statement
    keys: tuple[str, ...]


def _from_base64(text: object, shown: str) -> bytes:
    try:
        if not isinstance(text, str):
            raise ValueError(f"got {type(text).__name__}")
        data = base64.b64decode(text.encode("ascii"), validate=True)
        if base64.b64encode(data).decode() != text:
            raise ValueError("not the one spelling of its bytes")
    except (ValueError, binascii.Error) as error:
        raise SignatureError(f"{shown}: must be base64: {error}") from error
    return data
