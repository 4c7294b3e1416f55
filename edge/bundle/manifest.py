"""The manifest of a bundle: sha256 and size of every file, written and verified; and a bundle's JSON files."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from edge.bundle.files import OPTIONAL, REQUIRED, UNLISTED
from edge.bundle.policy import MANIFEST
from edge.errors import BundleError
from edge.system.strict_json import read_object

MANIFEST_FORMAT = 1


def verify_manifest(path: Path, manifest: bytes, files: Mapping[str, bytes]) -> None:
    """BundleError unless the files of the bundle at `path` are those that the manifest lists, to the byte."""
    for name, entry in listed_files(path, manifest, files).items():
        if entry != _entry(files[name]):
            raise BundleError(f"{path / name}: altered: its size or sha256 is not the manifest's")


def listed_files(path: Path, manifest: bytes, names: Collection[str]) -> dict[str, Any]:
    """The entries of a manifest by name: of all files of a bundle that are there, and of no others."""
    record = json_object(path / MANIFEST, manifest)
    if set(record) != {"format", "files"} or record["format"] != MANIFEST_FORMAT:
        raise BundleError(f"{path / MANIFEST}: must hold format {MANIFEST_FORMAT} and files")
    listed = record["files"]
    if not isinstance(listed, dict):
        raise BundleError(f"{path / MANIFEST}: files must be an object; got {type(listed).__name__}")
    for name in sorted(set(listed) | REQUIRED.keys() | (set(names) - UNLISTED.keys())):
        if name not in REQUIRED and name not in OPTIONAL:
            raise BundleError(f"{path / MANIFEST}: lists {name!r}, which is no file of a bundle")
        if name not in listed:
            raise BundleError(f"{path / MANIFEST}: does not list {name}")
        if name not in names:
            raise BundleError(f"{path / name}: missing")
    return listed


def claimed_size(entry: Any) -> int | None:
    """The size that a manifest's entry gives; None where it gives none, which is found out later."""
    size = entry.get("size") if isinstance(entry, dict) else None
    return size if type(size) is int else None


def _entry(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def manifest_bytes(files: Mapping[str, bytes]) -> bytes:
    """`manifest.json` over files by name."""
    return json_bytes(
        "manifest", {"format": MANIFEST_FORMAT, "files": {name: _entry(data) for name, data in files.items()}}
    )


def json_object(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON object in a file of a bundle; BundleError on anything else."""
    return read_object(data, str(path), BundleError)


def json_bytes(name: str, record: Mapping[str, Any]) -> bytes:
    """A JSON object as bundles hold it, sorted keys; equal objects give equal bytes. `name` is for messages."""
    try:
        text = json.dumps(dict(record), indent=2, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{name} must be plain JSON: {error}") from error
    return text.encode() + b"\n"
