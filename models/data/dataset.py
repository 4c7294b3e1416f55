"""A set of images, a folder a class: found, hashed and looked over before anything learns from it.

Every file is read once. What cannot be used is listed by name and kind; nothing is dropped in silence and
nothing that a folder may hold stops the scan.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edge.errors import FrameError, ImageFileError
from edge.inference.contract import InputContract, Pixels
from edge.inference.image_files.formats import SUFFIXES
from edge.inference.images import (
    IMAGE_SUFFIXES,
    LARGEST_IMAGE_BYTES,
    REASONS,
    decode_image,
    read_image,
    read_image_header,
)
from edge.inference.tiles import prepare_field
from edge.system.progress import tracked
from models.data.class_folders import beside_classes, files_of, layout, unlisted
from models.errors import DatasetError

KINDS = {
    **REASONS,
    "misnamed": "the content is not what the suffix says",
    "orientation": "to be shown turned or mirrored, which is ignored: pixels are used as the sensor had them",
    "other": "no image, and not named like one",
    "hidden": "a hidden file named like an image",
    "nested": "a folder inside a class folder",
    "unsorted": "an image beside the class folders",
    "unlisted": "a folder that is none of the labels asked for",
    "empty-class": "a class folder that is missing or holds no usable image",
    "duplicate": "same bytes as another file of its class",
    "conflict": "same bytes as a file of another class: one of the labels is wrong",
}


@dataclass(frozen=True)
class Sample:
    """One usable image.

    Attributes:
        path: where its file is.
        name: path relative to the set's root, with forward slashes; `Pre/WBC-Malignant-Pre-001.jpg`.
        label: its class.
        sha256: hex digest of the file's bytes.
    """

    path: Path
    name: str
    label: str
    sha256: str


@dataclass(frozen=True)
class Problem:
    """Something about one file or folder that a careful person wants to know.

    Attributes:
        name: as in `Sample`; folders end with a slash.
        kind: a key of `KINDS`.
        detail: one line for a person.
        used: True when the file is a sample all the same: duplicates, because grouping keeps twins on one side of a
            split, images under another format's suffix, because content decides, and images that are to be shown
            turned.
    """

    name: str
    kind: str
    detail: str
    used: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}: {self.detail}"


@dataclass(frozen=True)
class ImageSet:
    """What `scan` found. Samples are sorted by name; labels are in output order.

    Attributes:
        parts: where folders divide the set (train, val, test): a folder's name to its part of the split.
    """

    root: Path
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    parts: Mapping[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Usable images a label, labels without any included."""
        found = Counter(sample.label for sample in self.samples)
        return {label: found[label] for label in self.labels}

    def problem_counts(self) -> dict[str, int]:
        """Problems a kind, only kinds that occur."""
        return dict(sorted(Counter(problem.kind for problem in self.problems).items()))

    def truth(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(N,) int64: index of each sample's label in `labels`."""
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[sample.label] for sample in self.samples], np.int64)


def scan(root: Path, labels: Sequence[str] | None = None) -> ImageSet:
    """Look over a folder of images, a folder a class.

    Args:
        root: folder whose sub-folders are the classes, or train, val and test with the classes in each. Only files
            directly in a class folder are taken; links are followed to files and to class folders.
        labels: the classes in output order; None takes every sub-folder with a usable image, sorted by name.

    Returns:
        The usable samples and every problem met, both sorted by name.

    Raises:
        DatasetError: no such folder, fewer than two classes, or no image at all.
    """
    root = Path(root)
    on_disk = layout(root)
    wanted = list(on_disk.labels) if labels is None else list(labels)
    if len(set(wanted)) != len(wanted):
        raise DatasetError(f"labels must be different names; got {wanted}")
    troubles = [*beside_classes(root), *unlisted(root, on_disk, wanted)]
    found: list[tuple[str, Path]] = []
    for label in wanted:
        files, trouble = files_of(root, on_disk.folders.get(label, ()))
        found += [(label, path) for path in files]
        troubles += trouble
    problems = [Problem(*trouble) for trouble in troubles]
    samples, met = _look_at_all(root, found)
    problems += met
    counts = Counter(sample.label for sample in samples)
    for label in wanted:
        if not counts[label]:
            detail = "holds no usable image" if label in on_disk.folders else "no such folder"
            problems.append(Problem(f"{label}/", "empty-class", detail))
    kept = tuple(wanted) if labels is not None else tuple(label for label in wanted if counts[label])
    _check_enough(root, kept, samples, problems)
    problems += _duplicates(samples)
    return ImageSet(root, kept, tuple(samples), tuple(sorted(problems, key=lambda p: (p.name, p.kind))), on_disk.parts)


def load_pixels(samples: Sequence[Sample], contract: InputContract) -> Pixels:
    """The samples as a model is fed them (`edge.inference.tiles.prepare_field`); the gates see what
    `contract.untiled()` makes of them.

    Returns:
        uint8 (N, height, width, 3) of `contract.field_size`, RGB, 0..255, in the order of `samples`; 0.15 MB each at
        224x224.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
        DatasetError: an image has too few pixels for the contract's tiles.
    """
    width, height = contract.field_size
    pixels = np.empty((len(samples), height, width, 3), np.uint8)

    def load(index: int) -> None:
        try:
            pixels[index] = prepare_field(contract, read_image(samples[index].path))
        except FrameError as error:
            raise DatasetError(f"{samples[index].name}: {error}") from error

    with ThreadPoolExecutor(_workers()) as pool:
        for _ in tracked(pool.map(load, range(len(samples))), "preparing images", len(samples)):
            pass
    return pixels


def _workers() -> int:
    return min(8, os.cpu_count() or 1)


def _check_enough(root: Path, labels: Sequence[str], samples: Sequence[Sample], problems: Sequence[Problem]) -> None:
    if not samples:
        nested = sum(p.kind == "nested" for p in problems)
        hint = "; its sub-folders hold folders: give the one that holds the class folders" if nested else ""
        others = [p.name.rstrip("/") for p in problems if p.kind == "unlisted"]
        if others:
            hint = f": the labels are {', '.join(labels)}, the folders {', '.join(others)}"
        raise DatasetError(f"data must hold class folders with images; {root} has no usable image in one{hint}")
    if len(labels) < 2:
        raise DatasetError(f"data must hold two or more class folders with images; {root} has {list(labels)}")


def _look_at_all(root: Path, found: Sequence[tuple[str, Path]]) -> tuple[list[Sample], list[Problem]]:
    with ThreadPoolExecutor(_workers()) as pool:
        looked = pool.map(lambda item: _look_at(root, *item), found)
        looks = list(tracked(looked, "reading images", len(found)))
    samples = [sample for sample, _ in looks if sample is not None]
    return sorted(samples, key=lambda s: s.name), [problem for _, problem in looks if problem is not None]


def _look_at(root: Path, label: str, path: Path) -> tuple[Sample | None, Problem | None]:
    """One file: the sample it makes, if any, and what is wrong with it, if anything."""
    name = path.relative_to(root).as_posix()
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None, Problem(name, "unreadable", "not a regular file")
        if status.st_size > LARGEST_IMAGE_BYTES:
            return None, Problem(name, "unreadable", f"larger than {LARGEST_IMAGE_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        return None, Problem(name, "unreadable", error.strerror or str(error))
    problem = examine(name, data)
    if problem is not None and not problem.used:
        return None, problem
    return Sample(path, name, label, hashlib.sha256(data).hexdigest()), problem


def examine(name: str, data: bytes) -> Problem | None:
    """What is wrong with the content of one file named like an image or not; None when nothing is.

    What the device refuses is refused here, for the same reason: both ask `edge.inference.images`.

    Args:
        name: the file's name; its suffix is compared with the content.
        data: the file's bytes.
    """
    suffix = PurePosixPath(name).suffix.lower()
    try:
        header = read_image_header(data)
    except ImageFileError as error:
        return Problem(name, *_not_an_image(data, suffix, error))
    if suffix not in IMAGE_SUFFIXES:
        return Problem(name, "misnamed", f"{header.form} image without an image suffix ({suffix or 'none'}): not used")
    try:
        decode_image(data, "image")
    except ImageFileError as error:
        return Problem(name, error.reason, str(error).removeprefix("image: "))
    if suffix not in SUFFIXES[header.form]:
        return Problem(name, "misnamed", f"{header.form} content named {suffix}; used as {header.form}", used=True)
    if header.orientation != 1:
        detail = f"EXIF orientation {header.orientation} is ignored: a smear has no upright"
        return Problem(name, "orientation", detail, used=True)
    return None


def _not_an_image(data: bytes, suffix: str, error: ImageFileError) -> tuple[str, str]:
    """Kind and detail of a file whose header is refused."""
    if error.reason == "not_an_image":
        if suffix not in IMAGE_SUFFIXES:
            return "other", f"not an image and not named like one ({suffix or 'no suffix'})"
        if _is_text(data[:512]):
            return "misnamed", f"text named {suffix}"
    return error.reason, str(error)


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in head.decode("utf-8")
    except UnicodeDecodeError as error:
        return b"\0" not in head and error.start >= len(head) - 3  # a character cut by the window


def _duplicates(samples: Sequence[Sample]) -> list[Problem]:
    """Files whose bytes were seen before, each with the first of its twins."""
    first: dict[str, Sample] = {}
    problems = []
    for sample in samples:
        twin = first.setdefault(sample.sha256, sample)
        if twin is sample:
            continue
        if twin.label == sample.label:
            problems.append(Problem(sample.name, "duplicate", f"same bytes as {twin.name}", used=True))
        else:
            detail = f"same bytes as {twin.name} of another class"
            problems.append(Problem(sample.name, "conflict", detail, used=True))
    return problems
