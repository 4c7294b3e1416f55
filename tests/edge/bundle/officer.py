"""A quality officer and a device on one disk: the commands of both, in this process."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

import convert.cli
import edge.cli
from edge.commands.command_line import main
from tests.signing import SHIPPED, make_key, resealed, trusted_folder


@dataclass(frozen=True)
class Bench:
    """Keys of the officer, and a device that trusts them.

    Attributes:
        root: `keys/officer.key`, `trusted`, and the device's `state`.
    """

    root: Path
    capsys: pytest.CaptureFixture[str]

    @classmethod
    def build(cls, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Self:
        make_key(root / "keys", "officer")
        trusted_folder(root / "trusted", root / "keys", "officer")
        monkeypatch.setattr("edge.bundle.trusted.DEFAULT_KEYS", root / "trusted")
        monkeypatch.setenv("STATE_DIRECTORY", str(root / "state"))
        return cls(root, capsys)

    def bundle(self, folder: str = "made", **certificate: Any) -> Path:
        """An unsigned copy of a shipped bundle with these entries in its certificate; "absent": without the entry."""
        path = Path(shutil.copytree(SHIPPED, self.root / folder / SHIPPED.name))
        changed = {**json.loads((path / "certificate.json").read_text()), **certificate}
        kept = {key: value for key, value in changed.items() if value != "absent"}
        resealed(path, certificate__json=json.dumps(kept).encode())
        return path

    @property
    def key(self) -> tuple[str, Path]:
        return "--key", self.root / "keys" / "officer.key"

    def convert(self, *words: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        return self._run("convert", convert.cli.COMMANDS, words)

    def edge(self, *words: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        return self._run("edge", edge.cli.COMMANDS, words)

    def _run(self, name: str, commands: Any, words: tuple[object, ...]) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = main(name, commands, [str(word) for word in words])
        said = self.capsys.readouterr()
        return code, said.out, said.err
