"""From dye to frame: Beer-Lambert absorption, illumination, blur and sensor noise.

Densities become grey levels through one table, blur works on bytes (OpenCV's fixed-point Gaussian) and noise
is whole numbers, so no step depends on how a machine rounds. Not modelled: diffraction rings, colour
fringes, JPEG.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log10

import cv2
import numpy as np
import numpy.typing as npt

from edge.cameras.synthetic.cells import CHROMATIN, CYTOPLASM, PINK, RED
from edge.cameras.synthetic.noise import Floats, mix, noise_bytes
from edge.inference.contract import Pixels

Triple = tuple[float, float, float]
_LEVELS = 2048  # table entries per unit of optical density
_LOWEST = -0.25  # the table's first density: light beyond what the camera shows as 255
_ENTRIES = _LEVELS * 4
_NOISE_POOL = 1 << 20
_NOISE_SD = 147.8  # of `noise_bytes`
LARGEST_BLUR_PX = 40.0


@dataclass(frozen=True)
class Optics:
    """Light and stain of one slide as its camera shows them.

    Attributes:
        background: R, G, B in the middle of the frame, grey levels; falloff: change towards the edges, where
            x^2 + y^2 = 1 with x and y in -1..1 over the frame.
        white, red, cytoplasm, pink: optical densities (R, G, B) of one unit of each dye.
        blur_um: Gaussian sigma of the focused image; defocus_blur: sigma per um of defocus.
        noise: standard deviation of the sensor noise, grey levels.
        plasma: standard deviation of the density of the plane between the cells.
    """

    background: Triple
    falloff: Triple
    white: Triple
    red: Triple
    cytoplasm: Triple
    pink: Triple
    blur_um: float = 0.20
    defocus_blur: float = 0.45
    noise: float = 2.0
    plasma: float = 0.007

    def density(self, planes: Floats, plasma: Floats, *, light: bool) -> list[Floats]:
        """Optical density for R, G, B.

        Args:
            planes: (4, H, W) amounts of dye; plasma: (H, W) texture between the cells.
            light: whether the lamp's colour and falloff are in it; otherwise an even white of 255.
        """
        height, width = plasma.shape
        x, y = _centred(width), _centred(height)
        radius = (x * x)[None, :] + (y * y)[:, None]
        # Red cells in a pile darken less than Beer-Lambert has it, as in the published fields.
        red = planes[RED] / (np.float32(1) + np.float32(0.5) * planes[RED]) * np.float32(1.5)
        grain = plasma * np.float32(self.plasma)
        result = []
        for channel in range(3):
            total = red * np.float32(self.red[channel]) + grain
            for plane, colour in ((CHROMATIN, self.white), (CYTOPLASM, self.cytoplasm), (PINK, self.pink)):
                total += planes[plane] * np.float32(colour[channel])
            if light:
                centre = self.background[channel]
                total -= np.float32(log10(centre / 255))
                total -= radius * np.float32(self.falloff[channel] / (centre * 2.302585))
            result.append(total)
        return result

    def expose(self, density: list[Floats], blur_px: float, noise_key: int | None) -> Pixels:
        """A frame uint8 (H, W, 3) RGB from the densities of R, G, B; no noise without a key."""
        table = _grey_levels()
        planes = []
        for plane in density:
            steps = (plane - np.float32(_LOWEST)) * np.float32(_LEVELS)
            planes.append(table[np.clip(steps, 0, _ENTRIES - 1).astype(np.int32)])
        frame = cv2.merge(planes)
        if blur_px > 0.15:
            sigma = min(blur_px, LARGEST_BLUR_PX)
            frame = cv2.GaussianBlur(frame, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        if noise_key is not None and self.noise > 0:
            frame = _with_noise(frame, self.noise, noise_key)  # type: ignore[arg-type]
        return frame  # type: ignore[return-value]


def _centred(count: int) -> Floats:
    return ((np.arange(count) - (count - 1) / 2) / (count / 2)).astype(np.float32)


@lru_cache(maxsize=1)
def _grey_levels() -> npt.NDArray[np.uint8]:
    density = np.arange(_ENTRIES) / _LEVELS + _LOWEST
    table = [min(255, max(0, round(255 * 10 ** -float(d)))) for d in density]
    result = np.array(table, dtype=np.uint8)
    result.flags.writeable = False
    return result


@lru_cache(maxsize=1)
def _noise_pool() -> npt.NDArray[np.int16]:
    return noise_bytes(mix(201), _NOISE_POOL)


@lru_cache(maxsize=4)
def _scaled_noise(steps: int) -> npt.NDArray[np.int16]:
    """The pool in grey levels for a standard deviation of steps / 16, rounded to whole numbers."""
    factor = round(steps / 16 / _NOISE_SD * (1 << 16))
    return ((_noise_pool().astype(np.int32) * factor + (1 << 15)) >> 16).astype(np.int16)


def _with_noise(frame: Pixels, deviation: float, key: int) -> Pixels:
    pool = _scaled_noise(max(1, round(deviation * 16)))
    flat = frame.reshape(-1)
    out = np.empty_like(flat)
    for part, first in enumerate(range(0, flat.size, _NOISE_POOL // 2)):
        piece = flat[first : first + _NOISE_POOL // 2]
        offset = mix(key, part) % (_NOISE_POOL // 2)
        noisy = piece + pool[offset : offset + piece.size]
        out[first : first + piece.size] = np.clip(noisy, 0, 255)
    return out.reshape(frame.shape)
