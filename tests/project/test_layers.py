"""What the import contracts do not say: what loads only inside functions, and what a device has to import."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

FLOORS = ("edge", "models", "convert")
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


@pytest.mark.parametrize("package", FLOORS)
def test_heavy_imports_live_inside_functions(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in at_import_time(path.read_text()) & HEAVY
    ]
    assert not wrong


# What a module may import beyond that, where it is there: the Pi's own packages, what verifies signatures and fetches
# updates, what pages are written with, and what options of `edge bench` and `edge control` compare with and
# draw with. `tf.lite` is reached by name, through importlib, and only when asked for.
BEYOND = {
    "edge/bundle/keys.py": {"cryptography", "securesystemslib"},
    "edge/bundle/envelope.py": {"securesystemslib"},
    "edge/serving/update/fetch.py": {"tuf", "urllib3"},
    "edge/serving/update/repository.py": {"tuf"},
    "edge/inference/runtime/interpreters.py": {"tensorflow"},
    "edge/cameras/picamera2.py": {"picamera2", "libcamera"},
    "edge/page/html/rendering.py": {"jinja2"},
    "edge/diagnostics/cameras.py": {"picamera2", "libcamera"},
    "edge/diagnostics/page.py": {"cryptography"},
    "edge/diagnostics/benchmark/figure.py": {"matplotlib"},
    "edge/page/control_report/figure.py": {"matplotlib"},
    "edge/diagnostics/benchmark/timing.py": {"mediapipe"},
}
# The extra `page`: nothing else of the device may import it, and these rooms of the page serve reports as well.
WEB = {
    "argon2",
    "cryptography",
    "fastapi",
    "h11",
    "jinja2",
    "markupsafe",
    "pydantic",
    "segno",
    "starlette",
    "uvicorn",
    "websockets",
}
REPORTS = ("edge/page/html/", "edge/page/control_report/", "edge/page/rejudge_report/")


def beyond(name: str) -> set[str]:
    """What a module of `edge` may import beyond the standard library and what every device has."""
    web = WEB if name.startswith("edge/page/") and not name.startswith(REPORTS) else set()
    return web | BEYOND.get(name, set())


def test_edge_imports_only_what_a_device_has() -> None:
    """Even inside functions."""
    known = {*sys.stdlib_module_names, "edge", "numpy", "cv2", "fire", "msgspec", "simplejpeg", ""}
    for path in modules("edge"):
        name = path.relative_to(ROOT).as_posix()
        assert imported(ast.parse(path.read_text())) <= known | beyond(name), name


def test_the_checks_above_see_what_they_look_for() -> None:
    """Negative control."""
    assert "fastapi" in beyond("edge/page/api/router.py") and "uvicorn" not in beyond("edge/instrument/session.py")
    assert "fastapi" not in beyond("edge/page/html/rendering.py")
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
        assert not loaded & {"models", "convert", *WEB}


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
