"""`certificate.json`: what was compared, how it came out, and hashes and versions enough to repeat it."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from convert.calibration.calibration_set import set_digest
from convert.errors import CertificateError
from convert.parity.comparison import Parity
from convert.parity.latency import Latency
from convert.parity.policy import Policy
from convert.parity.verdict import Judgement
from convert.quantization.findings import Finding
from convert.recovery.search_log import SearchSummary
from edge import RESEARCH_USE_ONLY
from edge.inference.contract import InputContract
from models.support.versions import versions

if TYPE_CHECKING:
    from convert.calibration.evaluation_data import Evidence
    from convert.quantization.float_model import FloatModel

CERTIFICATE_FORMAT = 1


def certify(
    *,
    model: "FloatModel",
    int8: bytes,
    contract: InputContract,
    evidence: "Evidence",
    parity: Parity,
    judgement: Judgement,
    policy: Policy,
    latency: Latency | None,
    float_tflite_bytes: int | None,
    findings: Sequence[Finding] = (),
    golden: Mapping[str, Any] | None = None,
    search: SearchSummary | None = None,
    request: str = "",
    seconds: Mapping[str, float] | None = None,
    created: datetime | None = None,
) -> dict[str, Any]:
    """The certificate of one int8 model, JSON-safe.

    Args:
        model, int8: what was compared: the float model, and the bytes of the TFLite file.
        evidence: the images both sets came from; they may share none.
        parity, judgement, policy: what was found, the verdict, and the thresholds it follows from.
        latency, float_tflite_bytes: of the same network as float TFLite, in one run; None where not measured.
        findings: what the verification of the file had to say.
        golden: what the golden images are and for which kinds their outputs are certified; None in a record that goes
            with no bundle.
        search: what came of the search for the file, where there was one.
        request: fingerprint of what was asked for; equal requests need no second run.
        seconds: spent in each phase.
        created: an aware time; now when None.

    Raises:
        CertificateError: the facts contradict each other: an image both calibrates and judges, or the
            comparison is not of these images.
    """
    _check(evidence, parity, contract)
    moment = (created or datetime.now(UTC)).astimezone(UTC)
    return {
        "format": CERTIFICATE_FORMAT,
        "notice": RESEARCH_USE_ONLY,
        "verdict": judgement.verdict,
        "reasons": list(judgement.reasons),
        "judged": parity.judged,
        "synthetic": evidence.synthetic,
        "labelled": parity.judged == "labels",
        "created": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "request": request,
        "float_model": {"name": model.name, "file": model.path.name, "sha256": model.sha256},
        "int8_model": {"sha256": hashlib.sha256(int8).hexdigest(), "bytes": len(int8)},
        "float_tflite_bytes": float_tflite_bytes,
        "contract": {
            "sha256": hashlib.sha256(contract.to_json().encode()).hexdigest(),
            "size": list(contract.size),
            "labels": list(contract.labels),
            **_decision(contract),
        },
        "calibration": _calibration(evidence),
        "evaluation": {
            "images": len(evidence.names),
            "labelled": parity.judged == "labels",
            "synthetic": evidence.synthetic,
            "origin": evidence.origin,
            "images_sha256": set_digest(evidence.sha256s),
        },
        "policy": policy.to_record(),
        "checks": [check.to_record() for check in judgement.checks],
        "parity": {**parity.to_record(), "verdict": judgement.verdict},
        "latency": None if latency is None else latency.to_record(),
        "verification": [finding.to_record() for finding in findings],
        "interpreter": {
            "kind": parity.kind,
            "runtime": None if latency is None else latency.runtime,
            "version": None if latency is None else latency.version,
        },
        **({} if golden is None else {"golden": dict(golden)}),
        **({} if search is None else {"search": msgspec.to_builtins(search)}),
        "machine": {"architecture": platform.machine(), "system": platform.system()},
        "versions": versions(),
        "seconds": {phase: round(spent, 3) for phase, spent in (seconds or {}).items()},
    }


def _calibration(evidence: "Evidence") -> dict[str, Any]:
    chosen = evidence.calibration
    return {
        "images": len(chosen.names),
        "method": chosen.method,
        "seed": chosen.seed,
        "synthetic": chosen.synthetic,
        "sha256": chosen.digest(),  # in the order fed, as calibration.json has it
        "images_sha256": set_digest(chosen.sha256s),
        "findings": [finding.to_record() for finding in chosen.findings],
    }


def _decision(contract: InputContract) -> dict[str, Any]:
    """What the contract says of it, for readers; nothing where every frame is answered."""
    decision = contract.decision
    if decision is None:
        return {}
    answer_from = dict(zip(contract.labels, decision.answer_from, strict=True))
    return {"decision": {"temperature": decision.temperature, "answer_from": answer_from}}


def _check(evidence: "Evidence", parity: Parity, contract: InputContract) -> None:
    shared = set(evidence.calibration.sha256s) & set(evidence.sha256s)
    if shared:
        names = [n for n, sha in zip(evidence.names, evidence.sha256s, strict=True) if sha in shared]
        raise CertificateError(f"calibration and evaluation must share no image; both hold {', '.join(names[:3])}")
    if parity.images != len(evidence.names):
        raise CertificateError(
            f"parity must be of the {len(evidence.names)} evaluation images; got one of {parity.images}"
        )
    if (parity.judged == "labels") != (evidence.truth is not None):
        raise CertificateError("parity must be judged by labels exactly where the evaluation images have them")
    if parity.labels != contract.labels:
        raise CertificateError(
            f"parity must have the contract's labels {list(contract.labels)}; got {list(parity.labels)}"
        )
