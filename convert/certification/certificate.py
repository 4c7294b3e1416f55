"""`certificate.json`: what was compared, how it came out, and hashes and versions enough to repeat it."""

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from convert.calibration.calibration_set import Calibration, set_digest
from convert.calibration.evaluation_data import ConversionImages
from convert.certification.conversion import Converted
from convert.certification.float_reference import FloatReference
from convert.certification.speed import Speed
from convert.errors import CertificateError
from convert.parity.comparison import Parity
from convert.recovery.search_log import SearchSummary
from edge import RESEARCH_USE_ONLY
from edge.inference.contract import InputContract
from models.support.versions import versions

CERTIFICATE_FORMAT = 1


def certify(
    reference: FloatReference,
    converted: Converted,
    speed: Speed,
    *,
    golden: Mapping[str, Any] | None = None,
    request: str = "",
    seconds: Mapping[str, float] | None = None,
    created: datetime | None = None,
) -> dict[str, Any]:
    """The certificate of one int8 model, JSON-safe.

    Args:
        reference: the float model, and the images and policy that judge.
        converted: the int8 file as found by the comparison with it.
        speed: of both, in one run.
        golden: what the golden images are and for which kinds their outputs are certified; None in a record that goes
            with no bundle.
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
    return {
        "format": CERTIFICATE_FORMAT,
        "notice": RESEARCH_USE_ONLY,
        "verdict": judgement.verdict,
        "reasons": list(judgement.reasons),
        "judged": parity.judged,
        "synthetic": images.synthetic,
        "labelled": parity.judged == "labels",
        "created": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "request": request,
        "float_model": {"name": model.name, "file": model.path.name, "sha256": model.sha256},
        "int8_model": {"sha256": hashlib.sha256(int8).hexdigest(), "bytes": len(int8)},
        "float_tflite_bytes": speed.float_tflite_bytes,
        "contract": {
            "sha256": hashlib.sha256(contract.to_json().encode()).hexdigest(),
            "size": list(contract.size),
            "labels": list(contract.labels),
            **_decision(contract),
        },
        "calibration": _calibration(converted.calibration),
        "evaluation": {
            "images": len(images.names),
            "labelled": parity.judged == "labels",
            "synthetic": images.synthetic,
            "origin": images.origin,
            "images_sha256": set_digest(images.sha256s),
        },
        "policy": reference.policy.to_record(),
        "checks": [check.to_record() for check in judgement.checks],
        "parity": {**parity.to_record(), "verdict": judgement.verdict},
        "latency": latency.to_record(),
        "verification": [finding.to_record() for finding in converted.findings],
        "interpreter": {
            "kind": parity.kind,
            "runtime": latency.runtime,
            "version": latency.version,
        },
        **({} if golden is None else {"golden": dict(golden)}),
        **({} if converted.search is None else {"search": msgspec.to_builtins(SearchSummary.of(converted.search))}),
        "machine": {"architecture": platform.machine(), "system": platform.system()},
        "versions": versions(),
        "seconds": {phase: round(spent, 3) for phase, spent in (seconds or {}).items()},
    }


def _calibration(chosen: Calibration) -> dict[str, Any]:
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
