"""Bundles of one site: a key, versions that follow each other, and ones that must not run; made by `convert` itself."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.pi.build_root import DEFAULT_FOLDER
from tests.pi.debian import once
from tests.pi.offline_folder import of_checkout

INSIDE = "/media/bundles"  # where a machine sees the folder


@dataclass(frozen=True)
class Bundles:
    """The folder.

    Version 1 is what a device starts with, 2 and 3 follow it; "wrong" is signed and answers otherwise than it says,
    "altered" is a later version with one byte changed, "forged" is signed by a key of somebody else; "repository"
    offers version 3.
    """

    path: Path

    @property
    def public_key(self) -> str:
        return f"{INSIDE}/site.pub"

    @staticmethod
    def inside(which: str) -> str:
        """A bundle's folder as a machine sees it."""
        from tests.edge.serving.update.world import NAME

        return f"{INSIDE}/{which}/{NAME}"


def signed_bundles() -> Bundles:
    """Made anew where the checkout changed, and every day: a repository's word is good for 30."""
    target = DEFAULT_FOLDER / "bundles"
    once(target, f"{of_checkout()} {datetime.now(UTC).date()} {Path(__file__).read_text()}", _make)
    return Bundles(target)


def _make(target: Path) -> None:
    from tests.edge.serving.update.world import NAME, write_bundle

    def convert(*words: str) -> None:
        subprocess.run([str(Path(sys.executable).with_name("convert")), *words], check=True, capture_output=True)

    def signed(which: str, version: int, key: str = "site", golden: str = "right") -> Path:
        bundle = write_bundle(target / which, f"{which} {version}", golden=golden)
        convert("sign", str(bundle), "--key", str(target / f"{key}.key"), "--version", str(version))
        return bundle

    target.mkdir(parents=True)
    for name in ("site", "somebody"):
        convert("keygen", name, "--to", str(target))
    for version in (1, 2):
        signed(str(version), version)
    third = signed("3", 3)
    signed("wrong", 4, golden="wrong")
    signed("forged", 5, key="somebody")
    model = signed("altered", 6) / "model.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    keys, repository = str(target / "roles"), str(target / "repository")
    convert("publish", repository, "--keys", keys, "--init")
    convert("publish", repository, "--keys", keys, "--bundle", str(third))
    assert (target / "1" / NAME / "manifest.sig").is_file()
