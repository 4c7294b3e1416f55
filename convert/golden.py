"""The inputs a device replays before it serves: drawn fields, noise, the extremes; no image of a data set."""

import numpy as np

from edge.contract import InputContract, Pixels
from edge.virtual_slide import synthetic_fields

FIELDS = 8
NOISE = 2
SEED = 2_000_000


def golden_pixels(contract: InputContract) -> Pixels:
    """Uint8 (FIELDS + NOISE + 2, height, width, 3) RGB, prepared; the same on every machine for one contract."""
    width, height = contract.size
    fields = [contract.prepare(frame) for _, frame in synthetic_fields(FIELDS, SEED)]
    rng = np.random.default_rng(SEED)
    noise = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(NOISE)]
    extremes = [np.full((height, width, 3), level, np.uint8) for level in (0, 255)]
    return np.stack([*fields, *noise, *extremes])
