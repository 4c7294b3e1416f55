"""Signed bundles in versions, and slots on a disk of their own: what the tests of updates begin with."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge.bundle import bundle as bundles
from edge.bundle.envelope import Envelope
from edge.bundle.golden import Golden
from edge.bundle.keys import PublicKey
from edge.bundle.statement import Statement
from tests.paths import ROOT

SHIPPED = ROOT / "models" / "bundles" / "custom_cnn-int8"
NAME = "custom_cnn-int8"


@dataclass(frozen=True)
class Signer:
    """A key pair; the private half lives in this process."""

    private: Ed25519PrivateKey

    @classmethod
    def new(cls) -> "Signer":
        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> PublicKey:
        return PublicKey.from_raw(self.private.public_key().public_bytes_raw(), "test")

    def trusted(self, folder: Path) -> Path:
        """A folder of trusted keys with this one in it."""
        folder.mkdir(parents=True, exist_ok=True)
        pem = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{self.public.id[:8]}.pub").write_bytes(pem)
        return folder

    def sign(self, bundle: Path, version: int, name: str = NAME) -> Path:
        """Put `manifest.sig` into a bundle."""
        manifest = (bundle / "manifest.json").read_bytes()
        statement = Statement(name, version, hashlib.sha256(manifest).hexdigest(), "2026-11-24T12:00:00Z")
        unsigned = Envelope(statement.to_bytes(), {self.public.id: bytes(64)})
        signature = self.private.sign(unsigned.as_dsse().pae())
        (bundle / "manifest.sig").write_bytes(replace(unsigned, signatures={self.public.id: signature}).to_bytes())
        return bundle


def write_bundle(folder: Path, note: str, *, name: str = NAME, golden: str = "right", **parts: Any) -> Path:
    """The smaller shipped bundle with a report of its own, so that its digest is; unsigned.

    Args:
        golden: "right"; "wrong": outputs that no machine gives, which only the self-test finds out.
    """
    shipped = bundles.load(SHIPPED, trust=bundles.NO_KEYS, allow_unsigned=True)
    kept = Golden(
        shipped.golden.inputs[:1], shipped.golden.outputs[:1], {k: v[:1] for k, v in shipped.golden.others.items()}
    )
    if golden == "wrong":
        kept = Golden(
            kept.inputs, np.roll(kept.outputs, 1, axis=1), {k: np.roll(v, 1, axis=1) for k, v in kept.others.items()}
        )
    given = {
        "model": shipped.model,
        "contract": shipped.contract,
        "calibration": shipped.calibration,
        "certificate": shipped.certificate,
        "golden": kept,
        "extra_files": {"report.html": note.encode()},
    }
    return bundles.write(folder / name, **{**given, **parts}).path


@dataclass(frozen=True)
class World:
    """A signer, the folder of keys that trusts it, and slots.

    Attributes:
        root: everything is in it: `offers/VERSION/NAME`, `trusted`, `state/bundles`.
    """

    root: Path
    signer: Signer

    @classmethod
    def build(cls, root: Path) -> "World":
        signer = Signer.new()
        signer.trusted(root / "trusted")
        (root / "state").mkdir(parents=True)
        (root / "signer.raw").write_bytes(signer.private.private_bytes_raw())
        return cls(root, signer)

    @classmethod
    def load(cls, root: Path) -> "World":
        """One that another process built."""
        return cls(root, Signer(Ed25519PrivateKey.from_private_bytes((root / "signer.raw").read_bytes())))

    @property
    def trusted(self) -> Path:
        return self.root / "trusted"

    @property
    def slots(self) -> Path:
        return self.root / "state" / "bundles"

    def offer(self, version: int, **options: Any) -> Path:
        """A signed bundle of this version; made once."""
        folder = self.root / "offers" / str(version)
        name = options.get("name", NAME)
        if not (folder / name).exists():
            self.signer.sign(write_bundle(folder, f"version {version}", **options), version, name)
        return folder / name
