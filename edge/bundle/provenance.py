"""Where a bundle comes from, as every record of it says it."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, to_builtins

from edge.bundle.envelope import Signed

UNSIGNED = "unsigned"  # in place of key ids, where this machine verified no signature
ON_SYNTHETIC = "certified on synthetic images only"
BY_LAXER_POLICY = "certified by a laxer policy than the one that ships"
UNGATED = "ungated: it judges every frame, also those that cannot be judged"
NOT_RECORDED = "not recorded"  # in place of key ids, in what is told of runs that say nothing of it


class Provenance(Struct, frozen=True, rename={"version": "bundle_version"}):
    """A bundle's name, its signed version, the ids of the keys that signed it, and what its certificate rests on.

    Attributes:
        version: None where unsigned. signed_by: ids of trusted keys, separated by spaces, or UNSIGNED.
        synthetic_certificate: synthetic images alone certified it, so that its accuracy is not known; None in what is
            told of runs that do not say it.
        lax_policy: `edge.bundle.certified_policy.laxer_policy`; left out of records where there is none.
        ungated: it is run without gates; left out of records where it is not.
        acceptance: what it may say where it runs (`edge.inference.licence`); left out of what does not run it, and of
            records of before.

    >>> str(Provenance("tiny-int8", None, UNSIGNED, synthetic_certificate=True))
    'tiny-int8, unsigned, certified on synthetic images only'
    """

    bundle: str
    version: int | None
    signed_by: str
    synthetic_certificate: bool | None = None
    lax_policy: str | UnsetType = UNSET
    ungated: bool | UnsetType = UNSET
    acceptance: str | UnsetType = UNSET

    @classmethod
    def of(
        cls, name: str, signed: Signed | None, *, synthetic_certificate: bool, lax_policy: str | None = None
    ) -> "Provenance":
        """That of the bundle `name` with this verified signature."""
        if signed is None:
            return cls(name, None, UNSIGNED, synthetic_certificate, lax_policy or UNSET)
        return cls(name, signed.statement.version, signers(signed), synthetic_certificate, lax_policy or UNSET)

    def as_record(self) -> dict[str, Any]:
        """The keys that records share: `bundle`, `bundle_version` (null where unsigned), `signed_by`,
        `synthetic_certificate` (null where a run does not say it), `lax_policy` where there is one, `ungated` where
        no gate is asked, and `acceptance` where it runs.
        """
        record: dict[str, Any] = to_builtins(self)
        return record

    def __str__(self) -> str:
        """`mobilenet_v2-int8, version 20261124143000, signed by 0a1b2c3d4e5f`, or `..., unsigned`; and what
        speaks against its verdicts."""
        doubts = f", {ON_SYNTHETIC}" if self.synthetic_certificate else ""
        doubts += f", {BY_LAXER_POLICY}" if self.lax_policy else ""
        doubts += f", {UNGATED}" if self.ungated else ""
        doubts += f", {self.acceptance}" if self.acceptance else ""
        if self.version is None:
            signed_by = self.signed_by if self.signed_by != NOT_RECORDED else "signature not recorded"
            return f"{self.bundle}, {signed_by}{doubts}"
        keys = " and ".join(key[:12] for key in self.signed_by.split())
        return f"{self.bundle}, version {self.version}, signed by {keys}{doubts}"


def signers(signed: Signed | None) -> str:
    """Ids of the keys that signed, separated by spaces; UNSIGNED without a verified signature."""
    return UNSIGNED if signed is None else " ".join(signed.keys)
