"""What a network sees of a field while it is adapted: its tiles, stain variations of them, the stain normalized, and
white cells painted out.

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
from models.training.stain import moved_to, saturate, to_density, to_light, to_pixels, turn_hue

STAIN, DENSITY, HUE_DEGREES, SATURATION = 0.05, 0.2, 12.0, 0.25  # of the mixing matrix in optical density
LAMP, WHITE_BALANCE = 0.08, 0.04  # relative, of all channels alike and of red against blue
# What a normalizer carries every field to: mean and spread of optical density, R, G, B, of a field of the published set
# (mean over 150 of them, two decimals). Any one stain would do: fields need only become alike.
REFERENCE_MEAN, REFERENCE_SPREAD = (0.25, 0.23, 0.15), (0.19, 0.22, 0.12)


@dataclass(frozen=True)
class FieldViews:
    """A field as the network sees it.

    Attributes:
        tiles: uint8 (3 + variations, tiles, height, width, 3) RGB: first the field as it is, then its variations; last
            but one the field with its stain normalized, last with its white cells painted out: neither makes the head.
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
    every.append(normalized(tiles))
    every.append(np.stack([without_white_cells(tile)[0] for tile in tiles]))
    return FieldViews(np.stack(every), np.concatenate([mean.ravel(), deviation.ravel()]))


def normalized(tiles: Pixels) -> Pixels:
    """All tiles of a field with mean and spread of optical density moved to the reference, all of them alike.

    Args:
        tiles: uint8 (tiles, height, width, 3) RGB.
    """
    density = to_density(tiles.reshape(-1, *tiles.shape[2:]))
    return to_pixels(to_light(moved_to(density, REFERENCE_MEAN, REFERENCE_SPREAD))).reshape(tiles.shape)


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
