"""What the gates measure on a prepared frame: light, nuclear stain, and the width of its edges.

The corner of the published images' scale bar is left out everywhere, so a bar neither helps nor harms; a camera that
draws none loses 6 % of its field here. Up to the histograms everything is OpenCV's arithmetic on whole numbers; the
last steps (a few dozen floats a frame) may differ in their last bits between machines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from edge.contract import Pixels
from edge.errors import FrameError

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
_STEEPEST = 0.005  # part of the pixels whose slope stands for the edges: some nuclei's outlines, more than a speck's
# Slopes are kept as bytes, 4 to a grey level a pixel: Sobel's sums are 8 to one, and 16 where pixels are twice as wide.
_FINE_SCALE, _COARSE_SCALE = 4 / 8, 4 / 16
_DIAGONAL = math.sqrt(0.5)
_LEAST_SLOPE = 4 * 4.6  # below it noise and texture: half of the least of all published fields
# Variances in px^2 that come before a slope. Fine: a [1 2 1] / 4 filter (1/2) and the two pixels over which the
# derivative is taken (1/3). Coarse: a mean of two pixels (1/4), then the same at twice the spacing.
_FINE = 1 / 2 + 1 / 3
_COARSE = 1 / 4 + 4 * _FINE
WIDEST = 10.0  # pixels: wider edges, or none, read as this
_FINE_ROWS, _COARSE_ROWS = 3, 2  # from one row whose slopes are counted to the next: neighbours tell the same


@dataclass(frozen=True)
class EdgeWidth:
    """Blur of the field's steepest edges, as the ellipse whose semi-axes are the blur's standard deviations.

    Attributes:
        sharp_px: the smaller semi-axis, pixels, with the 0.9 that the measuring itself adds; WIDEST without edges.
        motion_px: length of the straight motion that would widen the other axis so, pixels: sqrt(12 x difference of
            the variances).
        angle_deg: direction of that other axis, 0..180, anticlockwise from the right.
    """

    sharp_px: float
    motion_px: float
    angle_deg: float


class View:
    """A prepared frame and what the gates measure on it, each computed when first asked for.

    Args:
        pixels: uint8 (H, W, 3) RGB from `InputContract.prepare`, sides >= 8. Not changed.

    Raises:
        FrameError: pixels are something else.
    """

    def __init__(self, pixels: Pixels) -> None:
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
        self.pixels = pixels

    @cached_property
    def halved(self) -> Pixels:
        """uint8 (H / 2, W / 2, 3): means of 2x2 pixels."""
        return _halved(self.pixels)

    @cached_property
    def patches(self) -> Pixels:
        """uint8 (H / 4, W / 4, 3): means of 4x4 pixels, the bar's corner replaced by what lies left of it."""
        patches = _halved(self.halved)
        rows, columns = _corner(patches.shape)
        patches[-rows:, -columns:] = patches[-rows:, -2 * columns : -columns]
        return patches

    @cached_property
    def _light(self) -> tuple[float, list[int]]:
        """The background's luma, and the level of the lightest tenth in R, G and B."""
        planes = [cv2.cvtColor(self.patches, cv2.COLOR_RGB2GRAY), *cv2.split(self.patches)]
        parts = np.array([_LIGHT, _CLEAR, _CLEAR, _CLEAR])
        luma, *clear = _lighter(_histograms(planes), parts * float(planes[0].size))[0].tolist()
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
    def nuclear_percent(self) -> float:
        """Part of the field with nuclear stain, percent: green density > 0.07 above the mean of red's and blue's."""
        red, green, blue = (
            cv2.LUT(plane, _DENSITIES[light])
            for plane, light in zip(cv2.split(self.patches), self._light[1], strict=True)
        )
        excess = cv2.subtract(green, cv2.addWeighted(red, 0.5, blue, 0.5, 0))  # saturates at 0
        return 100 * int(np.count_nonzero(np.greater(excess, _LEAST_EXCESS))) / red.size

    @cached_property
    def edges(self) -> EdgeWidth:
        """How wide the steepest edges are, by direction.

        Blurring an edge of variance w^2 by another s^2 lowers its slope by r = sqrt(1 + s^2 / w^2), whatever its
        contrast; so w^2 = s^2 / (r^2 - 1). Slopes are taken at 0, 45, 90 and 135 degrees, and the four variances give
        the ellipse of the blur: its smaller axis is focus, what the larger has more is motion.
        Source of the ratio: Zhuo and Sim (2011), Pattern Recognition 44:1852, there at every edge, here once for the
        steepest of the field. Both images are smoothed first, against noise.
        """
        fine = cv2.GaussianBlur(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), (3, 3), 0)
        coarse = cv2.GaussianBlur(cv2.cvtColor(self.halved, cv2.COLOR_RGB2GRAY), (3, 3), 0)
        steep = _steepest([*_slopes(fine, _FINE_SCALE, _FINE_ROWS), *_slopes(coarse, _COARSE_SCALE, _COARSE_ROWS)])
        if steep[:4].max() < _LEAST_SLOPE:
            return EdgeWidth(WIDEST, 0.0, 0.0)
        ratio = steep[:4] / np.maximum(steep[4:], 0.5)
        added = _COARSE - _FINE
        variances = (added / np.maximum(ratio * ratio - 1, added / WIDEST**2)).tolist()
        across_x, across_y, falling, rising = variances
        mean, cosine, sine = sum(variances) / 4, (across_x - across_y) / 2, (rising - falling) / 2
        spread = math.hypot(cosine, sine)
        return EdgeWidth(
            sharp_px=math.sqrt(max(mean - spread, 0.0)),
            motion_px=math.sqrt(12 * 2 * spread),
            angle_deg=math.degrees(math.atan2(sine, cosine)) / 2 % 180,
        )


def _halved(frame: Pixels) -> Pixels:
    """Means of 2x2 pixels; an odd last row or column is left out."""
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    return cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _slopes(image: Plane, scale: float, every: int) -> list[Plane]:
    """Slopes along x, along y, down-right and up-right, uint8 (H / every, W) each; 0 in the bar's corner."""
    gx, gy = (gradient[::every] for gradient in cv2.spatialGradient(image))
    rows, columns = _corner(gx.shape)
    gx[-rows:, -columns:] = gy[-rows:, -columns:] = 0
    diagonal = scale * _DIAGONAL
    return [
        cv2.convertScaleAbs(gx, alpha=scale),
        cv2.convertScaleAbs(gy, alpha=scale),
        cv2.convertScaleAbs(cv2.add(gx, gy), alpha=diagonal),
        cv2.convertScaleAbs(cv2.subtract(gx, gy), alpha=diagonal),
    ]


def _steepest(slopes: list[Plane]) -> npt.NDArray[np.float64]:
    """(N,): the slope that 0.5 % of each plane's pixels exceed, interpolated within a level, 0..256."""
    counts = _histograms(slopes)
    wanted = np.array([_STEEPEST * (1 - _CORNER[0] * _CORNER[1]) * plane.size for plane in slopes])
    level, above = _lighter(counts, wanted)
    here = counts[np.arange(len(slopes)), level]
    return np.asarray(level + 1 - (wanted - above) / np.maximum(here, 1), np.float64)


def _histograms(planes: Sequence[Plane]) -> Counts:
    """(N, 256): pixels of each plane by level."""
    return np.stack([cv2.calcHist([plane], [0], None, [256], [0, 256])[:, 0] for plane in planes])


def _lighter(counts: Counts, wanted: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """For each of N histograms, the highest level at or above which `wanted` (N,) pixels lie, and how many above it."""
    up_to = counts.cumsum(axis=1)
    level = np.minimum((up_to <= up_to[:, -1:] - wanted[:, None]).sum(axis=1), 255)
    return level, up_to[:, -1] - up_to[np.arange(len(counts)), level]


def _corner(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of the scale bar's corner in a frame of this shape."""
    return max(1, round(shape[0] * _CORNER[0])), max(1, round(shape[1] * _CORNER[1]))


def _densities() -> npt.NDArray[np.uint8]:
    """(256, 256): [light, level] -> optical density of the level against the light, hundredths, 0..241."""
    density = np.array([round(100 * math.log10(256 / (level + 1))) for level in range(256)])
    return np.asarray(np.maximum(density[None, :] - density[:, None], 0), np.uint8)


_DENSITIES = _densities()
