"""Every study runs from a checkout, says what it takes, is listed in their README, and is not in the wheel."""

import subprocess
import sys
import tomllib

import pytest
from setuptools import find_packages

from tests.paths import ROOT

STUDIES = ROOT / "docs" / "studies"
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path
    for path in sorted(STUDIES.rglob("*.py"))
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
}


def test_there_are_studies() -> None:
    assert len(MODULES) >= 14


@pytest.mark.slow
def test_help_of_every_study() -> None:
    """All at once: a process each, most of whose time is the import."""
    command = {module: [sys.executable, "-m", module, "--help"] for module in MODULES}
    running = {
        module: subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for module, words in command.items()
    }
    said = {module: process.communicate(timeout=120)[0] for module, process in running.items()}
    assert {module: said[module] for module, process in running.items() if process.returncode} == {}
    for module, text in said.items():
        assert f"python -m {module}" in text, module


@pytest.mark.parametrize("module", MODULES)
def test_every_study_is_listed_with_its_command(module: str) -> None:
    listed = " ".join((STUDIES / "README.md").read_text(encoding="utf-8").split())
    assert f"`python -m {module} " in listed
    assert f"    python -m {module} " in MODULES[module].read_text(encoding="utf-8")


def test_no_study_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = find_packages(str(ROOT), include=project["tool"]["setuptools"]["packages"]["find"]["include"])
    assert packages and not [name for name in packages if "studies" in name or name.startswith(("docs", "tests"))]
