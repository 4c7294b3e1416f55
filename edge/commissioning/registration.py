"""Registration of fields of one slide: whether two show a piece in common, how much of it, and how they are displaced.

Two fields are correlated at every displacement at once, by Fourier transforms of whitened planes as in phase
correlation, and the correlation at each is divided by the energy of what overlaps there (Padfield 2012, IEEE Trans.
Image Process. 21:2706, for whole rectangles). Plain phase correlation, which divides by nothing, loses most overlaps
below a fifth of the field (`docs/studies/commissioning/registration.py` measures both). A field that was taken the
other way round, after the slide was turned end for end, is tried as well.

Lamp, white balance and vignetting drop out with the whitening. Fields must be of one magnification and one shape.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels

Plane = npt.NDArray[np.float32]

ROWS = 120  # of the planes that are compared; a red cell is about 10 of them across at the training magnification
_FINE, _COARSE = 0.7, 2.0  # pixels, sigmas: what lies between is kept
_EVEN = 8  # parts of the height: contrast is evened out over such a distance
_LARGEST = 4.0  # standard deviations: a speck of dirt must not outweigh cells
LEAST_SHARE = 0.03  # of the field: smaller pieces are not looked for
LEAST_SCORE = (
    0.18  # between what pairs with and without a common piece reach: `docs/studies/commissioning/registration.py`
)
# What is in every frame at the same place, dirt in the camera, correlates there too: at no displacement more is asked.
LEAST_CORRELATION_IN_PLACE = 0.5
_IN_PLACE = 3.0 / ROWS


@dataclass(frozen=True)
class Overlap:
    """The piece that two fields have in common.

    Attributes:
        dx, dy: where the second field's left upper corner lies in the first, parts of its width and height, -1..1.
        share: of the field that both show, 0..1.
        correlation: of the whitened pixels there, -1..1.
        turned: the second is to be turned by 180 degrees for that.
    """

    dx: float
    dy: float
    share: float
    correlation: float
    turned: bool

    @property
    def score(self) -> float:
        """Correlation times the root of the share: how unlikely it is that this came by chance."""
        return self.correlation * math.sqrt(self.share)


@dataclass(frozen=True)
class _Spectrum:
    packed: Plane  # of the padded plane, as `cv2.dft` packs real transforms
    scale: Plane  # at each displacement, by which the correlation is multiplied


class FieldPrint:
    """What is kept of a field to compare it with others: 1.9 MB at most, 0.7 MB where only later ones meet it.

    Args:
        frame: uint8 (H, W, 3) RGB, at least 64 pixels a side, at most three times as wide as high or the reverse.

    >>> random = np.random.default_rng(0)
    >>> slide = random.integers(0, 255, (480, 960, 3), np.uint8)
    >>> first, second = FieldPrint(slide[:, :640]), FieldPrint(slide[:, 320:])
    >>> found = first.overlap(second)
    >>> round(found.dx, 2), round(found.dy, 2), round(found.share, 2), found.turned
    (0.5, 0.0, 0.5, False)
    """

    def __init__(self, frame: Pixels) -> None:
        height, width = frame.shape[:2]
        if min(height, width) < 64 or max(height, width) > 3 * min(height, width):
            raise ValueError(f"frame must have sides >= 64 pixels, at most 3 to 1; got {width}x{height}")
        plane = _whitened(frame)
        self.shape = (plane.shape[0], plane.shape[1])
        self._plane = plane

    @cached_property
    def _first(self) -> _Spectrum:
        return _spectrum(self._plane, first=True)

    @cached_property
    def _second(self) -> _Spectrum:
        return _spectrum(self._plane, first=False)

    @cached_property
    def _turned(self) -> _Spectrum:
        return _spectrum(np.ascontiguousarray(self._plane[::-1, ::-1]), first=False)

    def for_later(self) -> "FieldPrint":
        """The same, with no more than later fields need that are compared with it: `this.overlap(later)`."""
        kept = object.__new__(FieldPrint)
        kept.shape, kept._plane, kept._first = self.shape, self._plane, self._first
        return kept

    def overlap(self, other: "FieldPrint", *, turned: bool = True) -> Overlap | None:
        """The piece in common with another field; None where there is none.

        Args:
            turned: also look for it with the other field turned by 180 degrees, which takes twice as long.

        Raises:
            ValueError: fields of different shapes.
        """
        best = self.best(other, turned=turned)
        in_place = not best.turned and max(abs(best.dx), abs(best.dy)) <= _IN_PLACE
        least = LEAST_CORRELATION_IN_PLACE if in_place else 0.0
        return best if best.score >= LEAST_SCORE and best.correlation >= least else None

    def best(self, other: "FieldPrint", *, turned: bool = True) -> Overlap:
        """The likeliest displacement, also where it says nothing. `turned` and ValueError as in `overlap`."""
        if self.shape != other.shape:
            raise ValueError(f"fields must be of one shape; got {self.shape} and {other.shape}")
        found = [self._displaced(other._second, False)]
        if turned:
            found.append(self._displaced(other._turned, True))
        return max(found, key=lambda overlap: overlap.score)

    def _displaced(self, second: _Spectrum, turned: bool) -> Overlap:
        product = cv2.mulSpectrums(self._first.packed, second.packed, 0, conjB=True)
        correlation = cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        cv2.multiply(correlation, self._first.scale, dst=correlation)
        cv2.multiply(correlation, second.scale, dst=correlation)
        _, score, _, (column, row) = cv2.minMaxLoc(correlation)
        grid = _grid(self.shape)
        share = float(grid.share[row, column])
        dx, dy = float(grid.x[column]) / self.shape[1], float(grid.y[row]) / self.shape[0]
        return Overlap(dx, dy, share, min(1.0, float(score) / max(share, LEAST_SHARE) ** 0.5), turned)


class SlideFields:
    """The fields of one slide, in the order in which they came, for finding what came before.

    >>> fields = SlideFields()
    >>> frame = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    >>> fields.add("field 1", FieldPrint(frame))
    >>> fields.seen(FieldPrint(frame))[0]
    'field 1'
    """

    def __init__(self) -> None:
        self._fields: list[tuple[str, FieldPrint]] = []

    def __len__(self) -> int:
        return len(self._fields)

    def add(self, name: str, field: FieldPrint) -> None:
        """One more, whatever it has in common with others."""
        self._fields.append((name, field.for_later()))

    def seen(self, field: FieldPrint) -> tuple[str, Overlap] | None:
        """The name of the field that has most in common with this one, and the piece; None where none has.

        Fields of another shape cannot be compared and are passed over: `comparable` says how many there are.
        """
        found = [
            (name, overlap)
            for name, before in self._comparable(field)
            if (overlap := before.overlap(field)) is not None
        ]
        return max(found, key=lambda each: each[1].share, default=None)

    def comparable(self, field: FieldPrint) -> int:
        """How many of the fields have the shape of this one."""
        return sum(1 for _ in self._comparable(field))

    def _comparable(self, field: FieldPrint) -> Iterator[tuple[str, FieldPrint]]:
        return ((name, before) for name, before in self._fields if before.shape == field.shape)


@dataclass(frozen=True)
class _Grid:
    """The displacements of a padded correlation.

    Attributes:
        x (FW,), y (FH,): of each column and row, pixels, negative ones wrapped. share (FH, FW): overlap, 0..1.
        rows, columns: (2, FH), (2, FW): first and end of what overlaps there, in the first field.
    """

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    share: Plane
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]


@lru_cache(maxsize=4)
def _grid(shape: tuple[int, int]) -> _Grid:
    axes, spans = [], []
    for side in shape:
        padded = cv2.getOptimalDFTSize(2 * side)
        at = np.arange(padded)
        at = np.where(at < padded // 2, at, at - padded)
        axes.append(at)
        spans.append(np.stack([np.clip(at, 0, side), np.clip(side + at, 0, side)]))
    down, across = ((span[1] - span[0]).clip(0) / side for span, side in zip(spans, shape, strict=True))
    return _Grid(axes[1], axes[0], np.outer(down, across).astype(np.float32), spans[0], spans[1])


def _whitened(frame: Pixels) -> Plane:
    """float32 (rows, columns), mean 0, standard deviation 1: details of the size of cells' edges; 0 of a flat frame."""
    height, width = frame.shape[:2]
    scale = ROWS / min(height, width)
    size = (max(ROWS, round(width * scale)), max(ROWS, round(height * scale)))
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    light = np.log(grey.astype(np.float32) + 1)  # differences are densities, whatever the lamp
    plane = cv2.GaussianBlur(light, (0, 0), _FINE) - cv2.GaussianBlur(light, (0, 0), _COARSE)
    deviation = float(plane.std())
    if deviation < 1e-4:
        return np.zeros(grey.shape, np.float32)
    plane /= np.sqrt(cv2.GaussianBlur(plane * plane, (0, 0), ROWS / _EVEN)) + 0.5 * deviation
    plane -= plane.mean()
    return np.asarray(np.clip(plane / plane.std(), -_LARGEST, _LARGEST), np.float32)


def _spectrum(plane: Plane, *, first: bool) -> _Spectrum:
    rows, columns = plane.shape
    grid = _grid((rows, columns))
    padded = np.zeros(grid.share.shape, np.float32)
    padded[:rows, :columns] = plane
    energy = cv2.integral(plane * plane, sdepth=cv2.CV_64F)
    (top, end), (left, right) = grid.rows, grid.columns
    if not first:  # what overlaps lies at the opposite side of the second field
        top, end, left, right = rows - end, rows - top, columns - right, columns - left
    inside = (
        energy[np.ix_(end, right)] - energy[np.ix_(top, right)] - energy[np.ix_(end, left)] + energy[np.ix_(top, left)]
    )
    scale = 1 / np.sqrt(np.maximum(inside, 1.0))
    if first:  # once for both: the root of the share, and nothing below the least
        scale *= np.where(grid.share >= LEAST_SHARE, np.sqrt(grid.share), 0)
    return _Spectrum(np.asarray(cv2.dft(padded), np.float32), scale.astype(np.float32))
