"""The fit of a model's gates from its own images: what `gates.json` holds, whatever the images show.

Training fields fit the prototypes, validation fields the limits, and test fields only tell what is refused. Where the
validation part is small, training and validation fields take turns instead (cross-fitting by microscope field): every
distance is to prototypes that were made without the field.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.inference.domain import ANY, SMEAR, Domain
from edge.inference.gates.appearance import LEAST_SPREAD, appearance
from edge.inference.gates.base import Gates
from edge.inference.gates.gates_file import (
    CROSS_FITTED,
    GATES_FORMAT,
    PARTS,
    FamilyNumbers,
    GatesFile,
    GatesSource,
    JudgedGates,
    QualityLimit,
)
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import FAMILIES, Family, scaled
from edge.inference.gates.quality import LARGEST_LIMIT, QUALITY, quality_names
from edge.system.progress import Progress
from models.data.dataset import ImageSet, load_pixels
from models.data.split import PARTS as PARTS_OF_SPLIT
from models.data.split import Split, SplitError
from models.decision.limits import LimitRule
from models.decision.prototypes import RULES, fit_family, scaled_about
from models.errors import DatasetError
from models.statistics.intervals import wilson
from models.support.keyed_random import draw
from models.support.versions import versions

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
FEWEST = 20  # images in all: below it nobody can say what a share of them is
FEW = 200  # validation images below which fields take turns
FOLDS = 10
BUDGET = 0.03  # of a model's own images that its gates may refuse

CODE_PER_STOP = 1 / 2.2  # a camera's tone curve: grey levels go with light to this power
_ONE_STOP = 2**-CODE_PER_STOP
# By name; measures of the same name mean the same in every domain.
QUALITY_RULES: Mapping[str, LimitRule] = {
    "under_exposed": LimitRule(
        False,
        0.0015,
        _ONE_STOP,
        0,
        "one stop darker than the images",
    ),
    "over_exposed": LimitRule(True, 0.0015, least=1.0, why="a percent of white hides nothing"),
    "empty_field": LimitRule(False, 0.0015),
    "no_contrast": LimitRule(False, 0.0015, _ONE_STOP, 1, "one stop less than the images"),
    "motion_blur": LimitRule(
        True, 0.0035, why="more than the others' 0.0015: what lies beyond is seen to be drawn out"
    ),
    "out_of_focus": LimitRule(True, 0.0015),
}
FAMILIES_OF: Mapping[Domain, tuple[str, ...]] = {
    SMEAR: ("stain", "structure"),
    ANY: ("appearance", "appearance_compressed"),
}
NOVELTY_RULES: Mapping[str, LimitRule] = {
    **RULES,
    # Plain distances see what is far out in one number, compressed ones what is a little odd in many: measured in
    # docs/studies/novelty/any_pictures.py.
    "appearance": LimitRule(True, 0.003, 1.1),
    "appearance_compressed": LimitRule(True, 0.007, 1.05),
}
_PROTOTYPE_IMAGES, _MOST_PROTOTYPES = 20, 4  # of the appearance: images a prototype stands for, and prototypes a class
_FLOOR = 0.2  # added to the spread along each axis: a direction that hardly varies must not decide alone


@dataclass(frozen=True)
class GateImages:
    """Images of one use.

    Attributes:
        pixels: uint8 (N, H, W, 3) RGB, prepared. labels, groups: (N,) class and microscope field.
    """

    pixels: Pixels
    labels: Texts
    groups: Texts

    def __len__(self) -> int:
        return len(self.labels)

    def joined(self, other: "GateImages") -> "GateImages":
        """These and then the others."""
        return GateImages(
            np.concatenate([self.pixels, other.pixels]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
        )


@dataclass(frozen=True)
class Measured:
    """What gates measure on N images.

    Attributes:
        quality: name -> (N,) values. novelty: family -> (N, F) numbers. labels, groups: (N,).
    """

    quality: Mapping[str, Floats]
    novelty: Mapping[str, Floats]
    labels: Texts
    groups: Texts

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, rows: npt.NDArray[np.bool_]) -> "Measured":
        """Those of some images."""
        return Measured(
            {name: values[rows] for name, values in self.quality.items()},
            {name: values[rows] for name, values in self.novelty.items()},
            self.labels[rows],
            self.groups[rows],
        )


def fit_gates(domain: Domain, train: GateImages, validation: GateImages, test: GateImages, command: str) -> GatesFile:
    """The gates of a model, from images that it was trained, tuned and judged on.

    Args:
        train, validation, test: of one size; `test` may be empty: then nothing is said of what is refused.
        command: for the file.

    Raises:
        DatasetError: fewer than 20 images to fit.
    """
    total = len(train) + len(validation)
    if total < FEWEST:
        raise DatasetError(f"gates need {FEWEST} training and validation images at least; got {total}")
    own = measure(domain, train.joined(validation))
    size = (train.pixels.shape[2], train.pixels.shape[1])
    file = fit_measured(domain, size, own, command, validation=len(validation))
    return replace_judged(file, test) if len(test) else file


def fit_measured(
    domain: Domain, size: tuple[int, int], own: Measured, command: str, *, validation: int = 0
) -> GatesFile:
    """The gates of images that were measured; nothing is said yet of what is refused.

    Args:
        size: (width, height) of the images. own: training images, and last the `validation` images that set limits;
            where those are fewer than 200 all of them take turns.
    """
    takes_turns = validation < FEW
    training, total = len(own) - validation, len(own)
    return GatesFile(
        format=GATES_FORMAT,
        domain=domain,
        size=size,
        quality={name: _quality_limit(name, values) for name, values in own.quality.items()},
        novelty={name: _novelty(name, own, training, takes_turns) for name in own.novelty},
        source=GatesSource(
            command=command,
            images={
                "fitted": total if takes_turns else training,
                "limits": total if takes_turns else validation,
            },
            method=CROSS_FITTED if takes_turns else PARTS,
            versions=versions(),
            notes=_notes(own.labels, validation) if takes_turns else (),
        ),
        judged=None,
    )


def gate_parts(image_set: ImageSet, split: Split, contract: InputContract) -> tuple[GateImages, GateImages, GateImages]:
    """Training, validation and test images of a split, prepared; a part that the set lacks is empty."""
    groups = split.groups()
    width, height = contract.size
    found = []
    for part in PARTS_OF_SPLIT:
        try:
            samples = split.samples(image_set, part)
        except SplitError:
            samples = ()
        pixels = load_pixels(samples, contract.untiled()) if samples else np.empty((0, height, width, 3), np.uint8)
        labels = np.array([sample.label for sample in samples], np.str_)
        found.append(GateImages(pixels, labels, np.array([groups[sample.sha256] for sample in samples], np.str_)))
    return found[0], found[1], found[2]


def refuses_too_many(file: GatesFile) -> bool:
    """Whether the gates surely refuse more than the budget of images held back: all of the interval lies above it."""
    return file.judged is not None and file.judged.interval[0] > BUDGET


def judged_text(file: GatesFile) -> str:
    """What the gates refuse of images held back, one sentence."""
    if file.judged is None:
        return "no image was held back, so nothing is known of what is refused"
    judged = file.judged
    low, high = (100 * bound for bound in judged.interval)
    shown = f"{judged.refused} of {judged.images} held-back images refused ({low:.1f} to {high:.1f} %)"
    reasons = [f"{name} {count}" for name, count in judged.by_gate.items() if count]
    return shown + (f": {', '.join(reasons)}" if reasons else "")


def replace_judged(file: GatesFile, test: GateImages) -> GatesFile:
    """The file with what its gates refuse of images that neither fitted nor limited them."""
    from msgspec.structs import replace as replaced

    return replaced(file, judged=judge(file.gates(), test.pixels))


def judge(gates: Gates, pixels: Pixels) -> JudgedGates:
    """What gates refuse of N >= 1 prepared images."""
    reports = [gates.check(each) for each in pixels]
    refused = sum(report.refusal is not None for report in reports)
    every = [reading.gate for report in reports for reading in report.readings if reading.refused]
    low, high = wilson(refused, len(reports))
    return JudgedGates(len(reports), refused, (low, high), {name: every.count(name) for name in gates.names})


def measure(domain: Domain, images: GateImages) -> Measured:
    """All that the gates of a domain measure."""
    quality: dict[str, list[float]] = {name: [] for name in quality_names(domain)}
    novelty: dict[str, list[Sequence[float]]] = {name: [] for name in FAMILIES_OF[domain]}
    with Progress("measuring images for the gates", len(images)) as bar:
        for pixels in images.pixels:
            view = View(pixels, domain)
            for name, values in quality.items():
                values.append(QUALITY[name].measure(view))
            for name, rows in novelty.items():
                rows.append(view.measured(FAMILIES[name].measure))
            bar.advance()
    return Measured(
        {name: np.array(values, np.float64) for name, values in quality.items()},
        {name: np.array(rows, np.float64) for name, rows in novelty.items()},
        images.labels,
        images.groups,
    )


def fit(name: str, values: Floats, labels: Texts) -> Family:
    """A family of (N, F) numbers with their classes (N,); its limit is still 1."""
    if FAMILIES[name].measure is appearance:
        return _fit_appearance(values, labels, FAMILIES[name].compressed)
    return fit_family(values, labels)


def turn_distances(name: str, values: Floats, labels: Texts, groups: Texts) -> Floats:
    """(N,): the distance of each image to prototypes that were made without its microscope field."""
    fields = np.unique(groups)
    order = draw("gates", str(len(fields))).permutation(len(fields))
    fold_of = dict(zip(fields.tolist(), (order % FOLDS).tolist(), strict=True))
    folds = np.array([fold_of[group] for group in groups.tolist()])
    found = np.zeros(len(values))
    for fold in np.unique(folds):
        out = folds == fold
        if out.all():
            raise DatasetError("gates need images of two microscope fields at least; all are of one")
        family = fit(name, values[~out], labels[~out])
        found[out] = _distances(family, values[out])
    return found


def _novelty(name: str, own: Measured, training: int, takes_turns: bool) -> FamilyNumbers:
    values, rule = own.novelty[name], NOVELTY_RULES[name]
    if takes_turns:
        family = fit(name, values, own.labels)
        far = turn_distances(name, values, own.labels, own.groups)
    else:
        family = fit(name, values[:training], own.labels[:training])
        far = _distances(family, values[training:])
    limit = rule.limit(far)
    return FamilyNumbers.of(
        name,
        replace(family, limit=limit),
        images=len(far),
        quantile=rule.quantile,
        factor=rule.factor,
        refused=rule.refused(far, limit),
    )


def _quality_limit(name: str, values: Floats) -> QualityLimit:
    rule = QUALITY_RULES[name]
    limit = min(rule.limit(values), LARGEST_LIMIT)
    return QualityLimit(limit, len(values), rule.quantile, rule.factor, rule.refused(values, limit), rule.why)


def _fit_appearance(values: Floats, labels: Texts, compressed: bool) -> Family:
    """Prototypes of each class, and one covariance about them, its spreads raised by a floor."""
    from sklearn.cluster import KMeans

    centre, scale, _ = scaled_about(values)
    scale = np.maximum(scale, LEAST_SPREAD)
    numbers = scaled(values, centre, scale, compressed)
    prototypes, residuals = [], []
    for label in np.unique(labels):
        own = numbers[labels == label]
        count = max(1, min(_MOST_PROTOTYPES, len(own) // _PROTOTYPE_IMAGES))
        nearest = KMeans(count, n_init=4, random_state=0).fit(own).labels_
        for number in range(count):
            members = own[nearest == number]
            prototypes.append(members.mean(axis=0))
            residuals.append(members - prototypes[-1])
    offsets = np.vstack(residuals)
    variances, axes = np.linalg.eigh(offsets.T @ offsets / len(offsets))
    weights = axes / (np.sqrt(np.maximum(variances, 0)) + _FLOOR)
    precision = weights @ weights.T
    return Family(centre, scale, np.array(prototypes), (precision + precision.T) / 2, 1.0, compressed)


def _distances(family: Family, values: Floats) -> Floats:
    return np.array([family.distance(row)[0] for row in values])


def _notes(labels: Texts, validation: int) -> tuple[str, ...]:
    fewest = min(int((labels == label).sum()) for label in np.unique(labels))
    return (
        f"{validation} validation images are fewer than {FEW}: {len(labels)} training and validation images, {fewest} "
        "of the smallest class, took turns, and limits beyond the outermost image are extrapolated; what is "
        "refused of new images can differ from the share aimed at by a few images in a hundred",
    )
