"""What a field shows without a network: how its file is made, light and stain beside the cells, border, white cells."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ImageFileError
from edge.inference.contract import InputContract
from edge.inference.images import LARGEST_IMAGE_BYTES, decode_image, read_image_header
from edge.system.files import read_at_most
from edge.system.progress import tracked
from models.data.shortcut_probe import SIDE, border_thumbnails
from models.data.white_cell_segmentation import Mask, white_cells, widened
from models.site.fields import SiteField

Floats = npt.NDArray[np.float64]
_MARGIN = round(4 / 224 * SIDE)  # around white cells: the cytoplasm that the segmentation leaves out
_GROUND = 95  # percentile of brightness that is the empty ground
_LEAST_DENSITY = 0.04  # optical density in green from which what is no white cell counts as a red one
_LEAST_RED = 0.2  # of the stained area, which white cells leave over
_CELL_NUMBERS = 9
_WORKERS = 4
_CONTRACT = InputContract((SIDE, SIDE), ("any", "other"))


@dataclass(frozen=True)
class Measures:
    """Of N fields, in their order.

    Attributes:
        sizes: (width, height) in pixels. encodings: format, and of a JPEG which tables and sampling made it.
        colour: (N, 6) mean and standard deviation of R, G, B, grey levels: cells included.
        light: (N, 6) colour of the empty ground, grey levels, and optical density of red cells, R, G, B each.
        border: (N, 3600) eight border patches, each standardized in grey.
        cells: (N, 9) of what the colour segmentation takes for white cells: part of the field, number, mean and spread
            of diameter, solidity, optical density in R, G, B, spread of it in G; 0 where there is none.
    """

    sizes: tuple[tuple[int, int], ...]
    encodings: tuple[str, ...]
    colour: Floats
    light: Floats
    border: npt.NDArray[np.float32]
    cells: Floats


def measure(fields: Sequence[SiteField]) -> Measures:
    """Read every field once.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(tracked(pool.map(_measured, fields), "measuring fields", len(fields)))
    sizes, encodings, colour, light, border, cells = zip(*found, strict=True)
    return Measures(sizes, encodings, *(np.stack(part) for part in (colour, light, border, cells)))


def _measured(field: SiteField) -> tuple[tuple[int, int], str, Floats, Floats, npt.NDArray[np.float32], Floats]:
    data = read_at_most(field.sample.path, LARGEST_IMAGE_BYTES, ImageFileError)
    frame = decode_image(data, str(field.sample.path))
    image = _CONTRACT.prepare(frame)
    mask = white_cells(image)
    ground = np.percentile(image[::2, ::2].reshape(-1, 3), _GROUND, axis=0)
    density = -np.log10(np.maximum(image, 1) / np.maximum(ground, 1))
    return (
        (frame.shape[1], frame.shape[0]),
        encoding(data),
        np.concatenate(cv2.meanStdDev(image)).ravel().astype(np.float64),
        _light(ground, density, mask),
        border_thumbnails(image),
        _cells(density, mask),
    )


def encoding(data: bytes) -> str:
    """How an image file was written: "PNG", or "JPEG 1f3a90" by its quantization tables and chroma sampling."""
    form = read_image_header(data).form
    if form != "JPEG":
        return form
    at, tables = 2, hashlib.sha256()
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] == 0xDA:
            break
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDB:
            tables.update(data[at + 4 : at + 2 + length])
        if marker in (0xC0, 0xC1, 0xC2):
            tables.update(data[at + 9 : at + 2 + length])  # components and their sampling, not the image's size
        at += 2 + length
    return f"JPEG {tables.hexdigest()[:6]}"


def _light(ground: Floats, density: Floats, mask: Mask) -> Floats:
    """Colour of the ground and density of what is neither ground nor white cell; a few red cells are enough."""
    stained = density[..., 1] > _LEAST_DENSITY
    red = stained & ~widened(mask, _MARGIN)
    if red.sum() < _LEAST_RED * stained.sum():  # a field without white cells, whose red ones were taken for them
        red = stained
    return np.concatenate([ground, np.median(density[red], axis=0) if red.any() else np.zeros(3)])


def _cells(density: Floats, mask: Mask) -> Floats:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return np.zeros(_CELL_NUMBERS)
    areas = np.array([max(1.0, cv2.contourArea(outline)) for outline in outlines])
    hulls = np.array([max(1.0, cv2.contourArea(cv2.convexHull(outline))) for outline in outlines])
    diameters = np.sqrt(4 * areas / np.pi)
    stained = density[mask]
    return np.array(
        [
            mask.mean(),
            len(outlines),
            diameters.mean(),
            diameters.std(),
            (areas / hulls).mean(),
            *stained.mean(axis=0),
            stained[:, 1].std(),
        ]
    )
