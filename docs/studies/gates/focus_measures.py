"""Focus measures from the literature beside the gate's own, judged on the published fields.

A measure serves a gate when it falls with every step of defocus, noise or not, and when its spread over good fields
is small beside what defocus does: then a limit that refuses almost no published field still refuses blurred ones.
Sources: Pertuz, Puig and Garcia (2013), Pattern Recognition 46:1415 (variance of the Laplacian, Tenengrad, Brenner).
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from docs.studies.gates.degradations import defocus, with_noise
from edge.inference.contract import Pixels
from edge.inference.gates.measures import View

Plane = npt.NDArray[np.float32]
STEPS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)  # radius of the disc, pixels
NOISE = (0.0, 1.5, 3.0)  # grey levels
SHOWN = (2.0, 3.0, 4.0)
_KEPT = (180, 154)  # rows and columns that the scale bar's corner leaves whole


def variance_of_laplacian(gray: Plane) -> float:
    """Mean square of the Laplacian, grey levels^2."""
    return _mean_square(cv2.Laplacian(gray, cv2.CV_32F))


def tenengrad(gray: Plane) -> float:
    """Mean square of Sobel's gradient."""
    return _mean_square(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + _mean_square(cv2.Sobel(gray, cv2.CV_32F, 0, 1))


def brenner(gray: Plane) -> float:
    """Mean square of differences over two pixels, in both directions."""
    rows, columns = np.zeros_like(gray), np.zeros_like(gray)
    rows[:-2], columns[:, :-2] = gray[2:] - gray[:-2], gray[:, 2:] - gray[:, :-2]
    return _mean_square(rows) + _mean_square(columns)


def band_ratio(gray: Plane) -> float:
    """Energy between blurs of 0.7 and 1 px against that between 1.4 and 2 px."""
    a, b, c, d = (cv2.GaussianBlur(gray, (0, 0), sigma) for sigma in (0.7, 1.0, 1.4, 2.0))
    return _mean_square(a - b) / max(_mean_square(c - d), 1e-3)


def _variance(gray: Plane) -> float:
    inside = np.concatenate([gray[: _KEPT[0]].ravel(), gray[_KEPT[0] :, : _KEPT[1]].ravel()])
    return max(float(inside.var()), 1e-3)


# By the name that figures show; "/ variance" is divided by the variance of the grey levels.
MEASURES: dict[str, Callable[[Plane], float]] = {
    "Laplacian": variance_of_laplacian,
    "Tenengrad": tenengrad,
    "Brenner": brenner,
    "Laplacian / variance": lambda gray: variance_of_laplacian(gray) / _variance(gray),
    "Tenengrad / variance": lambda gray: tenengrad(gray) / _variance(gray),
    "Brenner / variance": lambda gray: brenner(gray) / _variance(gray),
    "band energies": band_ratio,
}
GATE = "edge width (ours)"


def sharpness(pixels: Pixels) -> dict[str, float]:
    """Every measure of uint8 (224, 224, 3), larger where sharper, without the scale bar's corner."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return {name: measure(gray) for name, measure in MEASURES.items()} | {GATE: 1 / View(pixels).edges.sharp_px}


def compare(
    calibration: Sequence[Pixels], labels: Sequence[str], test: Sequence[Pixels], quantile: float, seed: int = 0
) -> dict[str, Any]:
    """How each measure would do as a gate.

    Args:
        calibration: fields that a limit comes from, `quantile` of which it refuses; labels: their classes.
        test: fields that are blurred. seed: of the noise.

    Returns:
        By measure: class_share (part of the variance of its logarithm that classes explain, 0 best), and by noise
        in grey levels: in_order (part of the steps of defocus that do not raise it) and refused (radius -> part of
        `test`).
    """
    found = [sharpness(pixels) for pixels in calibration]
    names = list(found[0])
    random = np.random.default_rng(seed)
    record: dict[str, Any] = {
        name: {"class_share": _class_share([entry[name] for entry in found], labels), "noise": {}} for name in names
    }
    for noise in NOISE:
        steps = [[sharpness(with_noise(defocus(p, step), random, noise)) for p in test] for step in STEPS]
        for name in names:
            values = np.array([[entry[name] for entry in row] for row in steps])
            limit = np.quantile([entry[name] for entry in found], quantile)
            refused = {f"{r:g}": round(float((values[STEPS.index(r)] < limit).mean()), 4) for r in SHOWN}
            in_order = round(float((np.diff(values, axis=0) <= 0).mean()), 4)
            record[name]["noise"][f"{noise:g}"] = {"in_order": in_order, "refused": refused}
    return record


def _mean_square(plane: npt.NDArray[Any] | cv2.typing.MatLike) -> float:
    """Without the scale bar's corner."""
    kept = np.array(plane, np.float32)
    kept[_KEPT[0] :, _KEPT[1] :] = 0
    return float((kept * kept).mean())


def _class_share(values: Sequence[float], labels: Sequence[str]) -> float:
    """Correlation ratio eta^2 of log(value) by class."""
    logs, classes = np.log(np.maximum(values, 1e-6)), np.array(labels)
    within = sum(((logs[classes == c] - logs[classes == c].mean()) ** 2).sum() for c in set(labels))
    return round(1 - float(within / ((logs - logs.mean()) ** 2).sum()), 4)
