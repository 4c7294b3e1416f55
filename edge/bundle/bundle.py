"""The bundle: a model with all that must travel with it, verified before it is used (DESIGN: The bundle).

| file | what it holds |
|---|---|
| `model.tflite` | the full-int8 classifier |
| `contract.json`, `labels.txt` | how frames become its input, and what its outputs are called |
| `calibration.json`, `certificate.json` | what it was quantized with; how it compares with the float model |
| `golden.npz` | prepared inputs with the outputs expected of them (`edge.bundle.golden`) |
| `manifest.json` | sha256 and size of every file but itself and its signature |
| `gates.json` | when the model must not be asked (`edge.inference.gates.gates_file`); older bundles lack it |
| `report.html`, `manifest.sig` | optional: the certificate as a page; a signature of the manifest |
| `search.json` | optional: how the model was searched for, every way that was tried (`convert quantize --search`) |
| `adaptation.json` | optional: which images and slides of a site trained it (`models adapt`) |
| `acceptance.json` | optional: what it may say at a site, and the slides that show it (`edge.bundle.acceptance`) |
| `model_edgetpu.tflite` | optional: the model compiled for the Edge TPU; the certificate's `edgetpu` is about it |

Equal contents give equal bytes and so an equal digest on every machine.
"""

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle.acceptance import Acceptance
from edge.bundle.certified_policy import acceptance_of, certified_sha256, check_compiled, gates_of, laxer_policy
from edge.bundle.envelope import Signed
from edge.bundle.files import ACCEPTANCE, ADAPTATION, COMPILED, FILE_LIMITS, GATES, OPTIONAL, REPORT, SEARCH_LOG
from edge.bundle.golden import Golden, Replay, compare, judge
from edge.bundle.manifest import claimed_size, json_bytes, json_object, listed_files, manifest_bytes, verify_manifest
from edge.bundle.policy import MANIFEST, SIGNATURE, permit
from edge.bundle.provenance import Provenance
from edge.bundle.trusted import TrustedKeys
from edge.errors import BundleError, ContractError, GoldenMismatchError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile
from edge.inference.licence import NOT_ACCEPTED
from edge.inference.runtime.arithmetic import UNKNOWN, named
from edge.inference.runtime.interpreters import Interpreter
from edge.inference.tflite.model_file import check_model
from edge.system.folders import open_folder, write_folder

CERTIFIED = {"int8_model": "model.tflite", "contract": "contract.json"}  # what a certificate is about
NO_KEYS = TrustedKeys(Path(os.devnull))  # for who asks for no signature
VERDICTS = ("pass", "fail", "inconclusive")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, in memory.

    Attributes:
        path: the folder.
        name: the one that was signed; of a bundle that is not signed, the folder's.
        model: the bytes of `model.tflite`.
        certificate, calibration: the JSON objects as they stand in the files.
        digest: sha256 of `manifest.json`, 64 hexadecimal digits: the identity of all of it.
        signature: the bytes of `manifest.sig`, None where there is none.
        signed: what trusted keys signed, version and key ids among it; None where it runs unsigned.
        compiled: the bytes of `model_edgetpu.tflite`, the model compiled for the Edge TPU; None where there is none.
        gates: what `gates.json` says, None in a bundle of before. gates_json: its bytes.
        acceptance: what `acceptance.json` says; None where no site accepted it. adaptation_json: bytes of
            `adaptation.json`, None where it has none.
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
    signed: Signed | None = None
    compiled: bytes | None = None
    gates: GatesFile | None = None
    gates_json: bytes | None = None
    acceptance: Acceptance | None = None
    adaptation_json: bytes | None = None

    @property
    def certified(self) -> bool:
        """The certificate says "pass"."""
        return bool(self.certificate["verdict"] == "pass")

    @property
    def synthetic(self) -> bool:
        """Its certificate rests on synthetic images: its accuracy is not known."""
        return rests_on_synthetic(self.certificate)

    @property
    def lax_policy(self) -> str | None:
        """Name, digest and limits of the policy that certified it, where it allows more than the shipped one."""
        return laxer_policy(self.certificate)

    @property
    def provenance(self) -> Provenance:
        """Its name, signed version and signers, as records say it."""
        return Provenance.of(self.name, self.signed, synthetic_certificate=self.synthetic, lax_policy=self.lax_policy)

    @property
    def accepted(self) -> str:
        """`accepted at lab-3: at most 10 % ...`, that it failed there, or that no site accepted it."""
        if self.acceptance is None:
            return NOT_ACCEPTED
        if self.acceptance.verdict == "fail":
            return f"acceptance failed at {self.acceptance.site}"
        return f"accepted at {self.acceptance.site}: {self.acceptance.tier(self.contract)}"


def parts_of(bundle: Bundle) -> dict[str, Any]:
    """What `write` takes to write a loaded bundle again, every optional file with it, so that one part can be changed.

    Report, search log and the records of adaptation and acceptance are read from its folder again.
    """
    pages = {name: bundle.path / name for name in (REPORT, SEARCH_LOG, ADAPTATION, ACCEPTANCE)}
    extra_files = {name: page.read_bytes() for name, page in pages.items() if page.exists()}
    return {
        "model": bundle.model,
        "contract": bundle.contract,
        "calibration": bundle.calibration,
        "certificate": bundle.certificate,
        "golden": bundle.golden,
        "gates": bundle.gates_json,
        "extra_files": extra_files if bundle.compiled is None else {**extra_files, COMPILED: bundle.compiled},
    }


def rests_on_synthetic(certificate: Mapping[str, Any]) -> bool:
    """Whether synthetic images certified a bundle; True also where the certificate does not say."""
    return certificate.get("synthetic") is not False


def load(
    path: Path,
    *,
    trust: TrustedKeys,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    any_name: bool = False,
) -> Bundle:
    """Read and verify a bundle; every byte is read once.

    The signature is verified over the bytes of the manifest, then the manifest over the bytes of all other files, and
    only then is anything parsed that describes or runs a model.

    Args:
        path: the bundle's folder, or a link to it; links inside are refused.
        trust: the keys that may have signed it; a device's own are `edge.settings.trusted_keys.machine_keys()`.
        allow_uncertified: accept a certificate whose verdict is "fail" or "inconclusive".
        allow_unsigned: accept a bundle that no trusted key signed; who wrote it, or judges it, has no signature to ask
            for.
        any_name: accept a folder called otherwise than the name that was signed: an update's slots are.

    Raises:
        SignatureError: not signed, not by a trusted key, revoked, or signed under another name.
        BundleError: naming the file: missing, unknown, altered, oversized, a link, contradictory; or not
            certified.
    """
    path = Path(path)
    with open_folder(path, FILE_LIMITS) as folder:
        files = {name: folder.read(name) for name in (MANIFEST, SIGNATURE) if name in folder.names}
        signed = _permitted(path, files, trust, allow_unsigned=allow_unsigned, any_name=any_name)
        listed = listed_files(path, files[MANIFEST], folder.names)
        files |= {name: folder.read(name, claimed_size(entry)) for name, entry in listed.items()}
    return _certified(_parsed(path, files, signed), allow_uncertified)


def assemble(
    path: Path,
    files: Mapping[str, bytes],
    *,
    trust: TrustedKeys,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    any_name: bool = False,
) -> Bundle:
    """`load` for files that were read already, from an archive or a network; `path` is where they will stand."""
    signed = _permitted(path, files, trust, allow_unsigned=allow_unsigned, any_name=any_name)
    return _certified(_parsed(path, files, signed), allow_uncertified)


def write(
    path: Path,
    *,
    model: bytes,
    contract: InputContract,
    calibration: Mapping[str, Any],
    certificate: Mapping[str, Any],
    golden: Golden,
    gates: bytes | None = None,
    extra_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a bundle whole or not at all, replacing one that stands there (`edge.system.folders.write_folder`).

    Args:
        path: the bundle's folder, `NAME-int8`; its parent is created when missing.
        certificate: JSON object whose `verdict` is "pass", "fail" or "inconclusive", and whose
            `int8_model.sha256` and `contract.sha256` are those of `model` and `contract.to_json()`.
        gates: `gates.json` (`GatesFile.to_bytes`), whose sha256 is the certificate's `gates.sha256`; None makes a
            bundle that runs only with `--ungated`.
        extra_files: further optional files by name; `model_edgetpu.tflite` with the certificate's `edgetpu` about it.

    Returns:
        The bundle as `load` reads it, uncertified and without a signature.

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
        "calibration.json": json_bytes("calibration", calibration),
        "certificate.json": json_bytes("certificate", certificate),
        "golden.npz": golden.to_bytes(),
    }
    if gates is not None:
        files[GATES] = bytes(gates)
    extra = [name for name in OPTIONAL if name != GATES]
    for name, data in (extra_files or {}).items():
        if name not in extra:
            raise BundleError(f"extra_files may hold {', '.join(extra)}; got {name!r}")
        files[name] = bytes(data)
    for name, data in files.items():
        if len(data) > FILE_LIMITS[name]:
            raise BundleError(f"{name}: {len(data)} bytes; a bundle takes {FILE_LIMITS[name]} at most")
    files[MANIFEST] = manifest_bytes(files)
    _parsed(path, files, None)
    write_folder(path, files, frozenset(FILE_LIMITS))
    return load(path, trust=NO_KEYS, allow_uncertified=True, allow_unsigned=True)


def replay_golden(bundle: Bundle, interpreter: Interpreter) -> Replay:
    """Run a bundle's golden inputs and compare with the outputs that its certificate is about, bit by bit.

    Raises:
        BundleError: the interpreter's model gives outputs of another shape or dtype.
        ContractError: it takes inputs of another size.
    """
    return compare(bundle.golden, _golden_answers(bundle, interpreter))


def judge_golden(bundle: Bundle, interpreter: Interpreter) -> Replay:
    """Run a bundle's golden inputs and judge the outputs by the rule for the interpreter's kind (`golden.judge`).

    Raises:
        As `replay_golden`.
    """
    outputs = _golden_answers(bundle, interpreter)
    elsewhere = golden_architecture(bundle.certificate) not in (None, platform.machine())
    return judge(bundle.golden, outputs, interpreter.kind, certified_kind(bundle.certificate), elsewhere)


def require_golden(bundle: Bundle, interpreter: Interpreter) -> Replay:
    """`judge_golden`, or GoldenMismatchError where an image gets another class or differs by more than it may."""
    replay = judge_golden(bundle, interpreter)
    if not replay.passed:
        raise GoldenMismatchError(golden_mismatch(bundle, replay, interpreter.kind))
    return replay


def golden_mismatch(bundle: Bundle, replay: Replay, kind: str) -> str:
    """How a replay that did not pass differs, one sentence."""
    of = f"{bundle.path}: {{}} of {replay.images} golden images"
    if replay.beyond:
        return (
            f"{of.format(len(replay.beyond))} differ on this machine by up to {replay.max_difference} LSB, "
            f"where at most {replay.allowed} is expected of {kind} arithmetic"
        )
    return f"{of.format(len(replay.reclassified))} get another class on this machine"


def certified_kind(certificate: Mapping[str, Any]) -> str | None:
    """The kind of arithmetic that the comparison with the float model was made with; None where it is not said."""
    interpreter = certificate.get("interpreter")
    kind = interpreter.get("kind") if isinstance(interpreter, dict) else None
    return named(kind) if isinstance(kind, str) and kind != UNKNOWN else None


def golden_architecture(certificate: Mapping[str, Any]) -> str | None:
    """The processor architecture that computed the golden outputs, as `platform.machine()` names it; None where the
    certificate does not say."""
    for part in ("golden", "machine"):  # golden images may be renewed on another machine than the converting one
        said = certificate.get(part)
        if isinstance(said, dict) and isinstance(said.get("architecture"), str):
            return str(said["architecture"])
    return None


def golden_kinds(bundle: Bundle) -> tuple[str, ...]:
    """The kinds of arithmetic whose golden outputs the bundle holds, the certificate's first."""
    first = certified_kind(bundle.certificate)
    return (*(() if first is None else (first,)), *sorted(bundle.golden.others))


def _golden_answers(bundle: Bundle, interpreter: Interpreter) -> list[Any]:
    quantization = interpreter.input.quantization
    return [interpreter.invoke(bundle.contract.encode(pixels, quantization)) for pixels in bundle.golden.inputs]


def _permitted(
    path: Path, files: Mapping[str, bytes], trust: TrustedKeys, *, allow_unsigned: bool, any_name: bool
) -> Signed | None:
    if MANIFEST not in files:
        raise BundleError(f"{path}: no {MANIFEST}, so this is no complete bundle")
    return permit(path, files[MANIFEST], files.get(SIGNATURE), trust, allow_unsigned=allow_unsigned, any_name=any_name)


def _certified(bundle: Bundle, allow_uncertified: bool) -> Bundle:
    if not bundle.certified and not allow_uncertified:
        raise BundleError(
            f"{bundle.path}: its certificate says {bundle.certificate['verdict']!r}, not 'pass'; "
            "add --allow-uncertified to use it all the same"
        )
    return bundle


def _parsed(path: Path, files: Mapping[str, bytes], signed: Signed | None) -> Bundle:
    """Verify the manifest over `files`, then parse them."""
    manifest = files[MANIFEST]
    verify_manifest(path, manifest, files)
    try:
        contract = InputContract.from_json(files["contract.json"])
    except ContractError as error:
        raise BundleError(f"{path / 'contract.json'}: {error}") from error
    if files["labels.txt"] != _labels_text(contract):
        raise BundleError(f"{path / 'labels.txt'}: its labels are not the contract's {list(contract.labels)}")
    certificate = json_object(path / "certificate.json", files["certificate.json"])
    verdict = certificate.get("verdict")
    if verdict not in VERDICTS:
        raise BundleError(f"{path / 'certificate.json'}: verdict must be one of {VERDICTS}; got {verdict!r}")
    for subject, file in CERTIFIED.items():
        if certified_sha256(certificate, subject) != hashlib.sha256(files[file]).hexdigest():
            raise BundleError(f"{path / 'certificate.json'}: its {subject} is not the {file} beside it")
    check_compiled(path, certificate, files)
    gates = gates_of(path, contract, certificate, files)
    golden = Golden.from_bytes(files["golden.npz"], str(path / "golden.npz"))
    width, height = contract.size
    if golden.inputs.shape[1:3] != (height, width) or golden.outputs.shape[1] != contract.outputs:
        raise BundleError(
            f"{path / 'golden.npz'}: contract needs inputs {height}x{width} and {contract.outputs} "
            f"outputs; got {golden.inputs.shape} and {golden.outputs.shape}"
        )
    if certified_kind(certificate) in golden.others:
        raise BundleError(f"{path / 'golden.npz'}: holds outputs of the certificate's own kind twice")
    return Bundle(
        path=path,
        name=signed.statement.bundle if signed else path.name or path.resolve().name,
        model=files["model.tflite"],
        contract=contract,
        certificate=certificate,
        calibration=json_object(path / "calibration.json", files["calibration.json"]),
        golden=golden,
        digest=hashlib.sha256(manifest).hexdigest(),
        manifest=manifest,
        signature=files.get(SIGNATURE),
        signed=signed,
        compiled=files.get(COMPILED),
        gates=gates,
        gates_json=files.get(GATES),
        acceptance=acceptance_of(path, contract, files),
        adaptation_json=files.get(ADAPTATION),
    )


def _labels_text(contract: InputContract) -> bytes:
    return "".join(f"{label}\n" for label in contract.labels).encode()
