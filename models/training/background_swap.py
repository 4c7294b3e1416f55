"""Background swaps: training images with the white cells of one field on the background of another, or covered.

The published classes differ in the colour of their background, and a network finds that first. So cells are put on the
background of another field and keep their class; fields whose cells are covered belong to no class. What covers a cell
is background from elsewhere in the same field, and some fields are covered where they have no cell, so that being
covered says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.data.scale_bar import CORNER_HEIGHT, CORNER_WIDTH
from models.errors import ModelsError
from models.evaluation.interventions import without_white_cells
from models.training.stain import Floats

Masks = npt.NDArray[np.bool_]  # (N, H, W)
Scalar = TypeVar("Scalar", bound=np.generic)
_RIM = 3  # pixels around what is covered, blended over
_BLEND = 1.0  # pixels, sigma of the blending
_TRIES = 8  # places from which background is taken before the rest is filled with its mean colour
_LEAST = 0.002  # part of a field: with fewer white cells than this there is nothing to put on another background
_CLEAR = 90  # percentile of each channel that is the light between the cells


@dataclass(frozen=True)
class BackgroundSwap:
    """How often a training image is altered in which way, 0..1 each; the rest stay as they are.

    Attributes:
        foreign_ground: its white cells on the background of another image; its class stays.
        without_cells: its white cells covered; it belongs to no class.
        covered_elsewhere: as much covered where it has no white cell; its class stays.

    >>> round(BackgroundSwap().total, 2)
    0.36
    """

    foreign_ground: float = 0.2
    without_cells: float = 0.08
    covered_elsewhere: float = 0.08

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ModelsError(f"{name} must be between 0 and 1; got {value}")
        if self.total > 1:
            raise ModelsError(f"the chances of all swaps must add up to at most 1; got {self.total:g}")

    @property
    def total(self) -> float:
        """The chance that an image is altered."""
        return self.foreign_ground + self.without_cells + self.covered_elsewhere

    def __call__(self, fields: "CellFields", index: int, rng: np.random.Generator) -> tuple[Pixels, bool]:
        """One image, perhaps altered, and whether it still belongs to its class.

        Args:
            fields: all images that may take part.
            index: which one. rng: the only source of chance.
        """
        chosen = rng.random()
        if chosen < self.without_cells:
            # A field in which no white cell was found has its class all the same: some cell was missed.
            return fields.without_cells(index, rng), not fields.has_cells(index)
        if chosen < self.without_cells + self.foreign_ground:
            return fields.on_ground(index, int(rng.integers(len(fields.pixels))), rng), True
        if chosen < self.total:
            return fields.covered_elsewhere(index, int(rng.integers(len(fields.pixels))), rng), True
        return fields.pixels[index], True


NO_SWAP = BackgroundSwap(foreign_ground=0.0, without_cells=0.0, covered_elsewhere=0.0)


@dataclass(frozen=True, eq=False)
class CellFields:
    """Images uint8 (N, H, W, 3) RGB and the masks of their white cells, bool (N, H, W), cytoplasm included."""

    pixels: Pixels
    masks: Masks

    @classmethod
    def of(cls, pixels: Pixels) -> "CellFields":
        """Find the white cells of prepared images: some 40 ms an image."""
        return cls(pixels, np.stack([without_white_cells(image)[1] for image in pixels]))

    def has_cells(self, index: int) -> bool:
        """Whether white cells cover enough of an image to stand for its class."""
        return bool(self.masks[index].mean() >= _LEAST)

    def without_cells(self, index: int, rng: np.random.Generator) -> Pixels:
        """uint8 (H, W, 3): the white cells covered by background of the same image."""
        return _covered(self.pixels[index], self.masks[index], self.masks[index], rng)

    def covered_elsewhere(self, index: int, other: int, rng: np.random.Generator) -> Pixels:
        """uint8 (H, W, 3): the shapes of another image's white cells covered, but for where this one has its own."""
        own = _grown(self.masks[index])
        return _covered(self.pixels[index], self.masks[other] & ~own, self.masks[index], rng)

    def on_ground(self, index: int, other: int, rng: np.random.Generator) -> Pixels:
        """uint8 (H, W, 3): the image's white cells, under the light of another image, on that one's background.

        The image itself when it has too few white cells to stand for its class.
        """
        if index == other or not self.has_cells(index):
            return np.asarray(self.pixels[index])
        ground = self.without_cells(other, rng)
        gain = _clear(self.pixels[other]) / np.maximum(_clear(self.pixels[index]), 1)
        cells = np.clip(self.pixels[index] * gain, 0, 255).astype(np.float32)
        return _blended(cells, ground, self.masks[index])


def _covered(
    image: Pixels, cover: npt.NDArray[np.bool_], cells: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Pixels:
    """`cover`, bool (H, W), replaced by what the image shows elsewhere, where that is neither `cells` nor covered
    nor a scale bar."""
    if not cover.any():
        return image
    hole = _grown(cover)
    barred, filled = hole | _grown(cells), image.copy()
    barred[-round(len(image) * CORNER_HEIGHT) :, -round(image.shape[1] * CORNER_WIDTH) :] = True
    for _ in range(_TRIES):
        shift, flip = rng.integers(0, image.shape[:2]).tolist(), rng.integers(2, size=2).tolist()
        there = _moved(barred, shift, flip)
        take = hole & ~there
        filled[take] = _moved(image, shift, flip)[take]
        hole = hole & there
        if not hole.any():
            break
    else:
        filled[hole] = image[~barred].mean(axis=0) if not barred.all() else _clear(image)
    return _blended(filled.astype(np.float32), image, cover)


def _blended(front: Floats, behind: Pixels, mask: npt.NDArray[np.bool_]) -> Pixels:
    """`front` where `mask` is, `behind` beyond its rim."""
    alpha = cv2.GaussianBlur(_grown(mask, _RIM - 1).astype(np.float32), (0, 0), _BLEND)[..., None]
    return np.asarray(alpha * front + (1 - alpha) * behind + 0.5, np.uint8)


def _grown(mask: npt.NDArray[np.bool_], rows: int = _RIM + 2) -> npt.NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rows + 1, 2 * rows + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def _moved(array: npt.NDArray[Scalar], shift: Sequence[int], flip: Sequence[int]) -> npt.NDArray[Scalar]:
    """(H, W, ...) turned over and rolled round its edges."""
    return np.roll(array[:: 1 - 2 * flip[0], :: 1 - 2 * flip[1]], (shift[0], shift[1]), (0, 1))


def _clear(image: Pixels) -> Floats:
    """float32 (3,): the light between the cells."""
    clear: Floats = np.percentile(image[::4, ::4].reshape(-1, 3), _CLEAR, axis=0).astype(np.float32)
    return clear
