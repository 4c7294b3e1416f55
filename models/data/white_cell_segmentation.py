"""Segmentation of white cells by colour alone: what is more violet than the rest of the field.

Nuclei bind the violet dye, which takes away green light more than red or blue; red cells and ground take all three
about alike. So the optical density in green in excess of the mean of red and blue tells them apart, at a threshold of
the field's own (Otsu 1979, doi 10.1109/TSMC.1979.4310076). What comes out is nuclei with some cytoplasm, smudge cells
and stained precipitate included, touching cells joined. `docs.studies.networks.white_cell_check` measures how good
it is.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels, check_frame

Mask = npt.NDArray[np.bool_]
LEAST_EXCESS = 0.06  # optical density (log10): a field without white cells must not be cut at its noise
_STEPS = 400  # grey levels a unit of excess, for Otsu's histogram
_SMALLEST = 40 / 224**2  # part of a field below which a speck is a platelet or the text of a scale bar
_OPENING = 5 / 224  # of a side: thinner than this is an edge's colour fringe


def white_cells(pixels: Pixels) -> Mask:
    """Mask of the white cells.

    Args:
        pixels: uint8 (H, W, 3) RGB, from `InputContract.prepare`.

    Returns:
        bool (H, W), all False where nothing is violet enough.

    Raises:
        FrameError: pixels of another form.
    """
    check_frame(pixels)
    smooth = cv2.GaussianBlur(pixels, (3, 3), 0).astype(np.float32)
    ground = np.percentile(pixels[::2, ::2].reshape(-1, 3), 95, axis=0)
    density = -np.log10(np.maximum(smooth, 1) / np.maximum(ground, 1))
    excess = density[..., 1] - (density[..., 0] + density[..., 2]) / 2
    levels = np.clip(_STEPS * excess, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    violet = (excess > max(threshold / _STEPS, LEAST_EXCESS)).astype(np.uint8)
    side = max(3, round(pixels.shape[0] * _OPENING))
    return _filled(cv2.morphologyEx(violet, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))))


def widened(mask: Mask, rows: int) -> Mask:
    """`mask` with a margin of `rows` pixels, for what is to cover the cells whole."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rows + 1, 2 * rows + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def _filled(mask: npt.NDArray[np.uint8] | cv2.typing.MatLike) -> Mask:
    """The mask's outlines, their holes filled, specks left out."""
    outlines, _ = cv2.findContours(np.asarray(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out = np.zeros(mask.shape, np.uint8)
    large = [outline for outline in outlines if cv2.contourArea(outline) >= _SMALLEST * out.size]
    cv2.drawContours(out, large, -1, (1,), cv2.FILLED)
    return out.astype(bool)
