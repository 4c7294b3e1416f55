"""Signed bundles in versions, and slots on a disk of their own: what the tests of updates begin with."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.signing.keys import PrivateKey, load_private
from edge.bundle import bundle as bundles
from edge.bundle.golden import Golden
from tests.signing import SHIPPED, make_key, sign_by_hand, statement, trusted_folder

NAME = SHIPPED.name


def signed(bundle: Path, key: PrivateKey, version: int, name: str = NAME) -> Path:
    """Put `manifest.sig` into a bundle, whatever its folder is called and whatever it holds."""
    sign_by_hand(bundle, key, payload=statement(bundle, bundle=name, version=version).to_bytes())
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
        "gates": shipped.gates_json,
        "extra_files": {"report.html": note.encode()},
    }
    return bundles.write(folder / name, **{**given, **parts}).path


@dataclass(frozen=True)
class World:
    """A key, the folder of keys that trusts it, and slots.

    Attributes:
        root: everything is in it: `keys`, `offers/VERSION/NAME`, `trusted`, `state/bundles`.
    """

    root: Path
    key: PrivateKey

    @classmethod
    def build(cls, root: Path) -> "World":
        key = make_key(root / "keys", "site")
        trusted_folder(root / "trusted", root / "keys", "site")
        (root / "state").mkdir(parents=True)
        return cls(root, key)

    @classmethod
    def load(cls, root: Path) -> "World":
        """One that another process built."""
        return cls(root, load_private(root / "keys" / "site.key", None))

    @property
    def trusted(self) -> Path:
        return self.root / "trusted"

    @property
    def slots(self) -> Path:
        return self.root / "state" / "bundles"

    def sign(self, bundle: Path, version: int, name: str = NAME) -> Path:
        """Put this world's signature into a bundle."""
        return signed(bundle, self.key, version, name)

    def offer(self, version: int, **options: Any) -> Path:
        """A signed bundle of this version; made once."""
        folder = self.root / "offers" / str(version)
        name = options.get("name", NAME)
        if not (folder / name).exists():
            self.sign(write_bundle(folder, f"version {version}", **options), version, name)
        return folder / name


@contextmanager
def world_of(*versions: int) -> Iterator[World]:
    """A world that offers these versions; in memory where that can be had, since a sync costs nothing there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        world = World.build(Path(folder))
        for version in versions:
            world.offer(version)
        yield world
