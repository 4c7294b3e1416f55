"""Rooms and arrows of the product, read from its packages and imports."""

import ast
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FLOORS = ("convert", "models", "edge")  # from the top down
EVERYWHERE = "errors"  # what every room imports, so that arrows to it say nothing


@dataclass(frozen=True)
class House:
    """Floors with their rooms, and who imports whom.

    Attributes:
        sentences: the first sentence of each room's `__init__`, by dotted name; rooms inside rooms are included.
        rows: for each floor its rooms from the top down, those of one row side by side, as the import contracts state.
        arrows: rooms that each room imports, as dotted names of two parts.
    """

    sentences: dict[str, str]
    rows: dict[str, list[list[str]]]
    arrows: dict[str, list[str]]

    def to_json(self) -> str:
        """The record that stands beside the picture."""
        return json.dumps(vars(self), indent=1) + "\n"

    def table(self) -> str:
        """A Markdown table for each floor: a room a line, with what lives there."""
        return "\n\n".join(self._floor_table(floor) for floor in FLOORS)

    def inside(self, floor: str) -> dict[str, list[str]]:
        """Arrows between rooms of one floor, without those that a chain of others implies."""
        within = {
            room: [to for to in targets if _floor(to) == floor]
            for room, targets in self.arrows.items()
            if _floor(room) == floor
        }
        return {
            room: [to for to in targets if not any(_reaches(within, other, to) for other in targets if other != to)]
            for room, targets in within.items()
        }

    def between(self, floor: str, lower: str) -> list[str]:
        """Rooms of `lower` that any room of `floor` imports."""
        return sorted(
            {to for room, targets in self.arrows.items() if _floor(room) == floor for to in targets}
            & {room for room in self.arrows if _floor(room) == lower}
        )

    def _floor_table(self, floor: str) -> str:
        rooms = [(room, said) for room, said in self.sentences.items() if _floor(room) == floor]
        lines = [f"| `{room.replace('.', '/')}/` | {said} |" for room, said in rooms]
        return "\n".join([f"| {floor} | |", "|---|---|", *lines])


def read_house(root: Path = ROOT) -> House:
    """The house as it stands in the checkout at `root`, which must be the one that is imported."""
    import grimp

    graph = grimp.build_graph(*FLOORS)
    sentences = _sentences(root)
    contracts = _contracts(root)
    rows = {floor: [row.split(" | ") for row in contracts[floor]] for floor in FLOORS}
    rooms = [f"{floor}.{room}" for floor in FLOORS for row in rows[floor] for room in row if room != EVERYWHERE]
    arrows: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            begin, end = _room(module), _room(imported)
            if begin != end and begin in arrows and end in arrows:
                arrows[begin].add(end)
    return House(sentences, rows, {room: sorted(targets) for room, targets in arrows.items()})


def _sentences(root: Path) -> dict[str, str]:
    found = {}
    for floor in FLOORS:
        for path in sorted((root / floor).glob("*/**/__init__.py")):
            name = ".".join(path.parent.relative_to(root).parts)
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[name] = said.partition("\n\n")[0].replace("\n", " ")
    return found


def _contracts(root: Path) -> dict[str, list[str]]:
    """Layers of each floor's contract in pyproject.toml, `a | b` where rooms stand side by side."""
    tables = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return {table["containers"][0]: table["layers"] for table in tables if "containers" in table}


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _floor(room: str) -> str:
    return room.partition(".")[0]


def _reaches(arrows: dict[str, list[str]], begin: str, end: str) -> bool:
    return any(to == end or _reaches(arrows, to, end) for to in arrows[begin])
