"""Folders of images as they lie on disk: a folder a class, or that once more below train, val and test.

What is not looked at is returned as (name, kind, detail), with the kinds of `models.data.dataset.KINDS`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.inference.images import IMAGE_SUFFIXES
from models.errors import DatasetError

PART_FOLDERS: Mapping[str, str] = {  # lower-case name -> part of a split
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
Trouble = tuple[str, str, str]


@dataclass(frozen=True)
class Layout:
    """Where the images of each class are.

    Attributes:
        folders: label -> its folders; several where the set is divided by folders.
        parts: name of a folder in the root -> its part of the split; empty where the classes are in the root.

    >>> Layout({"Benign": (Path("train/Benign"), Path("test/Benign"))}, {"train": "train", "test": "test"}).labels
    ('Benign',)
    """

    folders: Mapping[str, tuple[Path, ...]]
    parts: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the class folders, sorted: the order in which Keras numbers classes."""
        return tuple(sorted(self.folders))


def layout(root: Path) -> Layout:
    """The class folders below `root`, hidden ones left out.

    Raises:
        DatasetError: no such folder, or one that cannot be read.
    """
    try:
        if not root.exists():
            raise DatasetError(f"data must be a folder of class folders; {root} does not exist")
        if not root.is_dir():
            raise DatasetError(f"data must be a folder of class folders; {root} is a file")
        inside = _folders_in(root)
        parts = _parts(inside)
        if not parts:
            return Layout({path.name: (path,) for path in inside}, {})
        folders: dict[str, tuple[Path, ...]] = {}
        for part in (path for path in inside if path.name in parts):
            for path in _folders_in(part):
                folders[path.name] = (*folders.get(path.name, ()), path)
        return Layout(folders, parts)
    except OSError as error:
        raise DatasetError(f"data must be a readable folder; {root}: {error.strerror}") from error


def beside_classes(root: Path) -> list[Trouble]:
    """Images in the root, where they have no class. Other files there are nobody's business."""
    loose = [p for p in sorted(root.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES and not _is_folder(p)]
    return [(p.name, "unsorted", "lies beside the class folders: no class") for p in loose]


def unlisted(root: Path, found: Layout, wanted: Sequence[str]) -> list[Trouble]:
    """Folders that are not read."""
    others = sorted(set(found.folders) - set(wanted))
    troubles = [(f"{name}/", "unlisted", f"is none of the labels {list(wanted)}: not read") for name in others]
    if found.parts:
        beside = sorted(p.name for p in _folders_in(root) if p.name not in found.parts)
        said = f"lies beside {', '.join(found.parts)}: not read"
        troubles += [(f"{name}/", "unlisted", said) for name in beside]
    return troubles


def files_of(root: Path, folders: Iterable[Path]) -> tuple[list[Path], list[Trouble]]:
    """Files of one class to look at, and what is not looked at."""
    files: list[Path] = []
    troubles: list[Trouble] = []
    for folder in folders:
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            troubles.append((f"{folder.relative_to(root).as_posix()}/", "unreadable", str(error.strerror)))
            continue
        for path in entries:
            name = path.relative_to(root).as_posix()
            if path.name.startswith("."):
                if path.suffix.lower() in IMAGE_SUFFIXES:  # `._x.jpg` of macOS; .DS_Store and the like are no images
                    troubles.append((name, "hidden", "hidden file: not read"))
            elif _is_folder(path):
                troubles.append((f"{name}/", "nested", "folder inside a class folder: not searched"))
            else:
                files.append(path)
    return files, troubles


def _parts(inside: Sequence[Path]) -> dict[str, str]:
    """Folder name to part, where the folders divide the set: training, another one, and classes in each of them."""
    named = {path.name: PART_FOLDERS[path.name.lower()] for path in inside if path.name.lower() in PART_FOLDERS}
    divided = "train" in named.values() and len(set(named.values())) == len(named) > 1
    return named if divided and all(_folders_in(path) for path in inside if path.name in named) else {}


def _folders_in(root: Path) -> list[Path]:
    return [p for p in sorted(root.iterdir()) if not p.name.startswith(".") and _is_folder(p)]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a loop of links
        return False
