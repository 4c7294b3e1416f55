"""Calibration and evaluation images of a conversion: from a data set, else synthetic fields."""

import contextlib
import hashlib
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convert.calibration.calibration_set import Calibration, choose, frames_of_tiles, synthetic
from convert.calibration.selection import FeatureFunction, penultimate_features, pixel_statistics
from convert.errors import CalibrationError
from convert.quantization.findings import listed
from convert.quantization.float_model import FloatModel
from edge.cameras.synthetic.smear import synthetic_fields
from edge.inference.contract import InputContract, Pixels
from edge.inference.tiles import prepare_field
from models.data.class_folders import layout
from models.data.dataset import ImageSet, Sample, load_pixels
from models.data.parts import load_part, scan_for, split_for
from models.data.published import PUBLISHED_SPLIT
from models.data.split import Split, SplitError
from models.training.training_statistics import TrainingStatistics

_log = logging.getLogger(__name__)

ON_SYNTHETIC_FIELDS = (
    "warning: synthetic fields calibrate and judge this model: agreement only, no accuracy; give --data"
)
SYNTHETIC_CALIBRATION = 120
SYNTHETIC_EVALUATION = 400
# Drawn from seeds far apart, so that no field calibrates and judges.
_CALIBRATION_SEED, _EVALUATION_SEED = 0, 1_000_000


@dataclass(frozen=True, eq=False)
class ConversionImages:
    """A calibration set and an evaluation set that share no image and no microscope field.

    Attributes:
        calibration: linted; nothing in it forbids its use.
        pixels: uint8 (N, H, W, 3) RGB, prepared: what both models are judged on. With tiles as
            `edge.inference.tiles.prepare_field` gives them: what is judged is the field, by its pooled tiles.
        truth: int64 (N,), indices into the contract's labels; None for synthetic fields, which have no true class.
        names, sha256s: one each evaluation image.
        origin: where the images and their division come from, one line for the certificate.
        notes: for whoever runs the conversion, one line each.
        whole: the same fields as the gates see them, where that is not `pixels`.
    """

    calibration: Calibration
    pixels: Pixels
    truth: npt.NDArray[np.int64] | None
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    origin: str
    notes: tuple[str, ...] = ()
    whole: Pixels | None = None

    @property
    def for_gates(self) -> Pixels:
        """What gates see of each field: uint8 (N, height, width, 3) of the contract's size."""
        return self.pixels if self.whole is None else self.whole

    @property
    def synthetic(self) -> bool:
        """True when the evaluation images are synthetic fields."""
        return self.truth is None


@dataclass(frozen=True)
class Source:
    """Images on disk with their division; scanned once and used for every model of a run."""

    root: Path
    image_set: ImageSet
    split: Split
    origin: str

    @classmethod
    def open(cls, root: Path, labels: Sequence[str], split: Path | None) -> "Source":
        """Scan `root`, whose class folders must be `labels`; `split` as in `models.data.parts.split_for`."""
        image_set = scan_for(root, InputContract((224, 224), tuple(labels)))
        division, origin = split_for(image_set, split)
        return cls(root, image_set, division, origin)


@dataclass(frozen=True)
class ImageFolder:
    """A data set that is scanned once its classes are known: a model's labels are the names of the class folders.

    Attributes:
        split: as in `models.data.parts.split_for`.

    >>> ImageFolder(Path("absent")).source(("Benign", "Early"))
    Traceback (most recent call last):
    models.errors.DatasetError: data must be a folder of class folders; absent does not exist
    """

    root: Path
    split: Path | None = None
    _sources: dict[tuple[str, ...], Source] = field(default_factory=dict, init=False, repr=False, compare=False)

    def source(self, labels: tuple[str, ...]) -> Source:
        """The images of these classes; each set of labels is scanned once."""
        if labels not in self._sources:
            _log.info(f"scanning {self.root}")
            self._sources[labels] = Source.open(self.root, labels, self.split)
        return self._sources[labels]

    def class_folders(self) -> tuple[str, ...]:
        """Names of the class folders, sorted.

        Raises:
            DatasetError: no such folder.
        """
        return layout(self.root).labels


def not_judging(source: Source, contract: InputContract, most: int) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """(prepared pixels uint8 (N, H, W, 3) RGB, classes int64 (N,)) of up to `most` images of the training and the
    validation part, drawn in equal numbers a class: images that say something about a network and judge none."""
    pool: list[Sample] = []
    for part in ("train", "validation"):
        with contextlib.suppress(SplitError):  # a part without an image here
            pool += source.split.samples(source.image_set, part)
    by_class = [[each for each in pool if each.label == label] for label in contract.labels]
    chosen = [each for row in itertools.zip_longest(*map(_shuffled, by_class)) for each in row if each is not None][
        :most
    ]
    if not chosen:
        return nothing(contract)
    truth = np.array([contract.labels.index(each.label) for each in chosen], np.int64)
    return load_pixels(chosen, contract), truth


def nothing(contract: InputContract) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """No images, in the form of `not_judging`."""
    return load_pixels((), contract), np.empty(0, np.int64)


def _shuffled(samples: list[Sample]) -> list[Sample]:
    return [samples[k] for k in np.random.default_rng(0).permutation(len(samples))]


def from_images(
    source: Source, model: FloatModel, contract: InputContract, *, count: int, seed: int, method: str
) -> ConversionImages:
    """Calibration from the training part, evaluation from the test part.

    Raises:
        CalibrationError: the lint refuses the set, by the rule's name.
        SplitError: a part has none of the images.
    """
    training: tuple[Sample, ...] = source.split.samples(source.image_set, "train")
    test = load_part(source.image_set, source.split, "test", contract)
    calibration = choose_calibration(source, model, contract, count=count, seed=seed, method=method)
    division = f"images: {source.origin}; {len(training)} may calibrate, {len(test.samples)} judge"
    notes = (division, *(f.to_text() for f in calibration.findings if f.severity == "warn"))
    sha256s = tuple(sample.sha256 for sample in test.samples)
    return ConversionImages(
        calibration,
        test.pixels,
        test.truth,
        test.names,
        sha256s,
        source.origin,
        notes + _problems(source.image_set),
        None if test.whole is None else test.whole.pixels,
    )


def only_judging(folder: ImageFolder, contract: InputContract, calibration: Calibration) -> ConversionImages:
    """Images that judge an int8 file that exists; nothing is calibrated.

    Args:
        folder: with a split its test part judges, without one every image.
        calibration: what is known of the set that the file was calibrated on (`Calibration.recorded`); of those images
            none judges.

    Raises:
        CalibrationError: no image is left to judge.
        SplitError: the split's test part has none of the images.
    """
    image_set = scan_for(folder.root, contract)
    known = set(calibration.sha256s)
    if folder.split is None:
        samples, origin = image_set.samples, "all images of the folder"
    else:
        samples, origin = Split.load(folder.split).samples(image_set, "test"), f"test part, from {folder.split.name}"
    judging = [sample for sample in samples if sample.sha256 not in known]
    if not judging:
        raise CalibrationError(
            f"--data must hold images that the int8 file was not calibrated on; it was on all {len(samples)} of them",
            "overlap",
        )
    left_out = len(samples) - len(judging)
    said = f"images: {origin} judge, {len(judging)}; {left_out} left out, on which the int8 file was calibrated"
    if not known:
        said = f"images: {origin} judge, {len(judging)}; what the int8 file was calibrated on is not known"
    return ConversionImages(
        calibration,
        load_pixels(judging, contract),
        np.array([contract.labels.index(sample.label) for sample in judging], np.int64),
        tuple(sample.name for sample in judging),
        tuple(sample.sha256 for sample in judging),
        f"{origin}, less those that calibrated",
        (said, *_trained_on(judging), *_problems(image_set)),
        None if contract.tiles is None else load_pixels(judging, contract.untiled()),
    )


def _trained_on(samples: Sequence[Sample]) -> tuple[str, ...]:
    """A warning about images of the published set that the shipped networks were trained on."""
    training = {item.sha256 for item in Split.load(PUBLISHED_SPLIT).items if item.part == "train"}
    count = sum(sample.sha256 in training for sample in samples)
    if not count:
        return ()
    return (f"warning: the shipped networks were trained on {count} of these images: accuracy is flattered",)


def choose_calibration(
    source: Source,
    model: FloatModel,
    contract: InputContract,
    *,
    count: int,
    seed: int,
    method: str,
    features: FeatureFunction | None = None,
) -> Calibration:
    """A calibration set from the training part; `features` None measures distance by what the network's last layer
    takes.

    Raises:
        CalibrationError: the lint refuses the set, by the rule's name.
        SplitError: a part has none of the images.
    """
    measure: FeatureFunction = features or pixel_statistics
    if method != "random" and features is None:
        with contextlib.suppress(
            CalibrationError
        ):  # no Keras graph to take features from: pixel statistics serve any model
            measure = penultimate_features(model, contract)
    return choose(
        source.split.samples(source.image_set, "train"),
        contract,
        count=count,
        seed=seed,
        method=method,
        groups=source.split.groups(),
        evaluation=source.split.samples(source.image_set, "test"),
        features=measure,
        statistics=TrainingStatistics.beside(model.path),
    ).require()


def from_synthetic_fields(contract: InputContract) -> ConversionImages:
    """Synthetic fields for both sets: enough to watch agreement, never an accuracy."""
    return _drawn(contract.undecided(), SYNTHETIC_CALIBRATION, SYNTHETIC_EVALUATION)


@lru_cache(maxsize=1)  # drawing is the longest step of such a run; but for their decisions shipped contracts are one
def _drawn(contract: InputContract, calibrating: int, judging: int) -> ConversionImages:
    calibration = synthetic(synthetic_fields(calibrating, _CALIBRATION_SEED), contract, _CALIBRATION_SEED)
    frames = synthetic_fields(judging, _EVALUATION_SEED)
    drawn = [frame for _, frame in frames]
    pixels = np.stack([prepare_field(contract, field) for field in frames_of_tiles(drawn, contract)])
    whole = None
    if contract.tiles is not None:
        whole = np.stack([contract.untiled().prepare(field) for field in frames_of_tiles(drawn, contract)])
    return ConversionImages(
        calibration.require(),
        pixels,
        None,
        tuple(f"synthetic/{recipe}-{number:04d}" for number, (recipe, _) in enumerate(frames)),
        tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in pixels),
        "drawn fields (edge.cameras.synthetic.smear), seeds 0 and 1000000",
        (ON_SYNTHETIC_FIELDS,),
        whole,
    )


def _problems(image_set: ImageSet) -> tuple[str, ...]:
    """One line a kind of problem; the first names stand in it, `models audit` lists them all."""
    return tuple(
        f"warning: {kind}: {count} of the files{listed(tuple(p.name for p in image_set.problems if p.kind == kind))}"
        for kind, count in image_set.problem_counts().items()
    )
