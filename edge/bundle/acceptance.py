"""Acceptance: what untouched slides of one site showed of a bundle, and what the bundle may say after them.

`convert accept` writes `acceptance.json`; the manifest lists it, a signature covers it. It is about one model, contract
and `gates.json`, by their sha256. Findings and counts are calculated again when it is read: what is licensed follows
from the slides, not from what the file says of them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from edge.bundle.files import ACCEPTANCE
from edge.bundle.manifest import json_bytes
from edge.errors import BundleError
from edge.inference.contract import InputContract
from edge.inference.licence import RULE, Finding, slide_finding
from edge.system.strict_json import read_object

CONFIDENCE = 0.95
RATES = (0.10, 0.05, 0.02, 0.01)  # of leukemic slides answered benign: the tiers
LEAST_SLIDES = 29  # leukemic, none missed: below them benign is never said
MOST_SLIDES = 100_000
Verdict = Literal["pass", "fail", "inconclusive"]


class Tier(Struct, frozen=True):
    """What a number of leukemic slides shows.

    Attributes:
        slides: judged. missed: those of them that were found benign.
        bound: exact one-sided upper bound of the rate of missed ones, 95 % confidence (Clopper-Pearson), 0..1.
        rate: the least of `RATES` that the bound does not exceed; None where it exceeds all, and benign is never said.

    >>> tier(29, 0).rate, tier(12, 0).says_benign
    (0.1, False)
    """

    slides: int
    missed: int
    bound: float
    rate: float | None

    @property
    def says_benign(self) -> bool:
        """Benign may be answered."""
        return self.rate is not None

    def __str__(self) -> str:
        """`at most 10 % of leukemic slides found benign (0 of 29, 95 % confidence)`, or that benign is never said."""
        counted = f"{self.missed} of {self.slides}"
        if self.rate is None:
            return f"never benign: {counted} leukemic slides found so bound the rate by {percent(self.bound)} only"
        return f"at most {100 * self.rate:g} % of leukemic slides found benign ({counted}, 95 % confidence)"


def tier(leukemic_slides: int, missed: int) -> Tier:
    """The tier of so many judged leukemic slides, of which `missed` were found benign."""
    bound = upper_bound(missed, leukemic_slides)
    rates = [rate for rate in RATES if bound <= rate]
    return Tier(leukemic_slides, missed, bound, min(rates) if rates else None)


def upper_bound(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper bound of a rate (Clopper and Pearson 1934), 0..1; 1 where nothing was tried.

    Raises:
        ValueError: counts that are none.

    >>> round(upper_bound(0, 12), 4)
    0.2209
    """
    if not (0 <= events <= trials <= MOST_SLIDES):
        raise ValueError(f"counts must fulfil 0 <= events <= trials <= {MOST_SLIDES}; got {events} of {trials}")
    if events == trials:
        return 1.0
    if events == 0:
        return float(-math.expm1(math.log1p(-confidence) / trials))
    low, high = events / trials, 1.0
    for _ in range(60):  # halvings: below the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(events, trials, middle) > 1 - confidence else (low, middle)
    return high


def slides_needed(rate: float, missed: int = 0) -> int:
    """Fewest judged leukemic slides that bound the rate of missed ones by `rate` when `missed` of them are.

    >>> [slides_needed(rate) for rate in RATES]
    [29, 59, 149, 299]
    """
    low, high = missed, MOST_SLIDES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if upper_bound(missed, middle) <= rate else (middle, high)
    return high


class AcceptedSlide(Struct, frozen=True, forbid_unknown_fields=True):
    """One slide: its reference label, how its fields were answered, what was found, and sha256 of its images (hex).

    Attributes:
        passed: fields that the gates let through. benign, other: fields answered with a benign label, and another.
        finding: by the acceptance's rule.
    """

    slide: str
    label: str
    fields: int
    passed: int
    benign: int
    other: int
    finding: Finding
    images: tuple[str, ...]


class TriedThreshold(Struct, frozen=True, forbid_unknown_fields=True):
    """A least probability of a benign answer that was tested, and the judged leukemic slides missed at it."""

    benign_from: float
    missed: int
    kept: bool


class Kappa(Struct, frozen=True, forbid_unknown_fields=True):
    """Cohen's kappa of findings with the reference, over the slides found suspicious or benign; 95 % interval."""

    value: float
    low: float
    high: float
    slides: int


class Repeatability(Struct, frozen=True, forbid_unknown_fields=True):
    """Repeated frames of one field: fields that have them, and how many of those were answered the same each time."""

    fields: int
    frames: int
    same: int


class PaintedOut(Struct, frozen=True, forbid_unknown_fields=True):
    """The control of cells: a field of each leukemic slide that was answered so, and how many of those still are when
    its white cells are painted out. Many mean that something else than cells made the answers."""

    fields: int
    still: int


class Acceptance(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of `acceptance.json`.

    Attributes:
        site: where the slides are from, as `[site] name` of a profile says it. created: UTC, ISO 8601.
        rule: by which a slide's finding follows from its fields (`edge.inference.licence`).
        model_sha256, contract_sha256, gates_sha256: what was judged; gates None where no gate was asked.
        slides: all of them, in the order of their names. refused: unanswered fields by reason, of all slides.
        thresholds: tested in this order. camera_setups: digests of the set-ups that the fields were taken under; ""
            among them for fields of which none is known.
        limits: of `convert/acceptance/acceptance.toml`. reasons: why the verdict is not "pass".
        compared: images that the slides' images were compared with, by where they are listed; None where nothing is.
        own_benign_from: least probability of a benign answer that the bundle came with; no tested one is below it.
        looks: how often slides of this site were judged for this model, this time included.
    """

    format: Literal[1]
    site: str
    created: str
    software: str
    verdict: Verdict
    reasons: tuple[str, ...]
    rule: str
    model_sha256: str
    contract_sha256: str
    gates_sha256: str | None
    slides: tuple[AcceptedSlide, ...]
    refused: dict[str, int]
    thresholds: tuple[TriedThreshold, ...]
    camera_setups: tuple[str, ...]
    limits: dict[str, float]
    compared: dict[str, int | None]
    kappa: Kappa | None = None
    repeatability: Repeatability | None = None
    painted_out: PaintedOut | None = None
    own_benign_from: float = 0.0
    looks: int = 1

    def leukemic(self, contract: InputContract) -> tuple[AcceptedSlide, ...]:
        """The slides whose reference label is not benign by the contract."""
        return tuple(slide for slide in self.slides if slide.label not in contract.benign_labels)

    def tier(self, contract: InputContract) -> Tier:
        """What its leukemic slides show; refused ones show nothing and do not count."""
        return tier_of(self.leukemic(contract))

    def to_bytes(self) -> bytes:
        """The file; equal acceptances give equal bytes."""
        return json_bytes(ACCEPTANCE, msgspec.to_builtins(self))

    @classmethod
    def from_bytes(cls, data: bytes, shown: str = ACCEPTANCE) -> "Acceptance":
        """Read `to_bytes`.

        Raises:
            BundleError: begins with `shown`: no such file, another rule, slides or findings that cannot be.
        """
        record = read_object(data, shown, BundleError)
        try:
            read = msgspec.convert(record, cls)
        except msgspec.ValidationError as error:
            raise BundleError(f"{shown}: no acceptance: {error}") from error
        for problem in _problems(read):
            raise BundleError(f"{shown}: {problem}")
        return read

    def require_about(self, shown: str, contract: InputContract, digests: dict[str, str | None]) -> None:
        """BundleError, beginning with `shown`, unless it is about these files and the contract's labels.

        Args:
            digests: sha256 by "model", "contract" and "gates", hex; None for a file that is not there.
        """
        said = {"model": self.model_sha256, "contract": self.contract_sha256, "gates": self.gates_sha256}
        for name, digest in digests.items():
            if said[name] != digest:
                raise BundleError(f"{shown}: is about another {name} than the one beside it: accept the bundle again")
        if not contract.benign_labels:
            raise BundleError(f"{shown}: the contract names no benign label, so that nothing can be accepted")
        for slide in self.slides:
            if slide.label not in contract.labels:
                raise BundleError(f"{shown}: slide {slide.slide}: {slide.label!r} is no label of the contract")
        if self.verdict == "pass" and not self.tier(contract).says_benign:
            raise BundleError(f"{shown}: says pass, and its slides show only: {self.tier(contract)}")


def tier_of(leukemic: Iterable[AcceptedSlide]) -> Tier:
    """The tier that leukemic slides show, refused ones left out."""
    found = Counter(slide.finding for slide in leukemic)
    return tier(found.total() - found["refused"], found["benign"])


def percent(share: float) -> str:
    """Two digits: `22 %`, `9.8 %`.

    >>> percent(0.2209), percent(0.0495), percent(1.0)
    ('22 %', '5.0 %', '100 %')
    """
    return f"{share * 100:.{0 if round(share * 100, 1) >= 10 else 1}f} %"


def _at_most(events: int, trials: int, rate: float) -> float:
    """P(X <= events) of a binomial, rate in (0, 1)."""
    yes, no = math.log(rate), math.log1p(-rate)
    top = math.lgamma(trials + 1)
    terms = (
        top - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * yes + (trials - k) * no for k in range(events + 1)
    )
    return math.fsum(map(math.exp, terms))


def _problems(read: Acceptance) -> Iterable[str]:
    if read.rule != RULE:
        yield f"rule must be {RULE}, by which this version finds; got {read.rule!r}"
    if len(read.slides) > MOST_SLIDES:
        yield f"slides must be {MOST_SLIDES} at most; got {len(read.slides)}"
    names, images = [slide.slide for slide in read.slides], _images(read.slides)
    if names != sorted(set(names)):
        yield "slides must stand once each, sorted by name"
    if len(images) != len(set(images)):
        yield "an image stands there twice"
    for slide in read.slides:
        try:
            found = slide_finding(slide.fields, slide.passed, slide.benign, slide.other)
        except ValueError as error:
            yield f"slide {slide.slide}: {error}"
            continue
        if slide.finding != found:
            yield f"slide {slide.slide}: its finding must be {found} by {RULE}; got {slide.finding}"


def _images(slides: Sequence[AcceptedSlide]) -> list[Any]:
    return [image for slide in slides for image in slide.images]
