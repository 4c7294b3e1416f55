"""Explanations: the part of a network's class activation maps that lies on white cells, against chance.

Chance is the part of the field that white cells cover. Three controls say what the method itself yields: the map of
another class, the map of another image laid over this one's cells, and the map of the network with its weights
shuffled. The best possible share says what the map's grid leaves attainable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from edge.inference.contract import InputContract, Pixels
from edge.system.progress import Progress
from models.data.scale_bar import CORNER_HEIGHT, CORNER_WIDTH
from models.data.white_cell_segmentation import white_cells
from models.evaluation.class_activation import Activations, ClassActivation, Mask, best_share, mass_share, shuffled
from models.statistics.formatting import percent, percent_range
from models.statistics.intervals import Interval, bootstrap
from models.statistics.share import Share

RECORD_FORMAT = 1
CONTROLS = ("other_class", "other_image", "shuffled_network")
Floats = npt.NDArray[np.float64]
_SEED = 7  # of the controls


class Mean(Struct, frozen=True):
    """Mean over `images` with a value, and its bootstrap interval; None where too few have one."""

    images: int
    mean: float | None
    interval: Interval | None


class Hits(Struct, frozen=True):
    """Images whose map has its highest point on a white cell."""

    images: int
    hits: int
    share: float | None
    interval: Interval | None


class Group(Struct, frozen=True, kw_only=True):
    """Means over the images of a group; all but `images` and `corner_share` over those with white cells and a map.

    Attributes:
        cells_area: part of the field that white cells cover; cells_share: part of the map on them.
        share_minus_area: > 0 where the map prefers white cells to the rest of the field.
        best_possible: share that the map's grid allows.
        preference: the share on a scale on which 0 is chance and 1 the best the grid allows, so that networks with
            other grids can be compared.
        peak_on_cells: to be compared with `cells_area`: so often would a point put anywhere lie on a cell.
        controls: `CONTROLS` -> share of white cells in that map.
    """

    images: int
    cells_area: Mean
    cells_share: Mean
    share_minus_area: Mean
    best_possible: Mean
    preference: Mean
    peak_on_cells: Hits
    corner_share: Mean
    controls: dict[str, Mean]


class ImageShares(Struct, frozen=True, kw_only=True):
    """One image's verdict and shares; a share that is not defined is None."""

    name: str
    true: str
    called: str
    probability: float
    cells_share: float | None
    cells_area: float
    corner_share: float | None


class MapMethod(Struct, frozen=True):
    """How the maps were made: method, the layer whose features they weigh, its grid (rows, columns), the network."""

    name: str
    features: str
    grid: tuple[int, int]
    network: str


class ExplanationRecord(Struct, frozen=True, kw_only=True):
    """`explanations.json`.

    Intervals are 95 %, over images; those that share a field count as independent, so they are too narrow.

    Attributes:
        corner_area: part of the field that the scale bar's corner takes.
        groups: all images, right and wrong verdicts, and the true classes.
    """

    format: int
    labels: tuple[str, ...]
    images: int
    without_white_cell: int
    without_map: int
    method: MapMethod
    corner_area: float
    groups: dict[str, Group]
    wrong: tuple[ImageShares, ...]


@dataclass(frozen=True)
class Explanations:
    """What was measured of N images; shares are float64 (N,), 0..1, NaN where a map has no mass or a field no cell.

    Attributes:
        labels, truth, probabilities, names: of the images; method: of the maps.
        activations: the maps; masks: white cells, bool (H, W) each.
        cells_area: part of the field that white cells cover.
        cells_share: part of the called class's map that lies on them; best_possible: what its grid allows.
        peak_on_cells: 1 where the map's highest point lies on a white cell, else 0.
        corner_share: part of the map in the corner where scale bars are.
        controls: `CONTROLS` to the share of white cells in that map.
    """

    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    names: tuple[str, ...]
    method: MapMethod
    activations: Activations
    masks: tuple[Mask, ...]
    cells_area: Floats
    cells_share: Floats
    best_possible: Floats
    peak_on_cells: Floats
    corner_share: Floats
    controls: Mapping[str, Floats]

    @property
    def called(self) -> npt.NDArray[np.int64]:
        """int (N,): the first of the largest probabilities."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def wrong(self) -> list[int]:
        """Images whose verdict is wrong."""
        return [int(i) for i in np.flatnonzero(self.called != self.truth)]

    def to_record(self) -> ExplanationRecord:
        """Means by group, and the wrong verdicts."""
        right = self.called == self.truth
        groups = {"all": np.ones(len(right), np.bool_), "right": right, "wrong": ~right}
        groups |= {label: self.truth == k for k, label in enumerate(self.labels)}
        return ExplanationRecord(
            format=RECORD_FORMAT,
            labels=self.labels,
            images=len(self.truth),
            without_white_cell=int((self.cells_area == 0).sum()),
            without_map=int(np.isnan(self.corner_share).sum()),
            method=self.method,
            corner_area=_corner(self.masks[0].shape)[1],
            groups={name: self._group(which) for name, which in groups.items()},
            wrong=tuple(self.image(i) for i in self.wrong()),
        )

    def image(self, i: int) -> ImageShares:
        """One image's verdict and shares."""
        called = int(self.called[i])
        return ImageShares(
            name=self.names[i],
            true=self.labels[int(self.truth[i])],
            called=self.labels[called],
            probability=float(self.probabilities[i, called]),
            cells_share=_number(self.cells_share[i]),
            cells_area=float(self.cells_area[i]),
            corner_share=_number(self.corner_share[i]),
        )

    def _group(self, which: npt.NDArray[np.bool_]) -> Group:
        seen = which & (self.cells_area > 0) & ~np.isnan(self.cells_share)
        hits = Share.counted(int(self.peak_on_cells[seen].sum()), int(seen.sum()))
        return Group(
            images=int(which.sum()),
            cells_area=_mean(self.cells_area[seen]),
            cells_share=_mean(self.cells_share[seen]),
            share_minus_area=_mean(self.cells_share[seen] - self.cells_area[seen]),
            best_possible=_mean(self.best_possible[seen]),
            preference=_preference(self.cells_share[seen], self.cells_area[seen], self.best_possible[seen]),
            peak_on_cells=Hits(hits.of, hits.count, hits.share, hits.interval),
            corner_share=_mean(self.corner_share[which]),
            controls={name: _mean(shares[seen]) for name, shares in self.controls.items()},
        )


def explain(
    network: Any,
    contract: InputContract,
    pixels: Pixels,
    truth: npt.NDArray[np.int64],
    names: Sequence[str],
    progress: bool = True,
) -> Explanations:
    """Measure the maps of a network's own verdicts on prepared images, and those of the controls.

    Args:
        network: Keras, as `models.networks.loading.load_network` gives it; contract: its own.
        pixels: uint8 (N, H, W, 3) RGB; truth: int (N,) indices of its labels; names: N.
        progress: a bar on a terminal.

    Raises:
        ClassActivationError: the network has no such maps.
    """
    real, random = ClassActivation(network, contract), ClassActivation(shuffled(network, _SEED), contract)
    maps = real(pixels)
    unlearned = random(pixels)
    called, own = maps.probabilities.argmax(axis=1), unlearned.probabilities.argmax(axis=1)
    rng = np.random.default_rng(_SEED)
    other_class = (called + rng.integers(1, len(contract.labels), len(called))) % len(contract.labels)
    other_image = (np.arange(len(called)) + rng.integers(1, max(2, len(called)), len(called))) % len(called)
    masks = tuple(white_cells(image) for image in pixels)
    rows: list[tuple[float, ...]] = []
    with Progress("explanations", len(pixels), progress) as bar:
        for i, mask in enumerate(masks):
            heat = maps.heat(i, called[i], contract.field_size)
            j = int(other_image[i])
            rows.append(
                (
                    float(mask.mean()),
                    _on_cells(heat, mask),
                    best_share(mask, real.grid) if mask.any() else float("nan"),
                    float(mask.reshape(-1)[heat.argmax()]),
                    mass_share(heat, _corner(mask.shape)[0]),
                    _on_cells(maps.heat(i, int(other_class[i]), contract.field_size), mask),
                    _on_cells(maps.heat(j, called[j], contract.field_size), mask),
                    _on_cells(unlearned.heat(i, own[i], contract.field_size), mask),
                )
            )
            bar.advance()
    area, share, best, peak, corner, *controls = np.array(rows, np.float64).T
    return Explanations(
        labels=tuple(contract.labels),
        truth=truth,
        probabilities=maps.probabilities,
        names=tuple(names),
        method=MapMethod("HiResCAM", real.features, real.grid, "float"),
        activations=maps,
        masks=masks,
        cells_area=area,
        cells_share=share,
        best_possible=best,
        peak_on_cells=peak,
        corner_share=corner,
        controls=dict(zip(CONTROLS, controls, strict=True)),
    )


def to_text(record: ExplanationRecord) -> str:
    """A line a group, for a terminal."""
    rows, columns = record.method.grid
    lines = [
        f"{record.images} images, maps of {rows} x {columns}; the scale bar's corner is "
        f"{100 * record.corner_area:.1f} % of the field; preference: 0 % chance, 100 % the best these maps allow"
    ]
    for name, group in record.groups.items():
        if group.cells_share.mean is None:
            lines.append(f"{name:<8} {group.images:>5} images, none with a white cell and a map")
            continue
        lines.append(
            f"{name:<8} {group.images:>5} images: white cells {_percent(group.cells_share)}; "
            f"chance {_percent(group.cells_area)}; best {_percent(group.best_possible)}; "
            f"preference {_percent(group.preference)}; corner {_percent(group.corner_share)}; "
            f"peak on a cell {percent(group.peak_on_cells.share, 1)}"
        )
    controls = record.groups["all"].controls
    lines.append("controls: " + ", ".join(f"{n.replace('_', ' ')} {_percent(c)}" for n, c in controls.items()))
    return "\n".join(lines)


def _on_cells(heat: npt.NDArray[np.float32], mask: Mask) -> float:
    """NaN where there is no cell: nothing could have been looked at."""
    return mass_share(heat, mask) if mask.any() else float("nan")


def _corner(shape: tuple[int, ...]) -> tuple[Mask, float]:
    """The scale bar's corner of a field (height, width), and its part of the area."""
    mask = np.zeros(shape[:2], np.bool_)
    mask[-round(shape[0] * CORNER_HEIGHT) :, -round(shape[1] * CORNER_WIDTH) :] = True
    return mask, float(mask.mean())


def _mean(values: Floats) -> Mean:
    known = values[~np.isnan(values)]
    return Mean(
        len(known),
        float(known.mean()) if len(known) else None,
        bootstrap(np.mean, known) if len(known) > 1 else None,
    )


def _preference(share: Floats, area: Floats, best: Floats) -> Mean:
    """(mean share - mean area) / (mean best - mean area)."""

    def statistic(s: Floats, a: Floats, b: Floats, axis: int = -1) -> Any:
        chance = a.mean(axis=axis)
        return (s.mean(axis=axis) - chance) / np.maximum(b.mean(axis=axis) - chance, 1e-9)

    return Mean(
        len(share),
        float(statistic(share, area, best)) if len(share) else None,
        bootstrap(statistic, share, area, best) if len(share) > 1 else None,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _percent(mean: Mean) -> str:
    return percent_range(mean.mean, mean.interval, 1)
