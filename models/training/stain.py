"""Stain as it acts on light: optical density, and what another batch of dye does to it.

Beer-Lambert: OD = -log(I / I0), one number a channel; dyes add up in it, light does not. I0 is the white of the
pixel format, 255. After Tellez et al. 2019 (doi 10.1016/j.media.2019.101544) and, for carrying one image's stain
over to another, Reinhard et al. 2001 (doi 10.1109/38.946629).
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels

Floats = npt.NDArray[np.float32]

_TO_DENSITY = (-np.log((np.arange(256, dtype=np.float64) + 1) / 256)).astype(np.float32)
_LEAST_SPREAD = 0.01  # OD: below it an image holds no cell to speak of, and its spread is noise


def to_density(pixels: Pixels) -> Floats:
    """Optical density, float32 (H, W, 3), 0 (white) to 5.5 (black), of uint8 (H, W, 3) RGB."""
    return np.asarray(cv2.LUT(pixels, _TO_DENSITY), np.float32)


def to_light(density: Floats) -> Floats:
    """Intensity in grey levels, float32 (H, W, 3), neither rounded nor clipped: the inverse of `to_density`."""
    return np.asarray(cv2.exp(-density), np.float32) * np.float32(256) - np.float32(1)


def to_pixels(light: npt.NDArray[Any]) -> Pixels:
    """Grey levels as a sensor gives them: rounded, clipped, uint8."""
    return np.asarray(np.clip(np.rint(light), 0, 255), np.uint8)


def turn_hue(angle: float) -> npt.NDArray[np.float64]:
    """(3, 3) matrix on optical densities: hue turned by `angle` radians about the grey axis (Rodrigues)."""
    c, s = math.cos(angle), math.sin(angle) / math.sqrt(3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return np.asarray(c * np.eye(3) + s * cross + (1 - c) / 3 * np.ones((3, 3)), np.float64)


def saturate(factor: float) -> npt.NDArray[np.float64]:
    """(3, 3) matrix on optical densities: distance from grey times `factor`; 0 leaves a grey image."""
    return factor * np.eye(3) + (1 - factor) / 3 * np.ones((3, 3))


def carry_over(density: Floats, other: Floats, share: float) -> Floats:
    """`density` with mean and spread of each channel moved by `share`, 0..1, to those of `other`.

    Args:
        density, other: float32 (H, W, 3) optical densities.
        share: 0 changes nothing, 1 gives the other image's stain.
    """
    other_mean, other_spread = (v.ravel() for v in cv2.meanStdDev(other))
    return moved_to(density, other_mean, other_spread, share)


def moved_to(density: Floats, other_mean: npt.ArrayLike, other_spread: npt.ArrayLike, share: float = 1.0) -> Floats:
    """`density` with mean and spread of each channel moved by `share`, 0..1, to given ones.

    Args:
        density: float32 (H, W, 3). other_mean, other_spread: (3,) optical densities, R, G, B.
    """
    other_mean, other_spread = np.asarray(other_mean, np.float64), np.asarray(other_spread, np.float64)
    mean, spread = (v.ravel() for v in cv2.meanStdDev(density))
    gain = 1 + share * (np.clip(other_spread / np.maximum(spread, _LEAST_SPREAD), 0.4, 2.5) - 1)
    offset = mean + share * (other_mean - mean) - gain * mean
    return np.asarray(density * gain.astype(np.float32) + offset.astype(np.float32), np.float32)
