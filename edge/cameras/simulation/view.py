"""What the virtual microscope's sensor sees: a piece of a synthetic smear drawn once, and frames cut out of it.

Drawing a field takes 100 ms and more, so a mosaic of a few fields is drawn at the start and a frame is a crop of
it: blurred where the stage moves or the focus is off, multiplied by the light that falls on each pixel of the
frame, with noise from a pool. None of these steps allocates a buffer of a frame's size.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from edge.cameras.simulation.settings import SimSettings
from edge.cameras.simulation.stage import FRAMES_A_PLACE, MOSAIC_FIELDS, Pose, Stage
from edge.cameras.synthetic.cells import Cell
from edge.cameras.synthetic.laboratory import Laboratory
from edge.cameras.synthetic.noise import mix, noise_bytes, uniforms
from edge.cameras.synthetic.optics import Optics
from edge.cameras.synthetic.recipes import PUBLISHED_FIELD_UM, RECIPES, Recipe
from edge.cameras.synthetic.smear import UM_PER_PX, SyntheticSmear
from edge.inference.contract import Pixels

# The mosaic is drawn a little darker, so that the plane's texture is not clipped before the light is known.
HEADROOM = 0.95
_TILE = 320  # pixels a side: drawing takes about 60 bytes a pixel of a tile
_POOL = 1 << 19  # noise values
_POOL_SD = 147.8  # of `noise_bytes`
_BAND = 1 << 18  # bytes of a frame worked on at a time: fits a processor's cache, and half the pool
_RADII = 512  # steps of the squared radius in the table of light
_PIECES = 1000  # of a laboratory's slide, side by side
_LEAST_BLUR = 0.3  # pixels, Gaussian sigma: less is not seen


@dataclass(frozen=True)
class Specimen:
    """A drawn piece of slide.

    Attributes:
        mosaic: uint8 (H, W, 3) RGB: in focus, evenly lit at HEADROOM of the lamp, without noise.
        whites: white cells on it; um_per_px: side of a pixel; left_um, right_um: where the mosaic begins on the slide
            and where the smear ends.
        optics: the slide's light and blur.
    """

    mosaic: Pixels
    whites: tuple[Cell, ...]
    um_per_px: float
    left_um: float
    right_um: float
    optics: Optics


def draw_specimen(settings: SimSettings, size: tuple[int, int], place: int = 0) -> Specimen:
    """MOSAIC_FIELDS frames of `size` (width, height) pixels, the first at the slide's (0, 0).

    Of a laboratory's slide the seed says which piece is drawn: of two seeds that differ by less than 1000, two pieces.
    """
    slide, step = _slide(settings, size[1])
    bare = SyntheticSmear(slide.seed, _bare(slide.recipe, slide.style_index))
    optics = slide.optics
    even = replace(optics, background=_times(optics.background, HEADROOM), falloff=(0.0, 0.0, 0.0))
    slide.optics = bare.optics = even
    width, height = size
    columns = Stage(settings.seed, size, settings.motion, settings.focus_drift, settings.empty).smear_columns
    piece = (place if settings.site is None else settings.seed + place) % _PIECES
    left_um = piece * (MOSAIC_FIELDS[0] + 1) * width * step
    mosaic = np.empty((MOSAIC_FIELDS[1] * height, MOSAIC_FIELDS[0] * width, 3), np.uint8)
    margin = math.ceil(4 * optics.blur_um / step) + 1  # a tile's blur must not know where the tile ends
    whites: dict[Cell, None] = {}
    for source, left, right in ((slide, 0, columns * width), (bare, columns * width, MOSAIC_FIELDS[0] * width)):
        for first, last in _pieces(left, right):
            for top, bottom in _pieces(0, mosaic.shape[0]):
                field = source.field(
                    left_um + (first + last) / 2 * step,
                    (top + bottom) / 2 * step,
                    (last - first + 2 * margin, bottom - top + 2 * margin),
                    step,
                    noise=None,
                )
                mosaic[top:bottom, first:last] = field.frame[margin:-margin, margin:-margin]
                whites.update(dict.fromkeys(field.white_cells))
    return Specimen(mosaic, tuple(whites), step, left_um, left_um + columns * width * step, optics)


def _slide(settings: SimSettings, height: int) -> tuple[SyntheticSmear, float]:
    """(the slide without its camera's frame, side of a pixel in um where frames are `height` pixels high)."""
    if settings.site is None:
        slide = SyntheticSmear(settings.seed, _dusted(RECIPES[settings.recipe], settings.debris))
        return slide, min(UM_PER_PX[1], PUBLISHED_FIELD_UM[1] / height)
    laboratory = Laboratory(settings.site)
    drawn = laboratory.smear(settings.recipe, settings.slide, session=settings.session, camera=settings.camera_no)
    slide = SyntheticSmear(drawn.seed, _dusted(drawn.recipe, settings.debris))
    slide.optics = drawn.optics
    return slide, laboratory.um_per_px(settings.camera_no, height)


class View:
    """Frames of a specimen and the truth about them. Not for several threads at once.

    Args:
        settings: the virtual microscope.
        specimen: drawn for these settings and this size.
        size: (width, height) of a frame, pixels.
        exposure: light against the right amount. tint: R, G, B factors of a wrong white balance.
    """

    def __init__(
        self,
        settings: SimSettings,
        specimen: Specimen,
        size: tuple[int, int],
        exposure: float = 1.0,
        tint: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        self._settings, self._size, self._exposure = settings, size, exposure
        self._stage = Stage(settings.seed, size, settings.motion, settings.focus_drift, settings.empty)
        warmth = settings.lamp_white / 100
        tint = (tint[0] * (1 + warmth), tint[1], tint[2] * (1 - warmth))
        self._light, peak = _light(specimen.optics, size, settings.vignetting, tint)
        _soil(self._light, settings.dirt)
        self._lamp, self._drift = settings.lamp, settings.lamp_drift / 1e5
        self._scale = peak / 255 / HEADROOM * exposure
        self._rows = max(1, _BAND // (3 * size[0]))
        self._noise = _noise_pool(settings.seed, settings.noise)
        self._small: dict[int, Pixels] = {}
        self._place, self._first = 0, specimen
        self._lay(specimen)

    def _lay(self, specimen: Specimen) -> None:
        """What is under the stage from now on."""
        self._specimen, whites = specimen, specimen.whites
        self._kinds = [cell.kind for cell in whites]
        self._cells = np.array([(c.x_um, c.y_um, c.radius_um) for c in whites]).reshape(-1, 3).T
        self._seen: tuple[tuple[int, int], dict[str, int]] = ((-1, -1), {})

    def _move_on(self, frame: int) -> None:
        """To the place of a frame, drawn when it is come to: about a second for 1280x960."""
        place = frame // FRAMES_A_PLACE % self._settings.places
        if place != self._place:
            self._place = place
            self._lay(draw_specimen(self._settings, self._size, place) if place else self._first)

    def draw(self, frame: int, into: Pixels) -> dict[str, object]:
        """Fill `into`, uint8 (H, W, 3) C-contiguous, with frame number `frame`; return the truth about it.

        Returns:
            JSON-serializable: frame, stop, x_um and y_um (the frame's centre on the slide), um_per_px,
            defocus_um, moving, motion_um (travelled while exposed), exposure (1 is right), empty (nothing of
            the smear in view), white_cells and kinds (those whose circle reaches into the frame).
        """
        self._move_on(frame)
        pose = self._stage.pose(frame)
        width, height = self._size
        source = self._specimen.mosaic[pose.y : pose.y + height, pose.x : pose.x + width]
        source = self._blurred(source, pose, into)
        lamp = self._lamp * max(1 + self._drift * frame, 0.0)
        for band, first in enumerate(range(0, height, self._rows)):
            part = into[first : first + self._rows]
            cv2.multiply(
                source[first : first + self._rows],
                self._light[first : first + self._rows],
                dst=part,
                scale=self._scale * lamp,
            )
            if self._noise is not None:
                # Consecutive frames take other noise: the step is odd, the span a power of two.
                offset = (frame * 7919 + band * 104729) % (_POOL - _BAND)
                noise = slice(offset, offset + part.size)
                cv2.add(part, self._noise[0, noise].reshape(part.shape), dst=part)
                cv2.subtract(part, self._noise[1, noise].reshape(part.shape), dst=part)
        return self._truth(frame, pose, lamp)

    def _blurred(self, source: Pixels, pose: Pose, into: Pixels) -> Pixels:
        """`source` where it is sharp, otherwise `into` with the blurred frame."""
        if max(pose.smear) >= 1:
            box = (1 + 2 * round(pose.smear[0] / 2), 1 + 2 * round(pose.smear[1] / 2))
            source = cv2.blur(source, box, dst=into, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[assignment]
        sigma = self._specimen.optics.defocus_blur * abs(pose.defocus_um) / self._specimen.um_per_px
        if sigma < _LEAST_BLUR:
            return source
        factor = 1 if sigma < 3 else 2 if sigma < 6 else 4
        if factor == 1:
            return cv2.GaussianBlur(source, (0, 0), sigma, dst=into, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]
        # A wide blur is done on a smaller image; shrinking by a box and growing linearly blur as well.
        width, height = self._size
        small = self._small.get(factor)
        if small is None:
            small = self._small[factor] = np.empty((height // factor, width // factor, 3), np.uint8)
        cv2.resize(source, (width // factor, height // factor), dst=small, interpolation=cv2.INTER_AREA)
        rest = math.sqrt(sigma**2 - (factor**2 - 1) / 12 - factor**2 / 6) / factor
        cv2.GaussianBlur(small, (0, 0), rest, dst=small, borderType=cv2.BORDER_REFLECT_101)
        return cv2.resize(small, (width, height), dst=into, interpolation=cv2.INTER_LINEAR_EXACT)  # type: ignore[return-value]

    def _truth(self, frame: int, pose: Pose, lamp: float) -> dict[str, object]:
        step, (width, height) = self._specimen.um_per_px, self._size
        if self._seen[0] != (pose.x, pose.y):
            self._seen = (pose.x, pose.y), self._whites_at(pose)
        kinds = self._seen[1]
        return {
            "frame": frame,
            "stop": pose.stop,
            "x_um": self._specimen.left_um + (pose.x + width / 2) * step,
            "y_um": (pose.y + height / 2) * step,
            "um_per_px": step,
            "defocus_um": pose.defocus_um,
            "moving": pose.moving,
            "motion_um": max(pose.smear) * step,
            "exposure": self._exposure * lamp,
            "empty": pose.beside,
            "white_cells": sum(kinds.values()),
            "kinds": dict(kinds),
        }

    def _whites_at(self, pose: Pose) -> dict[str, int]:
        """Number of white cells by kind whose circle reaches into the frame, as `SyntheticSmear.field` has it."""
        step, (width, height) = self._specimen.um_per_px, self._size
        left, top = self._specimen.left_um + pose.x * step, pose.y * step
        right = min(left + width * step, self._specimen.right_um)
        if right <= left:
            return {}
        x, y, radius = self._cells
        dx = np.maximum(np.maximum(left - x, x - right), 0)
        dy = np.maximum(np.maximum(top - y, y - top - height * step), 0)
        inside = np.flatnonzero(dx * dx + dy * dy < radius * radius)
        return dict(sorted(Counter(self._kinds[index] for index in inside).items()))


def _dusted(recipe: Recipe, debris: float) -> Recipe:
    return replace(recipe, styles=tuple(replace(style, debris=style.debris * debris) for style in recipe.styles))


def _bare(recipe: Recipe, style: int) -> Recipe:
    """The same slide beside the smear: its light and plane without a cell."""
    nothing = replace(recipe.styles[style], white_count=0.0, red_share=1e-12, debris=0.0)
    return replace(recipe, styles=(nothing,))


def _times(values: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return values[0] * factor, values[1] * factor, values[2] * factor


def _pieces(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut a range into even pieces of at most _TILE."""
    count = math.ceil((last - first) / _TILE)
    edges = [first + (last - first) * k // count for k in range(count + 1)] if count else []
    return pairwise(edges)


def _light(
    optics: Optics, size: tuple[int, int], vignetting: float, tint: tuple[float, float, float]
) -> tuple[Pixels, float]:
    """(uint8 (H, W, 3): light on each pixel of a frame against the strongest, 255; that strongest, 1 = the lamp)."""
    squared = np.linspace(0, 2, 2 * _RADII + 1)[:, None]  # of the radius; 2 in the corners
    falloff = np.array(optics.falloff) / np.array(optics.background)  # as `Optics.density` has it
    light = np.exp(squared * falloff) * (1 - vignetting * squared / 2) * np.array(tint)
    peak = float(light.max())
    table = np.rint(light * (255 / peak)).astype(np.uint8)
    width, height = size
    across = ((np.arange(width) - (width - 1) / 2) / (width / 2)).astype(np.float32) ** 2 * np.float32(_RADII)
    down = ((np.arange(height) - (height - 1) / 2) / (height / 2)).astype(np.float32) ** 2 * np.float32(_RADII)
    plane = np.empty((height, width, 3), np.uint8)
    for row in range(height):
        plane[row] = table[(across + (down[row] + np.float32(0.5))).astype(np.int16)]
    return plane, peak


def _soil(light: Pixels, grains: int) -> None:
    """Darken the light where dirt lies on the optics: the same places for every slide."""
    height, width = light.shape[:2]
    for grain in range(grains):
        across, down, wide, dark = uniforms(mix(401, grain), 4)
        radius = max(1, round(height * (0.004 + 0.012 * wide)))
        mask = np.zeros((height, width), np.uint8)
        cv2.circle(mask, (round(across * (width - 1)), round(down * (height - 1))), radius, (255,), cv2.FILLED)
        shade = cv2.GaussianBlur(mask, (0, 0), max(radius / 3, 0.5)).astype(np.float32) / 255 * (0.05 + 0.2 * dark)
        light[:] = np.rint(light * (1 - shade[..., None])).astype(np.uint8)


def _noise_pool(seed: int, deviation: float) -> Pixels | None:
    """uint8 (2, _POOL): grey levels to be added and to be taken away, one of them 0; None without noise."""
    if deviation == 0:
        return None
    noise = noise_bytes(mix(seed, 302), _POOL) * np.float32(deviation / _POOL_SD)
    np.rint(noise, out=noise)
    pool: Pixels = np.empty((2, _POOL), np.uint8)
    pool[0] = np.clip(noise, 0, 255)
    pool[1] = np.clip(-noise, 0, 255)
    return pool
