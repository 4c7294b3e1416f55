"""One model from float to a sealed bundle: calibrate, convert, verify, compare, judge, certify.

Nothing appears under the bundle's name before all of it is done; a run with nothing changed reuses what is there.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from convert.certificate import certify
from convert.comparison import Parity, benign_label, compare
from convert.diagnose_request import record_text
from convert.evidence import Evidence, Source, from_images, from_virtual_slides
from convert.feeding import check_feeding
from convert.findings import Finding
from convert.float_model import FloatModel, infer_contract, load_float
from convert.golden import certified_golden
from convert.latency import Latency, latency_ratio
from convert.metadata import with_metadata
from convert.parity import Judgement, judge
from convert.policy import Policy
from convert.predictions import Floats, device_probabilities, float_probabilities
from convert.quantize import float_tflite, quantize
from convert.recovery.recover import FORMAT as SEARCH_FORMAT
from convert.recovery.recover import confirmed, recover, summary
from convert.renew_golden import renew
from convert.report import report
from convert.verify import check_labels, verify
from edge import bundle as bundles
from edge.classifier import Classifier
from edge.command import note
from edge.contract import FLOAT32, InputContract
from edge.errors import BundleError, GoldenMismatchError
from edge.files import write_whole
from edge.interpreters import open_interpreter
from models.progress import Progress
from models.versions import versions

OpenSource = Callable[[tuple[str, ...]], Source]
TIMED_FRAMES = 8
GATES = 1  # raised when a gate is added: bundles judged by fewer are not reused


@dataclass(frozen=True)
class Settings:
    """How models are converted and judged; see `convert quantize --help`."""

    policy: Policy
    io: Literal["int8", "uint8"] = "int8"
    calibration_count: int = 200
    method: str = "random"
    seed: int = 0
    images_in_report: bool = False
    force: bool = False
    search: bool = False


class Stopwatch:
    """Seconds spent in each named phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time one phase; a phase met again adds up."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - began


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
    note(f"{model.name}: {path}")
    for line in (*model.notes, *inferred.notes):
        note(f"  {line}")
    with watch("images"):
        evidence = _evidence(model, contract, source, settings)
    for line in evidence.notes:
        note(f"  {line}")
    request = _fingerprint(model, contract, evidence, settings)
    folder = out / f"{model.name}-{settings.io}"
    earlier = None if settings.force else _unchanged(folder, request)
    if earlier is not None:
        note(f"  nothing has changed since {folder} was written: reusing it")
        return earlier
    with watch("compare"):
        before = _float_side(model, contract, evidence)
    make = _searched if settings.search else _converted
    made = make(model, contract, source, evidence, settings, before, watch)
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
            search=None if made.log is None else summary(made.log),
            request=request,
            seconds=watch.seconds,
        )
        page = report(certificate, compared.before, compared.after, evidence, settings.images_in_report, made.log)
        log = {} if made.log is None else {bundles.SEARCH_LOG: record_text(made.log).encode()}
        bundles.write(
            folder,
            model=int8,
            contract=contract,
            calibration=evidence.calibration.record(),
            certificate=certificate,
            golden=golden,
            extra_files={"report.html": page.encode(), **log},
        )
    note(f"  {certificate['verdict']}: {folder}")
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
    from convert.report import parity_text

    model = load_float(model_path)
    contract = infer_contract(model, contract_file).contract
    if int8_path.is_dir():
        bundle = bundles.load(int8_path, allow_uncertified=True, allow_unsigned=True)
        int8 = bundle.model
        _check_same_contract(contract, bundle.contract)
    else:
        from edge.model_file import read_model

        int8 = read_model(int8_path)
    check_labels(int8, contract)
    evidence = _evidence(model, contract, source, Settings(policy))
    compared = _compare(_float_side(model, contract, evidence), int8, contract, evidence, policy)
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


@dataclass(frozen=True, eq=False)
class _Compared:
    """Both models' probabilities, float32 (N, classes), and what follows from them."""

    before: Floats
    after: Floats
    parity: Parity
    judgement: Judgement


@dataclass(frozen=True, eq=False)
class _Made:
    """A converted file, looked at and compared; `log` of the search that found it, None without one."""

    int8: bytes
    findings: tuple[Finding, ...]
    compared: _Compared
    evidence: Evidence
    log: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Timed:
    latency: Latency
    float_bytes: int


def _converted(
    model: FloatModel,
    contract: InputContract,
    source: OpenSource | None,
    evidence: Evidence,
    settings: Settings,
    before: Floats,
    watch: Stopwatch,
) -> _Made:
    """Plain post-training quantization."""
    note(f"  converting, calibrated on {len(evidence.calibration.names)} images")
    pixels = evidence.calibration.pixels
    with watch("convert"), Progress("calibrating", len(pixels)) as bar:
        converted = quantize(model, contract, pixels, settings.io, lambda done, of: bar.advance())
    return _finished(converted, model, contract, evidence, settings, before, watch)


def _searched(
    model: FloatModel,
    contract: InputContract,
    source: OpenSource | None,
    evidence: Evidence,
    settings: Settings,
    before: Floats,
    watch: Stopwatch,
) -> _Made:
    """What the search found, where the test part does not speak against it; else the plain file."""
    images = None if source is None else source(contract.labels)
    note(f"  searching from a calibration on {len(evidence.calibration.names)} images; Ctrl-C keeps the best so far")
    with watch("search"):
        found = recover(model, contract, images, evidence, settings.policy, settings.io)
    chosen = _finished(
        found.model, model, contract, replace(evidence, calibration=found.calibration), settings, before, watch
    )
    if found.is_plain:
        note("  the search found nothing better than the plain file")
        return replace(chosen, log=found.record)
    plain = _finished(found.plain, model, contract, evidence, settings, before, watch)
    log, stands = confirmed(found.record, plain.compared.parity, chosen.compared.parity)
    if not stands:
        note("  on the test part the plain file decides more like float than the one chosen: the plain one is kept")
    return replace(chosen if stands else plain, log=log)


def _finished(
    converted: bytes,
    model: FloatModel,
    contract: InputContract,
    evidence: Evidence,
    settings: Settings,
    before: Floats,
    watch: Stopwatch,
) -> _Made:
    """Metadata, verification, comparison."""
    with watch("verify"):
        int8 = with_metadata(converted, contract, settings.io, model.name)
        findings = verify(int8, contract, settings.io)
    note(f"  comparing on {len(evidence.pixels)} images")
    with watch("compare"):
        compared = _compare(before, int8, contract, evidence, settings.policy)
    return _Made(int8, findings, compared, evidence)


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


def _float_side(model: FloatModel, contract: InputContract, evidence: Evidence) -> Floats:
    """The float model's probabilities; a contract that it was not trained with is refused where labels show it."""
    before = float_probabilities(model, contract, evidence.pixels)
    if evidence.truth is not None:
        check_feeding(model, contract, evidence.pixels, evidence.truth, before)
    return before


def _compare(before: Floats, int8: bytes, contract: InputContract, evidence: Evidence, policy: Policy) -> _Compared:
    interpreter = open_interpreter(int8)
    after = device_probabilities(Classifier(contract, interpreter), evidence.pixels)
    parity = compare(
        contract.labels,
        before,
        after,
        evidence.truth,
        benign=benign_label(contract.labels),
        names=evidence.names,
        kind=interpreter.kind,
        decided_margin=policy.decided_margin,
    )
    return _Compared(before, after, parity, judge(parity, policy))


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
        found = bundles.load(folder, allow_uncertified=True, allow_unsigned=True).certificate
        if found.get("request") != request:
            return None
        return found if "golden" in found else {**found, "golden": renew(folder)}
    except (BundleError, GoldenMismatchError) as error:
        note(f"  {error}: converting again")
        return None


def _check_same_contract(ours: InputContract, theirs: InputContract) -> None:
    """All but the decision: outputs are compared before it is taken."""
    for name, wanted in vars(ours.undecided()).items():
        if name == "decision":
            continue
        if getattr(theirs, name) != wanted:
            raise BundleError(f"the bundle's contract is not the model's: {name} {getattr(theirs, name)}, not {wanted}")
