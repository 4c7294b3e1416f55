"""Range estimators: which part of an activation's values the 256 codes cover.

Min/max spares every extreme and pays for it with a coarser step for all the rest; the others give the rarest values up.

- "average": the mean over images of an image's least and greatest value, so that one odd image sets nothing.
- "percentile": all but a share of the values at either end.
- "mse": the ends at which the mean squared error of clipping and rounding together is least, by search
  over a histogram (as TensorRT and others do; Choukroun et al. 2019, arXiv 1902.06822).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from convert.recovery.activation_statistics import BINS, Seen, Statistics
from convert.tflite.float_file import FloatFile

Method = Literal["minmax", "average", "percentile", "mse"]
Doubles = npt.NDArray[np.float64]
LEVELS = 255  # steps between 256 codes
KEPT_PARTS = np.array([1.0, 0.98, 0.95, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3])
# Outputs that lie on the codes of their inputs: the quantizer wants one scale for both.
SAME_SCALE = frozenset(
    {
        *("AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "MIRROR_PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "PACK", "UNPACK"),
        *("SLICE", "STRIDED_SLICE", "SPLIT", "GATHER", "TILE"),
    }
)
FIXED_SCALE = frozenset({"SOFTMAX", "LOGISTIC", "TANH", "LOG_SOFTMAX", "L2_NORMALIZATION"})


@dataclass(frozen=True)
class Clipping:
    """How ranges follow from statistics; `share` is for "percentile": left out at either end, 0..0.1.

    >>> str(Clipping("percentile", 1e-4))
    'percentile 99.99'
    """

    method: Method = "minmax"
    share: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in ("minmax", "average", "percentile", "mse"):
            raise ValueError(f"method must be minmax, average, percentile or mse; got {self.method!r}")
        if (self.method == "percentile") != (self.share > 0) or not 0 <= self.share <= 0.1:
            raise ValueError(f"share must be above 0 and at most 0.1 for percentile, else 0; got {self.share}")

    def __str__(self) -> str:
        return f"percentile {100 * (1 - self.share):g}" if self.share else self.method


MIN_MAX = Clipping()


def set_ranges(file: FloatFile, statistics: Statistics, clipping: Clipping) -> None:
    """Write the ranges that follow from `statistics` into `file`. The model's inputs keep theirs: every pixel has to
    fit; fixed scales are TFLite's own; what lies on its input's codes gets its input's range."""
    by_method: dict[Method, Callable[[Seen], tuple[float, float]]] = {
        "minmax": lambda seen: (seen.low, seen.high),
        "average": lambda seen: (float(seen.lows.mean()), float(seen.highs.mean())),
        "percentile": lambda seen: percentile_range(seen, clipping.share),
        "mse": least_error_range,
    }
    for operator in file.operators:
        for output in operator.outputs:
            if output not in statistics or operator.kind in FIXED_SCALE:
                continue
            source = file.range(operator.inputs[0]) if operator.kind in SAME_SCALE else None
            low, high = source or by_method[clipping.method](statistics[output])
            file.set_range(output, min(low, 0.0), max(high, 0.0))  # 0 is always a code: padding and ReLU need it


def percentile_range(seen: Seen, share: float) -> tuple[float, float]:
    """The range that leaves out `share` of the values at either end, to the width of a bin."""
    assert seen.counts is not None
    total = int(seen.counts.sum())
    if not total:
        return seen.low, seen.high
    below = np.cumsum(seen.counts)
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    first = int(np.searchsorted(below, share * total, side="right"))
    last = int(np.searchsorted(below, (1 - share) * total, side="left"))
    return float(edges[min(first, BINS - 1)]), float(edges[min(last, BINS - 1) + 1])


def least_error_range(seen: Seen) -> tuple[float, float]:
    """The range with the least mean squared error among those that keep `KEPT_PARTS` of either end.

    A value v within the range is off by up to half a step, step^2 / 12 on average; outside by its distance to the end.
    """
    assert seen.counts is not None
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if high <= low or not seen.counts.sum():
        return low, high
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    weights = seen.counts / seen.counts.sum()
    lows, highs = np.unique(KEPT_PARTS * low), np.unique(KEPT_PARTS * high)
    below = (np.maximum(lows[:, None] - centres, 0) ** 2 @ weights)[:, None]  # (lows, 1)
    above = (np.maximum(centres - highs[:, None], 0) ** 2 @ weights)[None, :]  # (1, highs)
    rounding = ((highs[None, :] - lows[:, None]) / LEVELS) ** 2 / 12
    best = np.unravel_index(int(np.argmin(below + above + rounding)), rounding.shape)
    return float(lows[best[0]]), float(highs[best[1]])
