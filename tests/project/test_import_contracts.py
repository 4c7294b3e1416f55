"""Negative controls of the import contracts in pyproject.toml: planted imports that `make lint` must refuse."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

CHECK = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's Python files and the contracts."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("edge", "models", "convert"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("bundles", "trained", "__pycache__"))
    return folder


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", CHECK]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_code_keeps_the_contracts(copy: Path) -> None:
    found = checked(copy)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("edge/system/clock.py", "import models.data.split", "Floors"),
        ("edge/system/clock.py", "import edge.record.store", "Rooms of edge"),
        ("models/statistics/intervals.py", "import models.report.card", "Rooms of models"),
        ("convert/tflite/metadata.py", "import convert.recovery.search", "Rooms of convert"),
        ("edge/record/chain.py", "import edge.record.store", "No circle"),
        ("edge/system/clock.py", "def late():\n    import tensorflow", "A device imports no TensorFlow"),
        ("edge/system/clock.py", "import docs.studies", "neither studies nor tests"),
    ],
)
def test_a_planted_import_is_refused(copy: Path, module: str, line: str, broken: str) -> None:
    path = copy / module
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n\n{line}\n", encoding="utf-8")
    try:
        found = checked(copy)
    finally:
        path.write_text(before, encoding="utf-8")
    assert found.returncode == 1
    assert any(broken in said and "BROKEN" in said for said in found.stdout.splitlines()), found.stdout
