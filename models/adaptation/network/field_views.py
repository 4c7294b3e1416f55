"""What a network sees of a field while it is adapted: its tiles, stain variations of them, white cells painted out.

A variation is what another batch of dye, lamp or white balance would have made of the same cells: the head learns that
such changes mean nothing. Only optical densities and the lamp vary; cells stay in place and in focus. The amplitudes
are between the staining and imaging differences that `models.training.augmentation` spans.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from edge.inference.contract import InputContract, Pixels
from edge.inference.images import read_image
from edge.inference.tiles import prepare_tiles
from models.evaluation.interventions import without_white_cells
from models.site.fields import SiteField
from models.support.keyed_random import draw
from models.training.stain import saturate, to_density, to_light, to_pixels, turn_hue

STAIN, DENSITY, HUE_DEGREES, SATURATION = 0.05, 0.2, 12.0, 0.25  # of the mixing matrix in optical density
LAMP, WHITE_BALANCE = 0.08, 0.04  # relative, of all channels alike and of red against blue


@dataclass(frozen=True)
class FieldViews:
    """A field as the network sees it.

    Attributes:
        tiles: uint8 (2 + variations, tiles, height, width, 3) RGB: first the field as it is, last the same with its
            white cells painted out, which no head learns from.
        colours: float64 (6,): mean and standard deviation of R, G and B over the frame, grey levels.
    """

    tiles: Pixels
    colours: "np.ndarray[tuple[int], np.dtype[np.float64]]"


def field_views(field: SiteField, contract: InputContract, views: int) -> FieldViews:
    """Read a field, as the network sees it.

    Args:
        views: variations of stain and lamp, of all tiles together, drawn by the field's digest alone.

    Raises:
        ImageFileError: it cannot be read. FrameError: it is too small for the contract's tiles.
    """
    frame = read_image(field.sample.path)
    tiles = prepare_tiles(contract, frame)
    every = [tiles, *(_varied(tiles, draw("stain-view", field.sample.sha256, str(k))) for k in range(views))]
    mean, deviation = cv2.meanStdDev(frame)
    every.append(np.stack([without_white_cells(tile)[0] for tile in tiles]))
    return FieldViews(np.stack(every), np.concatenate([mean.ravel(), deviation.ravel()]))


def _varied(tiles: Pixels, rng: np.random.Generator) -> Pixels:
    """The same change of stain and lamp for all tiles of a field."""
    mixing = np.eye(3) + rng.normal(0, STAIN, (3, 3))
    mixing *= 1 + rng.uniform(-DENSITY, DENSITY)
    mixing = mixing @ turn_hue(np.radians(rng.uniform(-HUE_DEGREES, HUE_DEGREES)))
    mixing = mixing @ saturate(1 + rng.uniform(-SATURATION, SATURATION))
    tilt = rng.uniform(-WHITE_BALANCE, WHITE_BALANCE)
    gains = ((1 + rng.uniform(-LAMP, LAMP)) * np.array([1 + tilt, 1, 1 - tilt])).astype(np.float32)
    turned = mixing.astype(np.float32)

    def varied(tile: Pixels) -> Pixels:
        density = np.asarray(cv2.transform(to_density(tile), turned), np.float32)
        return to_pixels(to_light(density) * gains)

    return np.stack([varied(tile) for tile in tiles])
