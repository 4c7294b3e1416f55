"""The acceptance of a bundle: held-back slides judged as on a device, thresholds tested, the bundle written again."""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from convert.acceptance.judging import (
    Judge,
    JudgedField,
    cells_painted_out,
    judge_fields,
    judged_slides,
    refused_by,
    repeatability,
)
from convert.acceptance.kappa import kappa_of
from convert.acceptance.limits import Limits
from convert.acceptance.thresholds import choose
from convert.acceptance.untouched import read_adaptation, require_untouched
from convert.acceptance.verdict import Check, Figures, checks_of, figures_of, verdict_of
from convert.errors import AcceptanceRefused
from edge.bundle import bundle as bundles
from edge.bundle.acceptance import Acceptance, Tier
from edge.bundle.bundle import Bundle
from edge.bundle.files import ACCEPTANCE
from edge.inference.contract import InputContract
from edge.inference.decision import Decision
from edge.inference.licence import RULE
from edge.settings.site import SITE, SITE_IN_WORDS
from edge.settings.trusted_keys import machine_keys
from models.site.audit import audit_site
from models.site.fields import SiteFields
from models.site.options import SiteOptions

_log = logging.getLogger(__name__)

SEED = 0
_OF_TRAINING = ("one_slide_a_class", "too_few_slides", "labels_at_chance")  # what stops a fit, and no judgement


@dataclass(frozen=True)
class Accepted:
    """What came of it.

    Attributes:
        bundle: as it stands now. acceptance: its record. fields: the answers. contract: with the kept thresholds.
        signature_void: it was signed, and must be signed again.
    """

    bundle: Bundle
    acceptance: Acceptance
    fields: tuple[JudgedField, ...]
    contract: InputContract
    tier: Tier
    figures: Figures
    checks: tuple[Check, ...]
    signature_void: bool


def accept(
    path: Path,
    data: SiteOptions,
    *,
    site_name: str = "",
    limits: Limits | None = None,
    adaptation_file: Path | None = None,
    repeats: Path | None = None,
    now: datetime | None = None,
) -> Accepted:
    """Judge held-back slides with the bundle at `path` and write what they show into it.

    Args:
        site_name: the site; "" takes that of the adaptation, else the name of the folder of the slides.
        adaptation_file: the record of what trained the network, for a bundle that holds none.
        repeats: a folder a field, with frames of it that were taken again.

    Raises:
        BundleError, GoldenMismatchError: no bundle, or it answers otherwise here. DatasetError: no such slides.
        AcceptanceRefused: slides that can show nothing, by name (`convert.acceptance.untouched`, `models.site.audit`).
        OSError: it cannot be written; it is what it was.
    """
    limits = limits or Limits.load()
    bundle = bundles.load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
    benign = _benign(bundle)
    if not bundle.certified:
        _log.warning(f"{path}: its certificate says {bundle.certificate['verdict']!r}: devices refuse it all the same")
    if bundle.gates is None:
        _log.warning(f"{path}: has no gates: every field is judged, whatever it shows")
    site = data.load()
    _require_labels(site, bundle.contract)
    data.require_one_camera(site)
    adaptation = read_adaptation(bundle, adaptation_file)
    if adaptation is None:
        _log.warning(
            f"{path}: holds no adaptation.json: that these slides did not train its network is the laboratory's word"
        )
    compared = require_untouched(site, bundle, adaptation)
    _require_sound(site)
    name = site_name or ("" if adaptation is None else adaptation.site) or data.data.resolve().name
    if not SITE.fullmatch(name):
        raise AcceptanceRefused("site_name", f"the site must be {SITE_IN_WORDS}; got {name!r}: give --site NAME")
    judged_with = replace(bundle, contract=_decided(bundle, site))
    judge = Judge(judged_with)
    fields = judge_fields(judge, site)
    own = _own(judged_with.contract, benign)
    kept, tried = choose(fields, benign, limits.thresholds.benign_from, own)
    contract = bundle.contract if kept <= own else _tightened(judged_with.contract, benign, kept)
    slides = judged_slides(fields, benign, kept)
    figures = figures_of(slides, benign)
    checks = checks_of(figures, limits.slides)
    acceptance = Acceptance(
        format=1,
        site=name,
        created=(now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        software=f"leukoscope {metadata.version('leukoscope')}",
        verdict=verdict_of(checks),
        reasons=tuple(check.reason for check in checks if check.verdict != "pass"),
        rule=RULE,
        model_sha256=hashlib.sha256(bundle.model).hexdigest(),
        contract_sha256=hashlib.sha256(contract.to_json().encode()).hexdigest(),
        gates_sha256=None if bundle.gates_json is None else hashlib.sha256(bundle.gates_json).hexdigest(),
        slides=slides,
        refused=refused_by(fields, benign, kept),
        thresholds=tried,
        camera_setups=tuple(sorted({field.row.camera_setup for field in site.fields})),
        limits=limits.to_record(),
        compared=compared,
        kappa=kappa_of(slides, benign),
        repeatability=None if repeats is None else repeatability(judge, repeats, benign, kept),
        painted_out=cells_painted_out(judge, fields, benign),
        own_benign_from=own,
        looks=_looks(bundle, name),
    )
    written = _write(bundle, contract, acceptance)
    if bundle.signature is not None:
        _log.warning(f"{path}: its signature was of the old manifest and is gone; sign it again")
    tier = acceptance.tier(contract)
    return Accepted(written, acceptance, fields, contract, tier, figures, checks, bundle.signature is not None)


def _benign(bundle: Bundle) -> tuple[str, ...]:
    benign = bundle.contract.benign_labels
    if not benign:
        raise AcceptanceRefused(
            "no_benign_label",
            f"{bundle.path}: no label of its contract ({', '.join(bundle.contract.labels)}) is benign, so that nothing "
            "says which slides are leukemic; adapt or convert it again with --benign LABEL",
        )
    return benign


def _require_labels(site: SiteFields, contract: InputContract) -> None:
    for label in site.labels:
        if label not in contract.labels:
            raise AcceptanceRefused(
                "unknown_label",
                f"{site.root / label} is no class of the bundle, whose labels are {', '.join(contract.labels)}",
            )
    benign = {label in contract.benign_labels for label in site.labels}
    if len(benign) == 1:
        missing = "leukemic" if benign == {True} else "benign"
        raise AcceptanceRefused("one_class", f"{site.root} holds no {missing} slides; acceptance takes both")


def _require_sound(site: SiteFields) -> None:
    """What gives the class away without a cell shows nothing of a network that reads cells."""
    for refusal in audit_site(site, seed=SEED).refusals:
        if refusal.name not in _OF_TRAINING:
            raise AcceptanceRefused(refusal.name, f"{refusal.detail}; {refusal.cure}")


def _decided(bundle: Bundle, site: SiteFields) -> InputContract:
    """The contract with its decision, or with the one that answers whatever the network says: probabilities are then
    those that a threshold, if one comes of this, is compared with on a device."""
    contract = bundle.contract
    if contract.decision is not None:
        return contract
    evidence = _evidence(bundle, site)
    return replace(contract, decision=Decision(1.0, (0.0,) * len(contract.labels), evidence))


def _evidence(bundle: Bundle, site: SiteFields) -> dict[str, Any]:
    model = bundle.certificate.get("float_model")
    network = model.get("sha256") if isinstance(model, dict) else None
    digests = "\n".join(sorted(field.sample.sha256 for field in site.fields))
    return {
        "command": f"convert accept {bundle.name}",
        "network_sha256": network or hashlib.sha256(bundle.model).hexdigest(),
        "split_sha256": hashlib.sha256(digests.encode()).hexdigest(),
        "images": len(site.fields),
        "counts": {label: sum(field.label == label for field in site.fields) for label in site.labels},
    }


def _own(contract: InputContract, benign: tuple[str, ...]) -> float:
    assert contract.decision is not None
    pairs = zip(contract.labels, contract.decision.answer_from, strict=True)
    return min(least for label, least in pairs if label in benign)


def _tightened(contract: InputContract, benign: tuple[str, ...], kept: float) -> InputContract:
    """The contract whose benign answers take at least `kept`."""
    decision = contract.decision
    assert decision is not None
    answer_from = tuple(
        max(least, kept) if label in benign else least
        for label, least in zip(contract.labels, decision.answer_from, strict=True)
    )
    evidence = {**decision.evidence, "accepted": {"benign_from": kept, "was": list(decision.answer_from)}}
    return replace(contract, decision=Decision(decision.temperature, answer_from, evidence))


def _looks(bundle: Bundle, site: str) -> int:
    before = bundle.acceptance
    return before.looks + 1 if before is not None and before.site == site else 1


def _write(bundle: Bundle, contract: InputContract, acceptance: Acceptance) -> Bundle:
    parts = bundles.parts_of(bundle)
    certificate = {**bundle.certificate, "contract": dict(bundle.certificate["contract"])}
    if contract is not bundle.contract:
        entry = certificate["contract"]
        decision = contract.decision
        assert decision is not None
        entry.setdefault("certified_sha256", entry["sha256"])
        entry["sha256"] = hashlib.sha256(contract.to_json().encode()).hexdigest()
        answer_from = dict(zip(contract.labels, decision.answer_from, strict=True))
        entry["decision"] = {"temperature": decision.temperature, "answer_from": answer_from}
    extra_files = {**parts["extra_files"], ACCEPTANCE: acceptance.to_bytes()}
    return bundles.write(
        bundle.path, **{**parts, "contract": contract, "certificate": certificate, "extra_files": extra_files}
    )
