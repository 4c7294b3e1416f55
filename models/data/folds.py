"""Folds of a cross-validation: which images are held out together, by three schemes.

`random` ignores how the images came about, as published work does. `fields` keeps every microscope field on one side.
`blocks` holds out contiguous runs of file numbers: the files name no patient, but files of one patient most likely
stand side by side, so a block holds out patients as nearly as these files allow.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from models.data.dataset import Sample
from models.errors import ModelsError

SCHEMES = ("fields", "blocks", "random")
Unit = tuple[Sample, ...]  # images that go together: of one field, or of one content


class FoldError(ModelsError, ValueError):
    """Folds that cannot be made of these images. Cure: what the message names."""


def assign_folds(
    samples: Sequence[Sample], groups: Mapping[str, str], scheme: str, folds: int, seed: int = 7
) -> dict[str, int]:
    """Which fold every image is held out in; each class is spread evenly, exact duplicates go together.

    Args:
        samples: the images.
        groups: sha256 to field group, for every image; "random" does not look at them.
        scheme: "fields", "blocks" or "random".
        folds: >= 2, and at most the units (fields, or for "random" images) of the smallest class.
        seed: of the shuffle; "blocks" are not shuffled.

    Returns:
        sha256 to fold, 0..folds - 1; the same whatever the order of `samples`. With "fields" and "blocks" no field is
        in two folds: one that straddles the border of two blocks goes where most of it lies.

    Raises:
        FoldError: an argument is out of range, an image has no group, "blocks" meets a file without a number, or a
            block whose images all belong to fields of other blocks.
    """
    if scheme not in SCHEMES:
        raise FoldError(f"scheme must be one of {', '.join(SCHEMES)}; got {scheme!r}")
    if folds < 2:
        raise FoldError(f"folds must be at least 2; got {folds}")
    units = _units(samples, groups, by_field=scheme != "random")
    fold_of: dict[str, int] = {}
    for label, own in units.items():
        if len(own) < folds:
            raise FoldError(f"{folds} folds need as many separate images of every class; {label} has {len(own)}")
        chosen = _blocks(own, folds) if scheme == "blocks" else _even(own, folds, [seed, zlib.crc32(label.encode())])
        if len(set(chosen)) < folds:
            raise FoldError(
                f"{folds} folds by {scheme} leave one without an image of {label}: its images are copies of, or share"
                " fields with, images of other folds; ask for fewer"
            )
        for unit, fold in zip(own, chosen, strict=True):
            fold_of.update(dict.fromkeys((sample.sha256 for sample in unit), fold))
    return fold_of


def most_folds(samples: Sequence[Sample], groups: Mapping[str, str], scheme: str) -> int:
    """How many folds `assign_folds` can make of these images: the units of the class that has fewest."""
    return min(len(own) for own in _units(samples, groups, by_field=scheme != "random").values())


def file_number(sample: Sample) -> int:
    """The last number in a file's name: 17 of `Early/WBC-Malignant-Early-017.jpg`.

    Raises:
        FoldError: there is none.
    """
    numbers = re.findall(r"[0-9]+", PurePath(sample.name).stem)
    if not numbers:
        raise FoldError(f"blocks are made by the numbers in the files' names; {sample.name} has none")
    return int(numbers[-1])


def _units(samples: Sequence[Sample], groups: Mapping[str, str], by_field: bool) -> dict[str, list[Unit]]:
    """label to what goes together, in an order of its own; what spans classes counts with the first of them."""
    members: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda s: s.name):
        if by_field and sample.sha256 not in groups:
            raise FoldError(f"groups must name every image; {sample.name} is missing")
        members[groups[sample.sha256] if by_field else sample.sha256].append(sample)
    units: dict[str, list[Unit]] = {label: [] for label in sorted({sample.label for sample in samples})}
    for unit in members.values():
        units[unit[0].label].append(tuple(unit))
    return units


def _even(units: Sequence[Unit], folds: int, seed: Sequence[int]) -> list[int]:
    """Fold of every unit: in shuffled order, large ones first, each to the fold that holds fewest images."""
    order = np.random.default_rng(seed).permutation(len(units))
    held, fold_of = [0] * folds, [0] * len(units)
    for index in sorted(order, key=lambda i: -len(units[i])):
        fold_of[index] = held.index(min(held))
        held[fold_of[index]] += len(units[index])
    return fold_of


def _blocks(units: Sequence[Unit], folds: int) -> list[int]:
    """Fold of every unit: equal runs of file numbers; a unit goes where most of its images lie, else to the earlier."""
    ordered = sorted((sample for unit in units for sample in unit), key=lambda s: (file_number(s), s.name))
    block = {sample.name: place * folds // len(ordered) for place, sample in enumerate(ordered)}
    return [int(np.bincount([block[sample.name] for sample in unit]).argmax()) for unit in units]
