"""The calibration set: the images that set the converter's ranges, how they are chosen, what the lint says.

Chosen with a seed, in equal numbers a class, one image a microscope field, and from no field that judges the
model.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from convert.calibration.lint import lint_files, lint_pixels
from convert.calibration.selection import METHODS, FeatureFunction, pick, pixel_statistics
from convert.errors import CalibrationError, CertificateError
from convert.quantization.findings import Finding, listed
from edge.cameras.synthetic.recipes import RECIPES
from edge.inference.contract import InputContract, Pixels
from edge.inference.tiles import prepare_field
from models.data.dataset import Sample, load_pixels
from models.training.training_statistics import TrainingStatistics

DEFAULT_COUNT = 200
Load = Callable[[Sequence[Sample], InputContract], Pixels]


class CalibrationFile(msgspec.Struct, frozen=True):
    """One image of a calibration set; `label` None where its class is not known."""

    name: str
    sha256: str
    label: str | None


class CalibrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`calibration.json`: which images, how they were chosen, what the lint said.

    Attributes:
        sha256: over the images' hashes in their order (`Calibration.digest`).
        per_class: label to images; empty where no class is known.
    """

    images: int
    method: str
    seed: int
    synthetic: bool
    sha256: str
    per_class: dict[str, int]
    files: tuple[CalibrationFile, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibration set.

    Attributes:
        names, sha256s, labels: one each an image; of an array, the hash is of its prepared pixels and the
            label "".
        pixels: uint8 (N, height, width, 3), RGB, prepared by the contract; with tiles as
            `edge.inference.tiles.prepare_field` gives them: the converter is fed each tile, and a name and a hash are
            of the field.
        method: one of selection.METHODS; "given" for a set taken as it came.
        seed: of the choice.
        synthetic: True for synthetic fields.
        findings: what the lint said.

    >>> pixels = np.zeros((1, 2, 2, 3), np.uint8)
    >>> Calibration(("a.png",), ("0" * 64,), ("Pro",), pixels, "given", 0).record().per_class
    {'Pro': 1}
    """

    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    labels: tuple[str, ...]
    pixels: Pixels
    method: str
    seed: int
    synthetic: bool = False
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        counts = {len(self.names), len(self.sha256s), len(self.labels), len(self.pixels)}
        if len(counts) != 1:
            raise CalibrationError(f"names, sha256s, labels and pixels must be equally many; got {sorted(counts)}")

    @property
    def refused(self) -> tuple[Finding, ...]:
        """The findings that forbid its use."""
        return tuple(f for f in self.findings if f.severity == "refuse")

    def digest(self) -> str:
        """Sha256 over the images' hashes in their order: names the set in a certificate."""
        return hashlib.sha256("\n".join(self.sha256s).encode()).hexdigest()

    def record(self) -> CalibrationRecord:
        """What `calibration.json` holds."""
        return CalibrationRecord(
            images=len(self.names),
            method=self.method,
            seed=self.seed,
            synthetic=self.synthetic,
            sha256=self.digest(),
            per_class=dict(sorted(Counter(label for label in self.labels if label).items())),
            files=tuple(
                CalibrationFile(name, sha, label or None)
                for name, sha, label in zip(self.names, self.sha256s, self.labels, strict=True)
            ),
            findings=self.findings,
        )

    @classmethod
    def recorded(cls, record: CalibrationRecord | None) -> "Calibration":
        """The set that a `calibration.json` names, without its pixels; None: a set of which nothing is known."""
        if record is None:
            return cls((), (), (), np.empty((0, 0, 0, 3), np.uint8), "not known", 0)
        files = record.files
        return cls(
            tuple(file.name for file in files),
            tuple(file.sha256 for file in files),
            tuple(file.label or "" for file in files),
            np.empty((len(files), 0, 0, 3), np.uint8),
            record.method,
            record.seed,
            record.synthetic,
            record.findings,
        )

    def require(self) -> "Calibration":
        """The set itself when nothing forbids its use.

        Raises:
            CalibrationError: with the first refusing finding; `rule` names it.
        """
        for finding in self.refused:
            raise CalibrationError(f"{finding.rule}: {finding.message}{listed(finding.names)}", finding.rule)
        return self


def choose(
    samples: Sequence[Sample],
    contract: InputContract,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    method: str = "random",
    groups: Mapping[str, str] | None = None,
    evaluation: Sequence[Sample] = (),
    features: FeatureFunction = pixel_statistics,
    statistics: TrainingStatistics | None = None,
    load: Load = load_pixels,
) -> Calibration:
    """Choose a calibration set and lint it.

    Images that judge the model, and images of the same microscope fields, are never candidates; how many were
    left out is a finding. Of each field one image is a candidate as long as there are enough fields.

    Args:
        samples: candidates, the training part of a split as a rule.
        contract: prepares them; its labels are the classes.
        count: images wanted, in equal numbers a class; a class with fewer gives all it has, the others the
            rest.
        seed: same seed, same images.
        method: one of selection.METHODS.
        groups: sha256 to microscope field for candidates and evaluation images
            (`models.data.field_groups.find_groups`).
        evaluation: every image that will judge the model.
        features: what "k-center" and "herding" measure distance on.
        statistics: of the training pixels, for the lint.
        load: samples to pixels.

    Raises:
        CalibrationError: nothing left to choose from, a count below 1 or an unknown method.
        ImageFileError: a file became unreadable.
    """
    if method not in METHODS:
        raise CalibrationError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if count < 1:
        raise CalibrationError(f"count must be at least 1; got {count}")
    field_of = groups or {}
    candidates = not_judging(samples, evaluation, field_of)
    left_out = len(samples) - len(candidates)
    if not candidates:
        raise CalibrationError(
            f"no image left to calibrate with: all {len(samples)} judge the model or share its fields"
        )
    chosen: list[Sample] = []
    by_class = _by_class(candidates, contract.labels)
    for label, share in _shares({label: len(own) for label, own in by_class.items()}, count).items():
        pool = _one_a_field(by_class[label], field_of, share, seed)
        rows = np.zeros((len(pool), 1)) if method == "random" else features(load(pool, contract))
        chosen += [pool[i] for i in pick(method, rows, share, seed)]
    found = Calibration(
        tuple(s.name for s in chosen),
        tuple(s.sha256 for s in chosen),
        tuple(s.label for s in chosen),
        load(chosen, contract),
        method,
        seed,
    )
    findings = lint(found, contract, evaluation=evaluation, groups=groups, statistics=statistics)
    if left_out:
        said = f"{left_out} of {len(samples)} candidates judge the model or share a field with what does"
        findings = (*findings, Finding("info", "left-out", said))
    return replace(found, findings=findings)


def lint(
    calibration: Calibration,
    contract: InputContract,
    *,
    evaluation: Sequence[Sample] = (),
    groups: Mapping[str, str] | None = None,
    statistics: TrainingStatistics | None = None,
) -> tuple[Finding, ...]:
    """Every rule of `convert.calibration.lint` on a set of prepared images; refusals first."""
    c = calibration
    findings = lint_files(
        c.names,
        c.sha256s,
        c.labels,
        contract,
        evaluation_sha256s={s.sha256 for s in evaluation},
        groups=groups,
    )
    findings += lint_pixels(c.names, c.pixels, statistics)
    order = {"refuse": 0, "warn": 1, "info": 2}
    return tuple(sorted(findings, key=lambda f: order[f.severity]))


def synthetic(frames: Sequence[tuple[str, Pixels]], contract: InputContract, seed: int) -> Calibration:
    """A linted calibration set of synthetic fields (`edge.cameras.synthetic.smear.synthetic_fields`).

    Args:
        frames: (recipe, uint8 (H, W, 3) RGB); a recipe that is no label of the contract counts as unknown.
        contract: prepares them.
        seed: the fields were drawn with.
    """
    fields = frames_of_tiles([frame for _, frame in frames], contract)
    pixels = np.stack([prepare_field(contract, each) for each in fields]) if frames else load_pixels((), contract)
    known = {recipe for recipe, _ in frames} & set(contract.labels)
    labels = tuple(recipe if len(known) == len(contract.labels) else "" for recipe, _ in frames)
    names = tuple(f"synthetic/{recipe}-{number:04d}" for number, (recipe, _) in enumerate(frames))
    found = Calibration(names, pixel_digests(pixels), labels, pixels, "given", seed, synthetic=True)
    return replace(found, findings=lint(found, contract))


def frames_of_tiles(frames: Sequence[Pixels], contract: InputContract) -> Iterator[Pixels]:
    """Drawn frames as fields of the contract's tiles: each tile is a drawn frame, the same one in as many fields as
    there are tiles; a frame is drawn at the size of cells that a network sees in one view. Without tiles the frames.

    Args:
        frames: uint8 (H, W, 3), all of one size, in turns of the four recipes: the tiles of a field are of one recipe.
    """
    if contract.tiles is None:
        yield from frames
        return
    columns, rows = contract.tiles
    for first in range(len(frames)):
        each = [frames[(first + len(RECIPES) * k) % len(frames)] for k in range(columns * rows)]
        yield np.vstack([np.hstack(each[row * columns : (row + 1) * columns]) for row in range(rows)])


def not_judging(samples: Sequence[Sample], evaluation: Sequence[Sample], groups: Mapping[str, str]) -> list[Sample]:
    """Those of `samples` that share neither image nor field with what judges the model: the candidates."""
    judging = {s.sha256 for s in evaluation}
    fields = {groups[sha] for sha in judging if sha in groups}
    return [s for s in samples if s.sha256 not in judging and groups.get(s.sha256) not in fields]


def _by_class(samples: Sequence[Sample], labels: Sequence[str]) -> dict[str, list[Sample]]:
    """In the contract's order, each by hash, so that neither names nor the order of a folder matter."""
    by_class: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted({s.sha256: s for s in samples}.values(), key=lambda s: s.sha256):
        by_class[sample.label].append(sample)
    return {label: by_class[label] for label in labels if by_class[label]}


def _shares(available: Mapping[str, int], count: int) -> dict[str, int]:
    """Equal numbers a class; what a small class cannot give, the others give."""
    shares = dict.fromkeys(available, 0)
    while sum(shares.values()) < count:
        room = [label for label in available if shares[label] < available[label]]
        if not room:
            break
        for label in room[: count - sum(shares.values())]:
            shares[label] += 1
    return shares


def _one_a_field(samples: Sequence[Sample], groups: Mapping[str, str], least: int, seed: int) -> list[Sample]:
    """One image of each field, chosen by the seed; further ones only when there are too few fields."""
    order = np.random.default_rng(seed).permutation(len(samples))
    first: dict[str, Sample] = {}
    further: list[Sample] = []
    for index in order:
        sample = samples[int(index)]
        field = groups.get(sample.sha256, sample.sha256)
        if field in first:
            further.append(sample)
        else:
            first[field] = sample
    kept = list(first.values())
    return kept + further[: max(0, least - len(kept))]


def pixel_digests(pixels: Pixels) -> tuple[str, ...]:
    """Sha256 of each prepared image, uint8 (N, height, width, 3)."""
    return tuple(hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest() for image in pixels)


def set_digest(sha256s: Sequence[str]) -> str:
    """Sha256 over the sorted hashes of a set's images, one a line: the same for any order of the same images.

    Raises:
        CertificateError: there is none, or one is not 64 lowercase hexadecimal digits.
    """
    if not sha256s:
        raise CertificateError("sha256s must name at least one image; got none")
    for sha256 in sha256s:
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise CertificateError(f"sha256s must be 64 hexadecimal digits each; got {sha256!r}")
    return hashlib.sha256("\n".join(sorted(sha256s)).encode()).hexdigest()
