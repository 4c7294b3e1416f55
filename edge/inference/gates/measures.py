"""What the gates measure on a prepared frame: light, nuclear stain, and the width of its edges.

Of a blood smear the corner of the published images' scale bar is left out everywhere, so a bar neither helps nor harms;
a camera that draws none loses 6 % of its field here. Pictures of anything else are measured whole. Up to
the histograms everything is OpenCV's arithmetic on whole numbers; the last steps (a few dozen floats a frame) may
differ in their last bits between machines.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import FrameError
from edge.inference.contract import Pixels
from edge.inference.domain import SMEAR, Domain

Plane = npt.NDArray[np.uint8] | cv2.typing.MatLike  # uint8 (H, W)
Counts = npt.NDArray[np.float32]  # (N, 256): N histograms
SMALLEST_SIDE = 8  # pixels: the smallest contract
# The corner that holds the bar, as parts of the frame: 35 rows and 62 columns of 224, and what the filters below carry
# out of it.
_CORNER = (44 / 224, 70 / 224)
_LIGHT = 0.02  # part of the field that may be lighter than what is called background
# Densities are whole hundredths of optical density, each channel against the lightest tenth of its field: that takes
# lamp and white balance out. Nuclei, blue or pink, take up more green than the mean of red and blue; red cells of this
# stain, grey to blue, do not.
_CLEAR = 0.1
_LEAST_EXCESS = 7  # of green above the mean of red and blue
_GROUND_BELOW, _CELL_FROM = 4, 8  # hundredths of density, weighted as luma
# Sobel's sums to grey levels a pixel; coarse pixels are twice as wide.
_FINE_SCALE, _COARSE_SCALE = 1 / 8, 1 / 16
_FINE_ROWS, _COARSE_ROWS = 3, 2  # from one row that is counted to the next: neighbours tell the same
# Variances in px^2 that come before a slope. Fine: a [1 2 1] / 4 filter (1/2) and the two pixels over which the
# derivative is taken (1/3). Coarse: a mean of two pixels (1/4), then the same at twice the spacing.
_FINE = 1 / 2 + 1 / 3
_COARSE = 1 / 4 + 4 * _FINE
_LEAST_SLOPE = 4.1  # grey levels a pixel: below it noise and texture; half of the least of all published fields
_NO_SLOPE = 1e-3  # (grey levels a pixel)^2 added to both sides of every ratio, so that nothing is divided by nothing
_ROUND = 0.3  # part by which two axes of a blur without motion may differ: cells are not round, and defocus adds noise
WIDEST = 10.0  # pixels: wider edges, or none, read as this


@dataclass(frozen=True)
class EdgeWidth:
    """Blur of the field's edges.

    Attributes:
        sharp_px: standard deviation of the blur in the sharpest direction, pixels, with the 0.9 that the measuring
            itself adds; WIDEST without edges.
        motion_px: length of the straight motion that would blur the edges across it so much more than those along it,
            pixels; 0 for a blur that is round within 30 %, and without edges. Reads low for long motions.
        angle_deg: direction of that motion, 0..180, anticlockwise from the right.
    """

    sharp_px: float
    motion_px: float
    angle_deg: float


@dataclass(frozen=True)
class _Slopes:
    """Mean over a field of the structure tensor of slopes (x, y), with their weights (grey levels a pixel)^4 or ^6."""

    xx: float
    xy: float
    yy: float


class View:
    """A prepared frame and what the gates measure on it, each computed when first asked for.

    Args:
        pixels: uint8 (H, W, 3) RGB from `InputContract.prepare`, sides >= 8. Not changed.
        domain: what it shows; the scale bar's corner is left out of a blood smear.

    Raises:
        FrameError: pixels are something else.

    >>> View(np.full((224, 224, 3), 255, np.uint8)).white_percent
    100.0
    """

    def __init__(self, pixels: Pixels, domain: Domain = SMEAR) -> None:
        if (
            pixels.dtype != np.uint8
            or pixels.ndim != 3
            or pixels.shape[2] != 3
            or min(pixels.shape[:2]) < SMALLEST_SIDE
        ):
            raise FrameError(
                f"pixels must be uint8 (H, W, 3) from prepare(), sides >= {SMALLEST_SIDE}; "
                f"got {pixels.dtype} {pixels.shape}"
            )
        self.pixels, self.domain = pixels, domain
        self._measured: dict[Callable[[View], Sequence[float]], Sequence[float]] = {}

    def measured(self, measure: "Callable[[View], Sequence[float]]") -> Sequence[float]:
        """What a family of numbers gives, computed once however many gates read it."""
        if measure not in self._measured:
            self._measured[measure] = measure(self)
        return self._measured[measure]

    @cached_property
    def halved(self) -> Pixels:
        """uint8 (H / 2, W / 2, 3): means of 2x2 pixels."""
        return _halved(self.pixels)

    @cached_property
    def patches(self) -> Pixels:
        """uint8 (H / 4, W / 4, 3): means of 4x4 pixels, the bar's corner replaced by what lies left of it."""
        patches = _halved(self.halved)
        self._without_bar(patches)
        return patches

    def _without_bar(self, plane: Plane) -> None:
        """Replace the bar's corner by what lies left of it, in place; nothing of a picture that is no smear."""
        if self.domain == SMEAR:
            rows, columns = _corner(plane.shape)
            plane[-rows:, -columns:] = plane[-rows:, -2 * columns : -columns]

    @cached_property
    def _light(self) -> tuple[float, list[int]]:
        """The background's luma, and the level of the lightest tenth in R, G and B."""
        planes = [cv2.cvtColor(self.patches, cv2.COLOR_RGB2GRAY), *cv2.split(self.patches)]
        parts = np.array([_LIGHT, _CLEAR, _CLEAR, _CLEAR])
        luma, *clear = _lighter(_histograms(planes), parts * float(planes[0].size)).tolist()
        return float(luma), clear

    @property
    def background(self) -> float:
        """Grey level 0..255 of the light between the cells: 2 % of the patches are lighter."""
        return self._light[0]

    @cached_property
    def white_percent(self) -> float:
        """Part of the field at the end of the range in all three channels, percent: nothing can be read there."""
        red, green, blue = cv2.split(self.patches)
        lightest = cv2.min(cv2.min(red, green), blue)
        return 100 * int(np.count_nonzero(np.equal(lightest, 255))) / lightest.size

    @cached_property
    def contrast(self) -> float:
        """Standard deviation of the patches' luma, grey levels 0..127.5."""
        return float(cv2.meanStdDev(cv2.cvtColor(self.patches, cv2.COLOR_RGB2GRAY))[1][0, 0])

    @cached_property
    def nuclear_percent(self) -> float:
        """Part of the field with nuclear stain, percent: green density > 0.07 above the mean of red's and blue's."""
        return 100 * cv2.countNonZero(self.nuclear) / self.nuclear.size

    @cached_property
    def densities(self) -> Plane:
        """uint8 (H / 4, W / 4, 3): optical densities of `patches` against the light, hundredths."""
        return cv2.LUT(self.patches, self._tables)

    @cached_property
    def nuclear(self) -> Plane:
        """uint8 (H / 4, W / 4): 255 where there is nuclear stain, 0 elsewhere."""
        red, green, blue = cv2.split(self.densities)
        excess = cv2.subtract(green, cv2.addWeighted(red, 0.5, blue, 0.5, 0))  # saturates at 0
        return cv2.compare(excess, _LEAST_EXCESS, cv2.CMP_GT)  # type: ignore[call-overload, no-any-return]

    @cached_property
    def ground(self) -> Plane:
        """uint8 (H / 4, W / 4): 255 where the glass is clear: a density, weighted as luma, below 0.04."""
        return cv2.compare(self._weights, _GROUND_BELOW, cv2.CMP_LT)  # type: ignore[call-overload, no-any-return]

    @cached_property
    def red_cells(self) -> Plane:
        """uint8 (H / 4, W / 4): 255 where a cell is, density 0.08 or more, but no nuclear stain."""
        cells = cv2.compare(self._weights, _CELL_FROM, cv2.CMP_GE)  # type: ignore[call-overload]
        return cv2.subtract(cells, self.nuclear)

    @cached_property
    def _weights(self) -> Plane:
        return cv2.cvtColor(self.densities, cv2.COLOR_RGB2GRAY)

    @cached_property
    def halved_densities(self) -> tuple[Plane, Plane]:
        """uint8 (H / 2, W / 2) of red and of green: as `densities`, of `halved`, the bar's corner replaced likewise."""
        planes = []
        for channel in (0, 1):
            plane = cv2.LUT(cv2.extractChannel(self.halved, channel), _DENSITIES[self._light[1][channel]])
            self._without_bar(plane)
            planes.append(plane)
        return planes[0], planes[1]

    @cached_property
    def _tables(self) -> Plane:
        """uint8 (1, 256, 3): level -> density, a channel each."""
        return np.ascontiguousarray(_DENSITIES[self._light[1]].T)[None]

    @cached_property
    def edges(self) -> EdgeWidth:
        """How wide the edges are, and in which direction they are wider.

        Blurring an edge of variance w^2 by another s^2 lowers its slope by r = sqrt(1 + s^2 / w^2), whatever its
        contrast; so w^2 = s^2 / (r^2 - 1). Slopes of a fine and a coarser image are summed in structure tensors, whose
        generalized eigenvalues are powers of r in the sharpest and in the most blurred direction. Slopes weigh by their
        square for motion and by their fourth power for focus, so that the steepest edges speak, and noise hardly.
        Sources: Zhuo and Sim (2011), Pattern Recognition 44:1852, for the ratio (there at every edge); Bigun and
        Granlund (1987), Proc. ICCV:433, for the tensor.
        """
        fine = cv2.GaussianBlur(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), (3, 3), 0)
        coarse = cv2.GaussianBlur(cv2.cvtColor(self.halved, cv2.COLOR_RGB2GRAY), (3, 3), 0)
        without_bar = self.domain == SMEAR
        squared, fourth = _tensors(fine, _FINE_SCALE, _FINE_ROWS, without_bar)
        squared_coarse, fourth_coarse = _tensors(coarse, _COARSE_SCALE, _COARSE_ROWS, without_bar)
        if math.sqrt((fourth.xx + fourth.yy) / (squared.xx + squared.yy)) < _LEAST_SLOPE:
            return EdgeWidth(WIDEST, 0.0, 0.0)
        sharpest, _, _ = _eigen(fourth, fourth_coarse)
        across, along, angle = _eigen(squared, squared_coarse)
        narrow, wide = _variance(across ** (1 / 2)), _variance(along ** (1 / 2))
        moved = max(wide - (1 + _ROUND) * narrow, 0.0)
        return EdgeWidth(math.sqrt(_variance(sharpest ** (1 / 3))), math.sqrt(12 * moved), angle)


def _variance(ratio: float) -> float:
    """Variance of an edge's blur, px^2, from the squared ratio of its slopes, fine to coarse."""
    added = _COARSE - _FINE
    return added / max(ratio - 1, added / WIDEST**2)


def _tensors(image: Plane, scale: float, every: int, without_bar: bool) -> tuple[_Slopes, _Slopes]:
    """Mean structure tensors, slopes weighted by their square and by their fourth power; 0 in the bar's corner."""
    gx, gy = (gradient[::every] for gradient in cv2.spatialGradient(image))
    if without_bar:
        rows, columns = _corner(gx.shape)
        gx[-rows:, -columns:] = gy[-rows:, -columns:] = 0
    x, y = (np.multiply(gradient, np.float32(scale)).ravel() for gradient in (gx, gy))
    parts = (x * x, x * y, y * y)
    square = parts[0] + parts[2]
    squared, fourth = ([float(weight @ part) / len(x) for part in parts] for weight in (square, square * square))
    return _floored(squared, _NO_SLOPE**2), _floored(fourth, _NO_SLOPE**3)


def _floored(tensor: Sequence[float], floor: float) -> _Slopes:
    return _Slopes(tensor[0] + floor, tensor[1], tensor[2] + floor)


def _eigen(fine: _Slopes, coarse: _Slopes) -> tuple[float, float, float]:
    """Generalized eigenvalues of two tensors, larger first, and the direction of the smaller, degrees 0..180."""
    scale = coarse.xx * coarse.yy - coarse.xy * coarse.xy
    mean = (fine.xx * coarse.yy + fine.yy * coarse.xx - 2 * fine.xy * coarse.xy) / (2 * scale)
    product = (fine.xx * fine.yy - fine.xy * fine.xy) / scale
    spread = math.sqrt(max(mean * mean - product, 0.0))
    low = max(mean - spread, 0.0)
    # (fine - low coarse) v = 0; of its two rows the one farther from zero gives v.
    a, b, c = (f - low * k for f, k in ((fine.xx, coarse.xx), (fine.xy, coarse.xy), (fine.yy, coarse.yy)))
    x, y = (-b, a) if abs(a) >= abs(c) else (c, -b)
    return mean + spread, low, math.degrees(math.atan2(-y, x)) % 180


def _halved(frame: Pixels) -> Pixels:
    """Means of 2x2 pixels; an odd last row or column is left out."""
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    return cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _histograms(planes: Sequence[Plane]) -> Counts:
    """(N, 256): pixels of each plane by level."""
    return np.stack([cv2.calcHist([plane], [0], None, [256], [0, 256])[:, 0] for plane in planes])


def _lighter(counts: Counts, wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """(N,): for each of N histograms, the highest level at or above which `wanted` pixels lie."""
    up_to = counts.cumsum(axis=1)
    return np.asarray(np.minimum((up_to <= up_to[:, -1:] - wanted[:, None]).sum(axis=1), 255))


def _corner(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of the scale bar's corner in a frame of this shape."""
    return max(1, round(shape[0] * _CORNER[0])), max(1, round(shape[1] * _CORNER[1]))


def _densities() -> npt.NDArray[np.uint8]:
    """(256, 256): [light, level] -> optical density of the level against the light, hundredths, 0..241."""
    density = np.array([round(100 * math.log10(256 / (level + 1))) for level in range(256)])
    return np.asarray(np.maximum(density[None, :] - density[:, None], 0), np.uint8)


_DENSITIES = _densities()
