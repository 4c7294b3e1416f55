"""The images that a search is judged on, and those it may train on: never those that judge the result."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convert.calibration.calibration_set import Calibration, choose, frames_of_tiles, not_judging, set_digest
from convert.calibration.evaluation_data import ConversionImages, Source, choose_calibration
from convert.calibration.selection import pixel_statistics
from convert.errors import RecoveryError, TooFewImagesError
from convert.quantization.float_model import FloatModel
from convert.recovery.search_log import ImagesRecord
from edge.cameras.synthetic.smear import synthetic_fields
from edge.inference.contract import InputContract, Pixels
from edge.inference.tiles import prepare_field, tiles_of
from models.data.parts import load_part
from models.data.split import SplitError

LEAST_IMAGES = 20  # one of fewer is more than 5 %: no way is chosen by that
TRAINING_IMAGES = 800  # to fine-tune on, in equal numbers a class
SYNTHETIC_SEARCH = 200
SEARCH_SEED = 2_000_000  # far from those that calibrate and judge (`convert.calibration.evaluation_data`)


@dataclass(frozen=True, eq=False)
class SearchImages:
    """What trials are judged on: the validation part, or drawn fields of their own.

    Attributes:
        pixels: uint8 (N, H, W, 3) RGB, prepared. truth: int64 (N,), None for drawn fields.
        names, sha256s: one each image. origin: where they come from, one line.
    """

    pixels: Pixels
    truth: npt.NDArray[np.int64] | None
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    origin: str

    def to_record(self) -> ImagesRecord:
        """As `search.json` holds it."""
        return ImagesRecord(len(self.names), self.truth is not None, self.origin, set_digest(self.sha256s))


def search_images(source: Source | None, contract: InputContract, evidence: ConversionImages) -> SearchImages:
    """Images that neither calibrate nor judge.

    Raises:
        TooFewImagesError: fewer than `LEAST_IMAGES` in the validation part.
        RecoveryError: one of them judges or calibrates as well.
    """
    if source is None:
        frames = synthetic_fields(SYNTHETIC_SEARCH, SEARCH_SEED)
        fields = frames_of_tiles([frame for _, frame in frames], contract)
        pixels = np.stack([prepare_field(contract, field) for field in fields])
        names = tuple(f"synthetic/{recipe}-{number:04d}" for number, (recipe, _) in enumerate(frames))
        digests = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in pixels)
        found = SearchImages(pixels, None, names, digests, f"drawn fields, seed {SEARCH_SEED}")
    else:
        try:
            part = load_part(source.image_set, source.split, "validation", contract)
        except SplitError as error:
            raise TooFewImagesError(f"--search chooses by the validation part of the split: {error}") from error
        if len(part.samples) < LEAST_IMAGES:
            raise TooFewImagesError(
                f"--search chooses by the validation part of the split, at least {LEAST_IMAGES} images;"
                f" it has {len(part.samples)} ({source.origin})"
            )
        digests = tuple(sample.sha256 for sample in part.samples)
        found = SearchImages(part.pixels, part.truth, part.names, digests, f"validation part; {source.origin}")
    shared = set(found.sha256s) & {*evidence.sha256s, *evidence.calibration.sha256s}
    if shared:
        raise RecoveryError(f"search images must neither calibrate nor judge; {len(shared)} do")
    return found


def calibrations(
    source: Source | None, model: FloatModel, contract: InputContract, evidence: ConversionImages
) -> dict[str, Callable[[], Calibration]]:
    """The calibration set asked for, first, and others to try, made when they are called for: chosen to cover the
    training images, and twice as large, or as large as there are images."""
    asked = evidence.calibration
    count, seed = len(asked.names), asked.seed

    def chosen(number: int, method: str) -> Callable[[], Calibration]:
        assert source is not None
        return lambda: choose_calibration(
            source, model, contract, count=number, seed=seed, method=method, features=pixel_statistics
        )

    sets: dict[str, Callable[[], Calibration]] = {f"{count} {asked.method}": lambda: asked}
    if source is not None:
        sets.setdefault(f"{count} k-center", chosen(count, "k-center"))
        larger = min(2 * count, _candidates(source))
        if larger > count:
            sets.setdefault(f"{larger} random", chosen(larger, "random"))
    return sets


def _candidates(source: Source) -> int:
    """How many different images may calibrate."""
    training, test = (source.split.samples(source.image_set, part) for part in ("train", "test"))
    return len({sample.sha256 for sample in not_judging(training, test, source.split.groups())})


def training_pixels(source: Source, contract: InputContract, seed: int) -> Pixels:
    """Images of the training part to fine-tune on, as the network sees them: uint8 (N, height, width, 3) RGB, tiles
    where the contract has any, `TRAINING_IMAGES` of them or a few more."""
    chosen = choose(
        source.split.samples(source.image_set, "train"),
        contract,
        count=-(-TRAINING_IMAGES // contract.tile_count),
        seed=seed,
        groups=source.split.groups(),
    )
    views = tiles_of(contract, chosen.pixels)
    order = np.random.default_rng(seed).permutation(len(views))  # they come class by class
    return np.asarray(views[order])
