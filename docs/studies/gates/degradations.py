"""Graded degradations of prepared pixels, as a microscope causes them: defocus, motion, wrong exposure."""

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.decision.gates_fit import CODE_PER_STOP

CAMERA_NOISE = 1.5  # grey levels: standard deviation that a camera adds after the blur, at the size of prepared pixels
_OVERSAMPLING = 8


def defocus(pixels: Pixels, radius_px: float) -> Pixels:
    """Blur uint8 (H, W, 3) by a disc, which geometric optics makes of a point out of focus; radius in pixels, >= 0."""
    return pixels if radius_px <= 0 else _filtered(pixels, _disc(radius_px))


def motion(pixels: Pixels, length_px: float, angle_deg: float) -> Pixels:
    """Blur uint8 (H, W, 3) along a straight line: length in pixels, >= 0, angle anticlockwise from the right."""
    return pixels if length_px <= 0 else _filtered(pixels, _line(length_px, angle_deg))


def expose(pixels: Pixels, stops: float) -> Pixels:
    """uint8 (H, W, 3) as with 2**stops times the light: grey levels x 2**(stops / 2.2), clipped at 255."""
    table = np.clip(np.rint(np.arange(256) * 2 ** (stops * CODE_PER_STOP)), 0, 255).astype(np.uint8)
    return cv2.LUT(pixels, table)  # type: ignore[return-value]


def with_noise(pixels: Pixels, random: np.random.Generator, deviation: float = CAMERA_NOISE) -> Pixels:
    """uint8 (H, W, 3) with normal noise of that standard deviation, grey levels."""
    noise = random.normal(0, deviation, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def _filtered(pixels: Pixels, kernel: npt.NDArray[np.float32]) -> Pixels:
    return cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _disc(radius: float) -> npt.NDArray[np.float32]:
    """Odd square kernel of sum 1; the rim's pixels weigh by the part of them that the disc covers."""
    half = math.ceil(radius)
    axis = (np.arange((2 * half + 1) * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - half - 0.5
    inside = (axis[:, None] ** 2 + axis**2 <= radius * radius).astype(np.float32)
    side = 2 * half + 1
    cover = inside.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).mean(axis=(1, 3))
    return np.asarray(cover / cover.sum(), np.float32)


@lru_cache(maxsize=1024)
def _line(length: float, angle: float) -> npt.NDArray[np.float32]:
    """Odd square kernel of sum 1: points along the line, each shared among the four pixels around it."""
    half = math.ceil(length / 2) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    along = np.linspace(-length / 2, length / 2, max(2, round(length * _OVERSAMPLING)))
    for column, row in zip(
        half + along * math.cos(math.radians(angle)), half - along * math.sin(math.radians(angle)), strict=True
    ):
        left, top = math.floor(column), math.floor(row)
        right, low = column - left, row - top
        kernel[top, left] += (1 - right) * (1 - low)
        kernel[top, left + 1] += right * (1 - low)
        kernel[top + 1, left] += (1 - right) * low
        kernel[top + 1, left + 1] += right * low
    return kernel / kernel.sum()  # type: ignore[no-any-return]
