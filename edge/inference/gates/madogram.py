"""How fast a plane changes with distance: the madogram of geostatistics, the first-order variogram, as logarithms.

Sums are of whole numbers (OpenCV on uint8); the logarithms may differ in their last bits between machines.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2

from edge.inference.gates.measures import Plane

_FLOOR = 0.2  # added to every mean difference, in the plane's unit, so that an even plane has a logarithm


def madogram(plane: Plane, lags: Sequence[int]) -> tuple[list[float], list[float]]:
    """For each lag (pixels) the logarithm of the mean absolute difference, across and down, of uint8 (H, W)."""
    height, width = plane.shape[:2]
    across = [_apart(plane[:, lag:], plane[:, :-lag], height * (width - lag)) for lag in lags]
    down = [_apart(plane[lag:], plane[:-lag], width * (height - lag)) for lag in lags]
    return across, down


def steps(values: Sequence[float]) -> list[float]:
    """Each value but the first as difference to the one before.

    >>> steps([1.0, 3.0, 2.0])
    [2.0, -1.0]
    """
    return [after - before for before, after in pairwise(values)]


def _apart(one: Plane, other: Plane, count: int) -> float:
    if count <= 0:  # the plane is smaller than the lag
        return math.log(_FLOOR)
    return math.log(cv2.norm(one, other, cv2.NORM_L1) / count + _FLOOR)
