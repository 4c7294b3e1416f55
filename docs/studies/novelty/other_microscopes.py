"""Published fields as another laboratory might have photographed them, in place of other microscopes.

Each field's densities are split into what red cells and what nuclei hold, both are given other dyes, the ground another
colour, and the cells another size. The colours are this project's choice, after the looks that Giemsa, Leishman and
Wright stains have in public image sets; they are no measurement of any. A `share` between 0 and 1 goes part of the way.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.data.scale_bar import fill_corner
from models.evaluation.optical import density_and_ground, to_pixels
from models.evaluation.scene import magnified

Floats = npt.NDArray[Any]
Dye = tuple[float, float, float]  # densities in R, G and B as parts of green's
_NUCLEAR = 0.25  # natural density of green above the mean of red and blue: all of it nucleus
_GAMMA = 2.2
_BLACK_SHARE = 0.45  # of a frame's side that a single cut-out cell fills


@dataclass(frozen=True)
class Microscope:
    """How another laboratory's fields look.

    Attributes:
        ground: grey levels R, G, B of clear glass; None keeps colours as they are.
        cells, nuclei: dyes of red cells and of nuclei.
        cells_gain, nuclei_gain: their densities as parts of the field's.
        zoom: size of the cells against the published fields'.
    """

    ground: tuple[int, int, int] | None = None
    cells: Dye = (1, 1, 1)
    nuclei: Dye = (1, 1, 1)
    cells_gain: float = 1.0
    nuclei_gain: float = 1.0
    zoom: float = 1.0


_PINK, _BEIGE = (0.25, 1.0, 0.75), (0.55, 1.0, 1.05)
_PURPLE = (0.75, 1.0, 0.35)
MICROSCOPES = {
    "pink cells on white": Microscope((250, 248, 250), _PINK, _PURPLE, 1.0, 1.2),
    "pale pink cells on white": Microscope((250, 247, 248), (0.35, 1.0, 0.8), _PURPLE, 0.6),
    "beige": Microscope((222, 214, 206), _BEIGE, _PURPLE, 1.0, 1.2),
    "lilac": Microscope((214, 203, 214), (0.6, 1.0, 0.8), (0.8, 1.0, 0.4), 1.0, 1.3),
    "brown cells": Microscope((235, 232, 220), (0.5, 1.0, 1.2), (0.9, 1.0, 0.4), 1.2, 1.2),
    "grey cells on grey": Microscope((236, 236, 236), (0.9, 1.0, 1.0), _PURPLE),
    "red cells on green": Microscope((205, 238, 215), (0.2, 1.0, 0.6), (0.8, 1.0, 0.5), 1.6, 1.3),
    "beige, cells 1.6 times": Microscope((222, 214, 206), _BEIGE, _PURPLE, 1.0, 1.2, 1.6),
    "pink cells on white, 0.6 times": Microscope((250, 248, 250), _PINK, _PURPLE, 1.0, 1.2, 0.6),
    "own stain, 0.5 times": Microscope(zoom=0.5),
    "own stain, 0.7 times": Microscope(zoom=0.7),
    "own stain, 1.25 times": Microscope(zoom=1.25),
    "own stain, 1.5 times": Microscope(zoom=1.5),
    "own stain, 2 times": Microscope(zoom=2.0),
}


def through(pixels: Pixels, microscope: Microscope, share: float = 1.0) -> Pixels:
    """A prepared field uint8 (H, W, 3) RGB as `microscope` shows it, without scale bar; `share` 0..1 of its dyes."""
    field = fill_corner(pixels)
    if microscope.ground is not None:
        field = _dyed(field, microscope, share)
    return field if microscope.zoom == 1 else magnified(field, microscope.zoom)


def cut_out(pixels: Pixels) -> Pixels | None:
    """The field's largest nucleus alone on black, enlarged, as sets of segmented cells show it; None without one."""
    nuclear = (_nuclear(density_and_ground(fill_corner(pixels))[0]) > 0.5).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(nuclear)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = stats[largest, :4].tolist()
    cell = np.where((labels == largest)[..., None], pixels, 0)[top : top + height, left : left + width]
    side = pixels.shape[0]
    scale = _BLACK_SHARE * side / max(width, height)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    cell = cv2.resize(np.ascontiguousarray(cell), shape, interpolation=cv2.INTER_LINEAR)
    out = np.zeros_like(pixels)
    y, x = (side - shape[1]) // 2, (side - shape[0]) // 2
    out[y : y + shape[1], x : x + shape[0]] = cell
    return out


def _nuclear(density: Floats) -> Floats:
    """(H, W), 0..1: how far a pixel belongs to a nucleus."""
    excess = density[..., 1] - (density[..., 0] + density[..., 2]) / 2
    return np.asarray(np.clip(cv2.GaussianBlur(excess, (0, 0), 1.0) / _NUCLEAR, 0, 1))


def _dyed(field: Pixels, microscope: Microscope, share: float) -> Pixels:
    density, ground = density_and_ground(field)
    density = np.maximum(density, 0)
    nuclear = _nuclear(density)[..., None]
    cells = density.mean(axis=2, keepdims=True) * np.array(microscope.cells, np.float32) * microscope.cells_gain
    nuclei = density[..., 1:2] * np.array(microscope.nuclei, np.float32) * microscope.nuclei_gain
    dyed = share * ((1 - nuclear) * cells + nuclear * nuclei) + (1 - share) * density
    target = (np.array(microscope.ground, np.float32) / 255) ** _GAMMA
    light = np.exp(share * np.log(target) + (1 - share) * np.log(ground))
    return to_pixels(light * np.exp(-dyed))
