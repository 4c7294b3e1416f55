"""Statistics of a float TFLite file's activations on images: extremes, means by channel, histograms.

The file runs without a delegate, image by image, and everything is summed as it goes, so that memory does not grow with
the number of images.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.tflite.float_file import FloatFile
from convert.tflite.matching import Runner

Doubles = npt.NDArray[np.float64]
BINS = 2048
HISTOGRAM_IMAGES = 64  # of the set, evenly spread: for the shape of a distribution, not for its ends


@dataclass(eq=False)
class Seen:
    """One activation over all images.

    Attributes:
        lows, highs: of each image, length N.
        channel_peak: greatest magnitude of each channel (last axis).
        channel_mean: mean of each channel over images and positions.
        counts: int64 (BINS,), a histogram between the least and the greatest value, of `HISTOGRAM_IMAGES` images;
            None where it was not asked for.
    """

    lows: Doubles
    highs: Doubles
    channel_peak: Doubles
    channel_mean: Doubles
    counts: npt.NDArray[np.int64] | None = None

    @property
    def low(self) -> float:
        """Least value of all."""
        return float(self.lows.min())

    @property
    def high(self) -> float:
        """Greatest value of all."""
        return float(self.highs.max())


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of every activation of a file, by tensor index."""

    seen: dict[int, Seen] = field(default_factory=dict)
    images: int = 0

    def __getitem__(self, tensor: int) -> Seen:
        return self.seen[tensor]

    def __contains__(self, tensor: int) -> bool:
        return tensor in self.seen


def collect(
    model: bytes,
    inputs: Callable[[int], npt.NDArray[np.float32]],
    count: int,
    *,
    histograms: bool = True,
    progress: Callable[[], None] = lambda: None,
) -> Statistics:
    """Run every image once, and some twice.

    Args:
        model: a float TFLite file.
        inputs: from 0..count - 1 to a model input, float32 (1, H, W, 3).
        count: images, >= 1.
        histograms: collect them too; a second run of `HISTOGRAM_IMAGES` images.
        progress: called once an image and run.
    """
    tensors = FloatFile(model).activations
    runner = Runner(model, keep_all=True)
    sums: dict[int, Any] = {}
    for number in range(count):
        runner.run([inputs(number)])
        for tensor in tensors:
            _add(sums, tensor, runner.tensor(tensor))
        progress()
    seen = {
        tensor: Seen(np.array(s["lows"]), np.array(s["highs"]), s["peak"], s["mean"] / count)
        for tensor, s in sums.items()
    }
    if histograms:
        _count(runner, inputs, count, seen, progress)
    return Statistics(seen, count)


def runs(count: int, histograms: bool = True) -> int:
    """How often `collect` calls its `progress`."""
    return count + (min(count, HISTOGRAM_IMAGES) if histograms else 0)


def _add(sums: dict[int, Any], tensor: int, values: npt.NDArray[np.float32]) -> None:
    rows = values.reshape(-1, values.shape[-1] if values.ndim else 1)
    high, low = rows.max(axis=0).astype(np.float64), rows.min(axis=0).astype(np.float64)
    mean = rows.mean(axis=0, dtype=np.float64)
    peak = np.maximum(np.abs(high), np.abs(low))
    own = sums.setdefault(tensor, {"lows": [], "highs": [], "peak": peak, "mean": np.zeros_like(mean)})
    own["lows"].append(float(low.min()))
    own["highs"].append(float(high.max()))
    own["peak"] = np.maximum(own["peak"], peak)
    own["mean"] += mean


def _count(
    runner: Runner,
    inputs: Callable[[int], npt.NDArray[np.float32]],
    count: int,
    seen: dict[int, Seen],
    progress: Callable[[], None],
) -> None:
    for own in seen.values():
        own.counts = np.zeros(BINS, np.int64)
    for number in np.unique(np.linspace(0, count - 1, min(count, HISTOGRAM_IMAGES)).astype(int)):
        runner.run([inputs(int(number))])
        for tensor, own in seen.items():
            width = own.high - own.low
            if width <= 0 or own.counts is None:
                continue
            places = (runner.tensor(tensor).ravel() - np.float32(own.low)) * np.float32(BINS / width)
            own.counts += np.bincount(np.clip(places, 0, BINS - 1).astype(np.int16), minlength=BINS)
        progress()
