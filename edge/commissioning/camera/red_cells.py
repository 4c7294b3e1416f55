"""Diameters of red cells on a field of a smear, pixels: those that lie alone, whole, and round.

The green channel's density against the clear glass is cut at half of what red cells have, so that blur moves an edge
outwards as much as inwards. Outlines are filled (pale centres). What touches the border, overlaps (outline not convex),
is not round, or holds nuclear stain is left out. Platelets are smaller and white cells larger: the size that covers the
most area decides which are the red cells, and the median of those within 30 % of it is their diameter.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EmptyFieldError
from edge.inference.contract import Pixels

FEWEST_CELLS = 20
SMALLEST_PX = 8.0  # diameter: below it a pixel is too much of it
_CLEAR = 0.90  # quantile of the channel that is the clear glass: the lightest tenth, as the gates have it
_LEAST_DENSITY = 0.02
_ROUND, _CONVEX, _SLIM = 0.80, 0.94, 1.35  # 4 pi area / perimeter^2; area / hull's area; longer axis / shorter
_NUCLEAR, _MOST_NUCLEAR = 0.07, 0.05  # green's density above the mean of red's and blue's; part of a cell
_ALIKE = 0.3


@dataclass(frozen=True)
class RedCells:
    """Diameters that were measured: median and quartiles, pixels, and how many cells."""

    median: float
    quartiles: tuple[float, float]
    cells: int


def measure_red_cells(frames: Iterable[Pixels]) -> RedCells:
    """The diameter of red cells on some fields.

    Args:
        frames: uint8 (H, W, 3) RGB, evenly lit.

    Raises:
        EmptyFieldError: fewer than FEWEST_CELLS that lie alone.
    """
    return summary([diameter for frame in frames for diameter in diameters(frame)])


def summary(found: list[float]) -> RedCells:
    """Median and quartiles of the size that covers the most area; EmptyFieldError as `measure_red_cells`."""
    sizes = np.sort(np.array(found))
    kept = sizes
    if sizes.size:
        area = np.cumsum(sizes**2)
        usual = sizes[np.searchsorted(area, area[-1] / 2)]
        kept = sizes[np.abs(sizes / usual - 1) <= _ALIKE]
    if len(kept) < FEWEST_CELLS:
        raise EmptyFieldError(
            f"{len(kept)} red cells lie alone, {FEWEST_CELLS} must: move to where they lie side by side and do not "
            "touch, and focus"
        )
    lower, median, upper = np.quantile(kept, [0.25, 0.5, 0.75])
    return RedCells(float(median), (float(lower), float(upper)), len(kept))


def diameters(frame: Pixels) -> list[float]:
    """Of everything round and alone on a field that holds no nuclear stain: diameter of the circle of its area, px."""
    smooth = cv2.GaussianBlur(frame, (3, 3), 0)
    red, green, blue = (_density(np.asarray(smooth[..., channel], np.uint8)) for channel in range(3))
    nuclear = (green - (red + blue) / 2 > _NUCLEAR).astype(np.uint8)
    cells = green[(green > _LEAST_DENSITY) & (nuclear == 0)]
    if cells.size < SMALLEST_PX**2:
        return []
    threshold = max(_LEAST_DENSITY, float(np.median(cells)) / 2)
    mask = (green > threshold).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = [_diameter(outline, mask.shape, nuclear) for outline in outlines]
    return [each for each in found if each is not None]


def _diameter(outline: cv2.typing.MatLike, shape: tuple[int, ...], nuclear: npt.NDArray[np.uint8]) -> float | None:
    x, y, width, height = cv2.boundingRect(outline)
    if min(width, height) < SMALLEST_PX or x < 1 or y < 1 or x + width >= shape[1] or y + height >= shape[0]:
        return None
    # A contour runs through the centres of the border's pixels: half of a pixel is missing all around.
    around = cv2.arcLength(outline, closed=True)
    area = cv2.contourArea(outline) + around / 2 + 1
    hull = cv2.convexHull(outline)
    hull_area = cv2.contourArea(hull) + cv2.arcLength(hull, closed=True) / 2 + 1
    if area < _CONVEX * hull_area or 4 * np.pi * area < _ROUND * around * around:
        return None
    _, axes, _ = cv2.fitEllipse(outline)
    if max(axes) > _SLIM * max(min(axes), 1.0):
        return None
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [outline], 0, (1,), cv2.FILLED, offset=(-x, -y))
    stained = int((inside & nuclear[y : y + height, x : x + width]).sum())
    if stained > _MOST_NUCLEAR * int(inside.sum()):
        return None
    return float(2 * np.sqrt(area / np.pi))


def _density(channel: Pixels) -> npt.NDArray[np.float64]:
    """Optical density against the lightest tenth of the field."""
    counts = np.bincount(channel.reshape(-1), minlength=256)
    clear = int(np.searchsorted(np.cumsum(counts), _CLEAR * channel.size))
    table = np.log10(max(clear, 1) / np.maximum(np.arange(256), 1.0))
    return np.asarray(table[channel])
