"""The request that a bundle answers, as a digest: equal requests give equal bundles.

It is made from files alone, before TensorFlow is loaded, images are decoded or fields are drawn, so that a run with
nothing changed ends in seconds.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convert.calibration.evaluation_data import SYNTHETIC_CALIBRATION, SYNTHETIC_EVALUATION, ImageFolder
from convert.certification.settings import Settings
from convert.quantization.contract_inference import CONTRACT_FILE, LABELS_FILE, beside
from convert.quantization.float_model import AS_IT_IS, Loading, check_form, digest, model_name
from edge.bundle.files import ADAPTATION, GATES
from edge.inference.images import LARGEST_IMAGE_BYTES
from edge.system.progress import tracked
from models.data.class_folders import files_of, layout
from models.support.versions import versions
from models.training.training_statistics import STATISTICS_FILE

# Rooms whose code and tables decide what is in a bundle. A page's style or a camera's driver does not.
_ROOMS = (
    "convert.calibration",
    "convert.certification",
    "convert.parity",
    "convert.quantization",
    "convert.recovery",
    "convert.tflite",
    "edge.bundle",
    "edge.cameras.synthetic",
    "edge.inference",
    "models.data",
    "models.networks",
)


def request_digest(
    path: Path, contract_file: Path | None, data: ImageFolder | None, settings: Settings, loading: Loading = AS_IT_IS
) -> str:
    """Sha256 of everything that the bundle of the float model at `path` follows from.

    Raises:
        FloatModelError, DatasetError: there is no model, or no folder of images.
    """
    check_form(path)
    facts = {
        "model": digest(path),
        "name": model_name(path),
        "contract": _content(contract_file or beside(path, CONTRACT_FILE)),
        "labels": _content(beside(path, LABELS_FILE)),
        "training": _content(path.parent / STATISTICS_FILE),
        "images": [SYNTHETIC_CALIBRATION, SYNTHETIC_EVALUATION] if data is None else _images(data),
        "calibration": [settings.calibration_count, settings.method, settings.seed],
        "size": loading.size,
        "custom": loading.code.digests(),
        "policy": settings.policy.to_record(),
        "io": settings.io,
        "benign": settings.benign,
        "domain": settings.domain,
        "gates": _content(settings.gates or beside(path, GATES)),
        "adaptation": _content(beside(path, ADAPTATION)),
        "images_in_report": settings.images_in_report,
        "search": settings.search,
        "versions": versions(),
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _images(data: ImageFolder) -> dict[str, Any]:
    classes = layout(data.root).folders
    files = [file for label in sorted(classes) for file in files_of(data.root, classes[label])[0]]
    contents = tracked(map(_content, files), "hashing images", len(files))
    names = (p.relative_to(data.root).as_posix() for p in files)
    return {"files": list(zip(names, contents, strict=True)), "split": _content(data.split)}


def _content(file: Path | None) -> str | None:
    """Sha256 of a file; None where there is none that can be read, which whoever needs it says."""
    try:
        if file is None or file.stat().st_size > LARGEST_IMAGE_BYTES:
            return None
        return digest(file)
    except OSError:
        return None


@cache
def _code() -> str:
    """Sha256 over the files of the rooms in `_ROOMS`."""
    found = hashlib.sha256()
    for name, file in _files_of_rooms():
        found.update(f"{digest(file)}  {name}\n".encode())
    return found.hexdigest()


def _files_of_rooms() -> Iterator[tuple[str, Path]]:
    for room in _ROOMS:
        spec = find_spec(room)
        assert spec is not None and spec.submodule_search_locations
        folder = Path(spec.submodule_search_locations[0])
        for file in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".toml", ".json", ".csv", ".html")):
            yield f"{room}/{file.relative_to(folder).as_posix()}", file
