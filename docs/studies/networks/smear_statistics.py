"""Figures of a published smear field, from which the constants of `edge/cameras/synthetic/recipes.py` come.

    python -m docs.studies.networks.smear_statistics FOLDER

prints, for a folder that holds one folder of fields a class, the figures that the recipes of the synthetic smear
follow. No image is kept, and nothing is fitted to the answer of a network.

Method, for one field of 224x224 pixels (squeezed from 4:3, so lengths are taken after stretching it to
299x224): the illumination is a quadratic in x and y fitted through the bright pixels of every 56x56 block
and refined four times by dropping what lies more than 20 grey levels (sum of R, G, B) below it; optical
density is -log10(I / I0) per channel with I0 that surface; white cells are where density in green is above
0.115 and exceeds the mean of red and blue by 0.06, opened by a 5x5 ellipse; red cells are the remaining
pixels with mean density above 0.035, five pixels away from any white cell. The bottom-right corner, where
the published files carry a scale bar, is left out. These densities are apparent ones: the published bytes
have passed a camera's tone curve and JPEG.
"""

import json as json_format
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.errors import FrameError
from edge.inference.contract import Pixels
from edge.inference.images import IMAGE_SUFFIXES, read_image

Array = npt.NDArray[np.float64]
SIDE = 224  # pixels: the published size
WIDTH = 299  # pixels: the width at which a published field has its 4:3 proportions again
BAR = (30, 66)  # rows and columns of the corner that holds the burned-in scale bar
BACKGROUND_TERMS = 5  # 1, x, y, x^2, y^2 with x, y in -1..1 over the frame


@dataclass(frozen=True)
class FieldStatistics:
    """Figures of one field; densities are optical densities relative to the fitted illumination.

    Attributes:
        mean, std: (3,) of R, G, B over the frame without the scale bar's corner, grey levels.
        background: (5, 3) coefficients of 1, x, y, x^2, y^2 for R, G, B, grey levels; x, y in -1..1.
        white_share, red_share: parts of the frame covered by white and by red cells, 0..1.
        white_count: white cells, touching ones told apart by the peaks of the distance transform.
        white_diameters: pixels at 299x224, of white cells that touch neither another one nor the edge.
        red_diameters: the same for isolated red cells.
        pallor: 1 - density at the centre / density at the rim, mean over isolated red cells; NaN without one.
        white_density: (3,) median density of R, G, B inside white cells (two pixels from the edge); NaN
        without one. white_contrast: interquartile range / median of the green density inside white cells.
        red_density: (3,) 75th percentile of the density inside red cells; NaN without one.
        sharpness: rms of the frame minus itself blurred (sigma 0.8), green, grey levels, over white cells
            and over the background.
    """

    mean: Array
    std: Array
    background: Array
    white_share: float
    red_share: float
    white_count: int
    white_diameters: tuple[float, ...]
    red_diameters: tuple[float, ...]
    pallor: float
    white_density: Array
    white_contrast: float
    red_density: Array
    sharpness: tuple[float, float]

    def colours(self) -> Array:
        """(6,) means and standard deviations of R, G, B."""
        return np.concatenate([self.mean, self.std])


def measure(frame: Pixels) -> FieldStatistics:
    """Measure one field.

    Args:
        frame: uint8 (224, 224, 3) RGB as published, or from `InputContract.prepare`.

    Raises:
        FrameError: another size or type.
    """
    if frame.dtype != np.uint8 or frame.shape != (SIDE, SIDE, 3):
        raise FrameError(f"frame must be uint8 ({SIDE}, {SIDE}, 3); got {frame.dtype} {frame.shape}")
    valid = np.ones((SIDE, SIDE), bool)
    valid[SIDE - BAR[0] :, SIDE - BAR[1] :] = False
    smooth = cv2.GaussianBlur(frame, (3, 3), 0).astype(np.float64)
    background, light = _illumination(frame, smooth, valid)
    density = -np.log10(np.maximum(smooth, 1) / light)
    white, red = _segment(density, valid)
    inside = cv2.erode(white.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    no_colour = np.full(3, np.nan)
    quartiles = np.percentile(density[inside], [25, 50, 75], axis=0) if inside.sum() > 80 else None
    red_diameters, pallor = _red_cells(red, density.mean(axis=2))
    fine = frame[..., 1].astype(np.float64) - cv2.GaussianBlur(frame, (0, 0), 0.8)[..., 1]
    plain = valid & (density.mean(axis=2) < 0.02)
    return FieldStatistics(
        mean=frame[valid].mean(axis=0),
        std=frame[valid].std(axis=0),
        background=background,
        white_share=float(white[valid].mean()),
        red_share=float(red[valid].mean()),
        white_count=_count(white),
        white_diameters=_white_diameters(white),
        red_diameters=red_diameters,
        pallor=pallor,
        white_density=no_colour if quartiles is None else quartiles[1],
        white_contrast=float("nan")
        if quartiles is None
        else float((quartiles[2, 1] - quartiles[0, 1]) / quartiles[1, 1]),
        red_density=np.percentile(density[red], 75, axis=0) if red.sum() > 500 else no_colour,
        sharpness=(_rms(fine[white]), _rms(fine[plain])),
    )


def styles(fields: Sequence[FieldStatistics], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Group fields by illumination and stain (k-means on standardized figures) and describe each group.

    Args:
        fields: fields of one class; those without a white or a red cell are left out.
        count: number of groups, >= 1.
        seed: of k-means.

    Returns:
        One record a group, largest first: share, and per figure its mean and the standard deviation inside
        the group.
    """
    from sklearn.cluster import KMeans

    usable = [f for f in fields if np.isfinite(f.white_density).all() and np.isfinite(f.red_density).all()]
    rows = np.stack([_style_vector(f) for f in usable])
    spread = rows.std(axis=0)
    groups = KMeans(count, n_init=10, random_state=seed).fit_predict(rows / np.where(spread > 0, spread, 1))
    records = [_describe([f for f, g in zip(usable, groups, strict=True) if g == k]) for k in range(count)]
    for record in records:
        record["share"] = round(record["fields"] / len(usable), 3)
    return sorted(records, key=lambda r: -r["fields"])


def measure_folder(folder: Path, limit: int | None = None, seed: int = 0) -> list[FieldStatistics]:
    """Measure the fields in one folder, `limit` of them drawn at random when given."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if limit is not None and limit < len(paths):
        chosen = np.random.default_rng(seed).permutation(len(paths))[:limit]
        paths = [paths[i] for i in sorted(chosen)]
    return [measure(read_image(path)) for path in paths]


def _illumination(frame: Pixels, smooth: Array, valid: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    axis = (np.arange(SIDE) - (SIDE - 1) / 2) / (SIDE / 2)
    x, y = np.meshgrid(axis, axis)
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y], axis=-1)
    brightness = smooth.sum(axis=2)
    chosen = np.zeros_like(valid)
    for row in range(0, SIDE, 56):
        for column in range(0, SIDE, 56):
            block = np.s_[row : row + 56, column : column + 56]
            chosen[block] = valid[block] & (brightness[block] >= np.percentile(brightness[block][valid[block]], 80))
    background = np.zeros((BACKGROUND_TERMS, 3))
    for _ in range(4):
        background = np.linalg.lstsq(terms[chosen], frame[chosen].astype(np.float64), rcond=None)[0]
        above = brightness - (terms @ background).sum(axis=2)
        chosen = valid & (above > -20) & (above < 60)
    return background, np.clip(terms @ background, 60, 262)


def _segment(density: Array, valid: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    violet = density[..., 1] - (density[..., 0] + density[..., 2]) / 2
    violets = ((violet > 0.06) & (density[..., 1] > 0.115) & valid).astype(np.uint8)
    white = cv2.morphologyEx(violets, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    near = cv2.dilate(white, np.ones((5, 5), np.uint8)).astype(bool)
    red = (density.mean(axis=2) > 0.035) & (violet < 0.05) & ~near & valid
    return white.astype(bool), red


def _stretch(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    wide = cv2.resize(mask.astype(np.uint8) * 255, (WIDTH, SIDE), interpolation=cv2.INTER_LINEAR_EXACT)
    return (wide > 127).astype(np.uint8)


def _count(white: npt.NDArray[np.bool_]) -> int:
    distance = cv2.GaussianBlur(cv2.distanceTransform(_stretch(white), cv2.DIST_L2, 5), (0, 0), 1.2)
    peaks = (distance == cv2.dilate(distance, np.ones((11, 11), np.uint8))) & (distance > 4)
    return int(cv2.connectedComponents(peaks.astype(np.uint8))[0]) - 1


def _round_contours(mask: npt.NDArray[np.uint8], smallest: float, largest: float, solid: float) -> list[Any]:
    """Outlines inside the frame with an area between the limits, nearly convex and nearly round."""
    kept = []
    for contour in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        area, hull = cv2.contourArea(contour), cv2.contourArea(cv2.convexHull(contour))
        left, top, wide, high = cv2.boundingRect(contour)
        clear = left > 1 and top > 1 and left + wide < WIDTH - 1 and top + high < SIDE - 1
        if smallest < area < largest and area > solid * hull and clear and 2 / 3 < wide / high < 3 / 2:
            kept.append(contour)
    return kept


def _diameter(contour: Any) -> float:
    return 2 * float(np.sqrt(cv2.contourArea(contour) / np.pi)) + 1  # contours run through pixel centres


def _white_diameters(white: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    return tuple(_diameter(c) for c in _round_contours(_stretch(white), 110, 4000, 0.9))


def _red_cells(red: npt.NDArray[np.bool_], density: Array) -> tuple[tuple[float, ...], float]:
    wide = cv2.resize(density, (WIDTH, SIDE), interpolation=cv2.INTER_LINEAR)
    contours = _round_contours(_stretch(red), 120, 900, 0.93)
    pallors = []
    for contour in contours:
        (x, y), radius = cv2.minEnclosingCircle(contour)
        rows, columns = np.mgrid[int(y - radius) : int(y + radius) + 2, int(x - radius) : int(x + radius) + 2]
        rows, columns = rows.clip(0, SIDE - 1), columns.clip(0, WIDTH - 1)
        distance = np.hypot(columns - x, rows - y) / radius
        rings = [wide[rows, columns][(distance >= a) & (distance < a + 0.2)] for a in (0.0, 0.5, 0.65)]
        if all(ring.size for ring in rings):
            rim = max(float(ring.mean()) for ring in rings[1:])
            pallors.append(1 - float(rings[0].mean()) / max(rim, 1e-3))
    return tuple(_diameter(c) for c in contours), float(np.mean(pallors)) if pallors else float("nan")


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def _style_vector(field: FieldStatistics) -> Array:
    return np.concatenate(
        [
            field.background[0],
            field.white_density[:2],
            field.red_density,
            [field.white_share, field.red_share],
        ]
    )


def _describe(fields: Sequence[FieldStatistics]) -> dict[str, Any]:
    record: dict[str, Any] = {"fields": len(fields)}
    vectors = {
        "mean": np.stack([f.mean for f in fields]),
        "std": np.stack([f.std for f in fields]),
        "background": np.stack([f.background[0] for f in fields]),
        "falloff": np.stack([f.background[3:].mean(axis=0) for f in fields]),
        "white_density": np.stack([f.white_density for f in fields]),
        "red_density": np.stack([f.red_density for f in fields]),
    }
    numbers = {
        "white_share": [f.white_share for f in fields],
        "red_share": [f.red_share for f in fields],
        "white_count": [f.white_count for f in fields],
        "white_diameter": [d for f in fields for d in f.white_diameters],
        "red_diameter": [d for f in fields for d in f.red_diameters],
        "pallor": [f.pallor for f in fields],
        "white_contrast": [f.white_contrast for f in fields],
        "sharpness_white": [f.sharpness[0] for f in fields],
        "sharpness_plain": [f.sharpness[1] for f in fields],
    }
    for name, rows in vectors.items():
        record[name] = {
            "mean": np.nanmean(rows, 0).round(3).tolist(),
            "sd": np.nanstd(rows, 0).round(3).tolist(),
        }
    for name, values in numbers.items():
        found = np.array(values, dtype=np.float64)
        found = found[np.isfinite(found)]
        quantiles = np.percentile(found, [5, 50, 95]) if found.size else np.full(3, np.nan)
        record[name] = {
            "mean": round(float(found.mean()), 3) if found.size else None,
            "q": quantiles.round(3).tolist(),
        }
    return record


@dataclass(frozen=True)
class StatisticsStudy(Study):
    """Measure every class folder in a folder."""

    folder: Path

    def execute(self) -> Outcome:
        """The figures of each, as a whole and by style; as JSON also without `json`."""
        record = {}
        for part in sorted(p for p in self.folder.iterdir() if p.is_dir()):
            fields = measure_folder(part)
            record[part.name] = {"all": _describe(fields), "styles": styles(fields, 3)}
        return self.finished(record, json_format.dumps(record, indent=1))


def measure_classes(folder: str, out: str = "", json: bool = False) -> StatisticsStudy:
    """Measure the fields of every class.

    Args:
        folder: with one sub-folder of fields a class.
        out: JSON to write.
        json: print the record as JSON, in one line.
    """
    return StatisticsStudy(Path(folder), **output(out, json))


if __name__ == "__main__":
    run({"measure": measure_classes}, "measure")
