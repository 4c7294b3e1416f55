"""The choice of images that cover a class best: random, k-center and herding on features.

k-center: greedy farthest-first (Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5), which keeps the
largest distance to a chosen image small, so that rare looks are taken. Herding (Welling 2009,
https://doi.org/10.1145/1553374.1553517): greedy matching of the mean, so that the chosen set looks like the
whole.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import CalibrationError
from convert.quantization.float_model import FloatModel
from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.inference.tiles import tiles_of

Features = npt.NDArray[np.float64]
FeatureFunction = Callable[[Pixels], Features]
METHODS = ("random", "k-center", "herding")
BATCH = 32


def pick(method: str, features: Features, count: int, seed: int) -> list[int]:
    """Indices of `count` rows, in the order chosen.

    Args:
        method: one of METHODS.
        features: (N, D) finite numbers; not looked at by "random". Columns are brought to unit variance.
        count: how many, at most N.
        seed: of the random order; ties and starting points follow it too.

    Raises:
        CalibrationError: no such method, or a count above the number of rows.
    """
    if method not in METHODS:
        raise CalibrationError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if not 0 <= count <= len(features):
        raise CalibrationError(f"count must be 0..{len(features)}; got {count}")
    order = np.random.default_rng(seed).permutation(len(features))
    if method == "random" or count == 0:
        return [int(i) for i in order[:count]]
    scaled = _scaled(features[order])
    chosen = _k_center(scaled, count) if method == "k-center" else _herding(scaled, count)
    return [int(order[i]) for i in chosen]


def pixel_statistics(pixels: Pixels) -> Features:
    """(N, 21): each channel's mean, standard deviation and 1, 10, 50, 90 and 99 % quantiles, grey levels."""
    rows = []
    for image in pixels:
        flat = image.reshape(-1, 3)
        rows.append(
            np.concatenate([flat.mean(0), flat.std(0), np.percentile(flat, [1, 10, 50, 90, 99], axis=0).ravel()])
        )
    return np.array(rows, np.float64).reshape(len(pixels), 21)


def penultimate_features(model: FloatModel, contract: InputContract) -> FeatureFunction:
    """A function from pixels uint8 (N, H, W, 3) to what enters the network's last layer with weights, (N, D); of fields
    of tiles the mean over the tiles.

    Raises:
        CalibrationError: the model is no Keras graph (a SavedModel, or logits with a softmax put behind
            them).
    """
    import keras

    layers = getattr(model.network, "layers", [])
    weighted = [layer for layer in layers if layer.weights]
    if not weighted:
        raise CalibrationError(f"{model.path}: its layers cannot be reached; use pixel statistics as features")
    part = keras.Model(model.network.inputs[0], weighted[-1].input)  # type: ignore[attr-defined]

    def features(pixels: Pixels) -> Features:
        rows, step = [], max(1, BATCH // contract.tile_count)
        for start in range(0, len(pixels), step):
            views = tiles_of(contract, pixels[start : start + step])
            values: Any = part(np.concatenate([contract.encode(view, FLOAT32) for view in views]), training=False)
            of_tiles = np.asarray(values, np.float64).reshape(-1, contract.tile_count, np.asarray(values)[0].size)
            rows.append(of_tiles.mean(axis=1))
        return np.concatenate(rows)

    return features


def _scaled(features: Features) -> Features:
    """Columns centred, in units of their own deviation; constant columns become 0."""
    if not np.isfinite(features).all():
        raise CalibrationError("features must be finite numbers")
    centred = features - features.mean(axis=0)
    deviation = centred.std(axis=0)
    return np.asarray(centred / np.where(deviation > 0, deviation, 1), np.float64)


def _k_center(rows: Features, count: int) -> list[int]:
    """Starts at the row nearest the centre, then always takes the row farthest from all that are chosen."""
    chosen = [int((rows**2).sum(axis=1).argmin())]
    nearest = ((rows - rows[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((rows - rows[chosen[-1]]) ** 2).sum(axis=1))
    return chosen


def _herding(rows: Features, count: int) -> list[int]:
    """Always takes the row that brings the mean of the chosen nearest to the mean of all, which is 0 here."""
    chosen: list[int] = []
    total = np.zeros(rows.shape[1])
    free = np.ones(len(rows), bool)
    for step in range(1, count + 1):
        distance = (((total + rows) / step) ** 2).sum(axis=1)
        distance[~free] = np.inf
        best = int(distance.argmin())
        chosen.append(best)
        free[best] = False
        total += rows[best]
    return chosen
