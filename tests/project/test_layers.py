"""Rules of floors and rooms beside the import contracts: what loads what, and how a room is laid out."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

MAY_IMPORT = {"edge": {"edge"}, "models": {"models", "edge"}, "convert": {"convert", "models", "edge"}}
HEAVY = {"tensorflow", "keras", "matplotlib", "sklearn", "scipy", "mediapipe", "PIL"}
BY_NAME = ("importlib.import_module", "__import__")
DEVICE_ABSENT = HEAVY | {"flatbuffers", "rich", "statsmodels"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of every import below `tree`, however deep; '' for relative ones."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("" if node.level else (node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME:
            found |= {str(a.value).partition(".")[0] for a in node.args[:1] if isinstance(a, ast.Constant)}
    return found


def at_import_time(source: str) -> set[str]:
    """What merely importing a module imports: nothing inside functions or `if TYPE_CHECKING`."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= imported(node)
        waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_only_go_down(package: str) -> None:
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[package]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(ast.parse(path.read_text())) & forbidden
    ]
    assert modules(package) and not wrong


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_heavy_imports_live_inside_functions(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in at_import_time(path.read_text()) & HEAVY
    ]
    assert not wrong


# What a module may import beyond that, where it is there: the Pi's own packages, what verifies signatures and fetches
# updates, what pages are written with, and what an option of `edge bench` compares with and draws with. `tf.lite` is
# reached by name, through importlib, and only when asked for.
BEYOND = {
    "edge/bundle/keys.py": {"cryptography", "securesystemslib"},
    "edge/bundle/envelope.py": {"securesystemslib"},
    "edge/update/fetch.py": {"tuf", "urllib3"},
    "edge/update/repository.py": {"tuf"},
    "edge/inference/interpreters.py": {"tensorflow"},
    "edge/cameras/picamera2.py": {"picamera2", "libcamera"},
    "edge/page/rendering.py": {"jinja2"},
    "edge/diagnostics/cameras.py": {"picamera2", "libcamera"},
    "edge/diagnostics/bench_figure.py": {"matplotlib"},
    "edge/diagnostics/bench_timing.py": {"mediapipe"},
}


def test_edge_imports_only_what_a_device_has() -> None:
    """Even inside functions."""
    known = {*sys.stdlib_module_names, "edge", "numpy", "cv2", "fire", "msgspec", ""}
    for path in modules("edge"):
        name = path.relative_to(ROOT).as_posix()
        assert imported(ast.parse(path.read_text())) <= known | BEYOND.get(name, set()), name


def test_the_checks_above_see_what_they_look_for() -> None:
    """Negative control."""
    late = "def f():\n    import models.data.published\n"
    assert imported(ast.parse(late)) == {"models"} and at_import_time(late) == set()
    early = "try:\n    import keras\nexcept ImportError:\n    from tensorflow import keras\n"
    assert at_import_time(early) == {"keras", "tensorflow"}
    assert imported(ast.parse("import importlib\nimportlib.import_module('models.x')")) == {
        "importlib",
        "models",
    }


@pytest.mark.parametrize("module", ["edge.cli", "edge.bundle.bundle", "edge.inference.classifier", "convert", "models"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    loaded = set(ast.literal_eval(done.stdout))
    assert not loaded & DEVICE_ABSENT
    if module.startswith("edge"):
        assert not loaded & {"models", "convert"}


def test_edge_works_where_only_edge_is(tmp_path: Path) -> None:
    """The package alone in a folder: it imports, and says that no bundle ships with it."""
    shutil.copytree(ROOT / "edge", tmp_path / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "a.png").write_bytes(b"")
    # None in sys.modules is how Python marks a package that cannot be imported, installed or not
    code = "sys.modules.update(models=None, convert=None); import edge.cli; edge.cli.main()"
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}",
            "classify",
            "a.png",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2, done.stderr
    assert "no mobilenet_v2-int8 bundle ships with this installation" in done.stderr


FLOORS = ("edge", "models", "convert")
MOST_ENTRIES = {"edge": 15, "models": 15, "convert": 15, "docs/studies": 15, "tests": 20}
LONGEST_MODULE = 400
LONGEST_MEDIAN = 200
# Beside its modules and rooms: what makes a folder a package, and files that Python makes.
UNCOUNTED = {"__init__.py", "py.typed", "__pycache__"}
RECORDED = "tests/convert/edgetpu/logs"  # compiler logs, one a file: data, not code


def crowded(root: Path) -> list[str]:
    """Folders of code below a checkout that hold more entries than a newcomer takes in."""
    wrong = []
    for top, most in MOST_ENTRIES.items():
        for folder in sorted({path.parent for path in (root / top).rglob("*.py")} | {root / top}):
            entries = {path.name for path in folder.iterdir()} - UNCOUNTED
            if len(entries) > most and folder != root / RECORDED:
                wrong.append(f"{folder.relative_to(root)}: {len(entries)} entries, {most} at most")
    return wrong


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


def test_folders_modules_and_front_doors() -> None:
    assert crowded(ROOT) == []
    assert long_modules(ROOT) == []
    assert front_door_faults(ROOT) == []


def test_a_crowded_folder_a_long_module_and_a_closed_door_are_found(tmp_path: Path) -> None:
    """Negative control."""
    for top in MOST_ENTRIES:
        (tmp_path / top).mkdir(parents=True)
    for floor in FLOORS:
        (tmp_path / floor / "__init__.py").write_text('"""A floor."""\n')
    for room, text in {"open": '"""A room."""\n\n__all__ = []\n', "silent": "import os\n"}.items():
        (tmp_path / "edge" / room).mkdir()
        (tmp_path / "edge" / room / "__init__.py").write_text(text)
    (tmp_path / "edge/open/inside.py").write_text("\n" * (LONGEST_MODULE + 1))
    (tmp_path / "edge/silent/caller.py").write_text("from edge.open.inside import thing\n")
    for number in range(MOST_ENTRIES["models"] + 1):
        (tmp_path / f"models/m{number}.py").touch()
    assert crowded(tmp_path) == ["models: 16 entries, 15 at most"]
    assert long_modules(tmp_path) == ["edge/open/inside.py: 401 lines"]
    assert front_door_faults(tmp_path) == [
        "edge.silent: a room has a docstring and __all__",
        "edge.silent: importing a room loads nothing",
        "edge/silent/caller.py imports edge.open.inside, which edge.open does not name in __all__",
    ]
