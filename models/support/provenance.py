"""Provenance of a record: the networks, split and versions behind its figures."""

import hashlib
from pathlib import Path

from msgspec import UNSET, Struct, UnsetType

from models.support.versions import versions


class SplitUsed(Struct, frozen=True):
    """The images of a figure: a part of a split, how it was come by, and the hash of its CSV."""

    origin: str
    sha256: str
    field_disjoint: bool
    part: str


class BundleUsed(Struct, frozen=True):
    """An int8 bundle, and the runtime and arithmetic that it was run with."""

    name: str
    digest: str
    model_sha256: str
    runtime: str
    kind: str


class Provenance(Struct, frozen=True, kw_only=True):
    """The head of every record of an evaluation.

    Attributes:
        bundle: judged beside the network, None without one; unset where only the float network is judged.
        sample: so many images of the part, None for all; unset where a command always takes all.
    """

    model_sha256: str
    bundle: BundleUsed | UnsetType | None = UNSET
    split: SplitUsed
    versions: dict[str, str]
    sample: int | UnsetType | None = UNSET


def float_provenance(model: Path, split: SplitUsed, sample: int | UnsetType | None = UNSET) -> Provenance:
    """Of a record about the float network alone, whose file is `model`."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return Provenance(model_sha256=digest, split=split, versions=versions(), sample=sample)
