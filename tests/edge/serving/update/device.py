"""A device that serves version 1 from its slots, and what somebody at it types; for the tests of updates."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.serving.update.slots import Slots
from tests.edge.serving.update.kill import perform
from tests.edge.serving.update.world import NAME, World


@dataclass(frozen=True)
class Device:
    """Slots of its own, and the commands on them.

    Attributes:
        image: what it is asked about, to see that it serves.
    """

    world: World
    state: Path
    image: Path
    capsys: pytest.CaptureFixture[str]

    @classmethod
    def new(
        cls, world: World, folder: Path, image: Path, capsys: pytest.CaptureFixture[str], acts: list[str]
    ) -> "Device":
        """A device to which these acts were done (`tests.edge.serving.update.kill.perform`)."""
        device = cls(world, folder / "state", image, capsys)
        device.state.mkdir()
        for act in acts:
            perform(world, device.slots, act)
        return device

    @property
    def slots(self) -> Slots:
        return Slots(self.state / "bundles")

    def edge(self, *words: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        code = main("edge", COMMANDS, [str(word) for word in words])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def update(self, source: object, *words: object) -> tuple[int, str, str]:
        """`edge update SOURCE` with this device's slots and keys."""
        return self.edge("update", source, "--slots", self.slots.folder, "--trusted", self.world.trusted, *words)

    def serves(self) -> int:
        """The version whose verdict `edge classify` gives, by the slots."""
        code, out, err = self.edge("classify", self.image, "--json", "--ungated")
        assert code == 0, err
        record: dict[str, Any] = json.loads(out)
        assert record["label"] is not None or record["reason"] == "low_confidence"
        assert record["bundle"] == NAME
        return int(record["bundle_version"])

    def history(self) -> list[dict[str, Any]]:
        return self.slots.history.tail(100)

    def left_over(self) -> list[str]:
        """Unfinished work in the slots."""
        return sorted(path.name for path in self.slots.folder.iterdir() if path.name in (".staging", ".cleared"))


def copied(source: Path, target: Path) -> Path:
    """A copy of a bundle, to be tampered with."""
    shutil.copytree(source, target)
    return target
