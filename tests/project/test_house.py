"""How rooms are laid out: entries of a folder, lines of a module, what a room says of itself and lets others use.

Which room may import which is held by the contracts in pyproject.toml (`make lint`).
"""

import ast
from pathlib import Path

import pytest

from tests.paths import ROOT

FLOORS = ("edge", "models", "convert")
MOST_ENTRIES = {"edge": 15, "models": 15, "convert": 15, "docs/studies": 15, "tests": 20}
LONGEST_MODULE = 400
LONGEST_MEDIAN = 200
# Beside its modules and rooms: what makes a folder a package, and files that Python makes.
UNCOUNTED = {"__init__.py", "py.typed", "__pycache__"}


def crowded(root: Path) -> list[str]:
    """Folders of code below a checkout that hold more entries than a newcomer takes in."""
    wrong = []
    for top, most in MOST_ENTRIES.items():
        for folder in sorted({path.parent for path in (root / top).rglob("*.py")} | {root / top}):
            entries = [path for path in folder.iterdir() if path.name not in UNCOUNTED and not abandoned(path)]
            if len(entries) > most:
                wrong.append(f"{folder.relative_to(root)}: {len(entries)} entries, {most} at most")
    return wrong


def abandoned(path: Path) -> bool:
    """A folder that git emptied and Python's caches keep."""
    return path.is_dir() and all("__pycache__" in each.parts for each in path.rglob("*") if each.is_file())


def long_modules(root: Path) -> list[str]:
    sizes = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for floor in FLOORS for path in modules_of(root, floor)
    }
    wrong = [f"{path.relative_to(root)}: {size} lines" for path, size in sizes.items() if size > LONGEST_MODULE]
    median = sorted(sizes.values())[len(sizes) // 2]
    return wrong + ([f"median {median} lines"] if median > LONGEST_MEDIAN else [])


def modules_of(root: Path, floor: str) -> list[Path]:
    return [path for path in sorted((root / floor).rglob("*.py")) if path.name != "__init__.py"]


def front_door_faults(root: Path) -> list[str]:
    """Rooms that do not say what lives there, and imports from a module that its room does not name."""
    doors: dict[str, set[str]] = {}
    wrong = []
    for floor in FLOORS:
        for path in sorted((root / floor).rglob("__init__.py")):
            room = ".".join(path.parent.relative_to(root).parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            named = [
                node.value for node in tree.body if isinstance(node, ast.Assign) and "__all__" in ast.unparse(node)
            ]
            if not ast.get_docstring(tree) or (room not in FLOORS and not named):
                wrong.append(f"{room}: a room has a docstring and __all__")
            doors[room] = set(ast.literal_eval(named[0])) if named else set()
            if any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
                wrong.append(f"{room}: importing a room loads nothing")
    for path in (path for floor in FLOORS for path in modules_of(root, floor)):
        mine = ".".join(path.parent.relative_to(root).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            for module in {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}:
                room, _, name = module.rpartition(".")
                file = root / (module.replace(".", "/") + ".py")
                if room in doors and room not in (mine, *FLOORS) and file.is_file() and name not in doors[room]:
                    wrong.append(f"{path.relative_to(root)} imports {module}, which {room} does not name in __all__")
    return wrong


def test_no_folder_is_crowded() -> None:
    assert crowded(ROOT) == []


def test_no_module_is_long() -> None:
    assert long_modules(ROOT) == []


def test_rooms_say_what_they_are_and_are_entered_by_the_front_door() -> None:
    assert front_door_faults(ROOT) == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A house with a room a floor, in order and at every limit."""
    for top, most in MOST_ENTRIES.items():
        room = tmp_path / top / "room"
        room.mkdir(parents=True)
        (tmp_path / top / "__init__.py").write_text('"""A floor."""\n')
        (room / "__init__.py").write_text('"""A room."""\n\n__all__ = []\n')
        for number in range(most):
            (room / f"module_{number}.py").write_text("\n" * LONGEST_MEDIAN)
        (room / "module_0.py").write_text("\n" * LONGEST_MODULE)
    assert crowded(tmp_path) == long_modules(tmp_path) == front_door_faults(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize("top", MOST_ENTRIES)
def test_a_crowded_folder_is_found(small: Path, top: str) -> None:
    """Negative control, as are those that follow."""
    (small / top / "room" / "moved_away").mkdir()
    assert crowded(small) == []
    (small / top / "room" / "one_more.toml").touch()
    most = MOST_ENTRIES[top]
    assert crowded(small) == [f"{top}/room: {most + 1} entries, {most} at most"]


def test_a_long_module_is_found_and_so_are_many(small: Path) -> None:
    (small / "edge/room/module_1.py").write_text("\n" * (LONGEST_MODULE + 1))
    assert long_modules(small) == [f"edge/room/module_1.py: {LONGEST_MODULE + 1} lines"]
    for path in small.rglob("module_*.py"):
        path.write_text("\n" * (LONGEST_MEDIAN + 1))
    assert long_modules(small) == [f"median {LONGEST_MEDIAN + 1} lines"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("__all__ = []\n", "a room has a docstring and __all__"),
        ('"""A room."""\n', "a room has a docstring and __all__"),
        ('"""A room."""\n\nimport os\n\n__all__ = []\n', "importing a room loads nothing"),
    ],
)
def test_a_room_without_a_front_door_is_found(small: Path, text: str, fault: str) -> None:
    (small / "models/room/__init__.py").write_text(text)
    assert front_door_faults(small) == [f"models.room: {fault}"]


def test_who_climbs_through_a_window_is_found(small: Path) -> None:
    (small / "convert/room/module_1.py").write_text("from edge.room.module_2 import thing\n")
    assert front_door_faults(small) == [
        "convert/room/module_1.py imports edge.room.module_2, which edge.room does not name in __all__"
    ]
    (small / "edge/room/__init__.py").write_text('"""A room."""\n\n__all__ = ["module_2"]\n')
    assert front_door_faults(small) == []
