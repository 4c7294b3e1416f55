"""Degradations by lens, lamp, stain and camera, computed where they act: in light, not in grey levels.

A camera writes grey levels through a tone curve; defocus, exposure or dye act on the light before it. The published
files do not say which curve theirs had, so sRGB's is taken (IEC 61966-2-1). Where a file is white the light was clipped
and how strong it was is lost: a darker exposure leaves such ground an even grey.

Every function takes pixels uint8 (H, W, 3) RGB, a value in the unit it names and a generator, and returns pixels of
the same form. Lengths are pixels of a field 224 rows high. Fields are 4:3 frames squeezed to a square, so a length
across is 3/4 of the same length down.
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels

Light = npt.NDArray[np.float32]
REFERENCE_SIDE = 224  # rows of the field that lengths are given for
SQUEEZE = 3 / 4  # of a length across the frame, by the contract's aspect "squeeze"
READ_NOISE = 2.0  # electrons, of a good CMOS sensor
_WAVELENGTHS = np.array([0.600, 0.540, 0.450])  # um, where a camera's R, G and B see best
_SECOND_RADIATION = 14388.0  # um K (CODATA: 0.014388 m K)
_LEVELS = 65535


def _srgb_tables() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Light 0..1 of each of 256 grey levels, and the grey level of each of 65,536 steps of light."""
    grey = np.arange(256) / 255
    light = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    steps = np.arange(_LEVELS + 1) / _LEVELS
    back = np.where(steps <= 0.0031308, 12.92 * steps, 1.055 * steps ** (1 / 2.4) - 0.055)
    return light.astype(np.float32), np.rint(255 * back).astype(np.uint8)


_TO_LIGHT, _TO_GREY = _srgb_tables()


def to_light(pixels: Pixels) -> Light:
    """float32 (H, W, 3), 0..1: what fell on the sensor, 1 where it was full."""
    return np.asarray(cv2.LUT(pixels, _TO_LIGHT), np.float32)


def to_pixels(light: npt.NDArray[Any]) -> Pixels:
    """uint8 (H, W, 3); light below 0 or above 1 is clipped, as a sensor clips it."""
    return np.asarray(_TO_GREY[np.rint(np.clip(light, 0, 1) * _LEVELS).astype(np.uint16)], np.uint8)


def in_pixels(length: float, pixels: Pixels) -> float:
    """A length given for a field of 224 rows, in rows of this one."""
    return length * pixels.shape[0] / REFERENCE_SIDE


def defocus(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """`sigma` of a Gaussian point spread, px; the synthetic smear gains 1.25 px for each um out of focus."""
    del rng
    down = in_pixels(sigma, pixels)
    return to_pixels(cv2.GaussianBlur(to_light(pixels), (0, 0), SQUEEZE * down, sigmaY=down))


def motion_blur(pixels: Pixels, length: float, rng: np.random.Generator) -> Pixels:
    """The stage moves `length` px during the exposure, evenly, in a random direction."""
    angle = rng.uniform(0, np.pi)
    reach = in_pixels(length, pixels) / 2
    half = math.ceil(reach) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    for step in np.linspace(-reach, reach, 8 * half + 1):
        x, y = half + SQUEEZE * step * np.cos(angle), half + step * np.sin(angle)
        left, top = int(x), int(y)
        across, down = np.array([left + 1 - x, x - left]), np.array([top + 1 - y, y - top])
        kernel[top : top + 2, left : left + 2] += np.outer(down, across)
    return to_pixels(cv2.filter2D(to_light(pixels), -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101))


def low_contrast(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """`share` of the light is glare (open condenser, dirty lens): spread evenly, the field's own mean colour."""
    del rng
    light = to_light(pixels)
    return to_pixels((1 - share) * light + share * light.mean(axis=(0, 1)))


def over_exposure(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    """`stops` EV more light: each doubles it."""
    del rng
    return to_pixels(to_light(pixels) * 2**stops)


def under_exposure(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    """`stops` EV less light: each halves it."""
    return over_exposure(pixels, -stops, rng)


def uneven_illumination(pixels: Pixels, fall: float, rng: np.random.Generator) -> Pixels:
    """The lamp is off centre: light falls with the squared distance from a random point, by `fall` (0..1) where it is
    farthest."""
    height, width = pixels.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    centre = rng.uniform(-0.9, 0.9, 2)
    distance = ((x - centre[0]) / SQUEEZE) ** 2 + (y - centre[1]) ** 2
    return to_pixels(to_light(pixels) * (1 - fall * distance / distance.max())[..., None])


def colour_temperature(pixels: Pixels, mired: float, rng: np.random.Generator) -> Pixels:
    """The lamp is `mired` (10^6 / K) warmer or colder than the white balance was made for, by a random sign.

    Wien's law: radiance at wavelength l goes as exp(-c2 / (l T)); green is kept. From 5500 K, 80 mired lead to
    3800 K or 9800 K.
    """
    shift = rng.choice((-1, 1)) * mired * 1e-6
    exponent = -_SECOND_RADIATION / _WAVELENGTHS * shift
    return to_pixels(to_light(pixels) * np.exp(exponent - exponent[1]).astype(np.float32))


def stain_intensity(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """All optical densities multiplied or divided (by a random sign) by `factor`: staining time, smear thickness."""
    power = factor ** float(rng.choice((-1, 1)))
    density, ground = density_and_ground(pixels)
    return to_pixels(ground * cv2.exp(-power * density))


def stain_hue(pixels: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    """Optical densities turned about the grey axis by `degrees` to either side: another mixture of dyes."""
    angle = np.deg2rad(degrees) * rng.choice((-1, 1))
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues' formula
    density, ground = density_and_ground(pixels)
    return to_pixels(ground * cv2.exp(-cv2.transform(density, turn.astype(np.float32))))


def sensor_noise(pixels: Pixels, electrons: float, rng: np.random.Generator) -> Pixels:
    """Shot and read noise of pixels that hold `electrons` when white, each channel by itself: fewer, noisier."""
    light = to_light(pixels)
    deviation = cv2.sqrt(light / electrons + (READ_NOISE / electrons) ** 2)
    return to_pixels(light + deviation * rng.standard_normal(light.shape, np.float32))


def jpeg(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Stored at JPEG `quality` 1..100 (libjpeg's scale), colour at half resolution."""
    del rng
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def chromatic_shift(pixels: Pixels, distance: float, rng: np.random.Generator) -> Pixels:
    """Red and blue lie `distance` px apart, green between them: lateral colour of a lens off its axis."""
    angle = rng.uniform(0, 2 * np.pi)
    half = in_pixels(distance, pixels) / 2
    step = half * np.array([SQUEEZE * np.cos(angle), np.sin(angle)])
    light = to_light(pixels)
    size = pixels.shape[1::-1]
    for channel, sign in ((0, 1), (2, -1)):
        matrix = np.array([[1, 0, sign * step[0]], [0, 1, sign * step[1]]])
        light[..., channel] = cv2.warpAffine(
            light[..., channel], matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
    return to_pixels(light)


def density_and_ground(pixels: Pixels) -> tuple[Light, Light]:
    """Optical density (natural logarithm), float32 (H, W, 3), and the light (3,) of the field's clear ground.

    Beer-Lambert against the ground, so that a coloured ground is not taken for dye; the ground is each channel's 95th
    percentile.
    """
    ground = _TO_LIGHT[np.percentile(pixels[::2, ::2].reshape(-1, 3), 95, axis=0).astype(np.uint8)]
    ground = np.maximum(ground, _TO_LIGHT[1])
    light = np.maximum(to_light(pixels), _TO_LIGHT[1])
    return -np.asarray(cv2.log(light / ground), np.float32), ground
