"""The bundle: a model with all that must travel with it, verified before it is used (DESIGN: The bundle).

| file | what it holds |
|---|---|
| `model.tflite` | the full-int8 classifier |
| `contract.json`, `labels.txt` | how frames become its input, and what its outputs are called |
| `calibration.json`, `certificate.json` | what it was quantized with; how it compares with the float model |
| `golden.npz` | prepared inputs with the outputs expected of them (`edge.golden`) |
| `manifest.json` | sha256 and size of every file above and of `report.html` |
| `report.html`, `manifest.sig` | optional: the certificate as a page; a signature of the manifest |

Equal contents give equal bytes and so an equal digest on every machine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contract import InputContract
from edge.errors import BundleError, ContractError, GoldenMismatchError
from edge.folders import read_folder, write_folder
from edge.golden import LARGEST_GOLDEN_BYTES, Golden, Replay, compare
from edge.interpreters import Interpreter
from edge.model_file import check_model

_KIB, _MIB = 2**10, 2**20
REQUIRED = {  # name -> most bytes
    "model.tflite": 256 * _MIB,
    "contract.json": 256 * _KIB,
    "labels.txt": 256 * _KIB,
    "calibration.json": 16 * _MIB,
    "certificate.json": 16 * _MIB,
    "golden.npz": LARGEST_GOLDEN_BYTES + 64 * _KIB,
}
OPTIONAL = {"report.html": 64 * _MIB}
_UNLISTED = {"manifest.json": 64 * _KIB, "manifest.sig": 4 * _KIB}  # the manifest cannot list itself
FILE_LIMITS = {**REQUIRED, **OPTIONAL, **_UNLISTED}
MANIFEST_FORMAT = 1
CERTIFIED = {"int8_model": "model.tflite", "contract": "contract.json"}  # what a certificate is about
# LSB of the output between kinds of arithmetic; within a kind there is none. Layers differ by 1 LSB, and softmax
# stretches that: 3 on drawn fields and 9 on noise were measured for the shipped MobileNetV2 between kinds A and B,
# no class changed.
GOLDEN_TOLERANCE = 16
VERDICTS = ("pass", "fail", "inconclusive")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, in memory.

    Attributes:
        path, name: the folder and its name.
        model: the bytes of `model.tflite`.
        certificate, calibration: the JSON objects as they stand in the files.
        digest: sha256 of `manifest.json`, 64 hexadecimal digits: the identity of all of it.
        signature: the bytes of `manifest.sig`, None where there is none. Not verified here.
    """

    path: Path
    name: str
    model: bytes
    contract: InputContract
    certificate: dict[str, Any]
    calibration: dict[str, Any]
    golden: Golden
    digest: str
    manifest: bytes
    signature: bytes | None

    @property
    def certified(self) -> bool:
        """The certificate says "pass"."""
        return bool(self.certificate["verdict"] == "pass")


def load(path: Path, *, allow_uncertified: bool = False) -> Bundle:
    """Read and verify a bundle; every byte is read once, and checked against the manifest before it is
    parsed.

    Args:
        path: the bundle's folder, or a link to it; links inside are refused.
        allow_uncertified: accept a certificate whose verdict is "fail" or "inconclusive".

    Raises:
        BundleError: naming the file: missing, unknown, altered, oversized, a link, contradictory; or not
            certified.
    """
    path = Path(path)
    bundle = _assemble(path, read_folder(path, FILE_LIMITS))
    if not bundle.certified and not allow_uncertified:
        raise BundleError(
            f"{path}: its certificate says {bundle.certificate['verdict']!r}, not 'pass'; "
            "allow an uncertified bundle in so many words to use it"
        )
    return bundle


def write(
    path: Path,
    *,
    model: bytes,
    contract: InputContract,
    calibration: Mapping[str, Any],
    certificate: Mapping[str, Any],
    golden: Golden,
    extra_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a bundle whole or not at all, replacing one that stands there (`edge.folders.write_folder`).

    Args:
        path: the bundle's folder, `NAME-int8`; its parent is created when missing.
        certificate: JSON object whose `verdict` is "pass", "fail" or "inconclusive", and whose
            `int8_model.sha256` and `contract.sha256` are those of `model` and `contract.to_json()`.
        extra_files: `report.html`, or nothing.

    Returns:
        The bundle as `load` reads it, uncertified ones included.

    Raises:
        BundleError: contents that `load` would refuse, or `path` holds something that is no bundle.
        ModelFileError: `model` is not a TFLite file.
        OSError: it cannot be written.
    """
    path = Path(path)
    check_model(model, "model.tflite")
    files = {
        "model.tflite": bytes(model),
        "contract.json": contract.to_json().encode(),
        "labels.txt": _labels_text(contract),
        "calibration.json": _json_bytes("calibration", calibration),
        "certificate.json": _json_bytes("certificate", certificate),
        "golden.npz": golden.to_bytes(),
    }
    for name, data in (extra_files or {}).items():
        if name not in OPTIONAL:
            raise BundleError(f"extra_files may hold {', '.join(OPTIONAL)}; got {name!r}")
        files[name] = bytes(data)
    for name, data in files.items():
        if len(data) > FILE_LIMITS[name]:
            raise BundleError(f"{name}: {len(data)} bytes; a bundle takes {FILE_LIMITS[name]} at most")
    files["manifest.json"] = _manifest_bytes(files)
    _assemble(path, files)
    write_folder(path, files, frozenset(FILE_LIMITS))
    return load(path, allow_uncertified=True)


def replay_golden(bundle: Bundle, interpreter: Interpreter) -> Replay:
    """Run a bundle's golden inputs and compare with its golden outputs, bit by bit.

    Raises:
        BundleError: the interpreter's model gives outputs of another shape or dtype.
        ContractError: it takes inputs of another size.
    """
    quantization = interpreter.input.quantization
    outputs = [interpreter.invoke(bundle.contract.encode(pixels, quantization)) for pixels in bundle.golden.inputs]
    return compare(bundle.golden, outputs)


def require_golden(bundle: Bundle, interpreter: Interpreter) -> Replay:
    """`replay_golden`, or GoldenMismatchError where an output is further off than arithmetic explains.

    Where the interpreter is of the kind (`Interpreter.kind`) that the certificate names, outputs must be bit-identical;
    between kinds each may differ by GOLDEN_TOLERANCE, and no image may change its class.
    """
    replay = replay_golden(bundle, interpreter)
    certified = bundle.certificate.get("interpreter")
    kind = certified.get("kind") if isinstance(certified, dict) else None
    tolerance = 0 if kind == interpreter.kind != "?" else GOLDEN_TOLERANCE
    if replay.max_difference > tolerance:
        raise GoldenMismatchError(
            f"{bundle.path}: {len(replay.differing)} of {replay.images} golden images differ on this machine "
            f"by up to {replay.max_difference} LSB, where at most {tolerance} is expected"
        )
    if replay.reclassified:
        raise GoldenMismatchError(
            f"{bundle.path}: {len(replay.reclassified)} of {replay.images} golden images get another class "
            "on this machine"
        )
    return replay


def _assemble(path: Path, files: Mapping[str, bytes]) -> Bundle:
    """Verify the manifest over `files`, then parse them."""
    if "manifest.json" not in files:
        raise BundleError(f"{path}: no manifest.json, so this is no complete bundle")
    manifest = files["manifest.json"]
    _verify_manifest(path, manifest, files)
    try:
        contract = InputContract.from_json(files["contract.json"])
    except ContractError as error:
        raise BundleError(f"{path / 'contract.json'}: {error}") from error
    if files["labels.txt"] != _labels_text(contract):
        raise BundleError(f"{path / 'labels.txt'}: its labels are not the contract's {list(contract.labels)}")
    certificate = _json_object(path / "certificate.json", files["certificate.json"])
    verdict = certificate.get("verdict")
    if verdict not in VERDICTS:
        raise BundleError(f"{path / 'certificate.json'}: verdict must be one of {VERDICTS}; got {verdict!r}")
    for subject, file in CERTIFIED.items():
        if _certified_sha256(certificate, subject) != hashlib.sha256(files[file]).hexdigest():
            raise BundleError(f"{path / 'certificate.json'}: its {subject} is not the {file} beside it")
    golden = Golden.from_bytes(files["golden.npz"], str(path / "golden.npz"))
    width, height = contract.size
    if golden.inputs.shape[1:3] != (height, width) or golden.outputs.shape[1] != len(contract.labels):
        raise BundleError(
            f"{path / 'golden.npz'}: contract needs inputs {height}x{width} and {len(contract.labels)} "
            f"outputs; got {golden.inputs.shape} and {golden.outputs.shape}"
        )
    return Bundle(
        path=path,
        name=path.name or path.resolve().name,
        model=files["model.tflite"],
        contract=contract,
        certificate=certificate,
        calibration=_json_object(path / "calibration.json", files["calibration.json"]),
        golden=golden,
        digest=hashlib.sha256(manifest).hexdigest(),
        manifest=manifest,
        signature=files.get("manifest.sig"),
    )


def _certified_sha256(certificate: Mapping[str, Any], subject: str) -> Any:
    record = certificate.get(subject)
    return record.get("sha256") if isinstance(record, dict) else None


def _verify_manifest(path: Path, manifest: bytes, files: Mapping[str, bytes]) -> None:
    record = _json_object(path / "manifest.json", manifest)
    if set(record) != {"format", "files"} or record["format"] != MANIFEST_FORMAT:
        raise BundleError(f"{path / 'manifest.json'}: must hold format {MANIFEST_FORMAT} and files")
    listed = record["files"]
    if not isinstance(listed, dict):
        raise BundleError(f"{path / 'manifest.json'}: files must be an object; got {type(listed).__name__}")
    for name in sorted(set(listed) | REQUIRED.keys() | (files.keys() - _UNLISTED.keys())):
        if name not in REQUIRED and name not in OPTIONAL:
            raise BundleError(f"{path / 'manifest.json'}: lists {name!r}, which is no file of a bundle")
        if name not in listed:
            raise BundleError(f"{path / 'manifest.json'}: does not list {name}")
        if name not in files:
            raise BundleError(f"{path / name}: missing")
        if listed[name] != _entry(files[name]):
            raise BundleError(f"{path / name}: altered: its size or sha256 is not the manifest's")


def _entry(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _manifest_bytes(files: Mapping[str, bytes]) -> bytes:
    return _json_bytes(
        "manifest", {"format": MANIFEST_FORMAT, "files": {name: _entry(data) for name, data in files.items()}}
    )


def _labels_text(contract: InputContract) -> bytes:
    return "".join(f"{label}\n" for label in contract.labels).encode()


def _json_bytes(name: str, record: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(dict(record), indent=2, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{name} must be plain JSON: {error}") from error
    return text.encode() + b"\n"


def _json_object(path: Path, data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not plain JSON: {error}") from error
    if not isinstance(record, dict):
        raise BundleError(f"{path}: must be a JSON object; got {type(record).__name__}")
    return record


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers may take different ones of two equal keys: refuse them."""
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key is given twice")
    return record


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
