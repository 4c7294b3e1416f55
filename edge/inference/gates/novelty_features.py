"""Numbers in which one microscope, stain and magnification differ from another, measured on a prepared frame.

Two families. **Stain**: the colour of the clear ground, of red cells and of nuclei, as optical densities, with their
spreads and areas. **Structure**: how fast density changes with distance, which follows the size of the cells, their
crowding and the sharpness of the optics. Colours are means over the frame's pixels of a kind, so what is counted is
how the laboratory works, and hardly what the patient has.

All sums are of whole numbers (OpenCV on uint8); logarithms and quotients of them may differ in their last bits between
machines. The scale bar's corner is left out, as in `edge.inference.gates.measures`.
"""

import math

import cv2

from edge.inference.gates.madogram import madogram, steps
from edge.inference.gates.measures import View

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # pixels of the halved frame
_SHORT = 4  # the first lags, over which cells are compared across and down
_LEAST_AREA = 0.003  # of the field, added so that a field without nuclei has a logarithm

_GROUND_COLOUR, _RED_COLOUR, _NUCLEAR_COLOUR = "colour of the ground", "colour of the red cells", "colour of the nuclei"
_AMOUNT, _SIZE, _DETAIL = "amount of cells", "size and crowding of the cells", "contrast of fine detail"
_AREAS = ("ground_area", "cells_area", "nuclei_area")
# name of a number -> what it belongs to, in words for people; in the order in which `stain` gives them
STAIN = {
    **dict.fromkeys(("ground_r", "ground_g", "ground_b"), _GROUND_COLOUR),
    **dict.fromkeys(("cells_r", "cells_g", "cells_b"), _RED_COLOUR),
    **dict.fromkeys(("nuclei_r", "nuclei_g", "nuclei_b"), _NUCLEAR_COLOUR),
    **dict.fromkeys(("cells_spread", "cells_spread_r", "cells_spread_b"), _RED_COLOUR),
    **dict.fromkeys(("nuclei_spread", "nuclei_spread_r", "nuclei_spread_b"), _NUCLEAR_COLOUR),
    **dict.fromkeys(_AREAS, _AMOUNT),
}
STRUCTURE = {
    **{f"green_{lag}": _SIZE for lag in LAGS[1:]},
    "green_1": _DETAIL,
    "green_squeeze": "shape of the cells",
    **{f"red_{lag}": _SIZE for lag in LAGS[1:]},
    # how crowded a field is shifts the others: told the areas, they tell the size
    **dict.fromkeys(_AREAS, _AMOUNT),
}


def stain(view: View) -> list[float]:
    """Colours and areas, in the order of `STAIN`.

    Colours are optical densities in hundredths: of the ground against white, of cells against the ground. Spreads are
    the natural logarithm of green's standard deviation + 1, and the others as parts of green's + 1. Areas are parts of
    the field, of nuclei as logarithm. A kind that a frame lacks has colour 0.
    """
    colours = [100 * math.log10(256 / (level + 1)) for level in cv2.mean(view.patches, view.ground)[:3]]
    spreads = []
    for mask in (view.red_cells, view.nuclear):
        mean, deviation = cv2.meanStdDev(view.densities, mask=mask)
        colours += mean[:, 0].tolist()
        r, g, b = deviation[:, 0].tolist()
        spreads += [math.log(g + 1), r / (g + 1), b / (g + 1)]
    return [*colours, *spreads, *_areas(view)]


def structure(view: View) -> list[float]:
    """How density changes with distance, in the order of `STRUCTURE`.

    `green_L` and `red_L`: natural logarithm of the mean absolute difference of densities (hundredths) L pixels of the
    halved frame apart, as ratio to the next smaller lag; `green_1` the first itself; `green_squeeze` the logarithm of
    differences across against those down, over short lags; areas as in `stain`. The mean absolute difference by lag is
    geostatistics' madogram, the first-order variogram.
    """
    red, green = view.halved_densities
    across, down = madogram(green, LAGS)
    both = [(a + d) / 2 for a, d in zip(across, down, strict=True)]
    squeeze = sum(a - d for a, d in zip(across[:_SHORT], down[:_SHORT], strict=True)) / _SHORT
    red_both = [(a + d) / 2 for a, d in zip(*madogram(red, LAGS), strict=True)]
    return [*steps(both), both[0], squeeze, *steps(red_both), *_areas(view)]


def _areas(view: View) -> list[float]:
    ground, red_cells, nuclei = (
        cv2.countNonZero(mask) / mask.size for mask in (view.ground, view.red_cells, view.nuclear)
    )
    return [ground, red_cells, math.log(nuclei + _LEAST_AREA)]
