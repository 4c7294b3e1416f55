"""What a disk may hold after a power cut: everything that was synced, and of the rest anything.

`Logged` is `Durable` that writes down what it asked the file system for. `after_a_cut` replays such a log up to a
moment: a change of names in a folder is certain once that folder was synced afterwards, and of what was still uncertain
each change either came through or did not (the model of ALICE, Pillai et al., OSDI 2014).
"""

import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.system.durable import Durable

Kind = Literal["mkdir", "create", "append", "rename", "symlink", "unlink", "rmdir", "sync"]


@dataclass(frozen=True)
class Change:
    """One request to the file system; paths are relative to the folder that is watched."""

    kind: Kind
    path: str
    target: str = ""
    data: bytes = b""

    @property
    def folder(self) -> str:
        """The folder in which a name changes."""
        return os.path.dirname(self.path)  # noqa: PTH120  (of text, not of a file)


class Logged(Durable):
    """Does what `Durable` does, and writes it down."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root, self.log = root, list[Change]()

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))

    def _mkdir(self, path: Path) -> None:
        super()._mkdir(path)
        self.log.append(Change("mkdir", self._name(path)))

    def _create(self, path: Path, data: bytes) -> None:
        super()._create(path, data)
        self.log.append(Change("create", self._name(path), data=data))

    def _append(self, path: Path, data: bytes) -> None:
        super()._append(path, data)
        self.log.append(Change("append", self._name(path), data=data))

    def _rename(self, source: Path, target: Path) -> None:
        super()._rename(source, target)
        self.log.append(Change("rename", self._name(source), self._name(target)))

    def _symlink(self, target: str, link: Path) -> None:
        super()._symlink(target, link)
        self.log.append(Change("symlink", self._name(link), target))

    def _unlink(self, path: Path) -> None:
        if os.path.lexists(path):
            self.log.append(Change("unlink", self._name(path)))
        super()._unlink(path)

    def _remove_tree(self, path: Path) -> None:
        for folder, _, names in os.walk(path, topdown=False):
            self.log += [Change("unlink", self._name(Path(folder) / name)) for name in names]
            self.log.append(Change("rmdir", self._name(Path(folder))))
        super()._remove_tree(path)

    def _sync_folder(self, path: Path) -> None:
        super()._sync_folder(path)
        self.log.append(Change("sync", self._name(path)))


class Forgetful(Logged):
    """The control: names are never made durable."""

    def _sync_folder(self, path: Path) -> None:
        pass


def certain(log: Sequence[Change]) -> list[bool]:
    """For each change, whether it is on the disk for certain after all of `log`."""
    synced: set[str] = set()
    found = []
    for change in reversed(log):
        if change.kind == "sync":
            synced.add(change.path if change.path != "." else "")
            found.append(True)
        else:
            found.append(change.folder in synced or change.kind == "append")
    return found[::-1]


def after_a_cut(before: Path, log: Sequence[Change], into: Path, chance: float, rng: random.Random) -> None:
    """Make `into` what the disk may hold when the power goes after `log`.

    Args:
        before: what it held before the first change.
        chance: that a change which is not certain came through; 0 loses all of them, 1 none.
    """
    shutil.copytree(before, into, symlinks=True)
    for change, sure in zip(log, certain(log), strict=True):
        if sure or rng.random() < chance:
            _apply(change, into)


def half_written(before: Path, log: Sequence[Change], into: Path, rng: random.Random) -> bool:
    """The same, cut in the middle of the last change of `log`; False where that has no middle."""
    last = log[-1]
    if last.kind not in ("create", "append"):
        return False
    after_a_cut(before, log[:-1], into, 1.0, rng)
    part = Change(last.kind, last.path, data=last.data[: rng.randrange(len(last.data) + 1)])
    _apply(part, into)
    return True


def _apply(change: Change, root: Path) -> None:
    """One change, where it still can be made: what it builds upon may be lost."""
    path = root / change.path
    try:
        if change.kind == "mkdir":
            path.mkdir()
        elif change.kind == "create":
            path.write_bytes(change.data)
        elif change.kind == "append":
            with path.open("ab") as stream:
                stream.write(change.data)
        elif change.kind == "rename":
            path.rename(root / change.target)
        elif change.kind == "symlink":
            path.symlink_to(change.target)
        elif change.kind == "unlink":
            path.unlink()
        elif change.kind == "rmdir":
            path.rmdir()
    except OSError:
        pass
