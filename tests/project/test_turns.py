"""Turns of the workers: who wants the machine alone has it, and waits for those who were first."""

import os
import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT

FILES = {
    "test_one.py": """
import time, pytest
@pytest.mark.alone
@pytest.mark.parametrize("n", range(3))
def test_alone(n, note):
    note("alone begins"); time.sleep(0.05); note("alone ends")
""",
    "test_two.py": """
import time, pytest
@pytest.mark.parametrize("n", range(12))
def test_shared(n, note):
    note("shared begins"); time.sleep(0.02); note("shared ends")
""",
    "conftest.py": """
import os
import pytest
from tests.project.turns import pytest_runtest_protocol
@pytest.fixture
def note(pytestconfig):
    def write(text):
        with open(pytestconfig.rootpath / "log", "a") as log:
            print(text, file=log)
    return write
""",
    "pytest.ini": "[pytest]\nmarkers = alone\n",
}


def told(folder: Path, *without: str) -> list[str]:
    """What a session of two workers wrote, line by line."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    if without:
        (folder / "conftest.py").write_text(FILES["conftest.py"].replace(*without))
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "xdist",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-p",
        "no:cacheprovider",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and "15 passed" in done.stdout, done.stdout + done.stderr
    return (folder / "log").read_text().splitlines()


def undisturbed(lines: list[str]) -> bool:
    """Whether nothing stands between the beginning and the end of a test that runs alone."""
    return all(lines[at + 1] == "alone ends" for at, line in enumerate(lines) if line == "alone begins")


def test_nothing_runs_beside_a_test_that_runs_alone(tmp_path: Path) -> None:
    lines = told(tmp_path)
    assert lines.count("alone begins") == 3 and undisturbed(lines)


def test_without_turns_they_would_meet(tmp_path: Path) -> None:
    """Negative control."""
    assert not undisturbed(told(tmp_path, "from tests.project.turns import pytest_runtest_protocol", ""))
