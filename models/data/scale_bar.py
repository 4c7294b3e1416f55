"""The burned-in scale bar of the published images: where it is, and how to take it away.

Its style alone gives the class away (`models audit`), and a microscope camera draws none. So training never shows a
network its own image's bar: the corner is filled from its surroundings, or exchanged with another image's corner
whatever that one's class.
"""

import cv2
import numpy as np

from edge.inference.contract import Pixels

# The bar's bounding box in the published 224x224 images, as fractions of the side: the widest style (large black bar)
# begins 60 columns and 33 rows from the bottom-right corner; two pixels of margin are added for JPEG ringing.
CORNER_HEIGHT = 35 / 224
CORNER_WIDTH = 62 / 224
_FEATHER = 4  # pixels over which a replaced corner blends into the image


def corner(pixels: Pixels) -> Pixels:
    """The corner that holds the bar: a view, uint8 (h, w, 3), of an image uint8 (H, W, 3)."""
    height, width = _corner_size(pixels)
    return pixels[-height:, -width:]


def fill_corner(pixels: Pixels) -> Pixels:
    """A copy of uint8 (H, W, 3) RGB with the corner replaced by the mirror image of what lies left of it."""
    _, width = _corner_size(pixels)
    neighbour = corner(pixels[:, :-width])
    return replace_corner(pixels, np.ascontiguousarray(neighbour[:, ::-1]))


def replace_corner(pixels: Pixels, patch: Pixels) -> Pixels:
    """A copy of uint8 (H, W, 3) with `patch`, uint8 (h, w, 3), in its corner, blended over a few pixels."""
    height, width = _corner_size(pixels)
    if patch.shape[:2] != (height, width):
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)  # type: ignore[assignment]
    ramp_y = np.minimum(1.0, (np.arange(height, dtype=np.float32) + 1) / _FEATHER)
    ramp_x = np.minimum(1.0, (np.arange(width, dtype=np.float32) + 1) / _FEATHER)
    weight = (ramp_y[:, None] * ramp_x)[..., None]
    out = pixels.copy()
    out[-height:, -width:] = np.rint(weight * patch + (1 - weight) * corner(pixels)).astype(np.uint8)
    return out


def _corner_size(pixels: Pixels) -> tuple[int, int]:
    return round(pixels.shape[0] * CORNER_HEIGHT), round(pixels.shape[1] * CORNER_WIDTH)
