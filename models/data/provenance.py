"""What a record says about the network, the split and the versions behind it."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.data.split import Split


def provenance(model: Path, split: "Split", origin: str, part: str) -> dict[str, Any]:
    """JSON-safe: the hash of the network's file, and `split_record`."""
    return {"model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), **split_record(split, origin, part)}


def split_record(split: "Split", origin: str, part: str) -> dict[str, Any]:
    """JSON-safe: which images were asked about, and the versions of what a figure depends on."""
    from models.support.versions import versions

    return {
        "split": {
            "origin": origin,
            "sha256": hashlib.sha256(split.to_csv().encode()).hexdigest(),
            "field_disjoint": split.is_field_disjoint(),
            "part": part,
        },
        "versions": versions(),
    }
