"""Whether a field is empty: nothing of a smear in view, only light, its falloff, and some dirt."""

import cv2
import numpy as np
import numpy.typing as npt

from edge.commissioning.camera.looks import Light, blocks
from edge.errors import EmptyFieldError

_DEGREE = 4  # of the polynomial that the light follows from the middle to the corners
_ROUNDS = 4
_UNLIKE = 0.035  # part by which a block may differ from that light and count as light
_COLOURED = 0.025  # part by which it differs more in one channel than in another: cells have colour, dirt is grey
MOST_COLOURED, MOST_UNLIKE = 0.001, 0.02  # parts of the field
_LARGEST_SIDE = 160  # blocks across


def require_empty(light: Light) -> None:
    """Raise EmptyFieldError unless an even light, with its falloff and grains of dirt, is all there is.

    Args:
        light: float64 (H, W, 3): mean of some frames, grey levels.
    """
    coloured, unlike = smear_shares(light)
    if coloured > MOST_COLOURED:
        raise EmptyFieldError(
            f"not an empty field: {coloured:.1%} of it has the colour of cells: move to glass beside the smear"
        )
    if unlike > MOST_UNLIKE:
        raise EmptyFieldError(
            f"not an empty field: {unlike:.1%} of it is unlike the light around: move to clean glass beside the smear, "
            "or clean the optics"
        )


def smear_shares(light: Light) -> tuple[float, float]:
    """(part of the field that differs in colour from the light around, part that differs from it at all), 0..1."""
    small = blocks(light)
    shrink = max(1, round(small.shape[1] / _LARGEST_SIDE))
    if shrink > 1:
        size = (small.shape[1] // shrink, small.shape[0] // shrink)
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA))
    excess = np.stack([_excess(small[..., channel]) for channel in range(3)], axis=2)
    unlike = np.abs(excess).max(axis=2) > _UNLIKE
    coloured = unlike & (excess.max(axis=2) - excess.min(axis=2) > _COLOURED)
    return float(coloured.mean()), float(unlike.mean())


def _excess(channel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each block against a smooth light fitted to those that follow one, as a part of it."""
    height, width = channel.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([x**i * y**j for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)], axis=-1)
    design, target = terms.reshape(-1, terms.shape[-1]), channel.reshape(-1)
    kept = np.ones(target.size, bool)
    for _ in range(_ROUNDS):
        coefficients = np.linalg.lstsq(design[kept], target[kept], rcond=None)[0]
        excess = target / np.maximum(design @ coefficients, 1.0) - 1
        likely = np.abs(excess) <= _UNLIKE
        if likely.mean() < 0.5:
            break
        kept = likely
    return np.asarray(excess.reshape(height, width))
