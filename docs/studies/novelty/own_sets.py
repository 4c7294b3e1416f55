"""Three sets of pictures that have nothing in common, as users with models of their own would bring them.

Published smear fields at 224x224, crops of ordinary smears with and without a white cell at 160x160, and photographs in
three classes at 96x96. Each is prepared as its model's contract does; what is another set's is prepared likewise.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.inference.images import read_image
from models.data.published import LABELS, PUBLISHED_SPLIT

Texts = npt.NDArray[np.str_]
CROP = 240  # pixels of a 640x480 smear: a white cell and its surroundings
CROPS_A_FIELD = 3  # of each class at most, of a field
_TRIES = 60  # random crops drawn for one without a white cell
SIZES = {"fields": 224, "cells": 160, "photographs": 96}


@dataclass(frozen=True)
class Pictures:
    """A set: frames uint8 (H, W, 3) RGB, labels (N,) and groups (N,): pictures of one group share a field."""

    frames: Sequence[Pixels]
    labels: Texts
    groups: Texts

    def prepared(self, size: int) -> Pixels:
        """uint8 (N, size, size, 3)."""
        contract = InputContract((size, size), ("a", "b"))
        return np.stack([contract.prepare(np.ascontiguousarray(frame)) for frame in self.frames])

    def some(self, a_class: int, seed: int) -> "Pictures":
        """So many of each class, drawn at random."""
        random = np.random.default_rng(seed)
        chosen = np.concatenate(
            [
                random.choice(own, min(a_class, len(own)), replace=False)
                for own in (np.flatnonzero(self.labels == label) for label in np.unique(self.labels))
            ]
        )
        return Pictures([self.frames[i] for i in chosen], self.labels[chosen], self.groups[chosen])


def read_sets(data: Path) -> dict[str, Pictures]:
    """The sets by name; `data` holds the folders `all`, `ood/bccd` and `ood/natural`."""
    return {"fields": _fields(data / "all"), "cells": _cells(data / "ood/bccd"), "photographs": _photographs(data)}


def _fields(root: Path) -> Pictures:
    rows = [row for row in csv.DictReader(PUBLISHED_SPLIT.read_text().splitlines()) if (root / row["name"]).is_file()]
    assert {row["label"] for row in rows} == set(LABELS)
    frames = [read_image(root / row["name"]) for row in rows]
    return Pictures(frames, np.array([row["label"] for row in rows]), np.array([row["group"] for row in rows]))


def _cells(root: Path) -> Pictures:
    """Squares about a white cell, and squares of red cells only."""
    random = np.random.default_rng(0)
    frames: list[Pixels] = []
    labels, groups = [], []
    for path in sorted(root.glob("*.jpg")):
        image = read_image(path)
        height, width = image.shape[:2]
        boxes = _white_cells(root / "Annotations" / f"{path.stem}.xml")
        found = {
            "white_cell": [_corner((x0 + x1) // 2, (y0 + y1) // 2, width, height) for x0, y0, x1, y1 in boxes],
            "no_white_cell": [
                (x, y)
                for x, y in zip(
                    random.integers(0, width - CROP + 1, _TRIES).tolist(),
                    random.integers(0, height - CROP + 1, _TRIES).tolist(),
                    strict=True,
                )
                if all(x1 <= x or x0 >= x + CROP or y1 <= y or y0 >= y + CROP for x0, y0, x1, y1 in boxes)
            ],
        }
        for label, corners in found.items():
            for x, y in corners[:CROPS_A_FIELD]:
                frames.append(image[y : y + CROP, x : x + CROP])
                labels.append(label)
                groups.append(path.stem)
    return Pictures(frames, np.array(labels), np.array(groups))


def _white_cells(path: Path) -> list[tuple[int, int, int, int]]:
    boxes = []
    for item in ElementTree.parse(path).getroot().iter("object"):
        box = item.find("bndbox")
        if item.findtext("name") == "WBC" and box is not None:
            x0, y0, x1, y1 = (int(float(box.findtext(key) or 0)) for key in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((x0, y0, x1, y1))
    return boxes


def _corner(x: int, y: int, width: int, height: int) -> tuple[int, int]:
    return min(max(x - CROP // 2, 0), width - CROP), min(max(y - CROP // 2, 0), height - CROP)


def _photographs(data: Path) -> Pictures:
    """ImageNet samples; the synset's number tells what they show."""
    paths = sorted((data / "ood/natural").glob("*.jpg"))
    numbers = [int(path.name[1:9]) for path in paths]
    labels = ["animal" if n < 2_500_000 else "thing" if n < 7_500_000 else "food_or_plant" for n in numbers]
    return Pictures([read_image(path) for path in paths], np.array(labels), np.array([path.stem for path in paths]))
