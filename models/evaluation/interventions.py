"""Fields altered so that a verdict shows what it rests on: scale bar exchanged, painted out or alone; white cells
painted out or alone.

Each view takes an evaluation set and gives altered images, and which image each of them was.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.data.scale_bar import CORNER_HEIGHT, CORNER_WIDTH, corner, fill_corner, replace_corner
from models.data.white_cell_segmentation import Mask, white_cells, widened
from models.evaluation.evaluation_set import EvaluationSet

_MARGIN = 4 / 224  # of a side: the cytoplasm that the colour segmentation leaves out, and its blurred rim
_INPAINT_RADIUS = 3  # pixels
_ROUNDS = 3  # after which nothing violet was found in any of 48 published fields


@dataclass(frozen=True)
class View:
    """Altered images uint8 (M, H, W, 3); `which` int (M,) the dataset's image behind each; `group` says how they belong
    together, "" where there is only one."""

    pixels: Pixels
    which: npt.NDArray[np.int64]
    group: str = ""


Make = Callable[[EvaluationSet], Iterator[View]]


def bars_exchanged(dataset: EvaluationSet) -> Iterator[View]:
    """Each image with the corner of an image of every other class: one group a donor's class."""
    for k, label in enumerate(dataset.labels):
        which = np.flatnonzero(dataset.truth != k)
        if len(which) == len(dataset.truth):
            continue
        out = dataset.pixels[which]
        for place, i in enumerate(which):
            donor = dataset.pixels[dataset.draw_one(dataset.truth == k, "bar", label, dataset.keys[i])]
            out[place] = replace_corner(out[place], corner(donor))
        yield View(out, which, label)


def bars_painted_out(dataset: EvaluationSet) -> Iterator[View]:
    """The corner filled with the mirror image of its neighbourhood."""
    yield _each(dataset, fill_corner)


def corner_alone(dataset: EvaluationSet) -> Iterator[View]:
    """Plain ground of one colour for all images, but for the image's own corner."""
    ground = ground_colour(dataset.pixels)

    def only(image: Pixels) -> Pixels:
        return replace_corner(np.broadcast_to(ground, image.shape).astype(np.uint8), corner(image))

    yield _each(dataset, only)


def no_white_cell(dataset: EvaluationSet) -> Iterator[View]:
    """Every white cell inpainted from its surroundings; some pale cytoplasm may be left."""
    yield _each(dataset, lambda image: without_white_cells(image)[0])


def as_much_elsewhere(dataset: EvaluationSet) -> Iterator[View]:
    """The control of `no_white_cell`: the same shapes inpainted where no white cell is."""
    yield _each(dataset, lambda image: painted_over(image, elsewhere(without_white_cells(image)[1])))


def white_cells_alone(dataset: EvaluationSet) -> Iterator[View]:
    """White cells on plain ground of one colour for all images; no red cell, no scale bar."""
    ground = ground_colour(dataset.pixels)

    def only(image: Pixels) -> Pixels:
        mask = _cells(image)
        mask[-round(len(image) * CORNER_HEIGHT) :, -round(image.shape[1] * CORNER_WIDTH) :] = False
        return np.where(mask[..., None], image, ground).astype(np.uint8)

    yield _each(dataset, only)


VIEWS: Mapping[str, Make] = {
    "bars_exchanged": bars_exchanged,
    "bars_painted_out": bars_painted_out,
    "corner_alone": corner_alone,
    "no_white_cell": no_white_cell,
    "as_much_elsewhere": as_much_elsewhere,
    "white_cells_alone": white_cells_alone,
}


def ground_colour(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """uint8 (3,): the median over images (N, H, W, 3) of each channel's 95th percentile."""
    bright = [np.percentile(image[::2, ::2].reshape(-1, 3), 95, axis=0) for image in pixels]
    return np.asarray(np.median(bright, axis=0), np.uint8)


def without_white_cells(image: Pixels) -> tuple[Pixels, Mask]:
    """The image inpainted wherever a white cell is found, and where that was.

    Looked for again in what came out: against dark nuclei a pale one, or cytoplasm, is missed the first time.
    """
    painted = np.zeros(image.shape[:2], bool)
    for _ in range(_ROUNDS):
        cells = _cells(image)
        if not cells.any():
            break
        image, painted = painted_over(image, cells), painted | cells
    return image, painted


def painted_over(image: Pixels, mask: Mask) -> Pixels:
    """uint8 (H, W, 3): what `mask` covers, inpainted (Telea 2004, doi 10.1080/10867651.2004.10487596)."""
    return np.asarray(cv2.inpaint(image, mask.astype(np.uint8), _INPAINT_RADIUS, cv2.INPAINT_TELEA), np.uint8)


def elsewhere(mask: Mask) -> Mask:
    """The mask mirrored so that it meets itself least, less what it still meets."""
    mirrored = min((mask[::-1], mask[:, ::-1], mask[::-1, ::-1]), key=lambda other: int((other & mask).sum()))
    return np.asarray(mirrored & ~mask)


def _cells(image: Pixels) -> Mask:
    return widened(white_cells(image), max(1, round(len(image) * _MARGIN)))


def _each(dataset: EvaluationSet, change: Callable[[Pixels], Any]) -> View:
    return View(np.stack([change(image) for image in dataset.pixels]), np.arange(len(dataset.pixels)))
