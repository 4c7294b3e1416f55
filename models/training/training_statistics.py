"""Statistics of the training pixels in nine numbers, kept beside a model as `training_statistics.json`.

The contract says what a model is fed; these figures let a later set of images be compared with it: red and
blue swapped, another stain, another range of values.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import StatisticsError

STATISTICS_FILE = "training_statistics.json"
FORMAT = 1
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class TrainingStatistics:
    """Colour of prepared training pixels, RGB, grey levels 0..255.

    Attributes:
        images: how many were measured.
        mean: of each channel over all pixels.
        std: of each channel over all pixels.
        spread: standard deviation of the single images' channel means: how far one image may lie from `mean`.
    """

    images: int
    mean: Triple
    std: Triple
    spread: Triple

    def __post_init__(self) -> None:
        if self.images < 1:
            raise StatisticsError(f"images must be at least 1; got {self.images}")
        for name in ("mean", "std", "spread"):
            values = getattr(self, name)
            if len(values) != 3 or not all(math.isfinite(v) and 0 <= v <= 255 for v in values):
                raise StatisticsError(f"{name} must be three grey levels 0..255; got {values}")

    @classmethod
    def measure(cls, pixels: npt.NDArray[np.uint8]) -> "TrainingStatistics":
        """Statistics of prepared pixels, uint8 (N, H, W, 3) RGB, N >= 1, before any augmentation."""
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or not len(pixels):
            raise StatisticsError(f"pixels must be uint8 (N, H, W, 3) with N >= 1; got {pixels.dtype} {pixels.shape}")
        means = np.stack([image.mean(axis=(0, 1)) for image in pixels])  # image by image: no float copy of the set
        squares = np.stack([np.square(image, dtype=np.float32).mean(axis=(0, 1), dtype=np.float64) for image in pixels])
        variance = squares.mean(axis=0) - means.mean(axis=0) ** 2
        deviation = np.sqrt(np.maximum(variance, 0))
        return cls(len(pixels), _triple(means.mean(axis=0)), _triple(deviation), _triple(means.std(axis=0)))

    def to_json(self) -> str:
        """As it is stored: sorted keys, grey levels to three decimals."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def load(cls, path: Path) -> "TrainingStatistics":
        """Read `to_json`.

        Raises:
            StatisticsError: not such a file.
        """
        try:
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT:
                raise StatisticsError(f"{path}: format must be {FORMAT}; got {record['format']!r}")
            triples = {name: tuple(float(v) for v in record[name]) for name in ("mean", "std", "spread")}
            return cls(int(record["images"]), **triples)  # type: ignore[arg-type]  # lengths are checked above
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, StatisticsError):
                raise
            raise StatisticsError(f"{path}: not training statistics: {error}") from error

    @classmethod
    def beside(cls, model: Path) -> "TrainingStatistics | None":
        """The statistics in the folder of a model (or in a SavedModel folder); None when there are none."""
        path = (model if model.is_dir() else model.parent) / STATISTICS_FILE
        return cls.load(path) if path.is_file() else None


def _triple(values: npt.NDArray[Any]) -> Triple:
    red, green, blue = (round(float(v), 3) for v in values)
    return red, green, blue
