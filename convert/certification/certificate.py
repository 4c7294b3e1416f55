"""`certificate.json`: what was compared, how it came out, and hashes and versions enough to repeat it."""

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from convert.calibration.calibration_set import Calibration, set_digest
from convert.calibration.evaluation_data import ConversionImages
from convert.certification.conversion import Converted
from convert.certification.float_reference import FloatReference
from convert.certification.report_text import first_line
from convert.errors import CertificateError
from convert.parity.check import Check, Verdict
from convert.parity.comparison import Parity
from convert.parity.latency import Latency
from convert.quantization.contract_evidence import InferredEntry
from convert.quantization.findings import Finding
from convert.quantization.speed import Speed
from convert.recovery.search_log import SearchSummary
from edge import RESEARCH_USE_ONLY
from edge.inference.contract import InputContract
from models.support.versions import versions

CERTIFICATE_FORMAT = 1


class FloatModelEntry(msgspec.Struct, frozen=True):
    """The float model; `file` is its name without folders, since certificates are published.

    Attributes:
        code: what was run to load it, sha256 by file name; missing where nothing was.
    """

    name: str
    file: str
    sha256: str
    code: dict[str, str] | UnsetType = UNSET


class Int8ModelEntry(msgspec.Struct, frozen=True):
    """The int8 file."""

    sha256: str
    bytes: int


class DecisionEntry(msgspec.Struct, frozen=True):
    """The contract's decision, for readers; `answer_from`: the least probability that is answered, by label."""

    temperature: float
    answer_from: dict[str, float]


class ContractEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of both models; no `decision` where every frame is answered, no `inferred` where it was given,
    `benign` () where no label is. With tiles (columns, rows) and `pooling`: what was compared is the field, by the
    pooled answers of its tiles."""

    sha256: str
    size: tuple[int, int]
    labels: tuple[str, ...]
    decision: DecisionEntry | UnsetType = UNSET
    benign: tuple[str, ...] | UnsetType = UNSET
    inferred: InferredEntry | UnsetType = UNSET
    tiles: tuple[int, int] | UnsetType = UNSET
    pooling: str | UnsetType = UNSET


class CalibrationEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The calibration set.

    Attributes:
        sha256: of the images' hashes in their order, as `calibration.json` has it. images_sha256: in any order.
    """

    images: int
    method: str
    seed: int
    synthetic: bool
    sha256: str
    images_sha256: str
    findings: tuple[Finding, ...]


class EvaluationEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The evaluation images.

    Attributes:
        sha256s: of the files, sorted, so that no slide of theirs judges the acceptance; missing of synthetic ones, and
            in older certificates.
    """

    images: int
    labelled: bool
    synthetic: bool
    origin: str
    images_sha256: str
    sha256s: tuple[str, ...] | UnsetType = UNSET


class GatesEntry(msgspec.Struct, frozen=True):
    """`gates.json`, by its sha256; what it holds is read there."""

    sha256: str


class CertifiedParity(Parity, frozen=True, kw_only=True):
    """The comparison with its verdict."""

    verdict: Verdict


class InterpreterEntry(msgspec.Struct, frozen=True):
    """What ran the int8 model: the kind of its arithmetic, runtime and version."""

    kind: str
    runtime: str
    version: str


class Machine(msgspec.Struct, frozen=True):
    """What both models ran on."""

    architecture: str
    system: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file.

    Attributes:
        summary: what is certain, what is not, how many more images would decide, and what helps; one line.
        judged: by true labels, or by agreement alone.
        created: UTC, to the second.
        request: fingerprint of what the file was made from; equal requests need no second run.
        policy: as `convert.parity.policy.Policy.to_record` gives it.
        golden: what the golden images are (`convert.certification.golden`); missing in a record without a bundle.
        gates: the bundle's; missing where it has none.
        seconds: spent in each phase.
    """

    format: int
    notice: str
    verdict: Verdict
    reasons: tuple[str, ...]
    summary: str | UnsetType = UNSET
    judged: Literal["labels", "agreement"]
    synthetic: bool
    labelled: bool
    created: str
    request: str
    float_model: FloatModelEntry
    int8_model: Int8ModelEntry
    float_tflite_bytes: int
    contract: ContractEntry
    calibration: CalibrationEntry
    evaluation: EvaluationEntry
    policy: dict[str, Any]
    checks: tuple[Check, ...]
    parity: CertifiedParity
    latency: Latency
    verification: tuple[Finding, ...]
    interpreter: InterpreterEntry
    golden: dict[str, Any] | UnsetType = UNSET
    gates: GatesEntry | UnsetType = UNSET
    search: SearchSummary | UnsetType = UNSET
    machine: Machine
    versions: dict[str, str]
    seconds: dict[str, float]

    def to_record(self) -> dict[str, Any]:
        """JSON-safe."""
        record: dict[str, Any] = msgspec.to_builtins(self)
        return record


def certify(
    reference: FloatReference,
    converted: Converted,
    speed: Speed,
    *,
    golden: dict[str, Any] | None = None,
    gates: bytes | None = None,
    inferred: InferredEntry | None = None,
    request: str = "",
    seconds: Mapping[str, float] | None = None,
    created: datetime | None = None,
) -> Certificate:
    """The certificate of one int8 model.

    Args:
        reference: the float model, and the images and policy that judge.
        converted: the int8 file as found by the comparison with it.
        speed: of both, in one run.
        golden: what the golden images are and for which kinds their outputs are certified; None in a record that goes
            with no bundle.
        gates: the bytes of `gates.json` in the bundle; None where it has none.
        inferred: how the contract was found; None where it was given.
        request: fingerprint of what the file was made from; equal requests need no second run.
        seconds: spent in each phase.
        created: an aware time; now when None.

    Raises:
        CertificateError: the facts contradict each other: an image both calibrates and judges, or the
            comparison is not of these images.
    """
    model, contract, images, int8 = reference.model, reference.contract, reference.images, converted.int8
    parity, judgement, latency = converted.compared.parity, converted.compared.judgement, speed.latency
    _check(converted.calibration, images, parity, contract)
    moment = (created or datetime.now(UTC)).astimezone(UTC)
    labelled = parity.judged == "labels"
    return Certificate(
        format=CERTIFICATE_FORMAT,
        notice=RESEARCH_USE_ONLY,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        summary=first_line(judgement, searched=converted.search is not None),
        judged=parity.judged,
        synthetic=images.synthetic,
        labelled=labelled,
        created=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        request=request,
        float_model=FloatModelEntry(model.name, model.path.name, model.sha256, model.loading.code.digests() or UNSET),
        int8_model=Int8ModelEntry(hashlib.sha256(int8).hexdigest(), len(int8)),
        float_tflite_bytes=speed.float_tflite_bytes,
        contract=_contract(contract, inferred),
        calibration=_calibration(converted.calibration),
        evaluation=EvaluationEntry(
            images=len(images.names),
            labelled=labelled,
            synthetic=images.synthetic,
            origin=images.origin,
            images_sha256=set_digest(images.sha256s),
            sha256s=UNSET if images.synthetic else tuple(sorted(images.sha256s)),
        ),
        policy=reference.policy.to_record(),
        checks=judgement.checks,
        parity=CertifiedParity(**msgspec.structs.asdict(parity), verdict=judgement.verdict),
        latency=latency,
        verification=converted.findings,
        interpreter=InterpreterEntry(parity.kind, latency.runtime, latency.version),
        golden=UNSET if golden is None else golden,
        gates=UNSET if gates is None else GatesEntry(hashlib.sha256(gates).hexdigest()),
        search=UNSET if converted.search is None else SearchSummary.of(converted.search),
        machine=Machine(platform.machine(), platform.system()),
        versions=versions(),
        seconds={phase: round(spent, 3) for phase, spent in (seconds or {}).items()},
    )


def _contract(contract: InputContract, inferred: InferredEntry | None) -> ContractEntry:
    decision = contract.decision
    return ContractEntry(
        sha256=hashlib.sha256(contract.to_json().encode()).hexdigest(),
        size=contract.size,
        labels=contract.labels,
        benign=contract.benign_labels,
        decision=UNSET
        if decision is None
        else DecisionEntry(decision.temperature, dict(zip(contract.labels, decision.answer_from, strict=True))),
        inferred=UNSET if inferred is None else inferred,
        tiles=contract.tiles or UNSET,
        pooling=UNSET if contract.tiles is None else contract.pooling,
    )


def _calibration(chosen: Calibration) -> CalibrationEntry:
    return CalibrationEntry(
        images=len(chosen.names),
        method=chosen.method,
        seed=chosen.seed,
        synthetic=chosen.synthetic,
        sha256=chosen.digest(),
        images_sha256=set_digest(chosen.sha256s),
        findings=chosen.findings,
    )


def _check(calibration: Calibration, images: ConversionImages, parity: Parity, contract: InputContract) -> None:
    shared = set(calibration.sha256s) & set(images.sha256s)
    if shared:
        names = [n for n, sha in zip(images.names, images.sha256s, strict=True) if sha in shared]
        raise CertificateError(f"calibration and evaluation must share no image; both hold {', '.join(names[:3])}")
    if parity.images != len(images.names):
        raise CertificateError(
            f"parity must be of the {len(images.names)} evaluation images; got one of {parity.images}"
        )
    if (parity.judged == "labels") != (images.truth is not None):
        raise CertificateError("parity must be judged by labels exactly where the evaluation images have them")
    if parity.labels != contract.labels:
        raise CertificateError(
            f"parity must have the contract's labels {list(contract.labels)}; got {list(parity.labels)}"
        )
