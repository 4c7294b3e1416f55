"""Where a bundle comes from, as every record of it says it."""

from typing import Any

from msgspec import Struct, to_builtins

from edge.bundle.envelope import Signed

UNSIGNED = "unsigned"  # in place of key ids, where this machine verified no signature
NOT_RECORDED = "not recorded"  # in place of key ids, in what is told of runs that say nothing of it


class Provenance(Struct, frozen=True, rename={"version": "bundle_version"}):
    """A bundle's name, its signed version, and the ids of the trusted keys that signed it, separated by spaces.

    Of a bundle that runs unsigned, `version` is None and `signed_by` is UNSIGNED.

    >>> Provenance("tiny-int8", None, UNSIGNED).as_record()
    {'bundle': 'tiny-int8', 'bundle_version': None, 'signed_by': 'unsigned'}
    """

    bundle: str
    version: int | None
    signed_by: str

    @classmethod
    def of(cls, name: str, signed: Signed | None) -> "Provenance":
        """That of the bundle `name` with this verified signature."""
        if signed is None:
            return cls(name, None, UNSIGNED)
        return cls(name, signed.statement.version, " ".join(signed.keys))

    def as_record(self) -> dict[str, Any]:
        """The keys that records share: `bundle`, `bundle_version` (null where unsigned), `signed_by`."""
        record: dict[str, Any] = to_builtins(self)
        return record

    def __str__(self) -> str:
        """`mobilenet_v2-int8, version 20261124143000, signed by 0a1b2c3d4e5f`, or `..., unsigned`."""
        if self.version is None:
            return f"{self.bundle}, {self.signed_by if self.signed_by != NOT_RECORDED else 'signature not recorded'}"
        keys = " and ".join(key[:12] for key in self.signed_by.split())
        return f"{self.bundle}, version {self.version}, signed by {keys}"
