"""Shortcut probes: guesses of the class without a look at a single cell, by colour and by marks at the border.

Each is measured by a small random forest that sees nothing else, on folds that keep a microscope field on one
side. What such a forest can do, a network will do too, and its accuracy then says little about another
microscope.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.system.progress import tracked
from models.data.dataset import Sample, load_pixels
from models.statistics.intervals import wilson

SIDE = 224  # pixels a side every image is brought to
PATCH = (30, 60)  # height and width of a border patch, pixels of SIDE: the size of a usual scale bar
THUMBNAIL = (15, 30)  # the patch as the forest sees it
TREES = 80
FOLDS = 5
FEWEST_GROUPS = 5  # fields a class: below this no fold can be trusted
EDGE_STEP = 40  # grey levels between neighbours that count as an edge
FIXED_SHARE = 0.3  # images of a class with an edge at the same pixel that make it a burned-in one
FIXED_RATIO = 4.0  # and how often more than at the usual pixel of that class, in all and around it
AROUND = 31  # pixels of SIDE, odd: wider than strokes and letters, narrower than a subject
BLOCK = 256  # images in memory at a time
_MIDDLE = ((SIDE - PATCH[0]) // 2, (SIDE - PATCH[1]) // 2)
_FAR = (SIDE - PATCH[0], SIDE - PATCH[1])
REGIONS: Mapping[str, tuple[int, int]] = {  # name -> (top, left)
    "top left": (0, 0),
    "top": (0, _MIDDLE[1]),
    "top right": (0, _FAR[1]),
    "left": (_MIDDLE[0], 0),
    "right": (_MIDDLE[0], _FAR[1]),
    "bottom left": (_FAR[0], 0),
    "bottom": (_FAR[0], _MIDDLE[1]),
    "bottom right": _FAR,
}


@dataclass(frozen=True)
class Features:
    """What the forests see, and what the overlay search counts, of N images.

    Attributes:
        colour: float32 (N, 6), mean of R, G, B and standard deviation of R, G, B, 0..255.
        patches: region name -> float32 (N, 450), the standardized grey thumbnail of that patch.
        edges: label -> float64 (SIDE, SIDE), share of the label's images with an edge at the pixel.
        means: label -> uint8 (SIDE, SIDE, 3) RGB, the average image.
    """

    colour: npt.NDArray[np.float32]
    patches: dict[str, npt.NDArray[np.float32]]
    edges: dict[str, npt.NDArray[np.float64]]
    means: dict[str, Pixels]


def extract(samples: Sequence[Sample], labels: Sequence[str]) -> Features:
    """Read every image once, a block at a time."""
    contract = InputContract((SIDE, SIDE), ("any", "other"))
    colour = np.empty((len(samples), 6), np.float32)
    patches = {name: np.empty((len(samples), THUMBNAIL[0] * THUMBNAIL[1]), np.float32) for name in REGIONS}
    edges = {label: np.zeros((SIDE, SIDE)) for label in labels}
    sums = {label: np.zeros((SIDE, SIDE, 3)) for label in labels}
    for start in tracked(range(0, len(samples), BLOCK), "measuring colour and marks, blocks of images"):
        block = samples[start : start + BLOCK]
        for index, image in enumerate(load_pixels(block, contract), start):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            colour[index] = np.concatenate(cv2.meanStdDev(image)).ravel()
            for name, (top, left) in REGIONS.items():
                patches[name][index] = _thumbnail(grey[top : top + PATCH[0], left : left + PATCH[1]])
            edges[samples[index].label] += _edges(grey)
            cv2.accumulate(image, sums[samples[index].label])
    counts = {label: max(1, sum(s.label == label for s in samples)) for label in labels}
    return Features(
        colour,
        patches,
        {label: total / counts[label] for label, total in edges.items()},
        {label: np.rint(total / counts[label]).astype(np.uint8) for label, total in sums.items()},
    )


def border_thumbnails(image: Pixels) -> npt.NDArray[np.float32]:
    """The standardized grey thumbnails of all border patches of an image uint8 (SIDE, SIDE, 3), float32 (3600,)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    patches = (grey[top : top + PATCH[0], left : left + PATCH[1]] for top, left in REGIONS.values())
    return np.concatenate([_thumbnail(patch) for patch in patches])


def guess(
    features: npt.NDArray[np.float32], truth: Sequence[str], groups: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """How well a random forest tells the classes apart by `features` alone.

    Args:
        features: (N, F).
        truth: N labels.
        groups: N names; images of one name are never on both sides of a fold.
        seed: of folds and forest.

    Returns:
        images, accuracy, interval (Wilson, 95 %), chance (share of the largest class), recall a class.
        Overlapping images are not independent, so the interval is a little too narrow.

    Raises:
        ValueError: fewer than FEWEST_GROUPS groups in a class; ask `enough_groups` first.
    """
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    if not enough_groups(truth, groups):
        raise ValueError(f"every class must have {FEWEST_GROUPS} or more groups")
    # With hundreds of pixels, cuts drawn at random decide as well as searched ones, in a quarter of the time.
    kind = RandomForestClassifier if features.shape[1] <= 16 else ExtraTreesClassifier
    names = np.array(truth)
    said = names.copy()
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    # joblib 1.6 warns of every tree that scikit-learn 1.9 grows in a thread. Not within `catch_warnings`: fields are
    # probed side by side, and one thread's end would take the filter from another.
    warnings.filterwarnings("ignore", message=".*sklearn.utils.parallel.delayed")
    for train, test in folds.split(features, names, np.array(groups)):
        forest = kind(TREES, random_state=seed, n_jobs=2)
        said[test] = forest.fit(features[train], names[train]).predict(features[test])
    right = said == names
    labels = sorted(set(truth))
    return {
        "images": len(names),
        "accuracy": float(right.mean()),
        "interval": wilson(int(right.sum()), len(names)).to_record(),
        "chance": max(float((names == label).mean()) for label in labels),
        "recall": {label: float(right[names == label].mean()) for label in labels},
    }


def enough_groups(truth: Sequence[str], groups: Sequence[str]) -> bool:
    """True when every class has the groups that `guess` needs."""
    found = {label: {g for g, t in zip(groups, truth, strict=True) if t == label} for label in set(truth)}
    return all(len(g) >= FEWEST_GROUPS for g in found.values())


def judge_border(guesses: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Which border patches tell the class better than border patches usually do in this set.

    A patch of plain smear tells something too (cell density, focus), so the yardstick is the median patch,
    not chance: a patch stands out when its interval lies above the median patch's.

    Args:
        guesses: region name -> what `guess` said of it.

    Returns:
        the usual region's name, and the names that stand out, best first.
    """
    ranked = sorted(guesses, key=lambda name: guesses[name]["accuracy"])
    usual = ranked[(len(ranked) - 1) // 2]
    ceiling = max(guesses[usual]["interval"][1], guesses[usual]["chance"])
    stand_out = [name for name in reversed(ranked) if guesses[name]["interval"][0] > ceiling]
    return {"usual": usual, "stand_out": stand_out}


def fixed_marks(edges: Mapping[str, npt.NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Where many images of a class have edges in the same place: burned-in marks, masks, dust on the sensor.

    Args:
        edges: label -> (SIDE, SIDE), share of the class's images with an edge there.

    Returns:
        One record a mark, largest first: pixels; box [top, left, bottom, right] in parts of the image; share,
        label -> share of its images at the clearest pixel; difference, the gap between the classes with most
        and fewest such edges, median of the mark's pixels (0: all classes have the same mark equally often).
    """
    maps = np.stack(list(edges.values()))
    usual = np.maximum(np.median(maps, axis=(1, 2), keepdims=True), np.stack([_around(each) for each in maps]))
    floor = np.maximum(FIXED_SHARE, FIXED_RATIO * usual)
    mask = (maps > floor).any(axis=0).astype(np.uint8)
    joined = cv2.dilate(mask, np.ones((9, 9), np.uint8))  # the strokes of a scale bar and its text are one mark
    count, names = cv2.connectedComponents(joined)
    marks = []
    for name in range(1, count):
        inside = (names == name) & (mask > 0)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        shares = maps[:, inside]
        marks.append(
            {
                "pixels": int(inside.sum()),
                "box": [round(float(side) / SIDE, 4) for side in box],
                "share": {label: float(share.max()) for label, share in zip(edges, shares, strict=True)},
                "difference": float(np.median(shares.max(axis=0) - shares.min(axis=0))),
            }
        )
    return sorted(marks, key=lambda mark: (-mark["pixels"], mark["box"]))


def _around(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The usual share near each pixel: where photographs have their subject, edges lie densely and nowhere fixed."""
    levels = np.rint(255 * shares).astype(np.uint8)
    return np.asarray(cv2.medianBlur(levels, AROUND) / 255, np.float64)


def _thumbnail(patch: Pixels | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Standardized, so that neither stain nor lamp shows: only what is drawn where."""
    small = cv2.resize(patch, THUMBNAIL[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    standardized: npt.NDArray[np.float32] = ((small - small.mean()) / (small.std() + 1)).reshape(-1)
    return standardized


def _edges(grey: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(SIDE, SIDE): a step of EDGE_STEP or more to the right or lower neighbour."""
    levels = grey.astype(np.int16)
    steps = np.zeros((SIDE, SIDE), np.int16)
    steps[:, :-1] = np.abs(np.diff(levels, axis=1))
    steps[:-1] = np.maximum(steps[:-1], np.abs(np.diff(levels, axis=0)))
    found: npt.NDArray[np.bool_] = steps >= EDGE_STEP
    return found
