"""The published fields that the novelty gate is fitted to, limited by and judged on, by the field-disjoint list."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.inference.images import IMAGE_SUFFIXES, read_image
from models.data.dataset import Sample, load_pixels
from models.data.published import LABELS, PUBLISHED_SPLIT
from models.errors import DatasetError

SIZE = (224, 224)
PARTS = ("train", "validation", "test")
CONTRACT = InputContract(SIZE, LABELS)
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Part:
    """A part of the published fields.

    Attributes:
        pixels: uint8 (N, 224, 224, 3) RGB as published.
        labels, names, groups: (N,) class, `Class/file`, microscope field.
    """

    pixels: Pixels
    labels: Texts
    names: Texts
    groups: Texts


def read_parts(data: Path) -> dict[str, Part]:
    """Train, validation and test, those images that `data` has.

    Raises:
        DatasetError: a part lacks a class.
    """
    rows = list(csv.DictReader(PUBLISHED_SPLIT.read_text(encoding="utf-8").splitlines()))
    parts = {}
    for name in PARTS:
        own = [row for row in rows if row["part"] == name and (data / row["name"]).is_file()]
        if {row["label"] for row in own} != set(LABELS):
            raise DatasetError(f"data must hold published images of all classes; {data} lacks some for {name}")
        samples = [Sample(data / row["name"], row["name"], row["label"], row["sha256"]) for row in own]
        texts = (np.array([row[key] for row in own]) for key in ("label", "name", "group"))
        parts[name] = Part(load_pixels(samples, CONTRACT), *texts)
    return parts


def read_others(root: Path) -> dict[str, Pixels]:
    """Folder's name -> its images, prepared, for every folder in `root`.

    Raises:
        DatasetError: there is none, or one has no images.
    """
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise DatasetError(f"others must hold folders of images; {folder} has none")
        found[folder.name] = np.stack([CONTRACT.prepare(read_image(path)) for path in files])
    if not found:
        raise DatasetError(f"others must hold folders of images; {root} has no folder")
    return found
