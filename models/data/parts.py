"""Parts of a split as the pixels and labels that a network is trained or judged on."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.system.wording import counted
from models.data.dataset import ImageSet, Sample, load_pixels, scan
from models.data.published import PUBLISHED_SPLIT
from models.data.split import EXCLUDED, PARTS, Split, SplitError, SplitItem, exclude_overlaps, field_disjoint
from models.support.provenance import SplitUsed

_log = logging.getLogger(__name__)

DEFAULT_SEED = 7


@dataclass(frozen=True)
class WholeFields:
    """Fields as gates see them where the network sees tiles.

    Attributes:
        pixels: uint8 (N, height, width, 3) RGB of the contract's size. contract: without tiles.
    """

    pixels: Pixels
    contract: InputContract

    def of_altered(self, fields: Pixels) -> Pixels:
        """What gates see of fields that were altered as the network sees them, uint8 (M, H, W, 3) from
        `edge.inference.tiles.prepare_field`: shrunk from there, not from the frame, which nobody altered."""
        return np.stack([self.contract.prepare(field) for field in fields])


@dataclass(frozen=True)
class Part:
    """One side of a split, ready to be predicted.

    Attributes:
        pixels: uint8 (N, H, W, 3) RGB, as `models.data.dataset.load_pixels` gives them. truth: int64 (N,).
        groups: the microscope field of each image.
        whole: the same fields as gates see them; None where those are `pixels`, without tiles.
    """

    samples: tuple[Sample, ...]
    pixels: Pixels
    truth: npt.NDArray[np.int64]
    groups: tuple[str, ...] = ()
    whole: "WholeFields | None" = None

    @property
    def names(self) -> tuple[str, ...]:
        """The images' names, relative to the data folder."""
        return tuple(sample.name for sample in self.samples)


def load_part(image_set: ImageSet, split: Split, part: str, contract: InputContract) -> Part:
    """Read and prepare one side; truth indexes `contract.labels`."""
    samples = split.samples(image_set, part)
    truth = np.array([contract.labels.index(sample.label) for sample in samples], np.int64)
    groups = split.groups()
    untiled = contract.untiled()
    whole = None if contract.tiles is None else WholeFields(load_pixels(samples, untiled), untiled)
    fields = tuple(groups[sample.sha256] for sample in samples)
    return Part(samples, load_pixels(samples, contract), truth, fields, whole)


def scan_for(data: Path, contract: InputContract) -> ImageSet:
    """The images under `data`, whose class folders must be the contract's labels."""
    return scan(data, labels=contract.labels)


def split_for(image_set: ImageSet, path: Path | None = None) -> tuple[Split, str]:
    """The split to use and how it was come by.

    The one at `path`; else that of the folders train, val and test where the images lie in such; else the shipped one
    when it knows every image (they are the published set); else a new field-disjoint one, whose fields are found here.
    """
    if path is not None:
        return Split.load(path), f"from {path.name}"
    if image_set.parts:
        return _split_of_folders(image_set)
    shipped = Split.load(PUBLISHED_SPLIT)
    if {sample.sha256 for sample in image_set.samples} <= set(shipped.groups()):
        return shipped, "the published set's field-disjoint split, shipped"
    from models.data.field_groups import find_groups

    groups = find_groups(image_set.samples)
    made = field_disjoint(image_set.samples, groups, DEFAULT_SEED)
    if not {"train", "test"} <= {item.part for item in made.items}:
        fields = len({groups[sample.sha256] for sample in image_set.samples})
        raise SplitError(
            f"the {len(image_set.samples)} images of {image_set.root} overlap in {counted(fields, 'field')}, too few "
            "to train and to judge: give a division of your own (--split FILE, or folders train, val and test)"
        )
    return made, f"made here, field-disjoint, seed {DEFAULT_SEED}"


def _split_of_folders(image_set: ImageSet) -> tuple[Split, str]:
    """The division that the folders make, less images whose field is in an earlier folder too.

    Without a folder for testing the one for validation judges.
    """
    from models.data.field_groups import find_groups

    parts = dict(image_set.parts)
    if "test" not in parts.values():
        parts = {name: "test" if part == "validation" else part for name, part in parts.items()}
    groups = find_groups(image_set.samples)
    side: dict[str, str] = {}
    for sample in sorted(image_set.samples, key=lambda s: PARTS.index(parts[s.name.split("/")[0]])):
        side.setdefault(sample.sha256, parts[sample.name.split("/")[0]])  # copies stay in the earliest folder
    items = tuple(SplitItem(side[s.sha256], s.label, s.name, s.sha256, s.sha256) for s in image_set.samples)
    split = exclude_overlaps(Split(items), groups)
    left_out = sum(item.part == EXCLUDED for item in split.items)
    said = f"{counted(left_out, 'image')} that shared a microscope field with an earlier folder"
    without = f", without {said}" if left_out else ""
    if left_out:
        _log.warning(f"left out: {said}")
    named = ", ".join(f"{name} ({part})" for name, part in sorted(parts.items(), key=lambda p: PARTS.index(p[1])))
    return split, f"the folders {named}{without}"


def part_of(data: Path, contract: InputContract, split: Path | None, part: str) -> tuple[Part, SplitUsed]:
    """One side of the split of the images under `data`, ready to be predicted, and what a record says of it."""
    image_set = scan_for(data, contract)
    chosen, origin = split_for(image_set, split)
    digest = hashlib.sha256(chosen.to_csv().encode()).hexdigest()
    return load_part(image_set, chosen, part, contract), SplitUsed(origin, digest, chosen.is_field_disjoint(), part)
