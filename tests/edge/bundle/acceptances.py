"""Acceptances of slides that were never there, for what reads them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.bundle import bundle as bundles
from edge.bundle.acceptance import Acceptance, AcceptedSlide, Verdict
from edge.bundle.bundle import NO_KEYS, Bundle
from edge.bundle.files import ACCEPTANCE
from edge.inference.licence import RULE, slide_finding


def accepted_slide(number: int, label: str, *, passed: int = 4, benign: int = 0, other: int = 0) -> AcceptedSlide:
    """Slide `S-0001` and so on, of four fields."""
    images = tuple(hashlib.sha256(f"{number}/{field}".encode()).hexdigest() for field in range(4))
    finding = slide_finding(4, passed, benign, other)
    return AcceptedSlide(f"S-{number:04}", label, 4, passed, benign, other, finding, images)


def accepted(
    *,
    leukemic: int = 0,
    healthy: int = 0,
    missed: int = 0,
    site: str = "lab-3",
    verdict: Verdict = "inconclusive",
    slides: Sequence[AcceptedSlide] | None = None,
    **more: Any,
) -> Acceptance:
    """So many slides of each kind, `missed` of the leukemic ones found benign; all others rightly."""
    if slides is None:
        benign, other = {"benign": 4}, {"other": 4}
        slides = [accepted_slide(k, "Benign", **benign) for k in range(healthy)]
        slides += [accepted_slide(healthy + k, "Pro", **(benign if k < missed else other)) for k in range(leukemic)]
    record = {
        "created": "2026-11-30T12:00:00Z",
        "software": "leukoscope 0",
        "reasons": (),
        "model_sha256": "0" * 64,
        "contract_sha256": "0" * 64,
        "gates_sha256": None,
        "refused": {},
        "thresholds": (),
        "camera_setups": ("",),
        "limits": {},
        "compared": {},
    }
    return Acceptance(format=1, site=site, verdict=verdict, rule=RULE, slides=tuple(slides), **{**record, **more})


def accept(path: Path, **more: Any) -> Bundle:
    """The bundle at `path` with an acceptance of `accepted`."""
    bundle = bundles.load(path, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)
    parts = bundles.parts_of(bundle)
    digests = {
        "model_sha256": hashlib.sha256(bundle.model).hexdigest(),
        "contract_sha256": hashlib.sha256(bundle.contract.to_json().encode()).hexdigest(),
        "gates_sha256": None if bundle.gates_json is None else hashlib.sha256(bundle.gates_json).hexdigest(),
    }
    extra_files = {**parts["extra_files"], ACCEPTANCE: accepted(**digests, **more).to_bytes()}
    return bundles.write(path, **{**parts, "extra_files": extra_files})
