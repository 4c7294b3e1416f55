"""Splits: seeded, stratified parts of an image set that train and judge, kept in a small file of hashes."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.data.dataset import ImageSet, Sample
from models.errors import ModelsError

PARTS = ("train", "validation", "test")
EXCLUDED = "excluded"  # in none: its field is on another side, and no network may be judged on a field it has seen
DEFAULT_FRACTIONS = {"train": 0.68, "validation": 0.12, "test": 0.20}
_HEADER = ("part", "label", "name", "sha256", "group")
_GROUPS_HEADER = ("class", "file", "sha256", "field_group")


class SplitError(ModelsError, ValueError):
    """A split that cannot be made or read, or that does not fit the images. Cure: make it again from these images."""


@dataclass(frozen=True)
class SplitItem:
    """One image: `group` is the microscope field it belongs to, `part` the side it is on, or "excluded"."""

    part: str
    label: str
    name: str
    sha256: str
    group: str


@dataclass(frozen=True)
class Split:
    """A division of an image set; items are identified by sha256, names are for people."""

    items: tuple[SplitItem, ...]

    def __post_init__(self) -> None:
        wrong = {item.part for item in self.items} - {*PARTS, EXCLUDED}
        if wrong:
            raise SplitError(f"part must be one of {PARTS} or {EXCLUDED}; got {sorted(wrong)}")
        sides = defaultdict(set)
        for item in self.items:
            sides[item.sha256].add(item.part)
        torn = sorted(sha for sha, parts in sides.items() if len(parts) > 1)
        if torn:
            raise SplitError(f"{len(torn)} images are on two sides of the split, the first {torn[0]}")

    def samples(self, image_set: ImageSet, part: str) -> tuple[Sample, ...]:
        """The images of `image_set` that belong to `part`, in the set's order."""
        if part not in PARTS:
            raise SplitError(f"part must be one of {PARTS}; got {part!r}")
        part_of = {item.sha256: item.part for item in self.items}
        chosen = tuple(s for s in image_set.samples if part_of.get(s.sha256) == part)
        if not chosen:
            raise SplitError(f"none of the {len(image_set.samples)} images in {image_set.root} is in the {part} part")
        return chosen

    def groups(self) -> dict[str, str]:
        """sha256 to field group."""
        return {item.sha256: item.group for item in self.items}

    def is_field_disjoint(self) -> bool:
        """True when no field has images on two sides; excluded images are on none."""
        sides = defaultdict(set)
        for item in (item for item in self.items if item.part != EXCLUDED):
            sides[item.group].add(item.part)
        return all(len(parts) == 1 for parts in sides.values())

    def counts(self) -> dict[str, dict[str, int]]:
        """part to label to number of images."""
        table = Counter((item.part, item.label) for item in self.items)
        parts = (*PARTS, EXCLUDED) if any(item.part == EXCLUDED for item in self.items) else PARTS
        return {part: {label: n for (p, label), n in sorted(table.items()) if p == part} for part in parts}

    def to_csv(self) -> str:
        """The split as it is stored: a header and a line an image, sorted by name."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_HEADER)
        for item in sorted(self.items, key=lambda i: (i.label, i.name)):
            writer.writerow([getattr(item, field) for field in _HEADER])
        return out.getvalue()

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read `to_csv`."""
        try:
            rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SplitError(f"split {path} cannot be read: {reason}") from error
        if not rows or tuple(rows[0]) != _HEADER or any(len(row) != len(_HEADER) for row in rows):
            raise SplitError(f"split {path} must be a CSV with the columns {', '.join(_HEADER)}")
        return cls(tuple(SplitItem(*row) for row in rows[1:]))


def field_disjoint(
    samples: Sequence[Sample],
    groups: Mapping[str, str],
    seed: int,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
) -> Split:
    """Parts that share no microscope field and no duplicate, each with the classes in the same proportions.

    Args:
        samples: the images.
        groups: sha256 to field group, for every image.
        seed: of the shuffle; the same images, groups and seed give the same split.
        fractions: part to share of each class's images; they sum to 1.
    """
    _check_fractions(fractions)
    members: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.sha256 not in groups:
            raise SplitError(f"groups must name every image; {sample.name} is missing")
        members[sample.label, groups[sample.sha256]].append(sample)
    part_of_group: dict[str, str] = {}
    for label in sorted({s.label for s in samples}):
        keys = sorted(key for key in members if key[0] == label)
        np.random.default_rng([seed, _stable(label)]).shuffle(keys)
        keys.sort(key=lambda key: -len(members[key]))  # large fields first, so that quotas can still be met exactly
        total = sum(len(members[key]) for key in keys)
        room = {part: fraction * total for part, fraction in fractions.items()}
        for key in keys:
            part = part_of_group.get(key[1]) or _draw(room, seed, key[1])
            part_of_group[key[1]] = part
            room[part] -= len(members[key])
    return _assemble(samples, groups, lambda s: part_of_group[groups[s.sha256]])


def random_split(
    samples: Sequence[Sample],
    groups: Mapping[str, str],
    seed: int,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
) -> Split:
    """Paper-style: images drawn at random within each class, overlapping fields ignored. For comparison only.

    Byte-identical copies go together, since a split is kept by hash.
    """
    _check_fractions(fractions)
    part_of: dict[str, str] = {}
    for label in sorted({s.label for s in samples}):
        hashes = sorted({s.sha256 for s in samples if s.label == label})
        np.random.default_rng([seed, _stable(label)]).shuffle(hashes)
        bounds = np.cumsum([fractions[part] for part in fractions]) * len(hashes)
        for position, sha256 in enumerate(hashes):
            part_of[sha256] = list(fractions)[int(np.searchsorted(bounds, position + 0.5))]
    return _assemble(samples, groups, lambda s: part_of[s.sha256])


def read_groups(path: Path) -> tuple[SplitItem, ...]:
    """The images a list names, with their fields: a CSV with the columns class, file, sha256 and field_group.

    Raises:
        SplitError: it cannot be read, lacks a column, or names no image.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SplitError(f"groups {path} cannot be read: {reason}") from error
    if not rows or not all(row.get(column) for row in rows for column in _GROUPS_HEADER):
        raise SplitError(f"groups {path} must be a CSV with the columns {', '.join(_GROUPS_HEADER)}, an image a line")
    return tuple(
        SplitItem("test", row["class"], f"{row['class']}/{row['file']}", row["sha256"], row["field_group"])
        for row in rows
    )


def absent_items(listed: Sequence[SplitItem], image_set: ImageSet) -> tuple[SplitItem, ...]:
    """Listed images that are not in the set, on the test side: what was not here cannot have been learned from.

    Raises:
        SplitError: an absent image shares its field with one that is here; it could not be kept apart.
    """
    here = {sample.sha256 for sample in image_set.samples}
    fields_here = {item.group for item in listed if item.sha256 in here}
    absent = tuple(item for item in listed if item.sha256 not in here)
    mixed = [item.name for item in absent if item.group in fields_here]
    if mixed:
        raise SplitError(f"{len(mixed)} absent images share a field with images that are here, the first {mixed[0]}")
    return absent


def exclude_overlaps(split: Split, found: Mapping[str, str]) -> Split:
    """A split without the images whose field, by a second opinion, lies on an earlier side.

    A list of fields may have missed some. Training images stay; validation images that share a found field with them
    are excluded, then test images that share one with either. The groups of the result join both opinions.

    Args:
        split: by the fields of a list.
        found: sha256 to field group as `models.data.field_groups.find_groups` finds them; images it does not name stay.
    """
    joined = _joined(split.groups(), found)
    sides: dict[str, str] = {}
    items = []
    for item in sorted(split.items, key=lambda i: [*PARTS, EXCLUDED].index(i.part)):
        group = joined[item.sha256]
        side = sides.setdefault(group, item.part)
        items.append(replace(item, group=group, part=item.part if side == item.part else EXCLUDED))
    return Split(tuple(items))


def _joined(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Groups that are connected by either opinion, each named after its first group of `one`."""
    parent = {group: group for group in one.values()}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    first: dict[str, str] = {}
    for sha256 in sorted(one):
        if sha256 in other:
            here, there = root(one[sha256]), root(first.setdefault(other[sha256], one[sha256]))
            parent[max(here, there)] = min(here, there)
    return {sha256: root(group) for sha256, group in one.items()}


def _assemble(samples: Sequence[Sample], groups: Mapping[str, str], part_of: Callable[[Sample], str]) -> Split:
    return Split(tuple(SplitItem(part_of(s), s.label, s.name, s.sha256, groups[s.sha256]) for s in samples))


def _draw(room: Mapping[str, float], seed: int, group: str) -> str:
    """A part drawn with probability proportional to the room left in it: parts fill evenly, none is favoured."""
    parts = sorted(room)
    left = np.maximum([room[part] for part in parts], 0.0)
    if left.sum() == 0:
        return max(parts, key=lambda part: room[part])
    rng = np.random.default_rng([seed, _stable(group)])
    return parts[int(rng.choice(len(parts), p=left / left.sum()))]


def _stable(text: str) -> int:
    """A number from a text that is the same in every process, unlike `hash`."""
    import zlib

    return zlib.crc32(text.encode())


def _check_fractions(fractions: Mapping[str, float]) -> None:
    if (
        not set(fractions) <= set(PARTS)
        or any(f <= 0 for f in fractions.values())
        or abs(sum(fractions.values()) - 1) > 1e-9
    ):
        raise SplitError(f"fractions must be positive shares of {PARTS} that sum to 1; got {dict(fractions)}")
