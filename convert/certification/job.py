"""One model from float to a sealed bundle: calibrate, convert, verify, compare, judge, certify.

Nothing appears under the bundle's name before all of it is done; a run with nothing changed reuses what is there.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from convert.calibration.evaluation_data import Evidence, Source, from_images, from_virtual_slides
from convert.certification.certificate import certify
from convert.certification.convert import Conversion, compare_files, float_side
from convert.certification.golden import certified_golden
from convert.certification.renew_golden import renew
from convert.certification.report import report
from convert.parity.latency import Latency, latency_ratio
from convert.parity.policy import Policy
from convert.parity.stopwatch import Stopwatch
from convert.quantization.float_model import FloatModel, infer_contract, load_float
from convert.quantization.postcheck import check_labels
from convert.quantization.quantize import Io, float_tflite
from convert.recovery.search_log import FORMAT as SEARCH_FORMAT
from convert.recovery.search_log import SearchSummary
from edge.bundle import bundle as bundles
from edge.errors import BundleError, GoldenMismatchError
from edge.inference.contract import FLOAT32, InputContract
from edge.inference.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys
from edge.system.files import write_whole
from models.support.records import record_text
from models.support.versions import versions

_log = logging.getLogger(__name__)

OpenSource = Callable[[tuple[str, ...]], Source]
TIMED_FRAMES = 8
GATES = 1  # raised when a gate is added: bundles judged by fewer are not reused


@dataclass(frozen=True)
class Settings:
    """How models are converted and judged; see `convert quantize --help`."""

    policy: Policy
    io: Io = "int8"
    calibration_count: int = 200
    method: str = "random"
    seed: int = 0
    images_in_report: bool = False
    force: bool = False
    search: bool = False


def quantize_model(
    path: Path, contract_file: Path | None, source: OpenSource | None, settings: Settings, out: Path
) -> dict[str, Any]:
    """Convert one model into `out/NAME-int8` and return its certificate.

    Raises:
        LeukoscopeError: the model, the images or the converted file are not what they must be; nothing is written.
        OSError: the folder cannot be written; nothing is left under the bundle's name that was not there before.
    """
    watch = Stopwatch()
    with watch("load"):
        model = load_float(path)
        inferred = infer_contract(model, contract_file)
    contract = inferred.contract
    _log.info(f"{model.name}: {path}")
    for line in (*model.notes, *inferred.notes):
        _log.info(f"  {line}")
    with watch("images"):
        evidence = _evidence(model, contract, source, settings)
    for line in evidence.notes:
        _log.info(f"  {line}")
    request = _fingerprint(model, contract, evidence, settings)
    folder = out / f"{model.name}-{settings.io}"
    earlier = None if settings.force else _unchanged(folder, request)
    if earlier is not None:
        _log.info(f"  nothing has changed since {folder} was written: reusing it")
        return earlier
    with watch("compare"):
        before = float_side(model, contract, evidence)
    conversion = Conversion(model, contract, evidence, before, settings.policy, settings.io, watch)
    if settings.search:
        made = conversion.searched(None if source is None else source(contract.labels))
    else:
        made = conversion.plain()
    int8, compared, evidence = made.int8, made.compared, made.evidence
    with watch("latency"):
        latency = _latency(model, int8, contract, evidence)
    with watch("golden"):
        golden, golden_record = certified_golden(int8, contract)
    with watch("seal"):
        certificate = certify(
            model=model,
            int8=int8,
            contract=contract,
            evidence=evidence,
            parity=compared.parity,
            judgement=compared.judgement,
            policy=settings.policy,
            latency=latency.latency,
            float_tflite_bytes=latency.float_bytes,
            findings=made.findings,
            golden=golden_record,
            search=None if made.log is None else SearchSummary.of(made.log),
            request=request,
            seconds=watch.seconds,
        )
        page = report(certificate, compared.before, compared.after, evidence, settings.images_in_report, made.log)
        log = {} if made.log is None else {bundles.SEARCH_LOG: record_text(msgspec.to_builtins(made.log)).encode()}
        bundles.write(
            folder,
            model=int8,
            contract=contract,
            calibration=evidence.calibration.record(),
            certificate=certificate,
            golden=golden,
            extra_files={"report.html": page.encode(), **log},
        )
    _log.info(f"  {certificate['verdict']}: {folder}")
    return certificate


def judge_pair(
    model_path: Path,
    int8_path: Path,
    contract_file: Path | None,
    source: OpenSource | None,
    policy: Policy,
    page: Path | None,
) -> tuple[dict[str, Any], str]:
    """Compare a float model with an int8 file or bundle; the record and a table for a terminal."""
    from convert.certification.report_text import parity_text

    model = load_float(model_path)
    contract = infer_contract(model, contract_file).contract
    if int8_path.is_dir():
        bundle = bundles.load(int8_path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
        int8 = bundle.model
        _check_same_contract(contract, bundle.contract)
    else:
        from edge.inference.tflite.model_file import read_model

        int8 = read_model(int8_path)
    check_labels(int8, contract)
    evidence = _evidence(model, contract, source, Settings(policy))
    compared = compare_files(float_side(model, contract, evidence), int8, contract, evidence, policy)
    record = {
        **compared.parity.to_record(),
        **compared.judgement.to_record(),
        "synthetic": evidence.synthetic,
    }
    if page is not None:
        latency = _latency(model, int8, contract, evidence)
        certificate = certify(
            model=model,
            int8=int8,
            contract=contract,
            evidence=evidence,
            parity=compared.parity,
            judgement=compared.judgement,
            policy=policy,
            latency=latency.latency,
            float_tflite_bytes=latency.float_bytes,
            findings=(),
            request="",
            seconds={},
        )
        write_whole(page, report(certificate, compared.before, compared.after, evidence, False))
    return record, parity_text(compared.parity, compared.judgement)


@dataclass(frozen=True)
class _Timed:
    latency: Latency
    float_bytes: int


def _evidence(model: FloatModel, contract: InputContract, source: OpenSource | None, settings: Settings) -> Evidence:
    if source is None:
        return from_virtual_slides(contract)
    return from_images(
        source(contract.labels),
        model,
        contract,
        count=settings.calibration_count,
        seed=settings.seed,
        method=settings.method,
    )


def _latency(model: FloatModel, int8: bytes, contract: InputContract, evidence: Evidence) -> _Timed:
    plain = float_tflite(model)
    before, after = open_interpreter(plain), open_interpreter(int8)
    frames = evidence.pixels[:TIMED_FRAMES]
    tensors = [(contract.encode(f, FLOAT32), contract.encode(f, after.input.quantization)) for f in frames]
    return _Timed(latency_ratio(before, after, tensors), len(plain))


def _fingerprint(model: FloatModel, contract: InputContract, evidence: Evidence, settings: Settings) -> str:
    """Sha256 of everything the bundle follows from: equal requests give equal bundles."""
    facts = {
        "model": model.sha256,
        "contract": contract.to_json(),
        "calibration": evidence.calibration.digest(),
        "evaluation": hashlib.sha256("\n".join(evidence.sha256s).encode()).hexdigest(),
        "policy": settings.policy.to_record(),
        "io": settings.io,
        "images_in_report": settings.images_in_report,
        "versions": versions(),
        "gates": GATES,
        **({"search": SEARCH_FORMAT} if settings.search else {}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _unchanged(folder: Path, request: str) -> dict[str, Any] | None:
    """The certificate of the bundle at `folder` if it is whole and answers the same request; its golden images are
    renewed where they are of before they were certified for several kinds."""
    if not folder.is_dir():
        return None
    try:
        found = bundles.load(folder, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True).certificate
        if found.get("request") != request:
            return None
        return found if "golden" in found else {**found, "golden": renew(folder)}
    except (BundleError, GoldenMismatchError) as error:
        _log.info(f"  {error}: converting again")
        return None


def _check_same_contract(ours: InputContract, theirs: InputContract) -> None:
    """All but the decision: outputs are compared before it is taken."""
    for name, wanted in vars(ours.undecided()).items():
        if name == "decision":
            continue
        if getattr(theirs, name) != wanted:
            raise BundleError(f"the bundle's contract is not the model's: {name} {getattr(theirs, name)}, not {wanted}")
