"""What a signature says: this manifest, under this name, in this version."""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from edge.errors import SignatureError
from edge.system.strict_json import read_object

STATEMENT_FORMAT = 1
PAYLOAD_TYPE = "application/vnd.leukoscope.bundle+json"
LARGEST_VERSION = 2**53 - 1  # the largest that every JSON reader takes for the same number (RFC 8259, 6)
BUNDLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX = re.compile(r"[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_KEYS = {"format", "bundle", "version", "manifest_sha256", "signed_at"}


@dataclass(frozen=True)
class Statement:
    """The signed payload.

    Attributes:
        bundle: name of the bundle, 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit.
        version: 1..2**53 - 1; of two bundles of one name the higher is the newer.
        manifest_sha256: of `manifest.json`, 64 hexadecimal digits: the bundle's digest.
        signed_at: UTC, `2026-11-24T14:30:00Z`, by the clock of the machine that signed; nothing is decided by it.

    Raises:
        SignatureError: naming the field that is none of this.

    >>> said = Statement("mobilenet_v2-int8", 20261124143000, "0" * 64, "2026-11-24T14:30:00Z")
    >>> Statement.from_bytes(said.to_bytes(), "manifest.sig") == said
    True
    """

    bundle: str
    version: int
    manifest_sha256: str
    signed_at: str

    def __post_init__(self) -> None:
        if not isinstance(self.bundle, str) or not BUNDLE_NAME.fullmatch(self.bundle):
            raise SignatureError(
                f"bundle must be 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit; got {self.bundle!r:.80}"
            )
        if type(self.version) is not int or not 1 <= self.version <= LARGEST_VERSION:
            raise SignatureError(f"version must be a whole number 1..{LARGEST_VERSION}; got {self.version!r:.80}")
        if not isinstance(self.manifest_sha256, str) or not _HEX.fullmatch(self.manifest_sha256):
            raise SignatureError(f"manifest_sha256 must be 64 hexadecimal digits; got {self.manifest_sha256!r:.80}")
        if not _is_time(self.signed_at):
            raise SignatureError(f"signed_at must be a time such as 2026-11-24T14:30:00Z; got {self.signed_at!r:.80}")

    def to_bytes(self) -> bytes:
        """The payload; equal statements give equal bytes."""
        record = {
            "format": STATEMENT_FORMAT,
            "bundle": self.bundle,
            "version": self.version,
            "manifest_sha256": self.manifest_sha256,
            "signed_at": self.signed_at,
        }
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, payload: bytes, shown: str) -> "Statement":
        """Read a payload that was verified; SignatureError, beginning with `shown`, for any other content."""
        record = read_object(payload, f"{shown}: statement", SignatureError)
        if set(record) != _KEYS or record["format"] != STATEMENT_FORMAT or type(record["format"]) is not int:
            raise SignatureError(f"{shown}: statement must hold format {STATEMENT_FORMAT} and {', '.join(_FIELDS)}")
        try:
            return cls(**{name: record[name] for name in _FIELDS})
        except SignatureError as error:
            raise SignatureError(f"{shown}: statement: {error}") from error


_FIELDS = ("bundle", "version", "manifest_sha256", "signed_at")


def time_text(when: datetime) -> str:
    """A time in UTC as a statement holds it."""
    return when.strftime(_TIME)


def _is_time(text: object) -> bool:
    try:
        return isinstance(text, str) and time_text(datetime.strptime(text, _TIME)) == text
    except ValueError:
        return False
